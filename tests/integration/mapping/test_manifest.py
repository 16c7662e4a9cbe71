"""Manifests resolved against real catalogs, and what is generated for them run on real rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tenantry.catalog import read_catalog
from tenantry.derivation.derived import Reading
from tenantry.derivation.forward import Deriver
from tenantry.errors import ManifestError
from tenantry.manifest import load_manifest
from tenantry.mapping import Project, resolve
from tenantry.mapping.columns import constant_text
from tenantry.mapping.constants import unfit
from tenantry.postgres import literal
from tests.conftest import Database
from tests.isolation.build import build_clinic

SOURCE = """
    create domain old_money as text;
    create table orgs (id text primary key, name text, zone text);
    create table items (
        id int not null, line smallint not null, org text references orgs,
        price old_money, share text, rate double precision, big bigint, mood text collate "C", doc json, seen timestamptz,
        made timestamp, day date, flag int, uid text, note text, code varchar(30), primary key (id, line));
"""
TARGET = """
    create type mood as enum ('good', 'so so');
    create domain share as numeric(5,4) check (value between 0 and 1);
    create table orgs (id uuid primary key, legacy_id text not null, name text not null, zone text not null);
    create table members (org_id uuid not null, id uuid not null, person uuid not null, role text not null,
        primary key (org_id, id));
    create table items (
        org_id uuid not null, id uuid not null, legacy_id text not null,
        price numeric(8,2), share share, rate numeric(6,2), big integer, mood mood, doc jsonb, seen timestamp, made date,
        day timestamptz, flag boolean, uid uuid, note varchar(5), code text not null,
        primary key (org_id, id));
"""
MANIFEST = """
name = "shop"
source = { schema = "old" }
target = { schema = "app", files = ["*.sql"] }
ids = { namespace = "shop" }
tenant = { table = "orgs", column = "org_id" }
membership = { table = "members", profile = "person", role = "role" }
roles = { order = ["guest"] }
[tables.orgs]
from = "orgs"
access = { select = "guest", insert = "super", update = "super", delete = "super" }
[tables.orgs.columns]
name = { null = { default = "nobody's" } }
[tables.members]
access = { select = "guest", insert = "service", update = "service", delete = "service" }
[tables.items]
from = "items"
tenant = ["org"]
access = { select = "guest", insert = "guest", update = "guest", delete = "guest" }
[tables.items.columns]
price = { as = "money", missing = ["-"], invalid = { default = 0 } }
share = { as = "percent" }
made = { as = "local_day", zone = "tenant.zone" }
doc = { as = "json_ids", ids = { "orgs[*]" = "orgs" } }
code = { empty = { correct = "'of ' || tenant.name" }, null = { correct = "'of ' || tenant.name" } }
"""

ROWS = """
    insert into orgs values ('a', 'Ana', 'America/New_York'), ('b', null, 'UTC');
    insert into items values
        (1, 1, 'a', '$1,200.50', '87.5%', 12.5, 7, 'good', '{"orgs": ["a"]}', '2024-01-01 10:00+02', '2024-03-10 03:30',
         '2024-03-10', 1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'abc', 'x'),
        (1, 2, 'b', ' - ', '', null, null, '', null, null, '2024-03-10 00:00', null, null, '', '', null),
        (2, 1, 'a', 'much', '200%', 12.345, 3000000000, 'GOOD', '[]', 'infinity', 'infinity', 'infinity', 2, 'x', 'abcdef', ' ');
"""


def built(database: Database, folder: Path, manifest: str = MANIFEST) -> Project:
    folder.joinpath("app.sql").write_text(TARGET, encoding="utf-8")
    path = folder / "tenantry.toml"
    path.write_text(manifest, encoding="utf-8")
    with database.connect() as connection:
        for schema, script in (("old", SOURCE + ROWS), ("app", TARGET)):
            connection.execute(f"create schema {schema}; set search_path = {schema}".encode())
            connection.execute(script.encode())
        return resolve(load_manifest(path), read_catalog(connection, "old"), read_catalog(connection, "app"))


def previewed(database: Database, project: Project, name: str) -> list[dict[str, Any]]:
    statement = (
        Deriver(project, Reading.PREVIEW)
        .derive(project.mapping(name))
        .statement("select to_jsonb(derived.*) from derived order by __key")
    )
    with database.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        return [row[0] for row in connection.execute(statement.encode())]  # type: ignore[misc]


def test_the_manifest_of_clinic_resolves_and_its_statements_are_plannable(database_each: Database) -> None:
    built = build_clinic(database_each, secured=False)
    names = [mapping.name for mapping in built.project]
    assert len(names) == len(set(names)) == 12
    with built.owner() as owner:
        for mapping in built.project:
            preview = Deriver(built.project, Reading.PREVIEW).derive(mapping)
            owner.execute(("explain " + preview.statement("select count(*) from derived")).encode())


def test_compiled_rules_of_every_kind_run(database_each: Database, tmp_path: Path) -> None:
    project = built(database_each, tmp_path)
    orgs = previewed(database_each, project, "orgs")
    assert [row["name"] for row in orgs] == ["Ana", "nobody's"]
    first, second, third = previewed(database_each, project, "items")
    assert first["__problems"] is None
    assert {name: first[name] for name in ("price", "share", "rate", "big", "mood", "seen", "made", "flag", "note", "code")} == {
        "price": 1200.5, "share": 0.875, "rate": 12.5, "big": 7, "mood": "good", "seen": "2024-01-01T08:00:00",
        "made": "2024-03-09", "flag": True, "note": "abc", "code": "x",
    }  # fmt: skip
    assert first["day"].startswith("2024-03-10T00:00:00")
    assert second["__problems"] is None
    assert {name: second[name] for name in ("price", "share", "mood", "made", "uid", "note", "code")} == {
        "price": None, "share": None, "mood": None, "made": "2024-03-10", "uid": None, "note": "", "code": "of nobody's",
    }  # fmt: skip
    assert (third["price"], third["code"]) == (0, "of Ana")
    invalid = {problem.split(":")[1] for problem in third["__problems"].split(";")}
    assert invalid >= {"share", "rate", "big", "mood", "flag", "uid", "note"}


def test_problems_name_types_as_postgresql_does(database: Database, tmp_path: Path) -> None:
    spoiled = MANIFEST.replace('share = { as = "percent" }', 'share = { as = "percent", null = { default = 12 } }')
    spoiled = spoiled.replace('made = { as = "local_day"', 'day = { as = "local_day"')
    with pytest.raises(ManifestError) as caught:
        built(database, tmp_path, spoiled)
    assert [problem.message for problem in caught.value.problems] == [  # type: ignore[attr-defined]
        "items.made is timestamp without time zone and made is date: a cast would drop part of the value; say what it means"
        ' with as = "local_day" or up = "<SQL>"',
        "12 does not fit numeric(5,4)",
        "'local_day' gives a date, but day is timestamp with time zone",
    ]


CONSTANTS: tuple[str | int | float, ...] = (
    *("", "a", "12", "-3", "1.5", "12.345", "1e3", "abc def", "true", "Yes", "off", "t", "2", "2024-02-29", "2023-02-29"),
    *("2024-02-29 10:00", "2024-02-29T10:00:00+02:00", "infinity", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "so so", "So so"),
    *(0, 1, 2, -1, 32767, 32768, 2**31, 2**63, 999999, 1000000, 1.0, 0.5, 1.25, 1.255, 1e20, 123456789.25, True, False, "NaN"),
)  # fmt: skip
KINDS = (
    *("smallint", "integer", "bigint", "numeric(8,2)", "numeric", "double precision", "boolean", "date", "uuid"),
    *("timestamp with time zone", "timestamp without time zone", "character varying(5)", "text", "mood"),
)


def test_a_constant_that_is_found_fit_is_one_that_the_server_takes(database_each: Database) -> None:
    with database_each.connect() as connection:
        connection.execute("create type mood as enum ('good', 'so so')")
        for kind in KINDS:
            labels = ("good", "so so") if kind == "mood" else None
            for value in CONSTANTS:
                if unfit(value, kind, labels) is None:
                    connection.execute(f"select {_put(value)}::{kind}".encode())
        # And nothing is refused without need.
        assert all(unfit(value, "text", None) is None for value in CONSTANTS)
        assert [unfit(value, "integer", None) for value in (0, -1, 1.0, "12", "2147483647")] == [None] * 5
        assert [unfit(value, "boolean", None) for value in (True, "Yes", "off", 1, 0)] == [None] * 5


def _put(value: str | int | float) -> str:
    return literal(constant_text(value))


def test_the_tenant_table_has_no_column_by_the_name_of_the_tenant_column(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as refused:
        built(database, tmp_path, MANIFEST.replace('column = "org_id"', 'column = "zone"'))
    assert "the tenant table orgs has a column zone of its own" in str(refused.value)
