"""Other facts about the database: row-level security that hides rows, publications, event triggers, and current activity.
Values only; `probes` reads them."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.catalog.hidden import Hidden
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project

SESSIONS = 7
"""The sessions that `tenantry migrate` opens: two workers and five others."""


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """An open transaction.

    Attributes:
        tables: source tables on which it blocks locks of others.
        who: the session, or the prepared transaction, in words.
        seconds: None if the login may not see it: longer than one second.
        gid: of a prepared transaction, which has no session.
    """

    tables: tuple[str, ...]
    who: str
    seconds: float | None
    idle: bool = False
    gid: str = ""

    @property
    def table(self) -> str:
        """The only table; empty if there are several or none."""
        return self.tables[0] if len(self.tables) == 1 else ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of sessions.

    Attributes:
        what: the object as in ALTER: role x, database y; or the server.
    """

    what: str
    most: int
    used: int


@dataclass(frozen=True, slots=True)
class AtWork:
    """The current activity in the database.

    Attributes:
        limits: those that leave too few sessions for a run.
    """

    transactions: tuple[OpenTransaction, ...] = ()
    limits: tuple[Limit, ...] = ()
    standby: bool = False


NOBODY = AtWork()


@dataclass(frozen=True, slots=True)
class Publisher:
    """A publication of all tables of the database, including later ones.

    Attributes:
        changes: whether it publishes updates or deletes, which require a replica identity.
    """

    name: str
    changes: bool


@dataclass(frozen=True, slots=True)
class Listener:
    """An event trigger on the creation or change of tables."""

    name: str
    function: str


@dataclass(frozen=True, slots=True)
class Outsider:
    """A trigger of a table that is not migrated, whose function writes migrated tables.

    Attributes:
        accounts: whether its table is in schema auth, which applications write before and after the cut-over.
    """

    trigger: str
    table: str
    accounts: bool
    function: str
    writes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CronJob:
    """A job of pg_cron whose command names source tables."""

    name: str
    schedule: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SchemaUser:
    """An object of another schema that refers to source tables; `kind` in words."""

    kind: str
    name: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extension:
    """An installed extension; `members` are the names of its types, functions and operator classes."""

    name: str
    schema: str
    version: str
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class OutdatedCollation:
    """A database (`kind`) or a collation of source columns, whose indexes were built with another version than the server's."""

    kind: str
    name: str
    recorded: str
    actual: str


@dataclass(frozen=True, slots=True)
class Taken:
    """An object of the application with a name that Tenantry needs; `what` describes it and its place."""

    table: str
    what: str


@dataclass(frozen=True, slots=True)
class Secured:
    """The effect of event triggers on a new table: row-level security is on, and applies to the owner."""

    enabled: bool = False
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Other facts about the database.

    Attributes:
        hidden: tables of source and accounts in which the login does not see every row.
        tables, temporary: the effects on a table, and on a temporary one, created for the test.
        refused: the server's message if no table could be created.
        unprepared: the role script was not run in this database.
        outsiders: triggers of other tables that write source tables.
        at_work: open transactions, and remaining sessions.
        jobs: scheduled jobs that use source tables.
        users: objects of other schemas that refer to source tables: views, foreign keys, policies, rules and functions.
        extensions: those of the database, except plpgsql.
        collations: the database and collations whose version differs from the server's.
        subscribed: source tables that a subscription writes.
        opened: default privileges that grant the application's roles privileges on later objects.
        taken: names that a run needs and other objects have.
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
    opened: tuple[str, ...] = ()
    jobs: tuple[CronJob, ...] = ()
    users: tuple[SchemaUser, ...] = ()
    extensions: tuple[Extension, ...] = ()
    collations: tuple[OutdatedCollation, ...] = ()
    subscribed: tuple[str, ...] = ()


UNPREPARED_HINT = (
    "A temporary object can replace a name in a function with higher privileges. Let a DBA run the script in this database:"
    " tenantry roles --sql | psql …; a superuser can run `tenantry roles --apply`."
)

NOTHING_ELSE = Surroundings()
"""A database that contains only source and target."""


# -- in words --------------------------------------------------------------------------------------------------------


def own_schemas(project: Project) -> str:
    """Return the schemas in which a run creates tables."""
    return f"{JOURNAL} and {project.target.schema}"


def event_triggers(around: Surroundings) -> str:
    """Return all event triggers with their functions, in words."""
    names = ", ".join(f"{each.name} (function {each.function})" for each in around.listeners)
    return f"event trigger{'' if len(around.listeners) == 1 else 's'} {names}"
