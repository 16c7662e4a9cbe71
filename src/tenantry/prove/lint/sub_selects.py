"""Reads which tables the sub-selects of a policy's condition query, and what ties these to the row and to the caller. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from tenantry.prove.lint.pg_node_tree import Node, same

_ANY, _SCALAR, _ARRAY = "2", "4", "6"
_TABLE, _DERIVED = "0", "1"
_EQUAL = frozenset({"=", "@>", "<@", "&&"})
_ROW, _CALLER = "row", "caller"


@dataclass(slots=True)
class Asked:
    """One table of one sub-select.

    Attributes:
        pairs: [its column, column of the policy's table] that are compared directly.
        columns: its columns that occur in conditions.
        loose: the ones of them that are compared with constants, or are conditions themselves.
        row, caller: whether comparisons tie it to the row, and to the caller.
    """

    relation: int
    pairs: list[list[int]] = field(default_factory=list)
    columns: set[int] = field(default_factory=set)
    loose: set[int] = field(default_factory=set)
    row: bool = False
    caller: bool = False

    def to_json(self) -> dict[str, object]:
        return {
            "relation": self.relation,
            "pairs": sorted(self.pairs),
            "columns": sorted(self.columns),
            "loose": sorted(self.loose),
            "row": self.row,
            "caller": self.caller,
        }


_Place = tuple[str, int]
"""A row, by its name within this module, and one of its columns."""


class _Asking:
    def __init__(self, operators: Mapping[int, str], callers: Collection[int]) -> None:
        self.operators, self.callers = operators, callers
        self.tables: dict[str, Asked] = {}
        self.above: dict[str, str] = {}
        self.beside: dict[str, str] = {}
        """The same ties without the caller, who would connect everything."""
        self.selves: list[int] = []
        """Tables that compare a column with itself."""
        self.count = 0

    def tie(self, nodes: Collection[str]) -> None:
        _tie(self.above, nodes)
        _tie(self.beside, set(nodes) - {_CALLER})

    # -- walking -------------------------------------------------------------------------------------------------------

    def walk(self, node: Node, stack: tuple[str, ...]) -> None:
        match node.kind:
            case "QUERY":
                self._query(node, stack)
                return
            case "SUBLINK":
                self._sub_select(node, stack)
                return
            case "OPEXPR" | "SCALARARRAYOPEXPR":
                self._comparison(node, stack)
                for each in _outermost_sub_selects(node):
                    self.walk(each, stack)
                return
            case "FUNCEXPR":
                places = list(self._places(node, stack))
                if node.number("funcid") in self.callers and places:
                    self.tie({_CALLER, *(place[0] for place in places)})
            case "VAR":
                self._look(self._place(node, stack), loose=True)
                return
        for child in node.children():
            self.walk(child, stack)

    def _query(self, node: Node, stack: tuple[str, ...]) -> None:
        name = self._enter(node)
        inner = (*stack, name)
        for number, entry in enumerate(node.nodes("rtable"), start=1):
            if entry.text("rtekind") == _DERIVED:
                query = entry.node("subquery")
                if query is not None:
                    self._derived(query, inner, f"{name}.{number}")
            elif entry.text("rtekind") == "3" and self._knows(entry):
                self.tie({_CALLER, f"{name}.{number}"})
        tree = node.node("jointree")
        if tree is not None:
            for quals in _quals(tree):
                self.walk(quals, inner)
        # (select exists (select …)), once a statement.
        for target in node.nodes("targetList"):
            for each in _outermost_sub_selects(target):
                self.walk(each, inner)
        for each in node.nodes("cteList"):
            query = each.node("ctequery")
            if query is not None:
                self._query(query, inner)

    def _enter(self, node: Node) -> str:
        self.count += 1
        name = f"q{self.count}"
        for number, entry in enumerate(node.nodes("rtable"), start=1):
            if entry.text("rtekind") == _TABLE and entry.number("relid"):
                self.tables[f"{name}.{number}"] = Asked(entry.number("relid"))
        return name

    def _derived(self, query: Node, stack: tuple[str, ...], name: str) -> None:
        before = self.count
        self._query(query, stack)
        inner = f"q{before + 1}"
        for target in query.nodes("targetList"):
            expression = target.node("expr")
            if expression is not None:
                self.tie({name, *(place[0] for place in self._places(expression, (*stack, inner)))})

    def _sub_select(self, node: Node, stack: tuple[str, ...]) -> None:
        query, tested = node.node("subselect"), node.node("testexpr")
        if query is None:
            return
        before = self.count
        self._query(query, stack)
        if tested is None or node.text("subLinkType") != _ANY:
            return
        inner = (*stack, f"q{before + 1}")
        targets = {each.number("resno"): each.node("expr") for each in query.nodes("targetList")}
        for each in _under(tested):
            if each.kind != "OPEXPR" or self.operators.get(each.number("opno")) not in _EQUAL:
                continue
            sides = each.nodes("args")
            param = next((found for side in sides for found in _under(side) if found.kind == "PARAM"), None)
            target = targets.get(param.number("paramid")) if param is not None else None
            mine = [place for side in sides for place in self._places(side, stack)]
            other = list(self._places(target, inner)) if target is not None else []
            self._compared(
                mine, other, caller=any(self._knows(each) for each in (tested, *([target] if target else [])))
            )

    def _comparison(self, node: Node, stack: tuple[str, ...]) -> None:
        sides = node.nodes("args")
        if len(sides) != 2:
            return
        left, right = (list(self._places(side, stack)) for side in sides)
        equal = self.operators.get(node.number("opno")) in _EQUAL
        knows = [self._knows(side) for side in sides]
        if equal and left and right and same(*sides) and sides[0].kind == "VAR":
            table = self.tables.get(left[0][0])
            if table is not None:
                self.selves.append(table.relation)
            return
        for mine, other, by in ((left, right, knows[1]), (right, left, knows[0])):
            for place in mine:
                self._look(place, loose=not other and not by)
        if equal and node.text("useOr") != "false":
            self._compared(left, right, caller=any(knows))

    def _compared(self, left: list[_Place], right: list[_Place], *, caller: bool) -> None:
        for one, other in ((a, b) for a in left for b in right):
            for mine, against in ((one, other), (other, one)):
                if mine[0] in self.tables and against[0] == _ROW:
                    self.tables[mine[0]].pairs.append([mine[1], against[1]])
        for place in (*left, *right):
            self._look(place, loose=False)
        if (left and right) or caller:
            self.tie({*(place[0] for place in (*left, *right)), *([_CALLER] if caller else [])})

    def _look(self, place: _Place | None, *, loose: bool) -> None:
        if place is not None and place[0] in self.tables:
            table = self.tables[place[0]]
            table.columns.add(place[1])
            if loose:
                table.loose.add(place[1])

    # -- values --------------------------------------------------------------------------------------------------------

    def _place(self, node: Node, stack: tuple[str, ...]) -> _Place | None:
        up = node.number("varlevelsup")
        if up >= len(stack):
            return None
        name = stack[len(stack) - 1 - up]
        return (name if name == _ROW else f"{name}.{node.number('varno')}", node.number("varattno"))

    def _places(self, node: Node, stack: tuple[str, ...]) -> Iterator[_Place]:
        """Yield the columns that a value comes from; for a sub-select the columns that it returns."""
        if node.kind == "VAR":
            place = self._place(node, stack)
            if place is not None:
                yield place
        elif node.kind == "SUBLINK":
            query = node.node("subselect")
            if query is not None and node.text("subLinkType") in (_SCALAR, _ARRAY):
                before = self.count
                self._query(query, stack)
                for target in query.nodes("targetList"):
                    expression = target.node("expr")
                    if expression is not None:
                        yield from self._places(expression, (*stack, f"q{before + 1}"))
        else:
            for child in node.children():
                yield from self._places(child, stack)

    def _knows(self, node: Node) -> bool:
        """Whether a value comes from the caller directly, not through the rows of a table."""
        for each in _under(node):
            if each.kind == "QUERY" and any(entry.number("relid") for entry in each.nodes("rtable")):
                return False
        return any(each.kind == "FUNCEXPR" and each.number("funcid") in self.callers for each in _under(node))


def read_asked(
    tree: Node, operators: Mapping[int, str], callers: Collection[int]
) -> tuple[list[dict[str, object]], list[int]]:
    """Return the tables that a condition queries, and the tables that compare a column with itself."""
    asking = _Asking(operators, callers)
    asking.walk(tree, (_ROW,))
    for name, table in asking.tables.items():
        table.row = _top(asking.beside, name) == _top(asking.beside, _ROW)
        table.caller = _top(asking.above, name) == _top(asking.above, _CALLER)
    return [table.to_json() for table in asking.tables.values()], sorted(set(asking.selves))


def _top(above: Mapping[str, str], node: str) -> str:
    while node in above:
        node = above[node]
    return node


def _tie(above: dict[str, str], nodes: Collection[str]) -> None:
    tops = sorted({_top(above, node) for node in nodes})
    for other in tops[1:]:
        above[other] = tops[0]


def _quals(node: Node) -> Iterator[Node]:
    quals = node.node("quals")
    if quals is not None:
        yield quals
    for each in node.nodes("fromlist"):
        yield from _quals(each)
    for name in ("larg", "rarg"):
        side = node.node(name)
        if side is not None:
            yield from _quals(side)


def _outermost_sub_selects(node: Node) -> Iterator[Node]:
    if node.kind == "SUBLINK":
        yield node
    else:
        for child in node.children():
            yield from _outermost_sub_selects(child)


def _under(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children():
        yield from _under(child)
