"""A catalog survives JSON, its digest names what it is, and the dictionary and the diagram are made from it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tenantry.catalog import (
    Catalog,
    dictionary_markdown,
    entity_diagram_mermaid,
    read_catalog,
)
from tests.conftest import Database, fresh_database, version_parameters
from tests.integration.catalog.catalog_world import EVERYTHING, SCHEMA, catalog, everything, make_roles, owner, table

__all__ = ["catalog", "everything", "owner"]


# -- JSON and digest -------------------------------------------------------------------------------------------------


def test_a_catalog_survives_a_json_round_trip(catalog: Catalog) -> None:
    assert Catalog.from_json(catalog.to_json()) == catalog


def test_rows_statistics_and_sequences_do_not_change_the_digest(database_each: Database) -> None:
    with database_each.connect() as connection:
        connection.execute("create table t (id int generated always as identity primary key, note text)")
        before = read_catalog(connection, "public")
        connection.execute("insert into t (note) select repeat('x', 100) from generate_series(1, 5000)")
        connection.execute("analyze t")
        after = read_catalog(connection, "public")
    assert table(after, "t").row_estimate == 5000
    assert table(after, "t").size_bytes > table(before, "t").size_bytes
    assert after != before
    assert after.digest() == before.digest()


def test_a_restored_schema_has_the_digest_of_the_first(everything: Database, catalog: Catalog) -> None:
    with fresh_database(everything.server) as again:
        make_roles(again)
        with again.connect(user="cat_owner") as connection:
            connection.execute(EVERYTHING.read_text())
            assert read_catalog(connection, SCHEMA).digest() == catalog.digest()


# What the reader makes of each version is compared above; which part of it the digest covers is no question of the version.
@pytest.mark.parametrize("everything", [version_parameters()[0]], indirect=True)
@pytest.mark.parametrize(
    "ddl",
    [
        "alter table note add extra text",
        "alter table note drop tag",
        "alter table note rename tag to label",
        "alter table note rename to notes",
        "alter table note alter tag type bigint",
        "alter table note alter tag drop default",
        "alter table note alter tag drop not null",
        "alter table note alter id drop identity",
        "alter table note alter id set generated always",
        'alter table "User" alter name_fold drop expression',
        'alter table "User" alter sort type text collate "POSIX"',
        "alter table note drop constraint note_clinic_fkey",
        "alter table membership alter constraint membership_note not deferrable",
        "alter table metric_2024 validate constraint metric_2024_positive",
        "alter table note add check (tag > 0)",
        "create index on note (tag)",
        "create unique index on note (tag)",
        "drop index membership_lower",
        "create trigger more after insert on note for each row execute function touch()",
        'alter table "User" enable trigger touch_off',
        "create policy more on note using (true)",
        'alter policy user_read on "User" to cat_reader',
        'alter policy user_read on "User" using (true)',
        "alter table note enable row level security",
        'alter table "User" no force row level security',
        "grant select on note to cat_reader",
        "grant select (tag) on note to cat_reader",
        'revoke grant option for select on "User" from cat_reader',
        'revoke usage on schema "Clinic App" from cat_reader',
        "grant execute on function people to cat_writer",
        "alter table note replica identity full",
        "drop publication clinic_feed",
        "alter publication clinic_feed add table note",
        "alter table metric detach partition metric_2024",
        "alter table heir no inherit base",
        "alter table keyless set logged",
        "alter table note set (fillfactor = 70)",
        "drop rule keyless_quiet on keyless",
        "drop statistics keyless_stats",
        "comment on table note is 'new'",
        "comment on column note.tag is 'new'",
        "comment on index membership_lower is null",
        "comment on policy user_read on \"User\" is 'new'",
        'comment on trigger touch_user on "User" is null',
        "create or replace view \"Staff\" as select 1 as id, 'x'::varchar(80) as clinic",
        'alter view "Staff" set (security_invoker = false)',
        "drop materialized view notes_per_clinic",
        "create or replace function touch() returns trigger language plpgsql as $$ begin return null; end $$",
        "alter function touch() security definer",
        "alter function touch() set search_path = pg_catalog",
        "drop procedure tidy",
        "alter sequence ticket increment by -2",
        "alter sequence ticket owned by note.tag",
        "alter type \"Role\" add value 'owner'",
        "alter type \"Role\" rename value 'staff' to 'team'",
        "alter domain email drop not null",
        "alter domain email add check (length(value) < 200)",
        "alter type address add attribute city text",
        "create type more as enum ()",
        'comment on schema "Clinic App" is null',
    ],
)
def test_each_change_of_the_schema_changes_the_digest(
    owner: psycopg.Connection[Any], catalog: Catalog, ddl: str
) -> None:
    owner.execute(ddl.encode())
    assert read_catalog(owner, SCHEMA).digest() != catalog.digest()


# -- dictionary and diagram ------------------------------------------------------------------------------------------


def test_the_dictionary_of_a_schema_is_the_same_on_every_version(catalog: Catalog) -> None:
    text = dictionary_markdown(catalog, title="Clinic")
    assert text.startswith("# Clinic\n\nAll there is\n\n## Contents\n\n- Tables (11)\n")
    assert "| `clinicId` | `text` | no |  | Where she works \\| or not |" in text
    assert "- Partition of `metric_rest`: `metric_rest_a` `FOR VALUES IN ('a', 'b')`" in text
    assert "- References: `clinic`, `note` to [note](#table-note) (`clinic`, `id`), on delete set null (`note`)" in text
    assert "- Row-level security: forced, 2 policies" in text
    assert "Labels, in order: `viewer`, `staff`, `admin`" in text


def test_the_diagram_of_a_schema_has_its_keys_and_relations(catalog: Catalog) -> None:
    lines = entity_diagram_mermaid(catalog).splitlines()
    assert lines[0] == "erDiagram"
    assert [line.strip() for line in lines if " : " in line] == [
        '"Clinic" ||..o{ "User" : "clinicId"',
        '"User" |o..o{ "User" : "manager"',
        '"note" |o..o{ "membership" : "clinic, note"',
        '"User" ||--o{ "membership" : "person"',
        '"metric" |o..o{ "metric_link" : "day, clinic"',
        '"Clinic" ||--o{ "note" : "clinic"',
    ]
