"""Folds a policy's condition as far as it does not depend on the row: always true, or true without a caller. Pure.

PostgreSQL's logic has three values. Three more describe what is known of a value without a row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from tenantry.prove.lint.pg_node_tree import Node, constant_bytes, constant_text, same

Mode = Literal["whoever", "nobody", "somebody"]
"""The assumed caller: nothing is known; an anonymous caller; a signed-in caller without further known facts."""

Known = Literal["true", "false", "null", "some", "role", "?"]
"""`some`: not null; `role`: the database role of people who signed in; `?`: depends on the row, or on other unknown facts."""

_CURRENT_USER = range(9, 13)  # CURRENT_ROLE, CURRENT_USER, USER, SESSION_USER
_FIRST_OWN_OID = 16384
_SETTING_OR_NULL = 3294  # current_setting(name, missing_ok)
_SETTING = 2077
_CASTS = ("RELABELTYPE", "COERCEVIAIO", "ARRAYCOERCEEXPR", "COERCETODOMAIN", "CONVERTROWTYPEEXPR", "COLLATEEXPR")
_BOOLEAN_TESTS: tuple[tuple[Known, bool], ...] = (
    ("true", True),
    ("true", False),
    ("false", True),
    ("false", False),
    ("null", True),
    ("null", False),
)


@dataclass(frozen=True, slots=True)
class FoldingContext:
    """The meaning of the oids and numbers in expressions.

    Attributes:
        callers: functions that return the caller, and null without a caller.
        roles: the ones of them that return the database role.
        operators: names by oid.
        required: columns that are NOT NULL, as (table, number).
        signed_in: the names of the roles of signed-in users.
        visitors: the names of the roles of anonymous clients.
    """

    callers: Collection[int] = ()
    roles: Collection[int] = ()
    operators: Mapping[int, str] | None = None
    required: Collection[tuple[int, int]] = ()
    signed_in: Collection[str] = ("authenticated",)
    visitors: Collection[str] = ("anon",)

    def operator(self, node: Node) -> str:
        return (self.operators or {}).get(node.number("opno"), "")


def fold(node: Node, table: int, mode: Mode, known: FoldingContext) -> Known:
    """Return what is known of an expression over a row of `table` (an oid)."""
    match node.kind:
        case "CONST":
            return _constant(node)
        case "VAR":
            return "some" if (table, node.number("varattno")) in known.required else "?"
        case "BOOLEXPR":
            return _boolean(node.text("boolop"), [fold(each, table, mode, known) for each in node.nodes("args")])
        case "NULLTEST":
            return _null_test(node, table, mode, known)
        case "BOOLEANTEST":
            return _boolean_test(node, table, mode, known)
        case "OPEXPR" | "SCALARARRAYOPEXPR":
            return _operator(node, table, mode, known)
        case "DISTINCTEXPR":
            left, right = (fold(each, table, mode, known) for each in node.nodes("args"))
            if "?" in (left, right) or (left, right) == ("some", "some"):
                return "?"
            return "false" if left == right else "true" if "null" in (left, right) else "?"
        case "COALESCEEXPR":
            for each in node.nodes("args"):
                value = fold(each, table, mode, known)
                if value != "null":
                    return value
            return "null"
        case "NULLIFEXPR":
            first = fold(node.nodes("args")[0], table, mode, known)
            return "null" if first == "null" else first if first in ("some", "role") and mode == "somebody" else "?"
        case "FUNCEXPR":
            return _function(node, table, mode, known)
        case "SQLVALUEFUNCTION" if node.number("op") in _CURRENT_USER:
            return "role" if mode == "somebody" else "some"
        case "SUBLINK":
            return _sub_select(node, table, mode, known)
        case kind if kind in _CASTS:
            argument = node.node("arg")
            return "?" if argument is None else fold(argument, table, mode, known)
    return "?"


def _constant(node: Node) -> Known:
    if node.text("constisnull") == "true":
        return "null"
    if node.text("consttype") == "16":
        return "true" if any(constant_bytes(node)) else "false"
    return "some"


def _boolean(operator: str, values: list[Known]) -> Known:
    if operator == "not":
        return {"true": "false", "false": "true", "null": "null"}.get(values[0], "?")  # type: ignore[return-value]
    decides: Known = "false" if operator == "and" else "true"
    neutral: Known = "true" if operator == "and" else "false"
    if decides in values:
        return decides
    if all(value == neutral for value in values):
        return neutral
    return "null" if all(value in (neutral, "null") for value in values) else "?"


def _null_test(node: Node, table: int, mode: Mode, known: FoldingContext) -> Known:
    argument = node.node("arg")
    value = "?" if argument is None else fold(argument, table, mode, known)
    if value == "?":
        return "?"
    return "true" if (value == "null") == (node.text("nulltesttype") == "0") else "false"


def _boolean_test(node: Node, table: int, mode: Mode, known: FoldingContext) -> Known:
    argument = node.node("arg")
    value = "?" if argument is None else fold(argument, table, mode, known)
    if value not in ("true", "false", "null"):
        return "?"
    wanted, positive = _BOOLEAN_TESTS[node.number("booltesttype")]
    return "true" if (value == wanted) == positive else "false"


def _operator(node: Node, table: int, mode: Mode, known: FoldingContext) -> Known:
    """Operators are strict: null gives null. For other results the operator's name is needed."""
    arguments = node.nodes("args")
    values = [fold(each, table, mode, known) for each in arguments]
    if "null" in values:
        return "null"
    name = known.operator(node)
    if len(arguments) != 2 or node.kind != "OPEXPR":
        return "?"
    if name in ("=", "<=", ">=") and same(*arguments) and not any(True for _ in _calls(arguments[0])):
        return "true"
    text = next((constant_text(_bare(each)) for each in arguments if constant_text(_bare(each)) is not None), None)
    if "role" in values and text is not None:
        if name == "=":
            return "true" if text in known.signed_in else "false" if text in known.visitors else "?"
        if name == "<>":
            return "true" if text in known.visitors else "false" if text in known.signed_in else "?"
    if name == "->>" and text == "role" and values[0] == "some" and mode == "somebody":
        return "role"
    return "?"


def _bare(node: Node) -> Node:
    while node.kind in _CASTS:
        inner = node.node("arg")
        if inner is None:
            return node
        node = inner
    return node


def _calls(node: Node) -> list[Node]:
    found = [node] if node.kind == "FUNCEXPR" else []
    for child in node.children():
        found += _calls(child)
    return found


def _function(node: Node, table: int, mode: Mode, known: FoldingContext) -> Known:
    number = node.number("funcid")
    if number in known.callers or number == _SETTING_OR_NULL:
        if mode == "nobody":
            return "null"
        return "?" if mode == "whoever" else "role" if number in known.roles else "some"
    if number == _SETTING:
        return "some" if mode == "somebody" else "?"
    if number >= _FIRST_OWN_OID:
        return "?"
    values = [fold(each, table, mode, known) for each in node.nodes("args")]
    if "null" in values:
        return "null"
    # An explicit or implicit cast of a non-null value.
    return values[0] if node.text("funcformat") in ("1", "2") and values[:1] in (["some"], ["role"]) else "?"


def _sub_select(node: Node, table: int, mode: Mode, known: FoldingContext) -> Known:
    """Fold `(select auth.uid())`: a sub-select without a table equals its single expression."""
    query = node.node("subselect")
    if query is None or node.text("subLinkType") != "4":
        return "?"
    source = query.node("jointree")
    targets = query.nodes("targetList")
    if source is None or source.nodes("fromlist") or source.node("quals") is not None or len(targets) != 1:
        return "?"
    expression = targets[0].node("expr")
    return "?" if expression is None else fold(expression, table, mode, known)
