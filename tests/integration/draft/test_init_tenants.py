"""Drafts whose tenants are no table's rows, and paths of which one is sometimes missing."""

from __future__ import annotations

from pathlib import Path

from tenantry.postgres import EmbeddedServer
from tests.conftest import fresh_database, running_server
from tests.corpus.load import load
from tests.integration.mapping.test_tenants_from_values import values_application
from tests.migrate_support import cli
from tests.small import MakeSmall

TWO_PATHS = """
drop table "User", "Organization";
drop type "Role";
create table organizations (id text primary key, name text not null, above_id text references organizations (id));
create table users (id text primary key, email text not null unique);
create table members (id text primary key, organization_id text not null references organizations, user_id text not null references users,
    role text not null);
create table boards (id text primary key, organization_id text not null references organizations (id), name text not null);
create table cards (id text primary key, organization_id text references organizations (id), board_id text not null references boards (id),
    name text not null);
insert into organizations select 'o' || i, 'Org ' || i from generate_series(1, 3) i;
insert into users select 'u' || i, 'u' || i || '@example.org' from generate_series(1, 6) i;
insert into members select 'm' || i, 'o' || 1 + i % 3, 'u' || i, 'owner' from generate_series(1, 6) i;
insert into boards select 'b' || i, 'o' || 1 + i % 3, 'B' || i from generate_series(1, 6) i;
insert into cards select 'c' || i, case when i % 4 > 0 then 'o' || 1 + (i + i / 10) % 3 end, 'b' || 1 + i % 6, 'C' || i
    from generate_series(1, 40) i;
"""


def test_each_value_of_a_column_is_drafted_as_a_tenant(small: MakeSmall) -> None:
    app = values_application(small)
    folder = app.folder / "draft"
    said = app.run("init", str(folder), "--tenant", "projects.company", "--json", code=0).json
    assert said["valid"], said["problem"]
    text = (folder / "tenantry.toml").read_text(encoding="utf-8")
    for line in ('table = "companies"', 'values = { column = "name" }', 'tenant = ["company -> companies"]'):
        assert line in text, text
    asked = {each["about"]: each for each in said["questions"]}
    assert any("different values in" in each for each in asked["tenant.values"]["evidence"])
    sql = "".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.sql"))
    assert "company text" not in sql and "company_id uuid not null" in sql, sql
    found = app.run("analyze", "--manifest", str(folder / "tenantry.toml"), "--json").json["findings"]
    assert {"TA-165", "TA-166"} <= {each["code"] for each in found}
    for wrong, words in (
        ("projects.compan", "Did you mean 'company'?"),
        ("project.company", "Did you mean 'projects'?"),
    ):
        assert words in app.run("init", str(app.folder / "no"), "--tenant", wrong, code=2).everything


def test_without_a_value_of_their_own_people_become_members_later(small: MakeSmall) -> None:
    app = values_application(small)
    app.as_owner("alter table users drop column company")
    said = app.run("init", str(app.folder / "draft"), "--tenant", "projects.company", "--json", code=0).json
    assert said["valid"], said["problem"]
    assert any(each["about"] == "memberships" and "Nobody" in each["chosen"] for each in said["questions"])


def test_a_path_that_is_sometimes_missing_gets_a_fallback(small: MakeSmall) -> None:
    app = small(source=TWO_PATHS)
    folder = app.folder / "draft"
    said = app.run("init", str(folder), "--json", code=0).json
    text = (folder / "tenantry.toml").read_text(encoding="utf-8")
    assert 'fallback = ["' in text[text.index("[tables.cards]") :], text
    (asked,) = [each for each in said["questions"] if each["about"] == "cards" and "disagree" in each["question"]]
    assert "fallback" in asked["chosen"]
    # Tenants name a tenant above: rights go down only where somebody says so.
    (nested,) = [each for each in said["questions"] if each["about"] == "tenant.above_id"]
    assert "parent =" not in text
    manifest = folder / "tenantry.toml"
    manifest.write_text(text.replace("[tenant]\n", '[tenant]\nparent = "above_id"\n'), encoding="utf-8")
    assert 'parent = "above_id"' in nested["alternatives"][0]
    app.run("analyze", "--manifest", str(manifest), code=0)


def test_the_plant_of_the_corpus_is_drafted_by_its_sites(servers: dict[int, EmbeddedServer], tmp_path: Path) -> None:
    corpus = load("partitions_and_domains")
    with fresh_database(running_server(servers, 18)) as database:
        with database.connect() as connection:
            corpus.create(connection)
            corpus.fill(connection)
            connection.commit()
        found = cli("init", str(tmp_path), "--dsn", database.dsn, "--json", "--yes")
        assert found.json["valid"], found.everything
        text = (tmp_path / "tenantry.toml").read_text(encoding="utf-8")
        assert 'table = "sites"' in text, text
        assert text.count('"site -> sites"') >= 4, text
