"""tenantry export: what a migration makes, made again by other tools in an empty database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from alembic import command as alembic
from alembic.config import Config
from sqlalchemy import create_engine

from tenantry.access import roles_sql
from tenantry.accounts.auth_schema import auth_script
from tenantry.catalog import Catalog, read_catalog
from tenantry.manifest import load_manifest
from tenantry.migrate.session.prepare import prepare
from tenantry.postgres import EmbeddedServer, connect
from tests import small as small_application
from tests.conftest import Database, _server, fresh_database
from tests.corpus.load import load
from tests.migrate_support import MANIFEST, OWNER, cli, clone_finished, let_own
from tests.small import make_small

DRAFTED = ("composite_keys", "prisma_cuid")

ENVIRONMENT = """
from alembic import context
context.configure(connection=context.config.attributes["connection"], target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
"""

RICH = """
create type shade as enum ('light', 'dark', 'it''s "odd"');
create domain percent as numeric(5, 2) check (value between 0 and 100);
create table notes (
    org_id uuid not null references orgs (id) deferrable initially immediate,
    id uuid not null default gen_random_uuid(), legacy_id text not null,
    number bigint generated always as identity, title varchar(80) not null, "Mixed Case" text not null default 'a "b" c''d',
    tone shade not null default 'light', tones shade[] not null default '{light}', tags text[], share percent, price numeric(12, 4),
    at timestamptz not null default now(), day date, spent interval, body jsonb not null default '{}', active boolean not null default true,
    shout text generated always as (upper(title)) stored, during tstzrange, place inet, raw bytea, ratio double precision, small smallint,
    parent_id uuid, class text not null default 'x',
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


@pytest.fixture(scope="module", params=("clinic", "rich", *DRAFTED))
def exported(
    servers: dict[int, EmbeddedServer], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exported]:
    """Two applications after their contract, and drafts of the corpus."""
    server = _server(servers, 18)
    if request.param == "clinic":
        with clone_finished(server) as database:
            yield _contracted("clinic", database, database.dsn_as(OWNER), OWNER, MANIFEST, "clinic")
        return
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "rich":
        with make_small(server, folder, target=RICH, tables=RICH_TABLES) as small:
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
            load(request.param).create(connection)
        done = cli("init", str(folder), "--dsn", database.dsn, "--yes")
        assert done.code == 0, done.everything
        manifest = load_manifest(folder / "tenantry.toml")
        let_own(database, manifest)
        with connect(database.dsn_as(OWNER)) as connection:
            planned = prepare(connection, manifest).project.target
        yield Exported(request.param, database.dsn_as(OWNER), OWNER, manifest.path, planned, migrated=False)


def _contracted(name: str, database: Database, dsn: str, owner: str, manifest: Path, schema: str) -> Exported:
    done = cli("contract", "--dsn", dsn, "--manifest", str(manifest), "--yes", "--watch-for", "0")
    assert done.code == 0, done.everything
    return Exported(name, dsn, owner, manifest, catalog_of(database, schema), migrated=True)


@pytest.fixture
def empty(servers: dict[int, EmbeddedServer], exported: Exported) -> Iterator[Database]:
    """An empty database, in which the owner of the tables may create."""
    with fresh_database(_server(servers, 18)) as made:
        with made.connect() as admin:
            admin.execute(f'grant create on database "{made.name}" to {exported.owner}')
            admin.execute(f"alter schema public owner to {exported.owner}")
        yield made


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


def auth_of_others(database: Database, owner: str) -> None:
    """Schema auth as on a Supabase: somebody else's, with the rights on it that the owner of the tables has there."""
    with database.connect() as admin:
        admin.execute(auth_script())
        admin.execute("comment on schema auth is null; alter table auth.users disable row level security")
        admin.execute(f"grant usage on schema auth to {owner}; grant all on all tables in schema auth to {owner}")


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


def test_sql_files_make_the_same_catalog(exported: Exported, empty: Database, tmp_path: Path) -> None:
    written = exported.export("sql", tmp_path)["written"]
    run_scripts(empty, sorted(map(Path, written)), exported.owner)
    same(exported, catalog_of(empty, exported.catalog.schema))


def test_a_supabase_project_makes_the_same_catalog_beside_its_own_accounts(
    exported: Exported, empty: Database, tmp_path: Path
) -> None:
    auth_of_others(empty, exported.owner)
    written = exported.export("supabase", tmp_path, "--owner", exported.owner)["written"]
    assert [path.rpartition("_")[2] for path in written] == ["roles.sql", "context.sql", "schema.sql", "access.sql"]
    assert written == sorted(written)
    run_scripts(empty, list(map(Path, written)), exported.owner)
    same(exported, catalog_of(empty, exported.catalog.schema))


def test_revisions_of_alembic_go_up_and_down(exported: Exported, empty: Database, tmp_path: Path) -> None:
    exported.export("alembic", tmp_path)
    with empty.connect() as admin:
        admin.execute(roles_sql(load_manifest(exported.manifest), owner=exported.owner, database=None))
    (tmp_path / "env.py").write_text(ENVIRONMENT, encoding="utf-8")
    config = Config()
    config.set_main_option("script_location", str(tmp_path))
    config.set_main_option("path_separator", "os")
    # The caller of migrations may have a search path of its own, by which Alembic finds its table.
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(empty.dsn, options=f"-c search_path=public -c role={exported.owner}"),
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.upgrade(config, "tenantry@head")
    same(exported, catalog_of(empty, exported.catalog.schema))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.downgrade(config, "tenantry@base")
    engine.dispose()
    with empty.connect() as admin:
        left = admin.execute(
            "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'"
        )
        assert left.fetchall() == [("public",)]
        assert [each.name for each in catalog_of(empty, "public").tables] == ["alembic_version"]
        granted = admin.execute("select defaclrole::regrole::text, defaclacl::text from pg_default_acl").fetchall()
        assert granted == []
