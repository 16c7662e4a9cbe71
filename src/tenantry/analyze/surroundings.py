"""What else lives in the database: row-level security that hides rows, publications, event triggers; and who is at work in it.
`look_around` reads; the rest is pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from tenantry.analyze.at_work import NOBODY, AtWork, at_work, look_who_is_at_work
from tenantry.analyze.finding import Finding
from tenantry.catalog import Table
from tenantry.catalog.hidden import Hidden, hidden_tables
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.postgres import ident, load_blocks

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Publisher:
    """A publication that takes in every table of the database, also those that are made later.

    Attributes:
        changes: it publishes updates or deletes, for which a table needs an identity.
    """

    name: str
    changes: bool


@dataclass(frozen=True, slots=True)
class Listener:
    """An event trigger that runs when tables are made or altered."""

    name: str
    function: str


@dataclass(frozen=True, slots=True)
class Outsider:
    """A trigger of a table that is not carried over, whose function writes tables that are.

    Attributes:
        accounts: it is one of schema auth, which applications write before and behind the cut-over.
    """

    trigger: str
    table: str
    accounts: bool
    function: str
    writes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """Something of the application that has a name which Tenantry needs; `what` says what it is and where."""

    table: str
    what: str


@dataclass(frozen=True, slots=True)
class Secured:
    """What event triggers do to a new table: row-level security is on, and binds the owner."""

    enabled: bool = False
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    Attributes:
        hidden: tables of source and accounts in which the login does not see every row.
        tables, temporary: what became of a table, and of a temporary one, that was made to see it.
        refused: what the server said where no table could be made.
        unprepared: the script of the roles was not run in this database.
        outsiders: triggers of other tables that write source tables.
        at_work: open transactions, and for how many sessions there is room.
        taken: names that a run needs and others have.
    """

    hidden: tuple[Hidden, ...] = ()
    publishers: tuple[Publisher, ...] = ()
    listeners: tuple[Listener, ...] = ()
    tables: Secured = Secured()
    temporary: Secured = Secured()
    refused: str = ""
    unprepared: bool = False
    outsiders: tuple[Outsider, ...] = ()
    at_work: AtWork = NOBODY
    taken: tuple[Taken, ...] = ()


UNPREPARED_HINT = (
    "A temporary object can stand in for what a function of higher rights means. Let a DBA run the script in this database:"
    " tenantry roles --sql | psql …; a superuser can run `tenantry roles --apply`."
)

NOTHING_ELSE = Surroundings()
"""A database with nothing in it but source and target."""


def look_around(connection: Connection, project: Project) -> Surroundings:
    """Ask the catalogs, and make two empty tables in a transaction that is rolled back, to see what event triggers do to them."""
    blocks = load_blocks("tenantry.analyze", "surroundings")
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
    outside = connection.execute(
        blocks["outside"],
        {
            "source": project.source.schema,
            "target": project.target.schema,
            "tables": [table.name for table in project.source_tables],
        },
    )
    return Surroundings(
        hidden, publishers, listeners, tables, temporary, refused, is_unprepared(connection),
        tuple(
            Outsider(str(trigger), str(table), bool(accounts), str(function), written)
            for trigger, table, accounts, function, body in outside
            if (written := _written(project, str(body)))
        ),
        at_work,
    )  # fmt: skip


def _written(project: Project, body: str) -> tuple[str, ...]:
    """The source tables that a function writes, by its text."""
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
    """Whether the script of the roles was run in another database of the cluster only: everybody may make temporary objects here."""
    row = connection.execute(load_blocks("tenantry.analyze", "surroundings")["temporary_for_all"]).fetchone()
    return row is not None and bool(row[0])


def surroundings(project: Project, around: Surroundings) -> Iterator[Finding]:
    """The findings about it."""
    for each in around.hidden:
        yield Finding(
            "TA-120", "blocker", "risk", each.table, each.why,
            advice=f"What is not seen would be taken for not there. Before the run, {each.mend}.",
        )  # fmt: skip
    schemas = f"{JOURNAL} and {project.target.schema}"
    for publisher in around.publishers:
        yield Finding(
            "TA-121", "warning", "risk", publisher.name,
            f"publication FOR ALL TABLES: what the run makes in schemas {schemas} is published too",
            advice="Subscribers and tools that read the replication stream see the journal, which holds originals of rows, and the"
            f" target. Let them leave out the schemas {schemas}, or publish the tables by name.",
        )  # fmt: skip
        if publisher.changes:
            for table in project.target.tables:
                if not _has_identity(table):
                    yield Finding(
                        "TA-122", "blocker", "risk", table.name,
                        f"has no primary key, so that publication {publisher.name} refuses its updates and deletes",
                        advice="Give the table a primary key in the target's files, or write there: alter table"
                        f" {ident(table.name)} replica identity full.",
                    )  # fmt: skip
    for outsider in around.outsiders:
        yield from _outsider(project, outsider)
    names = ", ".join(f"{each.name} (function {each.function})" for each in around.listeners)
    word = "event trigger" if len(around.listeners) == 1 else "event triggers"
    if around.refused:
        yield Finding(
            "TA-123", "blocker", "risk", JOURNAL, f"tables cannot be made here: {around.refused}",
            advice=f"It may be the {word} {names}: let it leave out the schemas {schemas}, or disable it for the time of the run."
            if names else "Mend the cause.",
        )  # fmt: skip
    elif around.temporary.forced:
        yield Finding(
            "TA-123", "blocker", "risk", JOURNAL, f"{word} {names}: row-level security is forced upon temporary tables",
            advice="The rows that a run works with would be hidden from it. Let it leave out temporary tables, or disable it for the"
            " time of the run (alter event trigger … disable).",
        )  # fmt: skip
    elif around.tables.enabled or around.tables.forced:
        yield Finding(
            "TA-124", "warning", "risk", JOURNAL, f"{word} {names}: row-level security is switched on for every new table",
            advice=f"Tenantry switches it off again for its own tables in schema {JOURNAL}, which nobody but it may use; for those"
            f" of {project.target.schema} it makes policies.",
        )  # fmt: skip
    elif names:
        yield Finding(
            "TA-125", "notice", "risk", JOURNAL, f"{word} {names} will run for what the run makes",
            advice=f"See that it does no harm to the schemas {schemas}.",
        )  # fmt: skip

    if around.unprepared:
        yield Finding(
            "TA-160", "warning", "risk", "", "the script of the roles was not run in this database: everybody may make temporary objects",
            advice=f"{UNPREPARED_HINT} The proof fails until then.",
        )  # fmt: skip
    for taken in around.taken:
        yield Finding(
            "TA-161", "blocker", "schema", taken.table, f"{taken.what} has a name that Tenantry needs",
            advice="No run begins (TN-423). Rename it, in the source or in the target's files.",
        )  # fmt: skip
    yield from at_work(around.at_work)


def _outsider(project: Project, each: Outsider) -> Iterator[Finding]:
    users = project.manifest.users
    for table in each.writes:
        what = f"is written by trigger {each.trigger} on {each.table} (function {each.function})"
        if each.accounts:
            own = (
                "in_step = true makes the profiles of new accounts; for whatever else the function does,"
                if users is not None and users.in_step
                else "Let Tenantry make the profiles of new accounts (in_step = true in [users]), or"
            )
            yield Finding(
                "TA-130", "warning", "risk", table, what,
                advice="What it writes there is left out from the cut-over on, and for the accounts that the run makes: people go on"
                f" signing up. {own} give {each.table} a trigger whose function writes {project.target.schema}.",
            )  # fmt: skip
        else:
            yield Finding(
                "TA-131", "warning", "risk", table, what,
                advice=f"From the cut-over on {project.source.schema}.{table} is read-only, and whatever sets the trigger off is refused"
                " with it. Before that, let the function write the new table, or drop the trigger.",
            )  # fmt: skip


def _has_identity(table: Table) -> bool:
    return table.primary_key is not None or table.replica_identity in ("full", "index")


__all__ = [
    "NOTHING_ELSE",
    "UNPREPARED_HINT",
    "Listener",
    "Publisher",
    "Secured",
    "Surroundings",
    "Taken",
    "is_unprepared",
    "look_around",
    "surroundings",
]
