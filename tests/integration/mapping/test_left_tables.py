"""Source tables that are left where they are: the target refers to them by their own ids, and they survive the contract."""

from __future__ import annotations

import psycopg
import pytest

from tests.small import MakeSmall, target_table

SOURCE = """
create table countries (id serial primary key, code text not null unique);
create table zones (code text primary key, country_id int references countries (id));
insert into countries (code) values ('at'), ('de'), ('fr');
insert into zones values ('vie', 1), ('muc', 2);
create table sites (id text primary key, org_id text not null references "Organization" (id), country_id int references countries (id),
    zone text not null);
insert into sites values ('s1', 'o1', 1, 'vie'), ('s2', 'o2', 2, 'muc'), ('s3', 'o2', null, 'lost');
"""
TARGET = (
    target_table(
        "sites",
        ", country_id int references public.countries (id) deferrable initially immediate,"
        " zone text not null references public.zones (code) deferrable initially immediate",
    )
    + "create index on sites (country_id); create index on sites (zone);"
)
TABLES = """
[tables.sites]
from = "sites"
access = { select = "member", insert = "admin", update = "admin", delete = "admin", unseen = ["country_id", "zone"] }
"""


def test_the_target_refers_to_them_and_they_stay(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES, section='left = ["countries", "zones"]')
    found = [each for each in app.run("analyze", "--json").json["findings"] if each["code"] == "TA-303"]
    assert [(each["table"], each["column"], each["keys"]) for each in found] == [("sites", "zone", ["s3"])]
    app.migrate()
    sites = "select legacy_id, country_id, zone from app.sites order by 1"
    assert app.rows(sites) == [("s1", 1, "vie"), ("s2", 2, "muc")]
    assert app.rows("select source_key, reason from tenantry.quarantine") == [("s3", "reference_missing")]
    # The target is behind here; that must not keep an application from deleting what nothing of the source needs.
    app.write("update sites set zone = 'muc', country_id = 3 where id = 's1'", "delete from zones where code = 'vie'")
    app.write("delete from countries where id = 1", "update sites set zone = 'muc' where id = 's3'")
    app.run("replay", "--until-idle", code=0)
    assert app.rows(sites) == [("s1", 3, "muc"), ("s2", 2, "muc"), ("s3", None, "muc")]
    app.run("verify", code=0)

    app.cut_over()
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        app.as_owner("update app.sites set zone = 'nowhere' where legacy_id = 's1'")
    app.as_owner(
        "insert into public.zones values ('new', null)", "update app.sites set zone = 'new' where legacy_id = 's2'"
    )
    app.roll_back()
    assert app.one("select zone from public.sites where id = 's2'") == "new"
    assert app.one("select count(*) from pg_constraint where confrelid = 'public.zones'::regclass") == 0
    app.run("verify", code=0)

    app.cut_over()
    # Clients see none of their rows, and name them all the same, as `unseen` says.
    app.run("prove", code=0)
    app.run("contract", "--yes", code=0)
    assert app.one("select count(*) from zones") == 2
    keys = "select bool_and(convalidated) and count(*) = 2 from pg_constraint where confrelid in ('zones'::regclass, 'countries'::regclass)"
    assert app.one(f"{keys} and conrelid = 'app.sites'::regclass")


def test_what_cannot_be_left_is_refused(small: MakeSmall) -> None:
    app = small(
        source=SOURCE,
        target=TARGET,
        tables=TABLES,
        section='left = ["countries", "sites"]\nignore = ["countries", "zones"]',
    )
    said = app.run("analyze", code=2).everything
    assert "countries is named in ignore" in said
    assert "sites fills a target table" in said
    assert "sites refers to public.zones by sites_zone_fkey" in said


def test_both_sides_name_them_in_a_dual_write_window(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES, section='left = ["countries", "zones"]')
    app.write("update sites set zone = 'muc' where id = 's3'")
    app.migrate()
    app.run("cutover", "--dual-write", "1h", code=0)
    app.write("insert into zones values ('new', null)", "update sites set zone = 'new' where id = 's1'")
    # The target names the row until the next round.
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        app.write("delete from zones where code = 'vie'")
    app.run("replay", "--until-idle", code=0)
    app.write("delete from zones where code = 'vie'")
    app.as_owner("update app.sites set zone = 'new', country_id = 3 where legacy_id = 's2'")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        app.as_owner("update app.sites set zone = 'vie' where legacy_id = 's3'")
    app.run("replay", "--until-idle", code=0)
    assert app.rows("select id, country_id, zone from public.sites order by 1") == [
        ("s1", 1, "new"), ("s2", 3, "new"), ("s3", None, "muc"),
    ]  # fmt: skip
    app.run("verify", code=0)
    app.cut_over()
    app.roll_back()
    app.run("verify", code=0)


def test_access_to_them_is_decided_in_the_manifest(small: MakeSmall) -> None:
    decided = 'left = ["countries", "zones"]\n[source.access]\ncountries = "public"\nzones = "signed_in"'
    app = small(
        source=SOURCE,
        target=TARGET,
        tables=TABLES.replace(', unseen = ["country_id", "zone"]', ""),
        section=decided,
        after="grant select on countries to anon; grant insert on zones to anon; grant usage on schema public to anon;",
    )
    found = [each for each in app.run("analyze", "--json").json["findings"] if each["code"] == "TA-170"]
    assert [(each["table"], each["title"]) for each in found] == [("zones", "is left where it is, and open to anon")]
    app.write("update sites set zone = 'muc' where id = 's3'")
    app.migrate()
    may = (
        "select r.rolname, t.name, has_table_privilege(r.rolname, 'public.' || t.name, 'select')"
        " from pg_roles r, unnest(array['countries', 'zones']) t (name) where r.rolname in ('anon', 'authenticated') order by 1, 2"
    )
    reading = [
        ("anon", "countries", True),
        ("anon", "zones", False),
        ("authenticated", "countries", True),
        ("authenticated", "zones", True),
    ]
    assert app.rows(may) == reading
    app.cut_over()
    # Clients name these rows without a check of their own, since they see them all; a right that was not decided is reported.
    said = app.run("prove", "--json", code=1).json["matrix"]
    assert [(each["name"], each["violations"]) for each in said["checks"] if each["violations"]] == [
        ("left_table_rights", ["public.zones: INSERT for anon is extra"])
    ]
    assert said["cells"] and all(each["passed"] for each in said["cells"])
    app.as_superuser("revoke insert on zones from anon", "revoke select on zones from authenticated")
    different = app.run("access", "diff", "--json", code=1).json["differences"]
    assert [(each["what"], each["state"]) for each in different if each["on"] == "public.zones"] == [
        ("SELECT for authenticated", "missing")
    ]
    app.run("access", "apply", "--yes", code=0)
    assert app.rows(may) == reading
    app.roll_back()
    app.run("rollback", "--everything", "--yes", code=0)
    # What was granted before stays.
    assert app.rows(may) == [(*each[:2], each == ("anon", "countries", True)) for each in reading]


def test_access_is_decided_for_left_tables_without_policies_alone(small: MakeSmall) -> None:
    app = small(
        source=SOURCE + "alter table zones enable row level security;",
        target=TARGET,
        tables=TABLES,
        section='left = ["countries", "zones"]\n[source.access]\nzones = "public"\nsites = "signed_in"',
    )
    said = app.run("analyze", code=2).everything
    assert "zones has row-level security of its own" in said and "sites is not in left" in said
