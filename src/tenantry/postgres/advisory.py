"""Advisory locks between Tenantry's processes where there is no journal. Every login may take them, so waits for them are limited,
and messages always name the holder."""

from __future__ import annotations

from typing import Any

import psycopg
import psycopg.rows

_HOLDER = """
select l.pid, a.usename, a.application_name from pg_locks l left join pg_stat_activity a on a.pid = l.pid
 where l.locktype = 'advisory' and l.granted and l.objsubid = 1
   and l.database = (select oid from pg_database where datname = current_database())
   and (l.classid::bigint << 32) + l.objid::bigint = %s limit 1"""


def lock_holder(connection: psycopg.Connection[Any], key: int) -> str:
    """Describe who holds an advisory lock of this database."""
    row = connection.cursor(row_factory=psycopg.rows.tuple_row).execute(_HOLDER, [key]).fetchone()
    if row is None:
        return "a session that has just released it"
    pid, login, application = row
    return f"server process {pid}, login {login or 'unknown'}" + (f", {application}" if application else "")


__all__ = ["lock_holder"]
