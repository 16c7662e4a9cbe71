"""Checks that the schema `tenantry` belongs to Tenantry before objects are made in it, since a rollback drops it as a whole."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg

from tenantry.errors import NameTaken

_FOREIGN = """
select exists (select from pg_namespace n where n.nspname = 'tenantry'
                  and coalesce(obj_description(n.oid, 'pg_namespace'), '') not like 'Tenantry:%'
                  and not exists (select from pg_class c join pg_attribute a on a.attrelid = c.oid
                                   where c.relnamespace = n.oid and (c.relname, a.attname) in
                                         (('run', 'manifest_digest'), ('account_request', 'first_sent')))
                  and (exists (select from pg_class c where c.relnamespace = n.oid)
                       or exists (select from pg_proc p where p.pronamespace = n.oid)
                       or exists (select from pg_type t where t.typnamespace = n.oid)))
"""

FOREIGN_SCHEMA = (
    "There is a schema tenantry in this database, and Tenantry did not make it; its journal needs that name."
)
FOREIGN_SCHEMA_HINT = "Rename it (alter schema tenantry rename to …), and run again; nothing was changed."


def is_foreign(connection: psycopg.Connection[Any]) -> bool:
    """Whether a non-empty schema of that name exists that is not Tenantry's."""
    row = connection.execute(_FOREIGN).fetchone()
    return row is not None and bool(row[0])


@cache
def our_tables() -> frozenset[str]:
    """Return the tables that Tenantry's SQL makes in its schema."""
    made: set[str] = set()
    folders = [files("tenantry")]
    while folders:
        for entry in folders.pop().iterdir():
            if entry.is_dir():
                folders.append(entry)
            elif entry.name.endswith((".sql", ".py")):
                made.update(re.findall(r"create table (?:if not exists )?tenantry\.(\w+)", entry.read_text("utf-8")))
    return frozenset(made)


def need_our_schema(connection: psycopg.Connection[Any]) -> None:
    """Check that schema `tenantry` is unused or Tenantry's.

    Raises:
        NameTaken: another schema has this name.
    """
    if is_foreign(connection):
        raise NameTaken(FOREIGN_SCHEMA, hint=FOREIGN_SCHEMA_HINT)


__all__ = ["FOREIGN_SCHEMA", "FOREIGN_SCHEMA_HINT", "is_foreign", "need_our_schema", "our_tables"]
