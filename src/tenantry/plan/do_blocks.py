"""The statements inside DO blocks, read with the grammar of PL/pgSQL.

A statement that the block builds with EXECUTE is read where its text is written out, such as `format('alter table a add %I …', x)`;
names that are only known when it runs are `UNKNOWN`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pglast.parser import ParseError, parse_plpgsql_json, parse_sql_json

from tenantry.postgres import literal

UNKNOWN = "tenantry_unknown_name"
"""Stands for a name that the block computes."""

_PLACE = re.compile(r"%(?:\d+\$)?-?\d*([IsL%])")
_FILLED = {"I": UNKNOWN, "s": UNKNOWN, "L": "''", "%": "%"}
_EXPRESSION, _ASSIGNMENT = 2, 3
"""PostgreSQL's RawParseMode of expressions and of assignments; statements have another one."""
_DEEPEST = 5


def statements_of(body: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the statements of a DO block as nodes of PostgreSQL's grammar, those of blocks within it too, whether or not a
    condition lets them run. Blocks in other languages have none.

    Args:
        body: a DoStmt.
    """
    given = {each["DefElem"]["defname"]: each["DefElem"]["arg"]["String"]["sval"] for each in body.get("args", ())}
    if given.get("language", "plpgsql").lower() != "plpgsql" or depth > _DEEPEST:
        return
    try:
        parsed = json.loads(parse_plpgsql_json(f"do {literal(given['as'])}"))
    except ParseError:
        return
    for expression in _expressions(parsed):
        for node in _read(expression):
            if "DoStmt" in node:
                yield from statements_of(node["DoStmt"], depth + 1)
            else:
                yield node


def _expressions(node: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "PLpgSQL_expr":
                yield value
            else:
                yield from _expressions(value)
    elif isinstance(node, list):
        for each in node:
            yield from _expressions(each)


def _read(expression: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return the statement that an expression is, or reads rows with; and the one whose text is its value."""
    text = expression["query"]
    if expression["parseMode"] == _ASSIGNMENT:
        text = text.partition(":=")[2] or text.partition("=")[2]
    if expression["parseMode"] in (_EXPRESSION, _ASSIGNMENT):
        text = f"select {text}"
    for node in _parse(text):
        yield node
        targets = node.get("SelectStmt", {}).get("targetList", ())
        if len(targets) == 1 and (made := _text(targets[0]["ResTarget"]["val"])) is not None:
            yield from _parse(made)


def _parse(text: str) -> list[Mapping[str, Any]]:
    try:
        return [each["stmt"] for each in json.loads(parse_sql_json(text)).get("stmts", ())]
    except ParseError:
        return []


def _text(value: Mapping[str, Any]) -> str | None:
    """Return the text that an expression makes, with UNKNOWN for what only the block knows; None if it begins with that."""
    if "A_Const" in value:
        constant: str | None = value["A_Const"].get("sval", {}).get("sval")
        return constant
    if "A_Expr" in value and value["A_Expr"]["name"][0]["String"]["sval"] == "||":
        before = _text(value["A_Expr"]["lexpr"])
        return None if before is None else before + (_text(value["A_Expr"]["rexpr"]) or UNKNOWN)
    call = value.get("FuncCall", {})
    if call and call["funcname"][-1]["String"]["sval"] == "format" and call.get("args"):
        template = _text(call["args"][0])
        return None if template is None else _PLACE.sub(lambda found: _FILLED[found[1]], template)
    return None
