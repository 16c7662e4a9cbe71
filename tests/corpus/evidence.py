"""The values that a reference of an answer means, read in Python: a check of the answers that shares nothing with an analysis."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from tests.corpus.answer import ReferenceAnswer

Connection = psycopg.Connection[tuple[object, ...]]
_STEP = re.compile(r"\[\*\]|\*|[^.\[\]]+")
_ID = "([A-Za-z0-9_-]+)"


def column_values(connection: Connection, table: str, column: str, when: tuple[str, str] | None = None) -> list[Any]:
    """The values of a column that are not null, in the rows that `when` names."""
    statement = sql.SQL("select {} from {} where {} is not null").format(
        sql.Identifier(column), sql.Identifier(table), sql.Identifier(column)
    )
    if when:
        statement += sql.SQL(" and {}::text = {}").format(sql.Identifier(when[0]), sql.Literal(when[1]))
    return [value for (value,) in connection.execute(statement).fetchall()]


def meant(reference: ReferenceAnswer, value: Any) -> Iterator[str]:
    """The ids, as text, that the value of a column has for this reference."""
    if reference.form == "element":
        found = list(value)
    elif reference.form in {"json", "json_key"}:
        document = json.loads(value) if isinstance(value, str) else value
        found = list(at(document, steps(reference.path or "$")))
        if reference.form == "json_key":
            found = [key for one in found if isinstance(one, dict) for key in one]
    else:
        found = [value]
    for one in found:
        if one is None:
            continue
        if reference.pattern is None:
            yield str(one)
        else:
            yield from re.findall(re.escape(reference.pattern).replace(r"\{\}", _ID), str(one))


def steps(path: str) -> list[str]:
    return _STEP.findall(path.removeprefix("$"))


def at(document: Any, path: list[str]) -> Iterator[Any]:
    """What stands at a path: none, one, or many where it has `[*]` or `*`."""
    if not path:
        yield document
        return
    step, rest = path[0], path[1:]
    if step == "[*]":
        inner = document if isinstance(document, list) else []
    elif step == "*":
        inner = list(document.values()) if isinstance(document, dict) else []
    else:
        inner = [document[step]] if isinstance(document, dict) and step in document else []
    for one in inner:
        yield from at(one, rest)


def holds(kind: str, values: list[str]) -> bool:
    """Whether nine of ten texts are of that kind."""
    tests = {
        "number": re.compile(r"\s*-?\d+([.,]\d+)*\s*"),
        "date": re.compile(r"\d{4}-\d\d-\d\d|\d\d?[./]\d\d?[./]\d{4}|\d{8}"),
        "timestamp": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*|\d{10}|\d{13}"),
        "boolean": re.compile(r"true|false|yes|no|t|f|y|n|0|1|on|off|ja|nein", re.IGNORECASE),
        "json": re.compile(r"\s*[\[{].*[\]}]\s*", re.DOTALL),
    }
    if kind == "enumeration":
        return len(set(values)) <= 12 and len(values) >= 4 * len(set(values))
    return sum(bool(tests[kind].fullmatch(value)) for value in values) >= 0.9 * len(values) > 0
