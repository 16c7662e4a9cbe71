"""Checks that Tenantry sees every row. Row-level security hides rows without an error, so a table could look empty and be migrated
as such. Each command checks, at its start and in each phase, that the login sees all rows that it reads."""

from __future__ import annotations

from tenantry.analyze import analyze, look_around
from tenantry.catalog.hidden import need_rows_of
from tenantry.errors import Unfit
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.postgres import ident

ACCOUNTS = ("auth.users", "auth.identities")
"""The tables that are read from a schema of accounts."""


def source_names(project: Project) -> list[str]:
    """Return the quoted names of tables that a run reads and did not make."""
    return [*(ident(table.schema, table.name) for table in project.source_tables), *ACCOUNTS]


def need_every_row(connection: Connection, project: Project, *, doing: str = "") -> None:
    """Check that the login sees all rows of source, accounts, target and journal, as far as they exist.

    Args:
        doing: the intended action, e.g. 'phase copy'.

    Raises:
        RowsHidden: it does not; the message names the tables.
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
    """Check that source, target and the rest of the database allow a run to begin.

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
    """Disable row-level security on tables of the journal on which others have enabled it."""
    found = connection.execute(
        "select to_regprocedure('tenantry.settle_tables()') is not null and exists (select from pg_catalog.pg_class c"
        " where c.relnamespace = to_regnamespace('tenantry') and c.relkind in ('r', 'p')"
        " and (c.relrowsecurity or c.relforcerowsecurity))"
    ).fetchone()
    if found == (True,):
        connection.execute(f"select {JOURNAL}.settle_tables()")


__all__ = ["ACCOUNTS", "need_every_row", "need_room", "source_names"]
