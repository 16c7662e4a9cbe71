"""The state and the results of one reverse round."""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg

from tenantry.derivation.reverse.write import SourceTable
from tenantry.journal.journal import Connection
from tenantry.mapping import Project
from tenantry.migrate.verify.sums import corrected_mappings
from tenantry.postgres import load_blocks, verbatim

_UNIQUE = "23505"
_WITHHELD = "the server's message is withheld: the table holds secrets"


@dataclass
class Counts:
    """The results for one source table."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    kept: int = 0
    """Target-only rows and values."""
    conflicts: int = 0


@dataclass(frozen=True)
class Reversed:
    """The results of one round, by source table; without tables that it did not compare."""

    tables: dict[str, Counts] = field(default_factory=dict)

    def _sum(self, name: str) -> int:
        return sum(getattr(counts, name) for counts in self.tables.values())

    @property
    def inserted(self) -> int:
        return self._sum("inserted")

    @property
    def updated(self) -> int:
        return self._sum("updated")

    @property
    def deleted(self) -> int:
        return self._sum("deleted")

    @property
    def kept(self) -> int:
        return self._sum("kept")

    @property
    def conflicts(self) -> int:
        return self._sum("conflicts")

    @property
    def written(self) -> int:
        """Number of changed source rows."""
        return self.inserted + self.updated + self.deleted


@dataclass(frozen=True)
class WayBack:
    """The statements that write a project's target back into its source.

    Attributes:
        documented: source tables with documents that contain ids of other rows.
    """

    project: Project
    tables: tuple[SourceTable, ...]
    documented: frozenset[str]


@dataclass
class Failure:
    """A row that was refused."""

    kind: str
    reason: str
    unique: bool = False


class UnreadableError(Exception):
    """Some written rows cannot be derived from the source again; the round is rolled back."""

    def __init__(self, rows: dict[tuple[str, str], Failure]) -> None:
        super().__init__()
        self.rows = rows


class ReverseRound:
    """The state of one round: which rows were compared, written and refused.

    Args:
        refused: rows to leave out, and why.
    """

    def __init__(self, connection: Connection, way: WayBack, refused: dict[tuple[str, str], Failure]) -> None:
        self.connection = connection
        self.tables = way.tables
        self.project = way.project
        self.documented = way.documented
        self.corrected = corrected_mappings(connection)
        self.blocks = load_blocks("tenantry.migrate.replay.reverse", "round")
        self.failures: dict[tuple[str, str], Failure] = dict(refused)
        self.made: dict[str, SourceTable] = {}
        self.counts: dict[str, Counts] = {}
        self.refused: dict[str, set[str]] = {}
        for name, key in refused:
            self.refused.setdefault(name, set()).add(key)
        self.strangers: dict[str, set[str]] = {}
        """Keys of source rows whose legacy id occurs in several tenants: compared again when the place may be free."""
        self.both = False
        """Whether both sides are written, and the source has changed rows that are not replayed yet."""
        self.whole: set[str] = set()
        """Tables whose work table still has the current state of every compared row."""

    def refuse(self, table: SourceTable, kind: str, place: int, code: str, said: str) -> None:
        source = table.gone if kind == "delete" else table.work
        row = self.connection.execute(f"select key from {verbatim(source)} where n = %s", [place]).fetchone()
        if row is not None:
            reason = _WITHHELD if _holds_secrets(table) else said
            self.failures[table.name, str(row[0])] = Failure(kind, reason, code == _UNIQUE)

    def count(self, temporary: str) -> int:
        row = self.connection.execute(f"select count(*) from {temporary}").fetchone()
        assert row is not None
        return int(row[0])

    def script(self, text: str) -> None:
        for statement in text.split(";\n"):
            self.connection.execute(statement)


def _holds_secrets(table: SourceTable) -> bool:
    return any(part.mapping.secrets for part in table.parts)


def reason(table: SourceTable, error: psycopg.Error) -> str:
    """Return the server's message, unless it may contain a secret."""
    if _holds_secrets(table):
        return _WITHHELD
    return error.diag.message_primary or type(error).__name__


__all__ = ["Counts", "Failure", "ReverseRound", "Reversed", "UnreadableError", "WayBack", "reason"]
