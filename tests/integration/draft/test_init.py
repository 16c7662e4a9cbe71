"""tenantry init, and tenantry analyze without a manifest: from a connection string to a migration that runs."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tenantry.catalog import read_catalog
from tenantry.manifest import load_manifest
from tenantry.postgres import EmbeddedServer
from tenantry.prisma import prisma_sql, read_prisma
from tests.conftest import Database, fresh_database, running_server
from tests.corpus.load import load, names
from tests.migrate_support import cli, let_own

PRISMA = [name for name in names() if load(name).prisma is not None]


def counted(database: Database, statement: str) -> object:
    with psycopg.connect(database.dsn) as connection:
        row = connection.execute(statement.encode()).fetchone()
        assert row is not None
        return row[0]


def test_clinic_is_drafted_migrated_proved_and_rolled_back_without_an_edit(legacy: Database, tmp_path: Path) -> None:
    address = ("--dsn", legacy.dsn)
    drafted = json.loads(cli("init", str(tmp_path), *address, "--json").out)
    assert drafted["valid"], drafted["problem"]
    assert "QUESTIONS.md" in drafted["files"]
    here = ("--manifest", str(tmp_path / "tenantry.toml"), *address)
    assert cli("analyze", *here).code == 0
    assert cli("migrate", *here).code == 0
    assert cli("verify", *here).code == 0
    assert cli("prove", *here).code == 0
    assert cli("cutover", *here).code == 0
    assert counted(legacy, "select count(*) from app.clinics") == counted(legacy, "select count(*) from public.clinics")
    assert cli("rollback", *here, "--yes").code == 0
    assert cli("rollback", *here, "--everything", "--yes").code == 0
    assert counted(legacy, "select count(*) from pg_namespace where nspname = 'app'") == 0


def test_a_database_without_tenants_becomes_the_first_of_many(
    servers: dict[int, EmbeddedServer], tmp_path: Path
) -> None:
    with fresh_database(running_server(servers, 18)) as database:
        corpus = load("single_shop")
        with database.connect() as connection:
            corpus.create(connection)
            corpus.fill(connection, scale=0.1)
        address = ("--dsn", database.dsn)
        drafted = json.loads(
            cli("init", str(tmp_path), *address, "--tenant", "constant", "--name", "shop", "--json").out
        )
        assert drafted["valid"], drafted["problem"]
        here = ("--manifest", str(tmp_path / "tenantry.toml"), *address)
        let_own(database, load_manifest(tmp_path / "tenantry.toml"))
        for arguments in (["migrate"], ["cutover"], ["verify"]):
            said = cli(*arguments, *here)
            assert said.code == 0, said.everything
        assert counted(database, "select name from app.tenants") == "shop"
        assert counted(database, "select count(*) from app.memberships") == counted(
            database, "select count(*) from staff"
        )
        assert counted(database, "select count(distinct tenant_id) from app.orders") == 1


def test_analyze_without_a_manifest_describes_the_database_without_a_change(
    legacy: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with psycopg.connect(legacy.dsn) as connection:
        before = read_catalog(connection, "public").digest()
    said = json.loads(cli("analyze", "--dsn", legacy.dsn, "--json").out)
    found = said["survey"]
    assert found["tenants"][0]["table"] == "clinics"
    assert found["users"][0]["table"] == "users"
    undeclared = {
        (each["place"]["table"], each["place"]["path"], each["parent"])
        for each in found["references"]
        if not each["declared"]
    }
    assert undeclared == {
        ("dashboards", "widgets[*].id", "widgets"),
        ("widgets", "providerIds[*]", "providers"),
        ("widgets", "metricDefinitionIds[*]", "metric_definitions"),
    }
    assert any(each["code"] == "TA-203" for each in said["findings"])
    text = cli("analyze", "--dsn", legacy.dsn)
    assert text.code == 0
    assert "Candidates for the tenant" in text.out
    with psycopg.connect(legacy.dsn) as connection:
        assert read_catalog(connection, "public").digest() == before
    assert counted(legacy, "select count(*) from pg_namespace where nspname in ('app', 'tenantry')") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_login_that_may_only_read_gets_the_survey(
    legacy: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a standby: nothing is written, not even in a transaction that is rolled back."""
    monkeypatch.chdir(tmp_path)
    dsn = f"{legacy.dsn} options='-c default_transaction_read_only=on'"
    said = json.loads(cli("analyze", "--dsn", dsn, "--json").out)
    assert said["survey"]["tenants"][0]["table"] == "clinics"
    assert "read-only here" in said["not_drafted"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tenant", "clinic"], "Did you mean 'clinics'"),
        (["--users", "nobody"], "there is no table 'nobody'"),
        (["--person", "--tenant", "clinics"], "exclude each other"),
    ],
)
def test_what_init_cannot_do_it_says(legacy: Database, tmp_path: Path, options: list[str], said: str) -> None:
    found = cli("init", str(tmp_path), "--dsn", legacy.dsn, *options)
    assert found.code == 2
    assert said in found.everything
    assert list(tmp_path.iterdir()) == []


def test_prisma_schemas_give_the_catalog_that_prisma_makes(servers: dict[int, EmbeddedServer]) -> None:
    for name in PRISMA:
        corpus = load(name)
        assert corpus.prisma is not None
        digests = []
        for text in (corpus.schema_sql, prisma_sql(read_prisma(corpus.prisma))):
            with fresh_database(running_server(servers, 18)) as database, psycopg.connect(database.dsn) as connection:
                connection.execute(text.encode())
                digests.append(read_catalog(connection, "public").digest())
        assert digests[0] == digests[1], name


def test_a_schema_of_files_is_drafted_without_its_database(
    servers: dict[int, EmbeddedServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the server that is named; without one it would be the embedded one."""
    with fresh_database(running_server(servers, 18)) as database:
        corpus = load("prisma_cuid")
        assert corpus.prisma is not None
        drafts = []
        sql = tmp_path / "schema.sql"
        sql.write_text(corpus.schema_sql, encoding="utf-8")
        for way in (["--prisma", str(corpus.prisma)], ["--sql", str(sql)]):
            folder = tmp_path / way[0].strip("-") / "x"
            said = json.loads(cli("init", str(folder), "--dsn", database.dsn, *way, "--json").out)
            assert said["valid"], said["problem"]
            drafts.append({file.relative_to(folder): file.read_text() for file in folder.rglob("*.sql")})
        assert drafts[0] == drafts[1]
        sql.write_text("create table a (id int primary key);\ncreate table b (x nothing);\n", encoding="utf-8")
        wrong = cli("init", str(tmp_path / "y"), "--dsn", database.dsn, "--sql", str(sql))
        assert wrong.code == 2
        assert 'schema.sql:2: type "nothing" does not exist' in wrong.everything
        sql.write_text("create table a (t text);\ncreate index on a using gin (t gin_trgm_ops);\n", encoding="utf-8")
        wrong = cli("init", str(tmp_path / "y"), "--dsn", database.dsn, "--sql", str(sql))
        assert "come with an extension" in wrong.everything
        with psycopg.connect(database.dsn) as connection:
            left = connection.execute(
                "select count(*) from pg_database where datname like 'tenantry_scratch%'"
            ).fetchone()
            assert left == (0,)
