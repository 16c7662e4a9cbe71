"""Which relations a body of SQL or PL/pgSQL names, where PostgreSQL itself keeps only the text."""

from __future__ import annotations

import re
from collections.abc import Collection

# Strings are kept: dynamic SQL names relations inside them. They are matched first, so that `--` in one is no comment.
_COMMENT_OR_STRING = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$]*)'
_CHAIN = re.compile(rf"{_IDENTIFIER}(?:\s*\.\s*{_IDENTIFIER})*")
_PART = re.compile(_IDENTIFIER)


def mentioned(body: str, schema: str, relations: Collection[str]) -> tuple[tuple[str, str], ...]:
    """The relations of `schema` that `body` names, bare or qualified: (schema, relation), in order of name.

    A column, variable or word in a string that is called like a relation counts as well; a name that is put together
    at run time does not.
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
    """The name that PostgreSQL takes an identifier for."""
    quoted = identifier.startswith('"')
    name = identifier[1:-1].replace('""', '"') if quoted else identifier.lower()
    return name.encode()[:63].decode(errors="ignore")
