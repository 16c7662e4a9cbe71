"""Tenantry must see every row. Row-level security hides rows without an error, so that a table looks empty and is carried over
as such: each command asks, when it begins and in each phase, whether the login sees all of what it reads."""

from __future__ import annotations

from tenantry.analyze import analyze, look_around
from tenantry.catalog.hidden import need_rows_of
from tenantry.errors import Unfit
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.postgres import ident

ACCOUNTS = ("auth.users", "auth.identities")
"""What is read of a schema of accounts, whoever made it."""


def source_names(project: Project) -> list[str]:
    """Quoted names of what a run reads and did not make."""
    return [*(ident(table.schema, table.name) for table in project.source_tables), *ACCOUNTS]


def need_every_row(connection: Connection, project: Project, *, doing: str = "") -> None:
    """Ask whether the login sees all rows of source, accounts, target and journal, as far as they are there.

    Args:
        doing: what was about to be done, as 'phase copy'.

    Raises:
        RowsHidden: it does not, naming the tables.
    """
    _settle(connection)
    ours = connection.execute(
        "select format('%%I.%%I', n.nspname, c.relname) from pg_catalog.pg_class c join pg_catalog.pg_namespace n"
        " on n.oid = c.relnamespace where c.relkind in ('r', 'p') and c.relrowsecurity"
        " and (n.nspname = any (%s) or n.oid = pg_my_temp_schema()) order by 1",
        [[JOURNAL, project.target.schema]],
    ).fetchall()
    need_rows_of(connection, [*source_names(project), *(str(row[0]) for row in ours)], doing=doing)


def need_room(connection: Connection, project: Project) -> None:
    """Ask whether source, target and what else lives in the database let a run begin.

    Raises:
        Unfit: with the findings of `tenantry analyze` that forbid it.
    """
    found = [each for each in analyze(project, (), look_around(connection, project)) if each.severity == "blocker"]
    if not found:
        return
    said = "\n  ".join(f"{each.code} {each.table}: {each.title}" for each in found)
    raise Unfit(
        f"A run cannot begin here. Nothing was changed. The reasons:\n  {said}",
        hint="\n".join(dict.fromkeys(each.advice for each in found if each.advice)),
        detail={"findings": [each.to_json() for each in found]},
    )


def _settle(connection: Connection) -> None:
    """Tables of the journal for which something switched row-level security on since they were made."""
    found = connection.execute(
        "select to_regprocedure('tenantry.settle_tables()') is not null and exists (select from pg_catalog.pg_class c"
        " where c.relnamespace = to_regnamespace('tenantry') and c.relkind in ('r', 'p')"
        " and (c.relrowsecurity or c.relforcerowsecurity))"
    ).fetchone()
    if found == (True,):
        connection.execute(f"select {JOURNAL}.settle_tables()")


__all__ = ["ACCOUNTS", "need_every_row", "need_room", "source_names"]
