"""Reads and writes the journal. It is correct whenever the process dies: the transaction that does a step or chunk also marks
it as done."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

import psycopg
from psycopg.types.json import Jsonb

from tenantry.catalog import Catalog
from tenantry.mapping.project import Project
from tenantry.postgres import load_blocks

Connection = psycopg.Connection[tuple[Any, ...]]

_SQL = "tenantry.journal.sql"


class PlannedStep(Protocol):
    """What the journal stores of a step of a plan."""

    @property
    def id(self) -> str: ...
    @property
    def phase(self) -> str: ...


def statement(name: str) -> str:
    """A block of operations.sql."""
    return load_blocks(_SQL, "operations")[name]


def run_sql(connection: Connection, block: str, /, **values: object) -> psycopg.Cursor[tuple[Any, ...]]:
    return connection.execute(statement(block), values or None)


@dataclass(frozen=True, slots=True)
class Run:
    """A row of tenantry.run."""

    id: int
    name: str
    manifest_digest: str
    manifest_path: str
    source_schema: str
    target_schema: str
    tool_version: str
    status: str
    phase: str
    started_at: datetime
    finished_at: datetime | None
    process: Mapping[str, Any]
    direction: str
    migrator: str
    server: Mapping[str, Any]
    verified_at: datetime | None
    unverified: bool
    grace_until: datetime | None
    source_catalog: Catalog
    target_catalog: Catalog
    subset: Mapping[str, Any] | None

    @property
    def is_over(self) -> bool:
        """Return whether applications write the target, alone or together with the source."""
        return self.direction != "forward"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A key range, low < key <= high; None is open on that side."""

    position: int
    low: str | None
    high: str | None
    status: str = "open"
    source_rows: int = 0
    target_rows: int = 0
    quarantined_rows: int = 0
    changed_cells: int = 0

    @property
    def done(self) -> bool:
        return self.status == "done"


def this_process() -> dict[str, object]:
    """Return which process is running, for the message to a second run."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "user": getpass.getuser()}


def journal_exists(connection: Connection) -> bool:
    row = run_sql(connection, "exists").fetchone()
    return row is not None and bool(row[0])


def last_run(connection: Connection) -> Run | None:
    """Return the newest run, or None if there is none or no journal exists."""
    if not journal_exists(connection):
        return None
    row = run_sql(connection, "last_run").fetchone()
    if row is None:
        return None
    facts: list[Any] = [*row[:18], _catalog(row[18]), _catalog(row[19]), row[20]]
    return Run(*facts)


@lru_cache(maxsize=4)
def _catalog(text: str) -> Catalog:
    """Return the catalog of a JSON text. A run's catalogs never change, and a process reads the run many times."""
    return Catalog.from_json(json.loads(text))


class Journal:
    """Writes the entries of one run."""

    def __init__(self, run: int) -> None:
        self.run = run

    @classmethod
    def create(
        cls,
        connection: Connection,
        project: Project,
        *,
        tool_version: str,
        subset: Mapping[str, Any] | None = None,
    ) -> Journal:
        """Record the beginning of a run."""
        row = run_sql(
            connection,
            "new_run",
            name=project.manifest.name,
            manifest_digest=project.digest,
            manifest_path=str(project.manifest.path),
            source_schema=project.source.schema,
            target_schema=project.target.schema,
            tool_version=tool_version,
            source_catalog=Jsonb(project.source.to_json()),
            target_catalog=Jsonb(project.target.to_json()),
            process=Jsonb(this_process()),
            subset=None if subset is None else Jsonb(dict(subset)),
        ).fetchone()
        assert row is not None
        return cls(int(row[0]))

    def say(self, connection: Connection, block: str, /, **values: object) -> psycopg.Cursor[tuple[Any, ...]]:
        return run_sql(connection, block, run=self.run, **values)

    def add_steps(self, connection: Connection, steps: Sequence[PlannedStep]) -> None:
        content = [{"id": step.id, "position": i, "phase": step.phase} for i, step in enumerate(steps)]
        self.say(connection, "add_steps", steps=Jsonb(content))

    def done_steps(self, connection: Connection) -> set[str]:
        return {row[0] for row in self.say(connection, "steps") if row[1] == "done"}

    def chunks(self, connection: Connection, mapping: str) -> list[Chunk]:
        return [
            Chunk(row[0], row[1], row[2], row[3], row[4] or 0, row[5] or 0, row[6] or 0, row[7] or 0)
            for row in self.say(connection, "chunks", mapping=mapping)
        ]

    def event(self, connection: Connection, code: str, message: str, **data: object) -> None:
        self.say(connection, "event", code=code, message=message, data=Jsonb(data))
