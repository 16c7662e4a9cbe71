"""Sets the owners of a copy's objects as in the original: pg_restore cannot always do so without a superuser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg

from tenantry.dbcopy.original import SQL
from tenantry.journal.journal import Connection
from tenantry.postgres import ident, load_blocks

_REFUSED = re.compile(r"\(ALTER (?:TABLE|(?:MATERIALIZED )?VIEW|SEQUENCE|FUNCTION|PROCEDURE|AGGREGATE) .* OWNER TO ")


def restore_owners(original: Connection, copy: Connection, errors: Sequence[str]) -> list[str]:
    """Give relations and routines the owners that they have in the original.

    A new owner needs CREATE on the schema at that moment. It may have lost the privilege since, like the owner of the context
    functions, so it is granted temporarily.

    Args:
        errors: the messages of pg_restore.

    Returns:
        The remaining errors, and what could not be done.
    """
    wanted, found = _owners(original), _owners(copy)
    left = [error for error in errors if not _REFUSED.search(error)]
    for thing, (schema, owner) in wanted.items():
        if thing in found and found[thing][1] != owner:
            try:
                _give(copy, thing, schema, owner)
            except psycopg.Error as error:
                left.append(f"{thing} owner to {ident(owner)}: {error.diag.message_primary}")
    return left


def _owners(connection: Connection) -> dict[str, tuple[str, str]]:
    rows: list[Any] = connection.execute(load_blocks(SQL, "duplicate")["owners"]).fetchall()
    return {str(thing): (str(schema), str(owner)) for thing, schema, owner in rows}


def _give(copy: Connection, thing: str, schema: str, owner: str) -> None:
    row = copy.execute("select has_schema_privilege(%s, %s, 'create')", [owner, schema]).fetchone()
    may_create = row == (True,)
    with copy.transaction():
        if not may_create:
            copy.execute(f"grant create on schema {ident(schema)} to {ident(owner)}".encode())
        copy.execute(f"{thing} owner to {ident(owner)}".encode())
        if not may_create:
            copy.execute(f"revoke create on schema {ident(schema)} from {ident(owner)}".encode())


__all__ = ["restore_owners"]
