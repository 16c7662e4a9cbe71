"""Parses PostgreSQL's stored expressions (pg_node_tree) into a tree. Pure.

The stored form names functions, operators and columns by number, so nothing has to be guessed from text. Its layout
differs between versions only in fields that are not used here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Union

Value = Union["Node", tuple["Value", ...], str]

_TOKEN = re.compile(r'[{}()\[\]]|:[A-Za-z_]\w*(?=\s)|"(?:\\.|[^"\\])*"|(?:\\.|[^\s(){}\[\]\\])+', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node: its kind, e.g. `OPEXPR`, and its fields. Absent and empty fields read as ''."""

    kind: str
    fields: Mapping[str, Value] = field(default_factory=dict)

    def text(self, name: str) -> str:
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        return int(self.text(name) or 0)

    def node(self, name: str) -> Node | None:
        value = self.fields.get(name)
        return value if isinstance(value, Node) else None

    def nodes(self, name: str) -> tuple[Node, ...]:
        value = self.fields.get(name)
        return tuple(item for item in value if isinstance(item, Node)) if isinstance(value, tuple) else ()

    def children(self) -> Iterator[Node]:
        for value in self.fields.values():
            yield from _nodes_in(value)


def _nodes_in(value: Value) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes_in(item)


def parse(text: str) -> Node:
    """Parse an expression.

    Raises:
        ValueError: the text is not such a tree.
    """
    tokens = _TOKEN.findall(text)
    value, end = _value(tokens, 0)
    if not isinstance(value, Node) or end != len(tokens):
        raise ValueError("not the tree of one expression")
    return value


def _value(tokens: list[str], at: int) -> tuple[Value, int]:
    if at >= len(tokens):
        raise ValueError("the tree ends too early")
    match tokens[at]:
        case "{":
            return _node(tokens, at + 1)
        case "(":
            return _list(tokens, at + 1, ")")
        case "[":
            return _list(tokens, at + 1, "]")
        case ")" | "}" | "]":
            raise ValueError("the tree is not balanced")
        case "<>":
            return "", at + 1
    return _plain(tokens[at]), at + 1


def _plain(token: str) -> str:
    text = token[1:-1] if token.startswith('"') else token
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


def _list(tokens: list[str], at: int, end: str) -> tuple[Value, int]:
    items: list[Value] = []
    while at < len(tokens) and tokens[at] != end:
        item, at = _value(tokens, at)
        items.append(item)
    if at >= len(tokens):
        raise ValueError("the tree ends too early")
    return tuple(items), at + 1


def _node(tokens: list[str], at: int) -> tuple[Node, int]:
    kind, at = (tokens[at] if at < len(tokens) else ""), at + 1
    fields: dict[str, Value] = {}
    while at < len(tokens) and tokens[at] != "}":
        name, at = tokens[at][1:], at + 1
        values: list[Value] = []
        while at < len(tokens) and tokens[at] != "}" and not tokens[at].startswith(":"):
            value, at = _value(tokens, at)
            values.append(value)
        fields[name] = values[0] if len(values) == 1 else tuple(values)
    if at >= len(tokens):
        raise ValueError("the tree ends too early")
    return Node(kind, fields), at + 1


def same(left: Node, right: Node) -> bool:
    """Whether two trees are equal, regardless of their positions in the statement."""
    return left.kind == right.kind and _plain_fields(left) == _plain_fields(right) and _same_children(left, right)


def _plain_fields(node: Node) -> dict[str, object]:
    return {
        name: value
        for name, value in node.fields.items()
        if name != "location" and not any(True for _ in _nodes_in(value))
    }


def _same_children(left: Node, right: Node) -> bool:
    mine, other = list(left.children()), list(right.children())
    return len(mine) == len(other) and all(same(*pair) for pair in zip(mine, other, strict=True))


def constant_bytes(node: Node) -> bytes:
    """Return the bytes of a CONST, stored as a length and one number per byte (signed on some machines)."""
    value = node.fields.get("constvalue", "")
    if not isinstance(value, tuple) or len(value) < 2 or not isinstance(value[1], tuple):
        return b""
    return bytes(int(item) & 255 for item in value[1] if isinstance(item, str))


def constant_text(node: Node) -> str | None:
    """Return the text of a CONST of a text type; None for other types and for null."""
    if node.kind != "CONST" or node.text("constisnull") == "true" or node.text("consttype") not in ("25", "1043", "19"):
        return None
    content = constant_bytes(node)
    if node.text("consttype") == "19":
        return content.rstrip(b"\x00").decode(errors="replace")
    # The lowest bit marks a header of one byte.
    return content[1 if content and content[0] & 1 else 4 :].decode(errors="replace")
