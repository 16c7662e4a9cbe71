"""Finds the relations that a body of SQL or PL/pgSQL names; PostgreSQL itself stores only its text."""

from __future__ import annotations

import re
from collections.abc import Collection

# Strings are kept, because dynamic SQL names relations in them. They match first, so `--` in a string is not a comment.
_COMMENT_OR_STRING = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$]*)'
_CHAIN = re.compile(rf"{_IDENTIFIER}(?:\s*\.\s*{_IDENTIFIER})*")
_PART = re.compile(_IDENTIFIER)


def mentioned(body: str, schema: str, relations: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Return the relations of `schema` that `body` names, bare or qualified: (schema, relation), in order of name.

    Also counts a column, variable or word in a string with the name of a relation; misses names that are built at run time.
    """
    text = _COMMENT_OR_STRING.sub(lambda match: match[0] if match[0].startswith("'") else " ", body)
    found = set()
    for chain in _CHAIN.finditer(text):
        names = [_fold(part[0]) for part in _PART.finditer(chain[0])]
        if names[0] == schema and len(names) > 1 and names[1] in relations:
            found.add(names[1])
        elif names[0] in relations:
            found.add(names[0])
    return tuple((schema, name) for name in sorted(found))


def _fold(identifier: str) -> str:
    """Return the name that PostgreSQL reads from an identifier."""
    quoted = identifier.startswith('"')
    name = identifier[1:-1].replace('""', '"') if quoted else identifier.lower()
    return name.encode()[:63].decode(errors="ignore")
