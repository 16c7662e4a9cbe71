"""Applications whose targets are exported, and a database that was made by an export, with people of two tenants."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from types import ModuleType
from uuid import UUID, uuid4

import psycopg

from tenantry.catalog import Catalog, read_catalog
from tenantry.manifest import load_manifest
from tenantry.migrate.session.prepare import prepare
from tenantry.postgres import EmbeddedServer, connect
from tests import small as small_application
from tests.conftest import Database, fresh_database
from tests.corpus.load import load
from tests.isolation.build import KEY
from tests.migrate_support import MANIFEST, OWNER, cli, clone_finished, let_own
from tests.small import make_small

_number = count()
DRAFTED = ("composite_keys", "prisma_cuid")

RICH = """
create type shade as enum ('light', 'dark', 'it''s "odd"');
create domain percent as numeric(5, 2) check (value between 0 and 100);
create table notes (
    org_id uuid not null references orgs (id) deferrable initially immediate,
    id uuid not null default gen_random_uuid(), legacy_id text,
    number bigint generated always as identity, title varchar(80) not null, "Mixed Case" text not null default 'a "b" c''d',
    tone shade not null default 'light', tones shade[] not null default '{light}', tags text[], share percent, price numeric(12, 4),
    at timestamptz not null default now(), day date, spent interval, body jsonb not null default '{}', active boolean not null default true,
    shout text generated always as (upper(title)) stored, during tstzrange, place inet, raw bytea, ratio double precision, small smallint,
    parent_id uuid, turn serial, class text not null default 'x',
    primary key (org_id, id), unique (org_id, legacy_id), unique nulls not distinct (org_id, day), check (length(title) > 1),
    constraint not_twice exclude using gist (during with &&),
    foreign key (org_id, parent_id) references notes (org_id, id) on delete set null (parent_id) deferrable initially immediate
);
comment on table notes is 'What was noted; it''s 100 % "free" text: \\ and :name.';
comment on column notes.tone is 'How it was meant.';
create index notes_title_idx on notes (org_id, lower(title) text_pattern_ops) where active;
create index notes_tags_idx on notes using gin (tags);
create index notes_at_idx on notes (org_id, at desc nulls last) include (title);
create table readings (
    org_id uuid not null references orgs (id) deferrable initially immediate,
    id uuid not null default gen_random_uuid(), at timestamptz not null, value double precision,
    primary key (org_id, id, at)
) partition by range (at);
create table readings_2025 partition of readings for values from ('2025-01-01') to ('2026-01-01');
create table readings_rest partition of readings default;
"""
RICH_TABLES = """
[tables.notes.access]
select = "member"
insert = "member"
update = "member"
delete = "admin"
[tables.readings.access]
select = "member"
insert = "member"
update = "admin"
delete = "admin"
"""


@dataclass(frozen=True)
class Exported:
    """An application whose target is exported.

    Attributes:
        catalog: the target's as a migration leaves it, or as it is planned.
        migrated: it is the former, with policies and rights.
    """

    name: str
    dsn: str
    owner: str
    manifest: Path
    catalog: Catalog
    migrated: bool

    def export(self, form: str, folder: Path, *more: str) -> dict[str, list[str]]:
        said = cli(
            "export",
            form,
            "--output",
            str(folder),
            "--manifest",
            str(self.manifest),
            "--dsn",
            self.dsn,
            "--json",
            *more,
        )
        assert said.code == 0, said.everything
        found: dict[str, list[str]] = json.loads(said.out)
        return found


@contextmanager
def application(name: str, server: EmbeddedServer, folder: Path, *, migrated: bool = True) -> Iterator[Exported]:
    """Clinic or `rich`, after their contract unless they shall not be migrated, or a draft of the corpus."""
    if name == "clinic":
        with clone_finished(server) as database:
            yield _contracted("clinic", database, database.dsn_as(OWNER), OWNER, MANIFEST, "clinic")
        return
    if name == "rich":
        with make_small(server, folder, target=RICH, tables=RICH_TABLES) as small:
            if not migrated:
                with connect(small.dsn) as connection:
                    planned = prepare(connection, small.manifest).project.target
                yield Exported("rich", small.dsn, small_application.OWNER, small.path, planned, migrated=False)
                return
            small.migrate()
            small.cut_over()
            # Rights that the database's own default privileges gave.
            small.as_owner(
                *(f"revoke all on all {kind} in schema app from small_web" for kind in ("tables", "sequences"))
            )
            yield _contracted("rich", small.database, small.dsn, small_application.OWNER, small.path, "app")
        return
    with fresh_database(server) as database:
        with database.connect() as connection:
            load(name).create(connection)
        done = cli("init", str(folder), "--dsn", database.dsn, "--yes")
        assert done.code == 0, done.everything
        manifest = load_manifest(folder / "tenantry.toml")
        let_own(database, manifest)
        with connect(database.dsn_as(OWNER)) as connection:
            planned = prepare(connection, manifest).project.target
        yield Exported(name, database.dsn_as(OWNER), OWNER, manifest.path, planned, migrated=False)


def _contracted(name: str, database: Database, dsn: str, owner: str, manifest: Path, schema: str) -> Exported:
    done = cli("contract", "--dsn", dsn, "--manifest", str(manifest), "--yes", "--watch-for", "0")
    assert done.code == 0, done.everything
    return Exported(name, dsn, owner, manifest, catalog_of(database, schema), migrated=True)


def catalog_of(database: Database, schema: str) -> Catalog:
    with psycopg.connect(database.dsn) as connection:
        return read_catalog(connection, schema)


def differences(got: Catalog, want: Catalog) -> list[str]:
    """Where two catalogs differ, for a message that can be read; what changes while a schema stays the same is left out."""
    ours, theirs = (set(_lines("", each.to_json())) for each in (got, want))
    return sorted([f"only made: {each}" for each in ours - theirs] + [f"missing: {each}" for each in theirs - ours])


def _lines(path: str, value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key not in ("size_bytes", "row_estimate", "last_value", "database", "server_version"):
                yield from _lines(f"{path}.{key}", each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            name = each.get("name", number) if isinstance(each, dict) else number
            yield from _lines(f"{path}[{name}]", each)
    else:
        yield f"{path} = {value}"


def run_scripts(database: Database, files: list[Path], owner: str) -> None:
    """As psql does: the script of the roles as a superuser, others as the owner."""
    for file in files:
        with database.connect() as connection:
            if "roles" not in file.name:
                connection.execute(f"set session authorization {owner}")
            connection.execute(file.read_text(encoding="utf-8").encode())


def same(exported: Exported, got: Catalog) -> None:
    """The catalog is that of the target, with its policies and rights where it was migrated."""
    want = exported.catalog
    if not exported.migrated:
        got, want = bare(got), bare(want)
    found = differences(got, want)
    assert not found, "\n".join(found[:40])
    assert got.digest() == want.digest()


def bare(catalog: Catalog) -> Catalog:
    """Without what the access matrix adds."""
    return replace(
        catalog,
        grants=(),
        tables=tuple(
            replace(
                each, policies=(), grants=(), rls_enabled=False, rls_forced=False,
                triggers=tuple(one for one in each.triggers if not one.name.startswith("tenantry_")),
            ) for each in catalog.tables
        ),
        views=tuple(replace(each, grants=()) for each in catalog.views),
        sequences=tuple(replace(each, grants=()) for each in catalog.sequences),
        functions=(),
    )  # fmt: skip


def models_of(path: Path) -> ModuleType:
    """The module that a file is, without a place among the modules that were imported."""
    spec = spec_from_file_location(f"exported_{path.stem}_{next(_number)}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass
class World:
    """A database that the SQL export of `rich` made, with two tenants; each has a member, who has an account."""

    exported: Exported
    database: Database
    orgs: list[UUID] = field(default_factory=list)
    people: list[UUID] = field(default_factory=list)

    def fill(self) -> None:
        with self.database.connect() as admin:
            KEY.register(admin)
            for name in ("One", "Two"):
                org, person, account = uuid4(), uuid4(), uuid4()
                admin.execute("insert into auth.users (id, email) values (%s, %s)", [account, f"{account}@a.example"])
                admin.execute("insert into app.orgs (id, name) values (%s, %s)", [org, name])
                admin.execute(
                    "insert into app.people (id, account_id, email) values (%s, %s, %s)",
                    [person, account, f"{account}@a.example"],
                )
                admin.execute(
                    "insert into app.members (org_id, person_id, role) values (%s, %s, 'admin')", [org, person]
                )
                admin.execute(
                    "insert into app.notes (org_id, title, day) values (%s, %s, '2026-01-01')", [org, f"Of {name}"]
                )
                self.orgs.append(org)
                self.people.append(account)

    @property
    def login_dsn(self) -> str:
        return self.database.dsn_as("tenantry_login")

    def claims(self, number: int) -> dict[str, object]:
        return {"sub": str(self.people[number]), "role": "authenticated"}

    def titles(self) -> list[tuple[object, ...]]:
        """What a superuser sees, of all tenants."""
        with self.database.connect() as admin:
            return admin.execute("select org_id, title from app.notes order by title").fetchall()


@contextmanager
def made_by_export(server: EmbeddedServer, folder: Path) -> Iterator[World]:
    with application("rich", server, folder, migrated=False) as exported, fresh_database(server) as database:
        with database.connect() as admin:
            admin.execute(f'grant create on database "{database.name}" to {exported.owner}')
        written = exported.export("sql", folder / "sql")["written"]
        run_scripts(database, sorted(map(Path, written)), exported.owner)
        world = World(exported, database)
        world.fill()
        yield world


def stated_by_prisma(catalog: Catalog) -> dict[str, object]:
    """What the schema language of Prisma can say of a catalog, by table and enum."""
    found: dict[str, object] = {each.name: each.labels for each in catalog.enums}
    for table in catalog.tables:
        if table.partition_of is not None:
            continue
        columns = {
            each.name: (
                each.type,
                each.nullable or each.type.endswith("[]"),
                None
                if each.identity or each.generated or (each.default or "").startswith("nextval(")
                else each.default,
            )
            for each in table.columns
        }
        keys = {
            each.name: (
                each.columns,
                each.ref_table,
                each.ref_columns,
                each.on_update,
                each.on_delete if not each.on_delete_columns else "no action",
            )
            for each in table.foreign_keys
            if each.ref_schema == catalog.schema
        }
        indexes = {
            each.name: (each.columns, each.unique, each.method)
            for each in table.indexes
            if each.predicate is None and not each.included and not each.nulls_not_distinct and None not in each.columns
            if "exclude" not in each.name and " NULLS " not in each.definition and "_ops" not in each.definition
            if each.constraint is None or table.constraint(each.constraint).kind != "exclusion"  # type: ignore[union-attr]
        }
        found[f"table {table.name}"] = (columns, keys, indexes)
    return found
