"""Patterns of ids inside texts: regular expressions of PostgreSQL whose groups are ids of rows.

To replace the ids and keep the rest of the text exactly, a pattern is rewritten so that every part of it is a group: a match then
states the whole text that it covers, in pieces.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from tenantry.mapping.values.texts import as_text
from tenantry.postgres import ident, literal

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAMED = re.compile(r"\(\?P?<(?![=!])(?P<name>[^>]*)>")
"""The beginning of a named group, as Python and as Perl, JavaScript and Ruby write it; PostgreSQL has none."""
_SERVERS_OWN = re.compile(r"\\[mMyYAZ]")
"""Escapes that Python reads in another way, or not at all."""


class PatternError(ValueError):
    """A pattern that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a pattern: the text of an id, or what is around it."""

    text: str
    is_id: bool


def pieces_of(pattern: str) -> tuple[Piece, ...]:
    """Cut a pattern at its groups.

    Raises:
        PatternError: it is no regular expression, or its groups are not plain parts of it, one behind another.
    """
    if "(?P=" in pattern or "\\k<" in pattern:
        raise PatternError("refers to a named group, which is not possible")
    pattern = _unnamed(pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(_SERVERS_OWN.sub("", pattern))
    except re.error as error:
        raise PatternError(f"is not a regular expression: {error}") from None
    found: list[Piece] = []
    rest, place = "", 0
    while place < len(pattern):
        end = _end_of_part(pattern, place)
        part = pattern[place:end]
        if re.match(r"\\[1-9]", part):
            raise PatternError(f"refers to a group with {part}, which is not possible")
        if part == "|":
            raise PatternError("has alternatives; write one pattern for each, or a group (?:…|…)")
        if part.startswith("(") and not part.startswith("(?"):
            if pattern[end : end + 1] in ("?", "*", "+", "{"):
                raise PatternError("repeats a group with an id; write the id as one group: (…)")
            found += [Piece(rest, False), Piece(_without_groups(part[1:-1]), True)]
            rest = ""
        else:
            rest += part if not part.startswith("(") else f"{part[:3]}{_without_groups(part[3:-1])})"
        place = end
    found.append(Piece(rest, False))
    return tuple(piece for piece in found if piece.text or piece.is_id)


def _unnamed(pattern: str) -> str:
    """Make named groups plain ones: their order says which table they mean."""
    made, place = "", 0
    while place < len(pattern):
        if named := _NAMED.match(pattern, place):
            made, place = made + "(", named.end()
        elif pattern[place] in "\\[":
            end = _end_of_part(pattern, place)
            made, place = made + pattern[place:end], end
        else:
            made, place = made + pattern[place], place + 1
    return made


def _end_of_part(pattern: str, place: int) -> int:
    """Return the end of an escape, a class, a group or a character."""
    if pattern[place] == "\\":
        return place + 2
    if pattern[place] == "[":
        # A bracket that comes first is a member of the class.
        start = place + (2 if pattern[place + 1 : place + 2] == "^" else 1)
        inner = re.compile(r"\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]").match(pattern, start)
        return inner.end() if inner else len(pattern)
    if pattern[place] == "(":
        place += 1
        while place < len(pattern) and pattern[place] != ")":
            place = _end_of_part(pattern, place)
    return place + 1


def _without_groups(pattern: str) -> str:
    """Make the groups of a part such that they are not counted."""
    made, place = "", 0
    while place < len(pattern):
        end = _end_of_part(pattern, place)
        part = pattern[place:end]
        if part.startswith("("):
            begins = 3 if part.startswith("(?") else 1
            part = f"{part[:3] if begins == 3 else '(?:'}{_without_groups(part[begins:-1])})"
        made += part
        place = end
    return made


def ids_in(pattern: str) -> int:
    """Return the number of groups."""
    return sum(piece.is_id for piece in pieces_of(pattern))


def text_document(text: str, patterns: Sequence[str], *, new: bool) -> str:
    """Return SQL of a text in pieces: a list of texts and of objects, each with one id. The key of an object is `k` and the number of
    its group, counted over all patterns. Null if the pieces are not the text.

    Args:
        text: SQL of the text.
        new: the text may hold new ids as well.
    """
    whole, whens = [], []
    group, place = 0, 0
    for pattern in patterns:
        parts = []
        for piece in pieces_of(pattern):
            group += 1
            if piece.is_id:
                whens.append(f"when {group} then jsonb_build_object({literal(f'k{place}')}, g.part)")
                place += 1
            parts.append(f"({_UUID}|{piece.text})" if piece.is_id and new else f"({piece.text})")
        whole.append("".join(parts))
    expression = literal("|".join(f"(?:{each})" for each in whole) if len(whole) > 1 else "".join(whole))
    value = f'({text})::text collate "C"'
    return (
        f"(select case when w.joined = {value} then w.document end from (select jsonb_agg(p.piece order by p.n, p.k) as document,"
        " string_agg(p.part, '' order by p.n, p.k) as joined from ("
        "select b.n, 0::bigint as k, b.part, to_jsonb(b.part) as piece"
        f" from unnest(regexp_split_to_array({value}, {expression})) with ordinality b (part, n)"
        f" union all select m.n, g.k, g.part, case g.k {' '.join(whens)} else to_jsonb(g.part) end"
        f" from regexp_matches({value}, {expression}, 'g') with ordinality m (groups, n)"
        " cross join unnest(m.groups) with ordinality g (part, k) where g.part is not null) p) w)"
    )


def joined(document: str, type_name: str) -> str:
    """Return SQL of the text that a list of pieces makes; null if the type is too short for it."""
    made = (
        "select string_agg(case jsonb_typeof(e.piece) when 'object' then jsonb_path_query_first(e.piece, '$.*') #>> '{}'"
        f" else e.piece #>> '{{}}' end, '' order by e.n) as text from jsonb_array_elements({document}) with ordinality e (piece, n)"
    )
    return f"(select {as_text('w.text', type_name)} from ({made}) w)"


def held_text(column: str, patterns: Sequence[str]) -> str:
    """Return SQL of the pieces of a text of the target row `t`."""
    return text_document(f"t.{ident(column)}", patterns, new=True)


__all__ = ["PatternError", "held_text", "ids_in", "joined", "pieces_of", "text_document"]
