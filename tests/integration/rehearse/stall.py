"""A small application for rehearsals, its copies, and fingerprints of an original that must not change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tenantry.dbcopy import fill
from tenantry.dbcopy.duplicate import duplicated
from tenantry.dbcopy.maker import CopyOptions, CopyReports
from tenantry.dbcopy.original import Copy, reading
from tenantry.manifest import Manifest, load_manifest
from tenantry.migrate.run.engine import Options
from tenantry.postgres import EmbeddedServer
from tests.conftest import Database
from tests.migrate_support import let_own, rows, source_digest

QUICK = Options(workers=2, chunk_rows=50, lock_patience=60)

# -- a small application -------------------------------------------------------------------------------------------------

LEGACY = """
create table shops (id integer primary key, name text not null, changes integer not null default 0);
create table people (id integer primary key, shop_id integer not null references shops, mail text not null, kind text not null);
create table items (id integer primary key, shop_id integer not null references shops, title varchar(12), price numeric(10,2));
insert into shops select n, 'shop ' || n from generate_series(1, 3) n;
insert into people select n, 1 + n % 3, 'p' || n || '@example.com', 'boss' from generate_series(1, 6) n;
insert into items select n, 1 + n % 3, case when n % 5 > 0 then 'item ' || n end, n from generate_series(1, 120) n;
"""

TARGET = """
create type kind as enum ('hand', 'boss');
create table shops (id uuid primary key default gen_random_uuid(), legacy_id text not null unique, name text not null,
    changes integer not null);
create table people (id uuid primary key default gen_random_uuid(), legacy_id text not null unique,
    account_id uuid unique references auth.users (id), mail text not null unique,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now());
create table members (shop_id uuid not null references shops (id), id uuid not null default gen_random_uuid(),
    legacy_id text not null, person_id uuid not null references people (id), role kind not null,
    primary key (shop_id, id), unique (shop_id, legacy_id), unique (shop_id, person_id));
create table items (shop_id uuid not null references shops (id), id uuid not null default gen_random_uuid(),
    legacy_id text not null, title text, price numeric(10,2), primary key (shop_id, id), unique (shop_id, legacy_id));
"""

ONLY_MEMBERS = """
create function only_members() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if not pg_has_role(session_user, (select c.relowner from pg_class c where c.oid = tg_relid), 'member')
       and (tenantry.profile_id() is null or not new.shop_id = any (tenantry.tenants('boss'))) then
        raise exception 'no member of this shop writes';
    end if;
    return new;
end
$$;
create trigger only_members before update on items for each row execute function only_members();
create trigger only_members before update on members for each row execute function only_members();
"""

ACCESS = 'access = { select = "hand", insert = "boss", update = "boss", delete = "boss" }'

TOML = f"""
name = "stall"
[source]
schema = "public"
[target]
schema = "stall"
files = ["target.sql"]
[ids]
namespace = "stall"
[tenant]
table = "shops"
column = "shop_id"
[membership]
table = "members"
profile = "person_id"
role = "role"
[roles]
order = ["hand", "boss"]
[users]
from = "people"
email = "mail"
profile = "people"
account = "account_id"
[tables.shops]
from = "shops"
access = {{ select = "hand", insert = "super", update = "boss", delete = "super" }}
[tables.people]
from = "people"
access = {{ select = {{ colleagues = "hand", own = "id" }}, insert = "service", update = {{ own = "id" }}, delete = "service" }}
[tables.people.columns]
mail = {{ as = "email" }}
[tables.members]
from = "people"
part = "member"
{ACCESS}
[tables.members.columns]
person_id = {{ from = "id", ref = "people" }}
role = {{ from = "kind", map = {{ boss = "boss", hand = "hand" }} }}
[tables.items]
from = "items"
{ACCESS}
"""

STALL_OWNER, REHEARSER = "stall_owner", "rehearsal_login"
"""Owns the tables, and the database where a test lets it; and a login that may make databases, and acts as Clinic's owner."""


def make_role(server: EmbeddedServer, statement: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        # Roles are the cluster's: workers would stand in each other's way.
        admin.execute("select pg_advisory_lock(4711)")
        admin.execute(f"do $$ begin {statement}; exception when duplicate_object or unique_violation then null; end $$")


def make_stall(database: Database, folder: Path, target: str = TARGET, toml: str = TOML) -> tuple[Database, Manifest]:
    (folder / "target.sql").write_text(target)
    (folder / "tenantry.toml").write_text(toml)
    manifest = load_manifest(folder / "tenantry.toml")
    make_role(database.server, f"create role {STALL_OWNER} login createdb")
    with database.connect() as admin:
        admin.execute(LEGACY.encode())
        let_own(database, manifest, owner=STALL_OWNER)
        admin.execute(
            sql.SQL("alter database {} owner to {}").format(sql.Identifier(database.name), sql.Identifier(STALL_OWNER))
        )
    return database, manifest


def copies(database: Database) -> dict[str, str]:
    """Databases of the server that come from this one, with their comments."""
    return {
        str(name): str(comment)
        for name, comment in rows(
            database,
            "select datname, shobj_description(oid, 'pg_database') from pg_database where starts_with(datname, %s)",
            [f"{database.name}_"],
        )
    }


def untouched(database: Database, schema: str = "public") -> tuple[Any, ...]:
    """A fingerprint that shows any write: the schema, every row with its version, and the other schemas."""
    with database.connect() as admin:
        tables = [
            str(name)
            for (name,) in admin.execute(
                "select oid::regclass::text from pg_class where relnamespace = %s::regnamespace and relkind = 'r' order by 1",
                [schema],
            )
        ]
        sums = [
            admin.execute(
                f"select count(*), sum(hashtextextended(t::text, 0)::numeric), max(xmin::text::bigint), max(ctid) from {table} t"
            ).fetchone()
            for table in tables
        ]
        around = admin.execute(
            "select array(select nspname::text from pg_namespace where nspname !~ '^pg_' order by 1),"
            # What the catalogs themselves were written by last: a rolled back attempt would not be seen by the rows.
            " (select max(xmin::text::bigint) from pg_class where oid >= 16384),"
            " (select max(xmin::text::bigint) from pg_trigger), (select max(xmin::text::bigint) from pg_namespace)"
        ).fetchone()
    return source_digest(database, schema), tables, sums, around


@contextmanager
def copied(
    database: Database, manifest: Manifest, options: CopyOptions | None = None, reports: CopyReports | None = None
) -> Iterator[Copy]:
    with (
        reading(database.dsn_as(STALL_OWNER), manifest) as (connection, original),
        duplicated(connection, original, manifest, options, reports) as copy,
    ):
        yield copy


def without_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "find_program", lambda _name: None)
