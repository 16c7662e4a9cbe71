"""What a proof takes: the lint alone, the matrix in place, the attacks on a copy; on Clinic, and on a schema of a hundred tables.

Both are built as a migration builds them, on the embedded server, and are proved without rows of their own: a proof makes its
tenants and people by itself.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.copying.ground import say
from benchmarks.copying.main import Figure
from clinic.migration import MANIFEST
from tenantry.access import context_sql, cutover_grants, roles_sql, secure_statements
from tenantry.accounts.auth_schema import auth_script
from tenantry.catalog import read_catalog
from tenantry.journal.ddl import journal_ddl
from tenantry.manifest import Manifest, load_manifest, target_files
from tenantry.mapping import Project, resolve
from tenantry.postgres import EmbeddedServer, ident
from tenantry.postgres.seal import SealKey
from tenantry.prove.evidence import PARTS, Part, ProofEvidence, ProofOptions, gather
from tenantry.prove.lint.run import run_lint

OWNER = "bench_owner"
KEY = SealKey.new("bench")
LINT_GOAL, CLINIC_GOAL, HUNDRED_GOAL = 2, 60, 240
_LINTS = 5

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Place:
    """A database under the policies of its manifest."""

    name: str
    server: EmbeddedServer
    project: Project

    @property
    def dsn(self) -> str:
        """Of one who may make databases and roles, as a copy needs it."""
        return self.server.dsn(self.name)

    @property
    def tables(self) -> int:
        return len(self.project.target.tables)


# -- the ground ----------------------------------------------------------------------------------------------------------


@contextmanager
def server(version: int) -> Iterator[tuple[EmbeddedServer, Path]]:
    settings = {"fsync": "off", "synchronous_commit": "off", "max_connections": "60"}
    with tempfile.TemporaryDirectory(prefix="tenantry-proof-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedServer(folder, version=version, settings=settings) as started:
            with psycopg.connect(started.dsn(), autocommit=True) as main:
                main.execute(f"create role {OWNER} login".encode())
            yield started, folder


def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement.encode())


def _build(started: EmbeddedServer, manifest: Manifest, source: str, target: Sequence[str]) -> Place:
    """Roles, journal, context, source and target, and its policies, by an owner who is nothing else."""
    name = manifest.name
    with psycopg.connect(started.dsn(), autocommit=True) as main:
        _run(main, f"create database {ident(name)}")
    with psycopg.connect(started.dsn(name), autocommit=True) as admin:
        _run(admin, roles_sql(manifest, owner=OWNER, database=name), f"grant create, usage on schema public to {OWNER}")
    with psycopg.connect(started.dsn(name, OWNER), autocommit=True) as owner:
        with owner.transaction():
            _run(
                owner,
                journal_ddl()[0],
                auth_script(),
                context_sql(manifest),
            )
        KEY.register(owner)
        for schema, texts in ((manifest.source.schema_name, [source]), (manifest.target.schema_name, target)):
            if schema != "public":
                _run(owner, f"create schema {ident(schema)}")
            with owner.transaction():
                _run(owner, f"set local search_path = {ident(schema)}, pg_catalog", *texts)
        project = resolve(
            manifest,
            read_catalog(owner, manifest.source.schema_name),
            read_catalog(owner, manifest.target.schema_name),
        )
        with owner.transaction():
            for entry in secure_statements(project, owner=OWNER):
                _run(owner, *entry.statements)
            _run(owner, *cutover_grants(project))
    return Place(name, started, project)


def clinic(started: EmbeddedServer) -> Place:
    manifest = load_manifest(MANIFEST)
    scripts = [each.read_text(encoding="utf-8") for each in target_files(manifest)]
    legacy = manifest.folder.joinpath("legacy", "schema.sql").read_text(encoding="utf-8")
    return _build(started, manifest, legacy, scripts)


# -- a schema of many tables ---------------------------------------------------------------------------------------------

_MANIFEST = """
name = "many"
source = { schema = "old", ignore = ["people"] }
target = { schema = "app", files = ["app.sql"] }
ids = { namespace = "many" }
tenant = { table = "firm", column = "firm_id", active = "not closed" }
membership = { table = "worker", profile = "person_id", role = "rank", active = "left_at is null" }
roles = { order = ["guest", "clerk", "boss"] }
users = { from = "people", email = "email", profile = "person", account = "account_id" }

[tables.firm]
access = { select = "guest", insert = "super", update = "boss", delete = "super" }
[tables.person]
access = { select = { colleagues = "guest", own = "id" }, insert = "service", update = { own = "id" }, delete = "service" }
[tables.worker]
access = { select = "guest", insert = "service", update = "service", delete = "service" }
"""

_SCHEMA = """
create table firm (id uuid primary key default gen_random_uuid(), name text not null, closed boolean not null default false);
create table person (id uuid primary key default gen_random_uuid(), account_id uuid unique references auth.users, name text not null);
create table worker (firm_id uuid not null references firm, id uuid not null default gen_random_uuid(),
    person_id uuid not null references person, rank text not null, left_at timestamptz,
    primary key (firm_id, id), unique (firm_id, person_id));
"""

_KINDS = (
    'access = { select = "guest", insert = "clerk", update = "clerk", delete = "boss" }',
    'access = { select = { own = "person_id", role = "guest" }, insert = { own = "person_id", role = "guest" },'
    ' update = { own = "person_id", role = "guest" }, delete = "boss" }',
    'access = "managed"',
    'access = { select = "clerk", insert = "boss", update = "boss", delete = "boss", hidden = ["code"] }',
)
"""What the tables let whom do, in turns; each has four policies for clients."""


def _table(number: int) -> str:
    """A table of tenants; all but the first ones hang on one before them."""
    parent = f"foreign key (firm_id, above_id) references item_{number - 7} (firm_id, id)," if number > 7 else ""
    return f"""
create table item_{number} (firm_id uuid not null references firm, id uuid not null default gen_random_uuid(),
    person_id uuid not null, above_id uuid, title text not null, code text, amount numeric(12, 2), day date,
    status text not null default 'new' check (status in ('new', 'seen', 'done')), made_at timestamptz not null default now(),
    foreign key (firm_id, person_id) references worker (firm_id, person_id), {parent}
    primary key (firm_id, id), unique (firm_id, title));
"""


def many(started: EmbeddedServer, folder: Path, tables: int) -> Place:
    """A schema of so many tables, each of a tenant."""
    numbers = range(1, tables - 2)
    said = "".join(f"[tables.item_{number}]\n{_KINDS[number % len(_KINDS)]}\n" for number in numbers)
    script = _SCHEMA + "".join(_table(number) for number in numbers)
    path = folder / "tenantry.toml"
    path.write_text(_MANIFEST + said, encoding="utf-8")
    folder.joinpath("app.sql").write_text(script, encoding="utf-8")
    return _build(
        started, load_manifest(path), "create table people (id text primary key, email text not null);", [script]
    )


# -- measuring -----------------------------------------------------------------------------------------------------------


def lint_seconds(place: Place, *, guess: bool = False) -> float:
    """The median of several."""
    taken = []
    with psycopg.connect(place.server.dsn(place.name, OWNER), autocommit=True) as owner:
        for _ in range(_LINTS):
            begun = time.monotonic()
            run_lint(owner, manifest=None if guess else place.project.manifest)
            taken.append(time.monotonic() - begun)
    return median(taken)


def proof_seconds(place: Place, parts: Sequence[Part], *, on_copy: bool = False) -> tuple[float, ProofEvidence]:
    begun = time.monotonic()
    found = gather(place.project, owner_dsn=place.dsn, options=ProofOptions(parts, on_copy=on_copy))
    taken = time.monotonic() - begun
    if not found.passed:
        said = "; ".join(str(cell) for cell in found.failures[:5])
        raise SystemExit(f"{place.name}: the proof failed, so that its time says nothing. {said}")
    return taken, found


def _below(name: str, value: float, goal: float) -> Figure:
    return Figure(name, round(value, 2), "s", f"< {goal}", value < goal)


def take(version: int, tables: int) -> list[Figure]:
    with server(version) as (started, folder):
        place = clinic(started)
        say(f"PostgreSQL {version}: Clinic, {place.tables} tables …")
        figures = [
            _below("Clinic: lint", lint_seconds(place), LINT_GOAL),
            _below("Clinic: lint without the manifest", lint_seconds(place, guess=True), LINT_GOAL),
        ]
        proved, evidence = proof_seconds(place, PARTS)
        cells = len(evidence.matrix.cells) if evidence.matrix else 0
        attacked, tried = proof_seconds(place, ("attacks",), on_copy=True)
        figures += [
            Figure(f"Clinic: proof in place, {cells} cells", round(proved, 2), "s"),
            Figure(f"Clinic: {len(tried.attacks)} attacks on a copy", round(attacked, 2), "s"),
            _below("Clinic: both together", proved + attacked, CLINIC_GOAL),
        ]
        say(f"{tables} tables …")
        place = many(started, folder, tables)
        figures.append(_below(f"{place.tables} tables: lint", lint_seconds(place), LINT_GOAL))
        proved, evidence = proof_seconds(place, PARTS)
        cells = len(evidence.matrix.cells) if evidence.matrix else 0
        figures.append(_below(f"{place.tables} tables: proof in place, {cells} cells", proved, HUNDRED_GOAL))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/proof.py", description=__doc__)
    parser.add_argument("--tables", type=int, default=100, help="tables of the schema that is made (default 100)")
    parser.add_argument("--version", type=int, default=18, choices=(15, 16, 18), help="PostgreSQL (default 18)")
    parser.add_argument("--quick", action="store_true", help="20 tables")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    given = parser.parse_args()
    figures = take(given.version, 20 if given.quick else given.tables)
    if given.json:
        print(json.dumps({"figures": [asdict(figure) for figure in figures]}))
        return 0
    table = Table("figure", "value", "goal", "kept")
    for figure in figures:
        kept = "" if figure.met is None else "yes" if figure.met else "no"
        table.add_row(figure.name, f"{figure.value:g} {figure.unit}", figure.goal or "", kept)
    Console(width=120).print(table)
    return 0
