"""The applications that the campaign takes there and back: their data, their manifest, and how both sides are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from clinic.migration.legacy import create_schema, load
from tenantry.manifest import Manifest, load_manifest
from tenantry.mapping import Project
from tenantry.postgres import connect
from tests.chaos import depot, faults
from tests.chaos.compare import compare as compare_clinic
from tests.chaos.depot.check import compare as compare_depot
from tests.chaos.depot.rows import read_tokens as depot_tokens
from tests.chaos.depot.writes import DepotSource, DepotTarget
from tests.chaos.faults import Ground
from tests.chaos.ledger import Connection, Held, Side, read_tokens
from tests.chaos.load import State
from tests.conftest import Database
from tests.migrate_support import MANIFEST, OWNER, let_own

VALUES, CLINICS, SEED = 1000, 3, 7
_DEPOT = Path(depot.__file__).parent


@dataclass(frozen=True)
class Application:
    """One of them.

    Attributes:
        fill: makes its old database.
        target: the schema of its new tables.
        meaning: what kind of tables it has.
    """

    name: str
    meaning: str
    manifest_path: Path
    fill: Callable[[Database], None]
    compare: Callable[[Database, Project, State], list[str]]
    read_tokens: Callable[[Connection, Side], Held]
    target: str
    ground: Ground
    apart: tuple[tuple[str, ...], tuple[str, ...], frozenset[str]] | None = None
    """For a dual-write window: transactions of the old application and of the new one that write other tables, and the tables of
    the new one."""

    @property
    def manifest(self) -> Manifest:
        return load_manifest(self.manifest_path)


def _fill_clinic(database: Database) -> None:
    with connect(database.dsn) as connection:
        create_schema(connection, "public")
        load(connection, values=VALUES, clinics=CLINICS, seed=SEED)
    let_own(database, load_manifest(MANIFEST))


def _fill_depot(database: Database) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as admin:
        admin.execute((_DEPOT / "source.sql").read_bytes())
    let_own(database, load_manifest(_DEPOT / "tenantry.toml"))


CLINIC = Application(
    "clinic",
    f"a small Clinic ({VALUES:,} metric values, {CLINICS} clinics): texts as keys, people who are merged, rows in quarantine",
    MANIFEST,
    _fill_clinic,
    lambda database, project, state: compare_clinic(database, project, state, owner=OWNER),
    read_tokens,
    "clinic",
    faults.CLINIC,
)
DEPOT = Application(
    "depot",
    "a depot (2,100 rows): keys that are numbers and keys of several columns, keys that change and cascade, a partitioned table, a"
    " table that refers to itself, numbers from sequences",
    _DEPOT / "tenantry.toml",
    _fill_depot,
    lambda database, project, state: compare_depot(database, project, state, owner=OWNER),
    depot_tokens,
    "app",
    Ground(
        ("articles", "lines", "events", "folders", "notes"),
        "app",
        ("articles", "lines", "events", "folders", "notes"),
        "insert into notes (id, org, token) values (gen_random_uuid()::text, 'o1', 'never')",
        "update articles set stock = stock + length(%s)",
    ),
    (
        tuple(name for name in DepotSource.WEIGHTS if any(word in name for word in ("article", "line", "folder"))),
        tuple(name for name in DepotTarget.WEIGHTS if any(word in name for word in ("event", "note"))),
        frozenset({"events", "notes"}),
    ),
)
APPLICATIONS = {each.name: each for each in (CLINIC, DEPOT)}

__all__ = ["APPLICATIONS", "CLINIC", "CLINICS", "DEPOT", "VALUES", "Application"]
