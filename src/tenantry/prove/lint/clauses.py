"""Reads what the conditions of policies depend on: columns, callers, sub-selects. Pure: trees in, flat records for the checks out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal

from tenantry.prove.lint.constant_folding import FoldingContext, fold
from tenantry.prove.lint.pg_node_tree import Node, constant_text
from tenantry.prove.lint.sub_selects import read_asked

Kind = Literal["USING", "WITH CHECK"]

_EXISTS, _ALL, _ANY, _SCALAR, _ARRAY = "0", "1", "2", "4", "6"
_JOIN = "2"
_DATABASE_USER = range(9, 13)
_SETTINGS = (2077, 3294)


@dataclass(frozen=True, slots=True)
class ClauseRecord:
    """One condition of one policy, as the checks read it (part `clauses` of parts.sql describes each field)."""

    policy: int
    clause: Kind
    always: bool
    nobody: bool
    somebody: bool
    never: bool
    closed: bool
    columns: list[int]
    callers: list[int]
    calls: list[int]
    per_row_calls: list[int]
    per_row_callers: list[int]
    per_row_selects: list[str]
    relations: list[int]
    unbound: list[int]
    leaves: list[dict[str, object]]
    texts: list[str]
    settings: list[str]
    compared: list[list[object]]
    patterns: list[str]
    asked: list[dict[str, object]]
    selves: list[int]


@dataclass(slots=True)
class _Seen:
    columns: set[int] = field(default_factory=set)
    calls: set[int] = field(default_factory=set)
    per_row_calls: set[int] = field(default_factory=set)
    per_row_callers: set[int] = field(default_factory=set)
    per_row_selects: list[str] = field(default_factory=list)
    relations: set[int] = field(default_factory=set)
    unbound: set[int] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    settings: set[str] = field(default_factory=set)
    database_user: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """A position in an expression: the number of enclosing queries, and whether it is computed for each row."""

    depth: int
    per_row: bool


def read_clause(
    policy: int,
    table: int,
    clause: Kind,
    tree: Node,
    known: FoldingContext,
    callers: Collection[int],
) -> ClauseRecord:
    """Return the facts of one condition.

    Args:
        table: the oid of the policy's table.
        callers: functions that know the caller, also those that `known` does not list.
    """
    reader = _Reader(known, callers)
    reader.bound(tree)
    whole = reader.read(tree)
    asked, selves = read_asked(tree, known.operators or {}, {*callers, *_SETTINGS})
    return ClauseRecord(
        policy=policy,
        clause=clause,
        always=fold(tree, table, "whoever", known) == "true",
        nobody=fold(tree, table, "nobody", known) == "true",
        somebody=fold(tree, table, "somebody", known) == "true",
        never=fold(tree, table, "whoever", known) in ("false", "null"),
        closed=fold(tree, table, "nobody", known) in ("false", "null"),
        columns=sorted(whole.columns),
        callers=sorted(whole.calls & set(callers)),
        calls=sorted(whole.calls),
        per_row_calls=sorted(whole.per_row_calls),
        per_row_callers=sorted(whole.per_row_callers),
        per_row_selects=sorted(set(whole.per_row_selects)),
        relations=sorted(whole.relations),
        unbound=sorted(whole.unbound),
        leaves=[reader.leaf(each) for each in _leaves(tree)],
        texts=sorted(whole.texts),
        settings=sorted(whole.settings),
        compared=sorted(reader.compared(tree), key=str),
        patterns=sorted(reader.patterns(tree)),
        asked=asked,
        selves=selves,
    )


def _leaves(node: Node) -> Iterator[Node]:
    """Yield the conditions that AND, OR and NOT join."""
    if node.kind == "BOOLEXPR":
        for each in node.nodes("args"):
            yield from _leaves(each)
    else:
        yield node


def _under(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children():
        yield from _under(child)


class _Reader:
    def __init__(self, known: FoldingContext, callers: Collection[int]) -> None:
        self.known = known
        self.callers = callers
        self.top = _Place(0, per_row=True)
        self.bounded: set[int] = set()
        """Sub-selects, by id(), whose columns another condition of the same AND compares as well."""

    def read(self, node: Node) -> _Seen:
        seen = _Seen()
        self._walk(node, self.top, seen)
        return seen

    def leaf(self, node: Node) -> dict[str, object]:
        seen = self.read(node)
        return {
            "columns": sorted(seen.columns),
            "calls": sorted(seen.calls),
            "relations": sorted(seen.relations),
        }

    def _walk(self, node: Node, place: _Place, seen: _Seen) -> None:
        match node.kind:
            case "VAR":
                self._column(node, place, seen)
            case "CONST":
                text = constant_text(node)
                if text is not None:
                    seen.texts.add(text)
            case "SQLVALUEFUNCTION" if node.number("op") in _DATABASE_USER:
                seen.database_user = True
            case "FUNCEXPR":
                self._call(node, place, seen)
            case "SUBLINK":
                self._sub_select(node, place, seen)
                return
            case "QUERY":
                self._query(node, place, seen)
                return
        for child in node.children():
            self._walk(child, place, seen)

    def _column(self, node: Node, place: _Place, seen: _Seen) -> None:
        if node.number("varlevelsup") == place.depth:
            seen.columns.add(node.number("varattno"))

    def _call(self, node: Node, place: _Place, seen: _Seen) -> None:
        number = node.number("funcid")
        seen.calls.add(number)
        if number in _SETTINGS:
            name = next((constant_text(each) for each in node.nodes("args")), None)
            if name is not None:
                seen.settings.add(name)
        if not place.per_row:
            return
        if number in self.callers:
            seen.per_row_callers.add(number)
        if self._own_columns(node, place):
            seen.per_row_calls.add(number)

    def _own_columns(self, node: Node, place: _Place) -> set[int]:
        inner = _Seen()
        for child in node.children():
            self._walk(child, _Place(place.depth, per_row=False), inner)
        return inner.columns

    def _sub_select(self, node: Node, place: _Place, seen: _Seen) -> None:
        kind = node.text("subLinkType")
        query = node.node("subselect")
        tested = node.node("testexpr")
        if query is None:
            return
        inside = _Seen()
        self._walk(query, _Place(place.depth, per_row=False), inside)
        correlated = bool(inside.columns)
        once = not correlated and (kind in (_SCALAR, _ARRAY) or id(node) in self.bounded)
        if place.per_row and not once:
            words = {_EXISTS: "EXISTS (select …)", _ANY: "in (select …)", _ALL: "all (select …)"}
            seen.per_row_selects.append(
                f"a sub-select for each row: {words.get(kind, '(select …)')}"
                if correlated
                else f"{words.get(kind, '(select …)')}, a filter that no index serves"
            )
        if kind == _EXISTS and not inside.columns and not inside.calls & set(self.callers) and inside.relations:
            seen.unbound |= inside.relations
        self._walk(query, _Place(place.depth, per_row=place.per_row and correlated), seen)
        if tested is not None:
            self._walk(tested, place, seen)

    def _query(self, node: Node, place: _Place, seen: _Seen) -> None:
        seen.relations |= {entry.number("relid") for entry in node.nodes("rtable") if entry.number("relid")}
        deeper = _Place(place.depth + 1, place.per_row)
        for child in node.children():
            # A join repeats all columns of its tables.
            if child.kind != "RANGETBLENTRY" or child.text("rtekind") != _JOIN:
                self._walk(child, deeper, seen)

    def bound(self, tree: Node) -> None:
        """Record each `(a, b) in (select …)` that stands with `a = …` and `b = …`, which leave only a few rows to look at."""
        conjuncts = tree.nodes("args") if tree.kind == "BOOLEXPR" and tree.text("boolop") == "and" else (tree,)
        for each in conjuncts:
            tested = each.node("testexpr")
            if each.kind != "SUBLINK" or each.text("subLinkType") != _ANY or tested is None:
                continue
            found = {
                entry[0]
                for other in conjuncts
                if other is not each
                for entry in self.compared(other)
                if entry[1] == "=" and entry[2] != "row"
            }
            found |= {
                column
                for other in conjuncts
                if other.kind == "SCALARARRAYOPEXPR"
                for column in self.read(other.nodes("args")[0]).columns
            }
            if self.read(tested).columns <= found:
                self.bounded.add(id(each))

    def compared(self, tree: Node) -> Iterator[list[object]]:
        """Yield the table's columns with what they are compared with, outside sub-selects: [column, operator, what, whether
        the column is cast or computed first]."""
        for node in _outside(tree):
            arguments = node.nodes("args")
            if node.kind not in ("OPEXPR", "SCALARARRAYOPEXPR", "DISTINCTEXPR") or len(arguments) != 2:
                continue
            for mine, other in (arguments, arguments[::-1]):
                own = self.read(mine)
                # A sub-select's result is a column of another table.
                columns = own.columns if not own.relations else set()
                if not columns or own.calls & set(self.callers):
                    continue
                what = self.read(other)
                for column in sorted(columns):
                    yield [
                        *(column, self.known.operator(node), self._what(other), not _is_column(mine)),
                        [] if what.relations else sorted(what.calls),
                    ]

    def _what(self, node: Node) -> str:
        seen = self.read(node)
        if seen.calls & set(self.callers):
            return "caller"
        if seen.database_user:
            return "database user"
        if seen.columns or seen.relations or any(each.kind == "PARAM" for each in _under(node)):
            return "row"
        return "function" if seen.calls else "constant"

    def patterns(self, tree: Node) -> Iterator[str]:
        """Yield pattern-matching operators whose pattern comes from the caller."""
        for node in _under(tree):
            arguments = node.nodes("args")
            name = self.known.operator(node) if node.kind in ("OPEXPR", "SCALARARRAYOPEXPR") else ""
            if len(arguments) == 2 and name in ("~~", "~~*", "~", "~*"):
                pattern = self.read(arguments[1])
                if pattern.calls & set(self.callers) or pattern.database_user:
                    yield {"~~": "LIKE", "~~*": "ILIKE"}.get(name, name)


def _is_column(node: Node) -> bool:
    """Whether an index on the column is usable: a bare column, or one cast to a binary-compatible type."""
    while node.kind == "RELABELTYPE":
        inner = node.node("arg")
        if inner is None:
            return False
        node = inner
    return node.kind == "VAR"


def _outside(node: Node) -> Iterator[Node]:
    """Yield the node and its descendants outside sub-selects."""
    yield node
    for child in node.children():
        if child.kind != "QUERY":
            yield from _outside(child)
