"""tenantry export: what a migration makes, made again by other tools in an empty database."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from alembic import command as alembic
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Table, create_engine, select
from sqlalchemy.orm import Session, configure_mappers
from sqlalchemy.schema import SchemaItem

from tenantry.access import roles_sql
from tenantry.accounts.auth_schema import auth_script
from tenantry.manifest import load_manifest
from tenantry.postgres import EmbeddedServer
from tenantry.prisma import prisma_sql, read_prisma
from tests.conftest import Database, fresh_database, running_server
from tests.export_support import (
    DRAFTED,
    Exported,
    application,
    bare,
    catalog_of,
    differences,
    models_of,
    run_scripts,
    same,
    stated_by_prisma,
)
from tests.migrate_support import cli

CHECK = """
import sys
import django
from django.conf import settings
from django.core.management import call_command
sys.path.insert(0, sys.argv[1])
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql"}}, INSTALLED_APPS=["django.contrib.postgres", "exported"],
    USE_TZ=True,
)
django.setup()
call_command("check", fail_level="WARNING")
"""

ENVIRONMENT = """
from alembic import context
if context.is_offline_mode():
    context.configure(dialect_name="postgresql")
else:
    context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
"""


@pytest.fixture(scope="module", params=("clinic", "rich", *DRAFTED))
def exported(
    servers: dict[int, EmbeddedServer], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exported]:
    with application(request.param, running_server(servers, 18), tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture
def empty(servers: dict[int, EmbeddedServer], exported: Exported) -> Iterator[Database]:
    """An empty database, in which the owner of the tables may create."""
    with fresh_database(running_server(servers, 18)) as made:
        with made.connect() as admin:
            admin.execute(f'grant create on database "{made.name}" to {exported.owner}')
            admin.execute(f"alter schema public owner to {exported.owner}")
        yield made


def auth_of_others(database: Database, owner: str) -> None:
    """Schema auth as on a Supabase: owned by another role, with the rights that the tables' owner has there."""
    with database.connect() as admin:
        admin.execute(auth_script())
        admin.execute("comment on schema auth is null; alter table auth.users disable row level security")
        admin.execute(f"grant usage on schema auth to {owner}; grant all on all tables in schema auth to {owner}")


def test_sql_files_make_the_same_catalog(exported: Exported, empty: Database, tmp_path: Path) -> None:
    said = exported.export("sql", tmp_path)
    written = said["written"]
    assert said["changed"] == []
    run_scripts(empty, sorted(map(Path, written)), exported.owner)
    same(exported, catalog_of(empty, exported.catalog.schema))


def test_a_supabase_project_gets_the_same_catalog_and_keeps_its_accounts(
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
    assert_nothing_is_left(empty)
    if exported.name == "rich":  # its texts have per cent signs, colons and backslashes
        script = config.output_buffer = StringIO()
        alembic.upgrade(config, "tenantry@head", sql=True)
        with empty.connect() as admin:
            admin.execute(f"drop table alembic_version; set role {exported.owner}")
            admin.execute(script.getvalue().encode())
        same(exported, catalog_of(empty, exported.catalog.schema))


def assert_nothing_is_left(empty: Database) -> None:
    with empty.connect() as admin:
        left = admin.execute(
            "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'"
        )
        assert left.fetchall() == [("public",)]
        assert [each.name for each in catalog_of(empty, "public").tables] == ["alembic_version"]
        granted = admin.execute("select defaclrole::regrole::text, defaclacl::text from pg_default_acl").fetchall()
        assert granted == []


# Alembic does not compare indexes with operator classes.
@pytest.mark.filterwarnings("ignore:Expression #")
def test_models_of_sqlalchemy_are_the_tables(exported: Exported, empty: Database, tmp_path: Path) -> None:
    exported.export("sqlalchemy", tmp_path)
    models = models_of(tmp_path / "models.py")
    schema = exported.catalog.schema
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        configure_mappers()
    keys = [
        key
        for table in exported.catalog.tables
        if not table.partition_of
        for key in table.foreign_keys
        if key.ref_schema == schema
    ]
    related = [each for mapper in models.Base.registry.mappers for each in mapper.relationships]
    assert len(related) == len([key for key in keys if not key.inherited]) > 0
    if exported.name != "clinic":  # its checks call functions of its own
        with empty.connect() as admin:
            admin.execute(auth_script())
            admin.execute(f"create schema {schema} authorization {exported.owner}")
            admin.execute(
                f"grant usage on schema auth to {exported.owner}; grant references on auth.users to {exported.owner}"
            )
        engine = create_engine(
            "postgresql+psycopg://", creator=lambda: psycopg.connect(empty.dsn, options=f"-c role={exported.owner}")
        )
        with engine.begin() as connection:
            models.Base.metadata.create_all(connection)
        engine.dispose()
        got, want = (replace(bare(each), views=()) for each in (catalog_of(empty, schema), exported.catalog))
        found = differences(got, want)
        assert not found, "\n".join(found[:40])
    if exported.migrated:
        partitions = {each.name for each in exported.catalog.tables if each.partition_of}

        def is_ours(each: SchemaItem, name: str | None, *_: object) -> bool:
            return not isinstance(each, Table) or (each.schema == schema and name not in partitions)

        engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(exported.dsn))
        with engine.connect() as connection:
            options = {
                "compare_type": True, "include_schemas": True, "include_object": is_ours,
                "include_name": lambda name, kind, _: kind != "schema" or name == schema,
            }  # fmt: skip
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, models.Base.metadata) == []
        with Session(engine) as session:  # a row leads to the one that its key names
            for each in related:
                key = [column for column, _ in each.local_remote_pairs]
                row = session.scalars(
                    select(each.parent.class_).where(*(column.is_not(None) for column in key)).limit(1)
                ).first()
                assert row is None or getattr(row, each.key) is not None, each
        engine.dispose()


def test_a_prisma_schema_survives_a_round_trip(exported: Exported, empty: Database, tmp_path: Path) -> None:
    written = exported.export("prisma", tmp_path)["written"]
    with empty.connect() as admin:
        admin.execute(roles_sql(load_manifest(exported.manifest), owner=exported.owner, database=None))
    migrations = [Path(path) for path in written if path.endswith("migration.sql")]
    assert [path.parent.name.rpartition("_")[2] for path in migrations] == ["accounts", "context", "schema", "access"]
    run_scripts(empty, migrations, exported.owner)
    same(exported, catalog_of(empty, exported.catalog.schema))
    # In a schema of the same name: types and defaults name it.
    schema = exported.catalog.schema
    with empty.connect() as admin:
        admin.execute(f"alter schema {schema} rename to migrated")
        admin.execute(f"create schema {schema}")
        made = prisma_sql(read_prisma(tmp_path / "schema.prisma"))
        for domain in exported.catalog.domains:
            admin.execute(f"create domain {schema}.{domain.name} as {domain.base}")
        # Functions that defaults call.
        admin.execute(f"set search_path = {schema}; set check_function_bodies = off")
        for function in exported.catalog.functions:
            if function.returns != "trigger" and function.definition is not None:
                admin.execute(function.definition.encode())
        admin.execute(made.encode())
    got, want = stated_by_prisma(catalog_of(empty, schema)), stated_by_prisma(exported.catalog)
    assert got.keys() == want.keys()
    for name in want:
        assert got[name] == want[name], name


def test_models_of_django_pass_its_checks(exported: Exported, tmp_path: Path) -> None:
    exported.export("django", tmp_path / "exported")
    (tmp_path / "exported" / "__init__.py").touch()
    # Settings are those of a process.
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("exported", ["rich"], indirect=True)
def test_models_have_what_was_added_since_the_cut_over(exported: Exported, tmp_path: Path) -> None:
    with psycopg.connect(exported.dsn, autocommit=True) as owner:
        owner.execute("alter table app.notes add column added_later integer")
        try:
            for form in ("sqlalchemy", "django", "prisma"):
                said = exported.export(form, tmp_path / form)
                # The migrations of prisma are the files' SQL, which does not have the column.
                assert said["changed"] == (["notes: column added_later was added"] if form == "prisma" else [])
        finally:
            owner.execute("alter table app.notes drop column added_later")
    for file in ("sqlalchemy/models.py", "django/models.py", "prisma/schema.prisma"):
        assert "added_later" in (tmp_path / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("exported", ["composite_keys"], indirect=True)
def test_an_export_that_cannot_be_says_why_and_writes_nothing(exported: Exported, tmp_path: Path) -> None:
    address = ("--manifest", str(exported.manifest), "--dsn", exported.dsn)
    unknown = cli("export", "rails", "--output", str(tmp_path), *address)
    assert (unknown.code, "Choose one of: alembic" in unknown.everything) == (2, True)
    nowhere = cli("export", "sql", *address)
    assert (nowhere.code, "--output schema" in nowhere.everything) == (2, True)
    (tmp_path / "04_access.sql").write_text("mine\n", encoding="utf-8")
    foreign = cli("export", "sql", "--output", str(tmp_path), *address)
    assert (foreign.code, "TN-113" in foreign.everything) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["04_access.sql"]
