"""Reading the parse trees of PL/pgSQL and SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pglast.parser import parse_sql_json

from tenantry.prove.lint.routine_reading import Json

TARGETED = ("PLpgSQL_stmt_execsql", "PLpgSQL_stmt_dynexecute")


def plain_sql(text: str) -> str:
    """Return the statements of a SQL-standard body: between BEGIN ATOMIC and END, or its one expression."""
    bare = text.strip()
    inside = re.fullmatch(r"BEGIN\s+ATOMIC\s+(.*)\bEND", bare, re.IGNORECASE | re.DOTALL)
    if inside:
        return inside[1]
    return "select " + bare[6:] if re.match(r"RETURN\b", bare, re.IGNORECASE) else text


def statements_of(sql: str) -> Iterator[Json]:
    for each in json.loads(parse_sql_json(sql)).get("stmts", ()):
        yield each["stmt"]


def targets_of(node: Json) -> Iterator[str]:
    for kind, value in node.items():
        if kind == "PLpgSQL_row":
            yield from (each["name"].partition(".")[0] for each in value.get("fields", ()))
        elif kind in ("PLpgSQL_rec", "PLpgSQL_var"):
            yield value["refname"]


def name_of(parts: Sequence[Json]) -> tuple[str, ...]:
    return tuple(each["String"]["sval"] for each in parts)


def bare_node(node: Json) -> Json:
    while "TypeCast" in node:
        node = node["TypeCast"]["arg"]
    return node


def text_of(node: Any) -> str | None:
    bare = bare_node(node) if isinstance(node, dict) else {}
    value = bare.get("A_Const", {}).get("sval")
    return value.get("sval", "") if isinstance(value, dict) else None
