"""Users of a home-made table become accounts in auth.users, profiles and memberships, in one run up to the cut-over.

Two thirds have a bcrypt hash that is kept; a fifth have an account already, confirmed or not; some are the same person twice. The
run decides for each, copies, makes accounts and identities, compares every row, and secures the target.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.copying.main import Figure
from tenantry.access import roles_sql
from tenantry.accounts.auth_schema import auth_script
from tenantry.accounts.outcomes import fates
from tenantry.manifest import load_manifest
from tenantry.migrate.run.engine import Migration, Options
from tenantry.migrate.session.prepare import prepare
from tenantry.postgres import EmbeddedServer, connect

OWNER = "bench_owner"
GOAL = 30.0
HASH = "$2a$10$" + "abcdefghijklmnopqrstuv" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ01234"

SOURCE = f"""
create schema old;
create table old.orgs (id text primary key, name text not null);
create table old.users (
    id text primary key, org_id text not null references old.orgs, email text, name text not null, role text not null,
    password_hash text, created_at timestamp(3) not null default now(), updated_at timestamp(3) not null default now());
insert into old.orgs select 'o' || n, 'org ' || n from generate_series(1, 1000) n;
insert into old.users (id, org_id, email, name, role, password_hash)
select 'u' || n, 'o' || 1 + n % 1000, case when n % 50 = 0 then 'U' || n - 1 || '@x.example' else 'u' || n || '@x.example' end,
       'name ' || n, case when n % 10 = 0 then 'boss' else 'hand' end, case when n % 3 > 0 then '{HASH}' end
  from generate_series(1, %(users)s) n;
analyze;
"""

TARGET = """
create type role as enum ('member', 'boss');
create table orgs (id uuid primary key default gen_random_uuid(), legacy_id text not null unique, name text not null);
create table profiles (
    id uuid primary key default gen_random_uuid(), legacy_id text not null unique,
    auth_user_id uuid unique references auth.users (id), email text not null unique, name text not null,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now());
create table members (
    org_id uuid not null references orgs (id), id uuid not null default gen_random_uuid(), legacy_id text not null,
    profile_id uuid not null references profiles (id), role role not null,
    primary key (org_id, id), unique (org_id, legacy_id), unique (org_id, profile_id));
"""

MANIFEST = """
name = "people"
[source]
schema = "old"
[target]
schema = "app"
files = ["*.sql"]
[ids]
namespace = "people"
[tenant]
table = "orgs"
column = "org_id"
[membership]
table = "members"
profile = "profile_id"
role = "role"
[roles]
order = ["member", "boss"]
[users]
from = "users"
profile = "profiles"
account = "auth_user_id"
email = "email"
password = "password_hash"
[tables.orgs]
from = "orgs"
access = { select = "member", insert = "super", update = "boss", delete = "super" }
[tables.profiles]
from = "users"
merge = { by = ["email"], keep = "created_at, legacy_id", reason = "same address" }
access = { select = { colleagues = "member", own = "id" }, insert = "service", update = { own = "id" }, delete = "service" }
[tables.profiles.columns]
email = { as = "email", empty = "quarantine", invalid = "quarantine" }
[tables.members]
from = "users"
part = "membership"
tenant = ["org_id"]
merge = { by = ["org_id", "profile_id"], keep = "role desc", reason = "two users of one person" }
access = { select = "member", insert = "service", update = "service", delete = "service" }
[tables.members.columns]
profile_id = { from = "id", ref = "profiles" }
role = { map = { boss = "boss", hand = "member" } }
"""


def take(version: int, users: int) -> list[Figure]:
    """One run on a fresh server."""
    settings = {"fsync": "off", "max_connections": "40", "shared_buffers": "256MB"}
    with tempfile.TemporaryDirectory(prefix="tenantry-users-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        folder.joinpath("app.sql").write_text(TARGET, encoding="utf-8")
        path = folder / "tenantry.toml"
        path.write_text(MANIFEST, encoding="utf-8")
        manifest = load_manifest(path)
        with EmbeddedServer(folder, version=version, settings=settings) as server:
            with psycopg.connect(server.dsn(), autocommit=True) as main:
                main.execute(f"create role {OWNER} login".encode())
                main.execute(f"create database people owner {OWNER}".encode())
            with psycopg.connect(server.dsn("people"), autocommit=True) as admin:
                admin.execute(roles_sql(manifest, owner=OWNER, database="people").encode())
            dsn = server.dsn("people", OWNER)
            with psycopg.connect(dsn, autocommit=True) as owner:
                owner.execute(auth_script().encode())
                owner.execute(SOURCE.replace("%(users)s", str(users)).encode())
                owner.execute(
                    b"insert into auth.users (id, email, email_confirmed_at) select gen_random_uuid(), email,"
                    b" case when right(id, 1) <> '5' then now() end from old.users where right(id, 1) in ('1', '5')"
                )
                owner.execute(b"analyze auth.users")
            begun = time.monotonic()
            Migration(dsn, manifest, Options(workers=2)).run()
            took = time.monotonic() - begun
            with connect(dsn) as owner:
                project = prepare(owner, manifest).project
                found = {fate.situation.name: fate.count for fate in fates(owner, project)}
                steps = {
                    str(step): float(str(seconds))
                    for step, seconds in owner.execute(
                        "select id, seconds from tenantry.step where id like 'copy.%account%' and seconds is not null"
                    )
                }
    figures = [
        Figure(f"{users:,} users, whole run up to the cut-over", round(took, 1), "s", f"<= {GOAL:g} s", took <= GOAL)
    ]
    figures += [Figure(f"of it {step}", round(seconds, 2), "s", None, None) for step, seconds in sorted(steps.items())]
    figures += [Figure(f"users {name}", count, "", None, None) for name, count in found.items()]
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/users.py", description=__doc__)
    parser.add_argument("--users", type=int, default=200_000, help="users of the source (default 200,000)")
    parser.add_argument("--version", type=int, default=18, choices=(15, 16, 18), help="PostgreSQL (default 18)")
    parser.add_argument("--quick", action="store_true", help="10,000 users")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    given = parser.parse_args()
    figures = take(given.version, 10_000 if given.quick else given.users)
    if given.json:
        print(json.dumps({"figures": [asdict(figure) for figure in figures]}))
        return 0
    table = Table("figure", "value", "goal", "kept")
    for figure in figures:
        kept = "" if figure.met is None else "yes" if figure.met else "no"
        table.add_row(figure.name, f"{figure.value:g} {figure.unit}", figure.goal or "", kept)
    Console(width=120).print(table)
    return 0
