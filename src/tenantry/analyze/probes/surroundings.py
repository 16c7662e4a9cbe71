"""Reads what else is in the database; see `analyze.surroundings`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg

from tenantry.analyze.probes.at_work import look_who_is_at_work
from tenantry.analyze.surroundings import (
    CronJob,
    Extension,
    Listener,
    OutdatedCollation,
    Outsider,
    Publisher,
    SchemaUser,
    Secured,
    Surroundings,
)
from tenantry.catalog.hidden import hidden_tables
from tenantry.catalog.mentions import mentioned
from tenantry.mapping import Project
from tenantry.postgres import ident, load_blocks

Connection = psycopg.Connection[tuple[Any, ...]]


def look_around(connection: Connection, project: Project) -> Surroundings:
    """Read the catalogs, and create two empty tables in a transaction that is rolled back, to see what event triggers do to
    them."""
    blocks = load_blocks("tenantry.analyze.probes", "surroundings")
    names = [*(ident(table.schema, table.name) for table in project.source_tables), "auth.users", "auth.identities"]
    hidden = hidden_tables(connection, names)
    publishers = tuple(Publisher(str(row[0]), bool(row[2])) for row in connection.execute(blocks["publications"]))
    listeners = tuple(Listener(str(row[0]), str(row[1])) for row in connection.execute(blocks["event_triggers"]))
    tables, temporary, refused = Secured(), Secured(), ""
    at_work = look_who_is_at_work(connection, project)
    if listeners and not at_work.standby:
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(blocks["probe"])
                for is_temporary, enabled, forced in connection.execute(blocks["probed"]).fetchall():
                    if is_temporary:
                        temporary = Secured(bool(enabled), bool(forced))
                    else:
                        tables = Secured(bool(enabled), bool(forced))
        except psycopg.Error as error:
            refused = error.diag.message_primary or type(error).__name__
    roles = project.manifest.database_roles
    opened = connection.execute(
        blocks["opened"],
        {
            "definer": roles.definer,
            "target": project.target.schema,
            "roles": [roles.anon, roles.authenticated, roles.login],
        },
    ).fetchall()
    names_of: dict[str, str | list[str]] = {
        "source": project.source.schema,
        "target": project.target.schema,
        "tables": tables_of(project),
    }
    outside = connection.execute(blocks["outside"], names_of)
    return Surroundings(
        hidden, publishers, listeners, tables, temporary, refused, is_unprepared(connection),
        tuple(
            Outsider(str(trigger), str(table), bool(accounts), str(function), written)
            for trigger, table, accounts, function, body in outside
            if (written := _written(project, str(body)))
        ),
        at_work,
        opened=tuple(str(row[0]) for row in opened),
        jobs=_jobs(connection, project),
        users=_users(connection, project, names_of),
        extensions=tuple(
            Extension(str(name), str(schema), str(version), frozenset(members))
            for name, schema, version, members in connection.execute(blocks["extensions"])
        ),
        collations=tuple(OutdatedCollation(*map(str, row)) for row in connection.execute(blocks["collations"], names_of)),
        subscribed=tuple(str(row[0]) for row in connection.execute(blocks["subscribed"], names_of)),
    )  # fmt: skip


def tables_of(project: Project) -> list[str]:
    return [table.name for table in project.source_tables]


def _users(connection: Connection, project: Project, names: Mapping[str, str | list[str]]) -> tuple[SchemaUser, ...]:
    """Return the objects of other schemas that refer to source tables; a function's text only counts with the schema's name."""
    blocks = load_blocks("tenantry.analyze.probes", "surroundings")
    found = [
        SchemaUser(str(kind), str(name), tuple(tables))
        for block in ("users", "policies_and_rules")
        for kind, name, tables in connection.execute(blocks[block], names)
    ]
    for name, text in connection.execute(blocks["functions"], names):
        named = [
            table
            for _, table in mentioned(str(text), project.source.schema, tables_of(project))
            if re.search(
                rf"{re.escape(ident(project.source.schema))}\s*\.\s*{re.escape(ident(table))}(?![\w$])", str(text)
            )
        ]
        if named:
            found.append(SchemaUser("function", str(name), tuple(named)))
    return tuple(found)


def _jobs(connection: Connection, project: Project) -> tuple[CronJob, ...]:
    """Return the jobs of pg_cron that name source tables, if the extension is here and the login may read its table."""
    blocks = load_blocks("tenantry.analyze.probes", "surroundings")
    readable = connection.execute(blocks["may_read_jobs"]).fetchone()
    if readable is None or not readable[0]:
        return ()
    found = []
    for name, schedule, text in connection.execute(blocks["jobs"]):
        named = mentioned(str(text), project.source.schema, tables_of(project))
        if named:
            found.append(CronJob(str(name), str(schedule), tuple(table for _, table in named)))
    return tuple(found)


def _written(project: Project, body: str) -> tuple[str, ...]:
    """Return the source tables that a function writes, according to its text."""
    return tuple(
        table.name
        for table in project.source_tables
        if re.search(
            r"\b(insert\s+into|update|delete\s+from|merge\s+into|truncate)\s+(only\s+)?([\w\"]+\s*\.\s*)?"
            rf'("{re.escape(table.name)}"|{re.escape(table.name)}\b)',
            body,
            re.IGNORECASE,
        )
    )


def is_unprepared(connection: Connection) -> bool:
    """Whether the role script did not run in this database: every role may create temporary objects here."""
    row = connection.execute(load_blocks("tenantry.analyze.probes", "surroundings")["temporary_for_all"]).fetchone()
    return row is not None and bool(row[0])
