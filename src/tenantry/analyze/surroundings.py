"""What else lives in the database: row-level security that hides rows, publications, event triggers; and who is at work in it.
Values alone; `probes` reads them."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.catalog.hidden import Hidden
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project

SESSIONS = 7
"""What `tenantry migrate` opens: two workers, and five sessions beside them."""


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that has not ended.

    Attributes:
        tables: source tables that others cannot lock against writers meanwhile.
        who: the session, or the prepared transaction, in words.
        seconds: None where the login may not see it: longer than one second.
        gid: of a prepared one, which has no session.
    """

    tables: tuple[str, ...]
    who: str
    seconds: float | None
    idle: bool = False
    gid: str = ""

    @property
    def table(self) -> str:
        """The only table; empty where there are several, or none."""
        return self.tables[0] if len(self.tables) == 1 else ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of sessions.

    Attributes:
        what: whose, as it stands in ALTER: role x, database y; or the server.
    """

    what: str
    most: int
    used: int


@dataclass(frozen=True, slots=True)
class AtWork:
    """Who is at work in the database at this moment.

    Attributes:
        limits: those that leave too little room for a run.
    """

    transactions: tuple[OpenTransaction, ...] = ()
    limits: tuple[Limit, ...] = ()
    standby: bool = False


NOBODY = AtWork()


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
    """What else lives in the database.

    Attributes:
        hidden: tables of source and accounts in which the login does not see every row.
        tables, temporary: what became of a table, and of a temporary one, that was made to see it.
        refused: what the server said where no table could be made.
        unprepared: the script of the roles was not run in this database.
        outsiders: triggers of other tables that write source tables.
        at_work: open transactions, and for how many sessions there is room.
        opened: default privileges by which the application's roles get rights on whatever is made later.
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
    opened: tuple[str, ...] = ()


UNPREPARED_HINT = (
    "A temporary object can stand in for what a function of higher rights means. Let a DBA run the script in this database:"
    " tenantry roles --sql | psql …; a superuser can run `tenantry roles --apply`."
)

NOTHING_ELSE = Surroundings()
"""A database with nothing in it but source and target."""


# -- in words --------------------------------------------------------------------------------------------------------


def own_schemas(project: Project) -> str:
    """The schemas in which a run makes tables."""
    return f"{JOURNAL} and {project.target.schema}"


def event_triggers(around: Surroundings) -> str:
    """All event triggers, with their functions."""
    names = ", ".join(f"{each.name} (function {each.function})" for each in around.listeners)
    return f"event trigger{'' if len(around.listeners) == 1 else 's'} {names}"
