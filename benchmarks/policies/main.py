"""What row-level security costs: compiled policies against a WHERE by hand without them, and against two usual forms of policies.

All on one table, whose policies are exchanged; times are the server's own (EXPLAIN ANALYZE: planning and execution), the median of
several runs. A statement that takes longer than a minute is cut off, and said to be.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.copying.ground import say
from benchmarks.copying.main import Figure
from tenantry.access import context_sql, cutover_grants, roles_sql, secure_statements
from tenantry.accounts.auth_schema import auth_script
from tenantry.catalog import read_catalog
from tenantry.journal.ddl import journal_ddl
from tenantry.manifest import Manifest, load_manifest
from tenantry.manifest.model import Context
from tenantry.mapping import Project
from tenantry.mapping.check_access import resolve_access
from tenantry.postgres import EmbeddedServer
from tenantry.postgres.seal import SealKey
from tenantry.postgres.tenant import tenant

Connection = psycopg.Connection[tuple[Any, ...]]

CUT = 60
"""Seconds after which a statement is cut off."""
KEY = SealKey.new("bench")
MEMBERSHIPS = (1, 3, 100)

_MANIFEST = """
name = "bench"
source = { schema = "public" }
target = { schema = "app", files = ["app.sql"] }
ids = { namespace = "bench" }
tenant = { table = "tenant", column = "tenant_id", active = "status = 'active'" }
membership = { table = "membership", profile = "profile_id", role = "role", active = "is_active" }
roles = { order = ["viewer", "staff", "admin"] }
users = { from = "person", email = "email", profile = "profile", account = "auth_user_id" }

[tables.tenant]
access = { select = "viewer", insert = "super", update = "admin", delete = "super" }
[tables.profile]
from = "person"
access = { select = { colleagues = "staff", own = "id" }, insert = "service", update = { own = "id" }, delete = "service" }
[tables.membership]
access = { select = "staff", insert = "service", update = "service", delete = "service" }
[tables.reading]
access = { select = "viewer", insert = "staff", update = "staff", delete = "admin" }
"""

_SCHEMA = """
create schema app;
create table public.person (id text primary key, email text);
create table app.tenant (id uuid primary key default gen_random_uuid(), status text not null default 'active');
create table app.profile (id uuid primary key default gen_random_uuid(), auth_user_id uuid unique references auth.users, email text,
    legacy_id text unique);
create table app.membership (
    tenant_id uuid not null references app.tenant, id uuid not null default gen_random_uuid(),
    profile_id uuid not null references app.profile, role text not null, is_active boolean not null default true,
    primary key (tenant_id, id), unique (profile_id, tenant_id)
);
create table app.reading (
    tenant_id uuid not null references app.tenant, id uuid not null default gen_random_uuid(), day date not null,
    amount numeric(12, 2) not null, note text
);
"""

_KEYS = """
alter table app.reading add primary key (tenant_id, id);
create index on app.reading (tenant_id, day);
create index on app.reading (id);
vacuum analyze app.reading
"""

USUAL = {
    "EXISTS": "exists (select from app.membership m join app.profile p on p.id = m.profile_id where m.tenant_id = reading.tenant_id"
    " and p.auth_user_id = (tenantry.claims() ->> 'sub')::uuid and m.is_active)",
    "in (select)": "tenant_id in (select m.tenant_id from app.membership m join app.profile p on p.id = m.profile_id"
    " where p.auth_user_id = (tenantry.claims() ->> 'sub')::uuid and m.is_active)",
}


@dataclass(frozen=True)
class Statement:
    """A query of the application; `by_hand` is the condition that stands there without policies."""

    name: str
    text: str
    by_hand: str
    repeat: int


STATEMENTS = (
    Statement("point lookup", "select amount from app.reading where tenant_id = {tenant} and id = {id}", "", 60),
    Statement("lookup by id alone", "select amount from app.reading where id = {id}", "tenant_id = any ({tenants})", 60),
    Statement("90 days", "select day, amount from app.reading where tenant_id = {tenant} and day > date '2029-10-01'", "", 30),
    Statement("sum of a tenant", "select sum(amount) from app.reading where tenant_id = {tenant}", "", 20),
    Statement("count of all", "select count(*) from app.reading", "tenant_id = any ({tenants})", 10),
    Statement(
        "insert of 1,000",
        "insert into app.reading (tenant_id, day, amount) select {tenant}, date '2030-01-01', n from generate_series(1, 1000) n",
        "", 10,
    ),
    Statement("update", "update app.reading set amount = amount + 1 where tenant_id = {tenant} and id = {id}", "", 30),
)  # fmt: skip


# -- the ground ----------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """A server with the table in it, and people with their memberships."""

    server: EmbeddedServer
    project: Project
    people: dict[int, str]
    """Account by the number of its memberships; 0: the super admin."""
    tenants: dict[int, list[str]]
    row: str

    def owner(self) -> Connection:
        return psycopg.connect(self.server.dsn("bench"), autocommit=True)

    def login(self) -> Connection:
        return psycopg.connect(
            f"{self.server.dsn('bench')} user=tenantry_login", autocommit=True, prepare_threshold=None
        )


def _manifest(folder: Path) -> Manifest:
    path = folder / "tenantry.toml"
    path.write_text(_MANIFEST)
    path.with_name("app.sql").write_text(_SCHEMA)
    return load_manifest(path)


@contextmanager
def world(version: int, rows: int, tenants: int, *, durable: bool = False) -> Iterator[World]:
    """A server with the schema in it; `durable`: its commits wait for the disk, as they do by default."""
    settings = {"shared_buffers": "'512MB'", "fsync": "off", "synchronous_commit": "off", "max_wal_size": "'4GB'",
                "max_parallel_workers_per_gather": "0", "jit": "off"}  # fmt: skip
    if durable:
        settings |= {"fsync": "on", "synchronous_commit": "on"}
    with tempfile.TemporaryDirectory(prefix="tenantry-rls-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedServer(folder, version=version, settings=settings) as server:
            with psycopg.connect(server.dsn(), autocommit=True) as main:
                main.execute("create database bench")
            yield _fill(server, _manifest(folder), rows, tenants)


def _fill(server: EmbeddedServer, manifest: Manifest, rows: int, tenants: int) -> World:
    begun = time.monotonic()
    with psycopg.connect(server.dsn("bench"), autocommit=True) as owner:
        owner.execute(roles_sql(manifest, owner="postgres", database="bench").encode())
        with owner.transaction():
            owner.execute(journal_ddl()[0].encode())
            owner.execute(auth_script().encode())
            owner.execute(_SCHEMA.encode())
            owner.execute(context_sql(manifest).encode())
        KEY.register(owner)
        say(f"PostgreSQL {version_of(owner)}: {rows:,} rows of {tenants:,} tenants …")
        owner.execute("insert into app.tenant (id) select gen_random_uuid() from generate_series(1, %s)", [tenants])
        owner.execute(
            "insert into app.reading (tenant_id, day, amount) select (array(select id from app.tenant order by id))[1 + n %% %s],"
            " date '2020-01-01' + (n / %s) %% 3653, n %% 1000 from generate_series(1, %s) n",
            [tenants, tenants, rows],
        )
        for statement in _KEYS.split(";"):
            owner.execute(statement.encode())
        people, held = {}, {}
        for count in (*MEMBERSHIPS, 0):
            account = _one(owner, "select gen_random_uuid()::text")
            meta = '{"super_admin": true}' if count == 0 else "{}"
            owner.execute("insert into auth.users (id, raw_app_meta_data) values (%s, %s)", [account, meta])
            profile = _one(owner, "insert into app.profile (auth_user_id) values (%s) returning id::text", [account])
            owner.execute(
                "insert into app.membership (tenant_id, profile_id, role) select id, %s, 'staff' from app.tenant order by id limit %s",
                [profile, min(count, tenants)],
            )
            people[count] = account
            held[count] = [
                str(row[0])
                for row in owner.execute(
                    "select id from app.tenant order by id limit %s", [count or tenants]
                ).fetchall()
            ]
        # A thousand others, as there would be.
        owner.execute(
            "with p as (insert into app.profile (email) select 'p' || n from generate_series(1, 5000) n returning id),"
            " t as (select array(select id from app.tenant) as ids)"
            " insert into app.membership (tenant_id, profile_id, role) select t.ids[1 + (random() * %s)::int], p.id, 'viewer' from p, t",
            [tenants - 1],
        )
        owner.execute("vacuum analyze")
        row = _one(owner, "select id::text from app.reading where tenant_id = %s limit 1", [held[1][0]])
        project = resolve_access(manifest, read_catalog(owner, "app"))
    say(f"  {time.monotonic() - begun:.0f} s")
    return World(server, project, people, held, row)


def version_of(connection: Connection) -> int:
    return connection.info.server_version // 10000


def _one(connection: Connection, query: str, parameters: list[Any] | None = None) -> str:
    row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return str(row[0])


# -- measuring -----------------------------------------------------------------------------------------------------------


def policies(place: World, kind: str, *, sealed: bool = True) -> None:
    """Put the table under compiled policies, one of the usual forms, or none."""
    manifest = place.project.manifest.model_copy(update={"context": Context(sealed=sealed)})
    with place.owner() as owner, owner.transaction():
        owner.execute(context_sql(manifest).encode())
        for entry in secure_statements(place.project, owner="postgres"):
            for statement in entry.statements:
                owner.execute(statement.encode())
        for grant in cutover_grants(place.project):
            owner.execute(grant.encode())
        if kind == "compiled":
            return
        for (name,) in owner.execute(
            "select polname::text from pg_policy where polrelid = 'app.reading'::regclass"
        ).fetchall():
            owner.execute(f'drop policy "{name}" on app.reading'.encode())
        owner.execute("grant select on app.membership, app.profile to authenticated")
        if kind == "none":
            owner.execute("alter table app.reading disable row level security")
            return
        owner.execute("alter table app.membership disable row level security")
        owner.execute("alter table app.profile disable row level security")
        owner.execute(
            f"create policy p on app.reading to authenticated using ({USUAL[kind]}) with check ({USUAL[kind]})".encode()
        )


def measure(place: World, kind: str, person: int, *, sealed: bool = True) -> dict[str, float | None]:
    """Milliseconds of each statement; None where it was cut off."""
    claims = {"sub": place.people[person], "role": "authenticated"}
    values = {
        "tenant": f"'{place.tenants[person][0]}'::uuid",
        "id": f"'{place.row}'::uuid",
        "tenants": "array['" + "','".join(place.tenants[person]) + "']::uuid[]",
    }
    found: dict[str, float | None] = {}
    with place.login() as login:
        for statement in STATEMENTS:
            text = statement.text.format(**values)
            if kind == "none" and statement.by_hand:
                joint = " and " if " where " in text else " where "
                text += joint + statement.by_hand.format(**values)
            times: list[float] = []
            begun = time.monotonic()
            cut = False
            for _ in range(statement.repeat):
                try:
                    times.append(_timed(login, claims, text, sealed=sealed))
                except psycopg.errors.QueryCanceled:
                    cut = True
                    break
                if time.monotonic() - begun > CUT and len(times) > 2:
                    break
            found[statement.name] = None if cut else median(times)
    return found


class _Back(Exception):
    """Rolls back."""


def _timed(login: Connection, claims: dict[str, Any], text: str, *, sealed: bool) -> float:
    taken = 0.0
    try:
        with tenant(login, claims, KEY if sealed else None, schema="app", statement_timeout=CUT) as me:
            row = me.execute(f"explain (analyze, timing off, format json) {text}".encode()).fetchone()
            assert row is not None
            taken = row[0][0]["Planning Time"] + row[0][0]["Execution Time"]
            raise _Back
    except _Back:
        return taken


def opening(place: World, *, repeat: int = 400) -> tuple[float, float]:
    """Milliseconds of a transaction with one trivial query: sealed, and with a plain BEGIN; the medians, taken in turns."""
    claims = {"sub": place.people[1], "role": "authenticated"}
    sealed: list[float] = []
    plain: list[float] = []
    with place.login() as login:
        for _ in range(repeat):
            begun = time.perf_counter()
            with tenant(login, claims, KEY, schema="app") as me:
                me.execute("select 1").fetchone()
            sealed.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            with login.pipeline():
                login.execute("begin")
                login.execute("set local role authenticated")
                cursor = login.execute("select 1")
                cursor.fetchone()
            login.execute("commit")
            plain.append(time.perf_counter() - begun)
    return 1000 * median(sealed), 1000 * median(plain)


# -- saying --------------------------------------------------------------------------------------------------------------

_LIMITS = {"count of all": 1.05, "sum of a tenant": 1.05, "90 days": 1.2, "insert of 1,000": 1.2}
_LOOKUP = 0.15


def take(version: int, rows: int, tenants: int, *, show: Console | None) -> list[Figure]:
    figures: list[Figure] = []
    with world(version, rows, tenants) as place:
        policies(place, "none")
        by_hand = {person: measure(place, "none", person) for person in MEMBERSHIPS}
        columns: dict[str, dict[str, float | None]] = {"by hand": by_hand[1]}
        policies(place, "compiled")
        compiled = {person: measure(place, "compiled", person) for person in (*MEMBERSHIPS, 0)}
        columns["compiled"] = compiled[1]
        for person in MEMBERSHIPS[1:]:
            columns[f"by hand, {person} memberships"] = by_hand[person]
            columns[f"compiled, {person} memberships"] = compiled[person]
        columns["compiled, super admin"] = compiled[0]
        opened, plain = opening(place)
        with place.owner() as owner:
            owner.execute("update auth.users set raw_app_meta_data = '{}'")
        alone = measure(place, "compiled", 1)
        policies(place, "compiled", sealed=False)
        columns["compiled, unsealed"] = measure(place, "compiled", 1, sealed=False)
        for kind in USUAL:
            say(f"  {kind} …")
            policies(place, kind)
            columns[kind] = measure(place, kind, 1)
    for name, limit in _LIMITS.items():
        figures += [
            _ratio(version, name, person, compiled[person][name], by_hand[person][name], limit)
            for person in MEMBERSHIPS
        ]
    for name in ("point lookup", "lookup by id alone", "update"):
        more = (compiled[1][name] or 0) - (by_hand[1][name] or 0)
        goal = name == "point lookup"
        figures.append(
            Figure(f"pg{version}: {name}, more than by hand", round(more, 3), "ms", f"<= {_LOOKUP}" if goal else None,
                   more <= _LOOKUP if goal else None)
        )  # fmt: skip
    figures.append(
        Figure(
            f"pg{version}: opening a sealed transaction, more than BEGIN",
            round(opened - plain, 3),
            "ms",
            "<= 0.4",
            opened - plain <= 0.4,
        )
    )
    for name in ("count of all", "point lookup"):
        with_, without = compiled[1][name] or 0, alone[name] or 0
        figures.append(
            Figure(
                f"pg{version}: {name} of a member, with a super admin about / without",
                round(with_ / without, 2),
                "x",
                "<= 1.1",
                with_ <= 1.1 * without,
            )
        )
    for kind in USUAL:
        for name in ("lookup by id alone", "count of all"):
            slow, fast = columns[kind][name], compiled[1][name]
            figures.append(
                Figure(f"pg{version}: {name}, {kind} / compiled" + ("" if slow is not None else f", cut off at {CUT} s"),
                       round((slow if slow is not None else 1000.0 * CUT) / (fast or 1), 1), "x")
            )  # fmt: skip
    if show is not None:
        _print(show, version, columns)
    return figures


def _ratio(version: int, name: str, person: int, ours: float | None, hand: float | None, limit: float) -> Figure:
    value = (ours or 1000.0 * CUT) / (hand or 1)
    title = f"pg{version}: {name}, {person} membership{'' if person == 1 else 's'}, compiled / by hand"
    return Figure(title, round(value, 2), "x", f"<= {limit}", value <= limit)


def _print(show: Console, version: int, columns: dict[str, dict[str, float | None]]) -> None:
    table = Table(title=f"PostgreSQL {version}: milliseconds on the server")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for statement in STATEMENTS:
        cells = [columns[name].get(statement.name) for name in columns]
        table.add_row(statement.name, *(f"> {CUT} s" if cell is None else f"{cell:,.2f}" for cell in cells))
    show.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/rls.py", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument(
        "--version", type=int, action="append", choices=[15, 16, 18], help="default: 18, and 15 where it is there"
    )
    parser.add_argument("--quick", action="store_true", help="200,000 rows")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the tables")
    given = parser.parse_args()
    rows = 200_000 if given.quick else given.rows
    versions = given.version or [18, *([15] if Path("/usr/lib/postgresql/15/bin/postgres").exists() else [])]
    show = None if given.json else Console(width=200)
    figures = [figure for version in versions for figure in take(version, rows, given.tenants, show=show)]
    if show is None:
        print(json.dumps({"figures": [asdict(figure) for figure in figures]}))
        return 0
    table = Table("figure", "value", "goal", "kept")
    for figure in figures:
        kept = "" if figure.met is None else "yes" if figure.met else "no"
        table.add_row(figure.name, f"{figure.value:g} {figure.unit}", figure.goal or "", kept)
    show.print(table)
    return 0
