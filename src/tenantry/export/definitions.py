"""Parts of definitions as PostgreSQL prints them: types, index keys, exclusions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tenantry.catalog import Constraint, Index
from tenantry.postgres import ident

_TYPE = re.compile(
    r"(?P<name>[^(\[]+?)\s*(?:\((?P<arguments>[\d, ]+)\))?(?P<zone> with(?:out)? time zone)?(?P<array>(?:\[\])*)$"
)


@dataclass(frozen=True, slots=True)
class TypeParts:
    """`numeric(12,4)[]` is name "numeric", arguments (12, 4), dimensions 1; "timestamp with time zone" is a name."""

    name: str
    arguments: tuple[int, ...] = ()
    dimensions: int = 0


def type_parts(text: str) -> TypeParts:
    """The parts of a type; a text that is none of a known shape is the name as a whole."""
    found = _TYPE.fullmatch(text)
    if found is None:
        return TypeParts(text)
    arguments = tuple(int(each) for each in (found["arguments"] or "").split(",") if each.strip())
    return TypeParts(found["name"] + (found["zone"] or ""), arguments, len(found["array"]) // 2)


def split_list(text: str) -> list[str]:
    """Split a list in SQL at its commas, except those in parentheses or quotes."""
    parts, begin = [], 0
    for position, letter, depth in _outside_quotes(text):
        if letter == "," and depth == 0:
            parts.append(text[begin:position].strip())
            begin = position + 1
    return [*parts, text[begin:].strip()]


def in_parentheses(text: str, start: int = 0) -> str:
    """Return the content of the first parentheses from `start` on, with nested ones and quotes."""
    begin = text.index("(", start)
    for position, letter, depth in _outside_quotes(text, begin):
        if letter == ")" and depth == 0:
            return text[begin + 1 : position]
    return text[begin + 1 :]


def _outside_quotes(text: str, start: int = 0) -> Iterator[tuple[int, str, int]]:
    """Yield the position of each letter outside quotes, the letter, and how many parentheses are open after it."""
    depth, quote = 0, ""
    for position in range(start, len(text)):
        letter = text[position]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "([") - (letter in ")]")
            yield position, letter, depth


def index_keys(index: Index) -> list[str]:
    """The keys of an index as SQL: names, expressions, with operator class and order."""
    return split_list(in_parentheses(index.definition, index.definition.index(" USING ")))


def is_plain(index: Index) -> bool:
    """Whether the keys are columns and nothing else: no expression, operator class or order."""
    return None not in index.columns and index_keys(index) == [
        ident(name) for name in index.columns if name is not None
    ]


def exclusion(constraint: Constraint) -> tuple[str, list[tuple[str, str]], str | None]:
    """The method, the (expression, operator) pairs, and the condition of an exclusion constraint."""
    definition = constraint.definition
    method = re.search(r"USING (\w+)", definition)
    keys = in_parentheses(definition)
    pairs = [(one.rpartition(" WITH ")[0], one.rpartition(" WITH ")[2]) for one in split_list(keys)]
    rest = definition[definition.index(keys) + len(keys) :]
    where = in_parentheses(rest, rest.index(" WHERE ")) if " WHERE " in rest else None
    return method[1] if method else "gist", pairs, where
