"""Names of classes and attributes for names of tables and columns, each once."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable, Mapping

from tenantry.postgres import free_name
from tenantry.survey.names import singular, words


def class_name(table: str) -> str:
    """`user_clinic_roles` is `UserClinicRole`."""
    parts = words(table)
    if not parts:
        return "Table"
    found = "".join(_capital(part) for part in (*parts[:-1], singular(parts[-1])))
    return _identifier(found)


def class_names(tables: Iterable[str], taken: Collection[str] = ()) -> Mapping[str, str]:
    """A class for each table; the second of two that would be called alike is called after its table, or gets a number."""
    found: dict[str, str] = {}
    for table in tables:
        wanted = class_name(table)
        if wanted in found.values() or wanted in taken:
            wanted = _identifier("".join(_capital(part) for part in words(table)) or "Table")
        found[table] = free_name(wanted, {*found.values(), *taken})
    return found


def attribute_names(columns: Iterable[str], taken: Collection[str] = (), *, python: bool = True) -> Mapping[str, str]:
    """An attribute for each column: its own name wherever that is one.

    Args:
        python: a keyword of Python is none.
    """
    found: dict[str, str] = {}
    for column in columns:
        wanted = _identifier(column, python=python)
        found[column] = free_name(f"{wanted}_" if wanted in taken else wanted, {*found.values(), *taken})
    return found


def _capital(part: str) -> str:
    return part[:1].upper() + part[1:]


def _identifier(name: str, *, python: bool = True) -> str:
    found = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not found or not found[0].isalpha():
        found = f"c_{found.lstrip('_') or 'x'}"
    return f"{found}_" if python and keyword.iskeyword(found) else found
