"""Finds the application's trigger that raised an error: Tenantry's writes fire enabled triggers."""

from __future__ import annotations

import psycopg

from tenantry.journal.journal import Connection
from tenantry.postgres import load_blocks


def trigger_of(connection: Connection, error: psycopg.Error) -> str:
    """Return e.g. ` in trigger notify on auth.users, which calls notify()`; empty if no trigger can be identified."""
    context = error.diag.context
    if not context:
        return ""
    rows = connection.execute(
        load_blocks("tenantry.migrate.replay", "triggered")["of"], {"context": context}
    ).fetchall()
    return f" in trigger {rows[0][0]} on {rows[0][1]}, which calls {rows[0][2]}" if rows else ""


__all__ = ["trigger_of"]
