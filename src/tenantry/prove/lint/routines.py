"""Reads, with PostgreSQL's own parser, what a function's body does with its arguments. Pure: texts in, flat records out.

Comparisons tie values to each other: a column to its row, a variable to its source, and all of them to the caller if a
condition compares them with the caller. An argument that selects rows without a tie to the caller can select anybody's
rows. A comparison on only one side of an OR ties nothing.
"""

from __future__ import annotations

import json

from pglast.parser import ParseError, parse_plpgsql_json

from tenantry.prove.lint.parse_tree import plain_sql, statements_of
from tenantry.prove.lint.plpgsql import read_procedure
from tenantry.prove.lint.routine_queries import QueryReader
from tenantry.prove.lint.routine_reading import Body, Known, RoutineReading


def read_body(body: Body, known: Known) -> RoutineReading:
    """Read a function; `failed` is set if the parser refuses it."""
    reader = QueryReader(body, known)
    try:
        if body.language == "sql":
            for statement in statements_of(plain_sql(body.text)):
                reader.statement(statement, [])
        elif body.language == "plpgsql":
            for each in json.loads(parse_plpgsql_json(body.text)):
                read_procedure(reader, each["PLpgSQL_function"])
        else:
            return RoutineReading(failed=f"its language is {body.language}")
    except (ParseError, KeyError, RecursionError, json.JSONDecodeError) as error:
        return RoutineReading(failed=str(error.args[0] if error.args else error))
    return reader.found()
