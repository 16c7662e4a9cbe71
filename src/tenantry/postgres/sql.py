"""Quoting for generated SQL, and the loader of named statements from .sql files.

Plans are rendered without a connection and read by people, so identifiers are quoted only if necessary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from functools import cache, lru_cache
from importlib import resources
from itertools import count

from pglast import keywords
from psycopg import sql as psycopg_sql

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_KEYWORDS = keywords.RESERVED_KEYWORDS | keywords.TYPE_FUNC_NAME_KEYWORDS | keywords.COL_NAME_KEYWORDS
_BLOCK = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@lru_cache(maxsize=4096)
def ident(*parts: str) -> str:
    """Return a possibly qualified identifier, quoted if necessary: ident('public', 'User') → public."User"."""
    return ".".join(
        part if _PLAIN.fullmatch(part) and part not in _KEYWORDS else psycopg_sql.Identifier(part).as_string(None)
        for part in parts
    )


def idents(names: Iterable[str], *, prefix: str = "") -> str:
    """Return identifiers separated by commas, each with the prefix, if given."""
    return ", ".join(f"{prefix}.{ident(name)}" if prefix else ident(name) for name in names)


def literal(value: object) -> str:
    """Return a literal of text, number, boolean or null. Backslashes are safe: standard_conforming_strings is asserted."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if "\x00" in str(value):
        raise ValueError("PostgreSQL text cannot hold a NUL character")
    return "'" + str(value).replace("'", "''") + "'"


def literals(values: Iterable[object]) -> str:
    return ", ".join(literal(value) for value in values)


def comment(text: str, *, indent: int = 0) -> str:
    """Return one comment line of an SQL script, even if the names in it contain line breaks."""
    return "-- " + " " * indent + " ".join(text.split())


def verbatim(sql: str) -> str:
    """Escape SQL for a statement with parameters, in which a percent sign (e.g. in a table's name) would be a placeholder."""
    return sql.replace("%", "%%")


def short_name(*parts: str, limit: int = 63) -> str:
    """Join parts by `_`, cut to PostgreSQL's 63 bytes with a digest, so that long names stay distinct."""
    import hashlib  # noqa: PLC0415

    name = "_".join(parts)
    if len(name.encode()) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name.encode()[: limit - 9].decode(errors="ignore") + "_" + digest


def free_name(
    wanted: str,
    taken: Collection[str],
    *,
    mark: str = "_",
    limit: int | None = None,
    fold: Callable[[str], str] = str,
) -> str:
    """Return the wanted name or, where it is taken, the first of `name_2`, `name_3` and so on that is not.

    Args:
        taken: names that are in use, folded.
        mark: stands before the number.
        limit: the largest number of characters; longer names are cut, with room for a number of three digits.
        fold: names that are equal when folded are the same name.
    """
    if limit is not None:
        wanted = wanted[:limit]
    if fold(wanted) not in taken:
        return wanted
    kept = wanted if limit is None else wanted[: limit - len(mark) - 3]
    return next(name for number in count(2) if fold(name := f"{kept}{mark}{number}") not in taken)


@cache
def load_sql(package: str, name: str) -> str:
    """Return the text of `<package>/<name>.sql`; the package is dotted, e.g. 'tenantry.migrate.observe'."""
    return resources.files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")


@cache
def load_blocks(package: str, name: str) -> dict[str, str]:
    """Return the blocks of a .sql file by name; a line `-- name: x` precedes each."""
    pieces = _BLOCK.split(load_sql(package, name))
    return {pieces[i]: pieces[i + 1].strip() for i in range(1, len(pieces), 2)}
