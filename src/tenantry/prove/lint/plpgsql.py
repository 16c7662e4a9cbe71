"""Reads the statements of a PL/pgSQL body, whose variables tie values to each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tenantry.prove.lint.parse_tree import TARGETED, statements_of, targets_of
from tenantry.prove.lint.routine_queries import QueryReader
from tenantry.prove.lint.routine_reading import CALLER, Json

_UNION = ("PLpgSQL_stmt_fors", "PLpgSQL_stmt_dynfors", "PLpgSQL_stmt_foreach_a")


def read_procedure(body: QueryReader, function: Json) -> None:
    body.procedural = True
    for datum in function.get("datums", ()):
        for kind in ("PLpgSQL_var", "PLpgSQL_rec"):
            if kind in datum:
                body.variables.add(datum[kind]["refname"].lower())
    for datum in function.get("datums", ()):
        default = datum.get("PLpgSQL_var", {}).get("default_val")
        if default is not None:
            _assign(body, datum["PLpgSQL_var"]["refname"], default["PLpgSQL_expr"]["query"])
    _step(body, function["action"])


def _step(body: QueryReader, node: Any) -> None:
    if isinstance(node, list):
        for each in node:
            _step(body, each)
        return
    if not isinstance(node, dict):
        return
    for kind, value in node.items():
        if kind == "PLpgSQL_expr":
            _expression(body, value)
        elif kind == "PLpgSQL_stmt_assign":
            target, _, source = re.sub(r"\[.*?\]", "", value["expr"]["PLpgSQL_expr"]["query"]).partition(":=")
            if source:
                _assign(body, target.strip().partition(".")[0], source)
            else:
                target, _, source = value["expr"]["PLpgSQL_expr"]["query"].partition("=")
                _assign(body, target.strip().partition(".")[0], source)
        elif kind in TARGETED or kind in _UNION:
            _into(body, value)
        elif kind == "PLpgSQL_stmt_raise":
            continue
        elif isinstance(value, (dict, list)):
            _step(body, value)


def _assign(body: QueryReader, variable: str, source: str) -> None:
    for statement in statements_of(f"select {source}"):
        _target(body, [f"v:{variable.lower().strip(chr(34))}"], body.statement(statement, []))


def _expression(body: QueryReader, value: Json) -> None:
    text = value["query"]
    sql = text if value.get("parseMode") == 0 else f"select {text}"
    for statement in statements_of(sql):
        select = statement.get("SelectStmt", {})
        if value.get("parseMode") != 0 and len(select.get("targetList", ())) == 1 and "fromClause" not in select:
            # A condition of IF, or a value: its comparisons are checks.
            body.ties(select["targetList"][0]["ResTarget"]["val"], [], loosely=True)
        else:
            body.statement(statement, [])


def _into(body: QueryReader, value: Json) -> None:
    """Read statements whose rows go into variables; executed text is read if it is a constant."""
    names = [f"v:{name.lower()}" for name in targets_of(value.get("target") or value.get("var") or {})]
    for key in ("sqlstmt", "query", "expr"):
        if key not in value:
            continue
        text = value[key]["PLpgSQL_expr"]["query"]
        if (key == "query" and "params" in value) or value[key]["PLpgSQL_expr"].get("parseMode") == 2:
            text = f"select {text}"
        for statement in statements_of(text):
            _target(body, names, body.statement(statement, []))
    _step(body, value.get("body", []))


def _target(body: QueryReader, names: Sequence[str], values: Sequence[set[str]]) -> None:
    if len(names) == len(values):
        for name, nodes in zip(names, values, strict=True):
            body.tie({name, *nodes})
    else:
        for name in names:
            body.tie({name, *(node for nodes in values for node in nodes if node != CALLER)})
