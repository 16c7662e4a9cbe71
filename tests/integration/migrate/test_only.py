"""A pilot with some tenants first: exactly their rows and the rows that these need, kept synchronized, continued, or rolled back."""

# ruff: noqa: ARG002 - observers are given more than each of them looks at

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry.errors import JournalMismatch, NotReady, SubsetWrong, TenantryError
from tenantry.manifest import Manifest, load_manifest
from tenantry.migrate.observe.status import read_status
from tenantry.migrate.run.compare_sides import compare_sides
from tenantry.migrate.run.engine import Migration, Outcome
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.observer import Observer, Silent
from tenantry.migrate.switch.cutover import cut_over
from tenantry.migrate.switch.rollback import roll_back
from tenantry.plan import Step
from tests.conftest import Database
from tests.integration.migrate.test_generic_schema import OWNER as SHOP_OWNER
from tests.integration.migrate.test_generic_schema import Shop, fresh_shop
from tests.migrate_support import (
    OPTIONS,
    OWNER,
    TOKENS,
    clinic_manifest,
    decrypted,
    end_state,
    engine,
    let_own,
    one,
    rows,
    source_digest,
)
from tests.small import MakeSmall

__all__ = ["fresh_shop"]


@dataclass(frozen=True)
class Place:
    """A source with its manifest, and who owns it."""

    database: Database
    manifest: Manifest
    owner: str
    schema: str
    source: str = "public"

    def migrate(self, only: str | None = None, *, rest: bool = False, observer: Observer | None = None) -> Outcome:
        dsn = self.database.dsn_as(self.owner)
        return Migration(dsn, self.manifest, OPTIONS, observer, only=only, rest=rest).run()

    def take_back(self) -> None:
        roll_back(self.database.dsn_as(self.owner), self.manifest, everything=True)

    def catch_up(self) -> None:
        """Carry over what was written, and compare everything."""
        with RunHandle(self.database.dsn_as(self.owner), self.manifest) as live:
            live.check()
            live.catch_up(small=0, quick=0)
            failed = [check for check in compare_sides(live) if not check.passed]
            assert failed == []

    def write(self, *statements: str) -> None:
        with self.database.connect() as application:
            for statement in statements:
                application.execute(statement)

    def state(self) -> dict[str, Any]:
        return end_state(self.database, schema=self.schema, unstable=TOKENS)

    def rows(self, table: str, where: str = "true", leave: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
        """Target rows by their old ids."""
        found = {}
        for key, row in rows(
            self.database, f"select legacy_id, to_jsonb(t) from {self.schema}.{table} t where {where}"
        ):
            found[str(key)] = {name: value for name, value in row.items() if name not in leave}
        return found

    def original(self) -> tuple[str, dict[str, tuple[int, str]], list[Any]]:
        """The source to the byte, and the other schemas."""
        content = {
            table: state
            for table, state in end_state(self.database, schema=self.source).items()
            if not table.startswith(("auth.", "tenantry."))
        }
        schemas = rows(self.database, "select nspname from pg_namespace where nspname !~ '^pg_' order by 1")
        return source_digest(self.database, self.source), content, schemas


@pytest.fixture
def clinics(legacy: Database) -> Place:
    return Place(legacy, clinic_manifest(), OWNER, "clinic")


def first_two(place: Place) -> tuple[list[str], str]:
    """Two tenants of four, and the condition that chooses them."""
    keys = [str(key) for (key,) in rows(place.database, "select id from clinics order by id limit 2")]
    return keys, "clinics.id in (" + ", ".join(f"'{key}'" for key in keys) + ")"


# -- Clinic --------------------------------------------------------------------------------------------------------------

SCOPED = (
    "providers", "google_credentials", "user_clinic_roles", "goals", "spreadsheet_connections", "dashboards", "metric_values",
    "column_mappings", "widgets",
)  # fmt: skip

BELONGS = {
    "clinics": "select id from clinics where id = any (%(keys)s)",
    "profiles": "select id from users where lower(btrim(email)) in"
    " (select lower(btrim(email)) from users where clinic_id = any (%(keys)s))",
    "metric_definitions": "select id from metric_definitions",
    "providers": "select id from providers where clinic_id = any (%(keys)s)",
    "google_credentials": "select id from data_sources where clinic_id = any (%(keys)s)",
    "user_clinic_roles": "select id from users where clinic_id = any (%(keys)s)",
    "goals": "select g.id from goals g left join providers p on p.id = g.provider_id"
    " where g.clinic_id = any (%(keys)s) or p.clinic_id = any (%(keys)s)",
    "spreadsheet_connections": "select id from data_sources where clinic_id = any (%(keys)s)",
    "dashboards": "select d.id from dashboards d join users u on u.id = d.user_id where u.clinic_id = any (%(keys)s)",
    "metric_values": "select m.id from metric_values m left join providers p on p.id = m.provider_id"
    " left join data_sources d on d.id = m.data_source_id"
    " where m.clinic_id = any (%(keys)s) or p.clinic_id = any (%(keys)s) or d.clinic_id = any (%(keys)s)",
    "column_mappings": "select c.id from column_mappings c join data_sources d on d.id = c.data_source_id"
    " where d.clinic_id = any (%(keys)s)",
    "widgets": "select w.id from widgets w join dashboards d on d.id = w.dashboard_id join users u on u.id = d.user_id"
    " where u.clinic_id = any (%(keys)s)",
}
"""Which source rows belong to a trial, said again by hand: a row with several ways belongs to it by any of them."""


def test_a_trial_has_exactly_the_rows_of_its_tenants_and_the_rest_makes_what_one_run_would_have_made(
    clinics: Place, finished: Database
) -> None:
    whole = Place(finished, clinic_manifest(), OWNER, "clinic")
    keys, condition = first_two(clinics)
    outcome = clinics.migrate(condition)
    accounts = {account.mapping: account for account in outcome.accounts}
    quarantine = "select mapping, source_key, problems, reason, original from tenantry.quarantine order by 1, 2"
    merged = "select mapping, source_key, into_key from tenantry.merged order by 1, 2"
    for name, belongs in BELONGS.items():
        inside = {str(key) for (key,) in rows(clinics.database, belongs, {"keys": keys})}
        leave = tuple(column.rpartition(".")[2] for column in TOKENS)
        want = {key: row for key, row in whole.rows(name, leave=leave).items() if key in inside}
        assert clinics.rows(name, leave=leave) == want, name
        for query in (quarantine, merged):
            wanted = [row for row in rows(finished, query) if row[0] == name and row[1] in inside]
            assert [row for row in rows(clinics.database, query) if row[0] == name] == wanted, name
        account = accounts[name]
        assert account.source - account.outside == len(inside), name
        assert account.balanced
    assert accounts.keys() == BELONGS.keys()
    # Some rows were quarantined, merged, and left outside, so the assertions above are not vacuous.
    assert all(
        sum(getattr(account, part) for account in accounts.values()) for part in ("quarantined", "merged", "outside")
    )
    assert one(clinics.database, "select count(*) from auth.users") == len(clinics.rows("profiles"))
    assert {row[0] for row in rows(clinics.database, "select source_key from tenantry.account_link")} <= {
        str(key) for (key,) in rows(clinics.database, BELONGS["profiles"], {"keys": keys})
    }

    # The rest leaves what is there as it is.
    there = {table: clinics.rows(table) for table in SCOPED}
    outcome = clinics.migrate(rest=True)
    assert all(account.balanced and not account.outside for account in outcome.accounts)
    for table, before in there.items():
        kept = clinics.rows(table)
        assert {key: kept[key] for key in before} == before, table
    cut_over(clinics.database.dsn_as(OWNER), clinic_manifest())
    state, got = whole.state(), clinics.state()
    assert {name: (state.get(name), found) for name, found in got.items() if state.get(name) != found} == {}
    assert decrypted(clinics.database) == decrypted(finished)


def test_writes_during_a_pilot_affect_only_chosen_tenants(clinics: Place) -> None:
    (here, _), condition = first_two(clinics)
    there = str(one(clinics.database, "select max(id) from clinics"))
    clinics.migrate(condition)
    database = clinics.database
    comes = one(
        database,
        "select p.id from providers p where clinic_id = %s and exists (select from metric_values where provider_id = p.id) limit 1",
        [there],
    )
    goes = one(
        database,
        "select p.id from providers p where clinic_id = %s and exists (select from metric_values where provider_id = p.id) limit 1",
        [here],
    )
    moved = one(database, "select id from users where clinic_id = %s and role <> 'admin' order by id limit 1", [there])
    assert comes not in clinics.rows("providers")
    assert moved not in clinics.rows("profiles")
    clinics.write(
        f"update providers set clinic_id = '{here}' where id = '{comes}'",
        f"update metric_values set clinic_id = '{here}' where provider_id = '{comes}'",
        f"update providers set clinic_id = '{there}' where id = '{goes}'",
        f"update metric_values set clinic_id = '{there}' where provider_id = '{goes}'",
        f"update users set clinic_id = '{here}' where id = '{moved}'",
        f"insert into users select 'late', 'Late@new.example', 'Late', role, null, '{here}', created_at, updated_at from users limit 1",
        f"insert into users select 'far', 'LATE@new.example', 'Far', role, null, '{there}', created_at + interval '1 day', updated_at"
        " from users limit 1",
        f"insert into clinics select '{here}-new', name, location, status, created_at, updated_at from clinics where id = '{here}'",
        f"update users set name = 'Elsewhere' where clinic_id = '{there}'",
    )
    clinics.catch_up()
    assert comes in clinics.rows("providers")
    assert goes not in clinics.rows("providers")
    values = clinics.rows("metric_values")
    by_provider = "select id from metric_values where provider_id = %s"
    quarantined = {
        row[0] for row in rows(database, "select source_key from tenantry.quarantine where mapping = 'metric_values'")
    }
    merged = {
        row[0] for row in rows(database, "select source_key from tenantry.merged where mapping = 'metric_values'")
    }
    assert {row[0] for row in rows(database, by_provider, [comes])} <= values.keys() | quarantined | merged
    assert not {row[0] for row in rows(database, by_provider, [goes])} & values.keys()
    assert {moved, "late"} <= clinics.rows("profiles").keys()
    # The same person, by their address, in another clinic.
    assert rows(database, "select into_key from tenantry.merged where source_key = 'far'") == [("late",)]
    assert f"{here}-new" not in clinics.rows("clinics")
    assert one(database, "select count(*) from tenantry.source_log") == 0


class Killed(Silent):
    """The server ends every session of the run when a step begins, once for each step named."""

    def __init__(self, place: Place, *steps: str) -> None:
        self._place, self.left = place, list(steps)

    def started(self, step: Step, *, rows: int, done_rows: int) -> None:
        if step.id in self.left:
            self.left.remove(step.id)
            with self._place.database.connect() as admin:
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and starts_with(application_name, 'tenantry')"
                )


def run_killed(place: Place, killer: Killed, only: str | None, *, rest: bool = False) -> int:
    """Run until it ends well; how often it did not."""
    failures = 0
    while True:
        try:
            place.migrate(only, rest=rest, observer=killer)
        except (TenantryError, psycopg.Error):
            failures += 1
            assert failures < 20
            rest = False  # that choice stands in the journal as well
        else:
            return failures


def test_a_killed_pilot_is_resumed_with_its_tenants_and_so_is_the_rest(clinics: Place, finished: Database) -> None:
    keys, condition = first_two(clinics)
    steps = (
        "copy.closure",
        "copy.rows:metric_values",
        "copy.keys:goals",
        "verify.rows:goals",
    )
    killer = Killed(clinics, *steps)
    with pytest.raises((TenantryError, psycopg.Error)):
        clinics.migrate(condition, observer=killer)
    clinics.write("update clinics set name = name || ' (renamed)'")
    # Two of these steps may run at once, and end by one kill.
    assert run_killed(clinics, killer, None) >= 1
    assert killer.left == []
    assert clinics.rows("clinics").keys() == set(keys)
    clinics.write("update clinics set name = replace(name, ' (renamed)', '')")
    killer = Killed(clinics, "copy.rows:metric_values", "copy.merge:user_clinic_roles", "copy.foreign:goals")
    assert run_killed(clinics, killer, None, rest=True) >= 1
    assert killer.left == []
    cut_over(clinics.database.dsn_as(OWNER), clinic_manifest())
    whole = Place(finished, clinic_manifest(), OWNER, "clinic").state()
    got = clinics.state()
    assert {name: (whole.get(name), found) for name, found in got.items() if whole.get(name) != found} == {}


# -- what is said and refused --------------------------------------------------------------------------------------------


REFUSED = [
    ("agencies.nmae = 'x'", "did you mean 'name'"),
    ("persons.id = 1", "names persons.id, but only agencies and s can be named here"),
    ("id = 1", "write agencies.id"),
    ("agencies.id = 0", "No row of agencies fulfils"),
    ("agencies.id in (select home_id from persons)", "holds a query of its own"),
    ("agencies.id =", "not an SQL expression"),
    ("agencies.id", "PostgreSQL refuses the condition"),
    ("agencies.name = 1", "PostgreSQL refuses the condition"),
]


def test_a_condition_without_tenants_is_refused_before_any_change(studio: Place) -> None:
    for condition, said in REFUSED:
        with pytest.raises(SubsetWrong) as refused:
            studio.migrate(condition)
        assert said in refused.value.message, condition
        assert "--only" in refused.value.hint, condition
        assert one(studio.database, "select to_regnamespace('tenantry')") is None, condition


def test_a_pilot_is_labelled_proved_in_place_and_never_cut_over(small: MakeSmall) -> None:
    app = small()
    pilot = ("migrate", "--only", "\"Organization\".id = 'o1'")
    assert "A pilot of 1 of 2 tenants" in app.run("plan", *pilot[1:], code=0).everything
    said = app.run(*pilot, "--prove", "--report", str(app.folder / "report"), code=0).everything
    assert "A pilot of 1 of 2 tenants" in said
    assert "tenantry migrate --rest" in said
    assert "+ outside" in said
    assert '1 of 2 tenants ("Organization".id = ' in html.unescape(
        (app.folder / "report" / "report.html").read_text("utf-8")
    )
    with engine(app.database, "postgres") as connection:
        now = read_status(connection)
    assert (now.trial, now.status, now.readiness.ready) == ("a pilot of 1 of 2 tenants", "ready", False)
    assert "a pilot of 1 of 2 tenants" in app.run("status", code=0).everything
    assert "a pilot of 1 of 2 tenants" in app.run("verify", code=0).everything
    assert "A pilot cannot be cut over" in app.run("cutover").everything
    assert "is a pilot of 1 of 2 tenants" in app.run("migrate", "--only", "\"Organization\".id <> ''").everything
    # The same condition, and none at all, mean the trial that is there.
    for again in (pilot, ("migrate",)):
        app.run(*again, code=0)
    assert app.one("select count(*) from tenantry.event where code = 'resumed'") == 2
    assert app.one("select count(*) from app.orgs") == 1
    app.as_superuser("create policy open on app.people for select to authenticated using (true)")
    app.run("migrate", "--prove", code=1)


def test_rest_is_refused_without_a_ready_pilot(studio: Place) -> None:
    with pytest.raises(TenantryError, match="no pilot"):
        studio.migrate(rest=True)
    condition = "agencies.id = 1"
    with pytest.raises((TenantryError, psycopg.Error)):
        studio.migrate(condition, observer=Killed(studio, "verify.rows:tasks"))
    with pytest.raises(NotReady, match="is not finished"):
        studio.migrate(rest=True)
    studio.take_back()
    studio.migrate()
    with pytest.raises(NotReady, match="takes all tenants"):
        studio.migrate(rest=True)
    with pytest.raises(JournalMismatch, match="takes all tenants"):
        studio.migrate(condition)


# -- other applications --------------------------------------------------------------------------------------------------


def test_composite_keys_parts_partitions_and_circles_take_part_in_a_trial(fresh_shop: Shop) -> None:
    shop = Place(fresh_shop.database, fresh_shop.manifest, SHOP_OWNER, "shop", "Old Shop")
    before = shop.original()
    shop.migrate()
    whole = shop.state()
    tables = (
        "Machine",
        "parts",
        "usages",
        "categories",
        "teams",
        "team_members",
        "contacts",
        "visits",
        "entries",
        "members",
    )
    (chosen,) = rows(shop.database, "select id from shop.shops where legacy_id = '2'")
    want = {table: shop.rows(f'"{table}"', f"shop_id = '{chosen[0]}'", ("no", "more")) for table in tables}
    shop.take_back()
    assert shop.original() == before
    shop.migrate("\"Org\".slug = 'elm'")
    assert {table: shop.rows(f'"{table}"', leave=("no", "more")) for table in tables} == want
    assert all(want.values())
    assert shop.rows("people").keys() == {"3"}
    shop.write(
        'update "Old Shop".machines set "orgId" = 2 where code = \'M3\'',
        'update "Old Shop".machines set "orgId" = 1 where code = \'M1\'',
    )
    shop.catch_up()
    assert "M3" in shop.rows('"Machine"')
    assert "M1" not in shop.rows('"Machine"')
    shop.write(
        'update "Old Shop".machines set "orgId" = 1 where code = \'M3\'',
        'update "Old Shop".machines set "orgId" = 2 where code = \'M1\'',
    )
    shop.migrate(rest=True)
    # Numbers and times that the target gives by itself.
    own = {"shop.bookings", "shop.people", "auth.users", "auth.identities"}
    got = shop.state()
    assert {n: (whole[n], got[n]) for n in whole if whole[n] != got[n] and n not in own} == {}


STUDIO = """
create table agencies (id integer primary key, name text not null, owner_id integer);
create table persons (id integer primary key, mail text not null, name text, home_id integer references agencies,
    mentor_id integer references persons, born timestamptz not null default '2020-01-01');
alter table agencies add foreign key (owner_id) references persons;
create table members (id integer primary key, agency_id integer not null references agencies,
    person_id integer not null references persons, role text not null);
create table projects (id integer primary key, agency_id integer references agencies, title text, lead_id integer references persons
    on delete set null);
create table tasks (id integer primary key, project_id integer references projects, author_id integer not null references persons,
    other_id integer references projects);
create table tags (id integer primary key, label text, made_by integer references persons);
create table logins (id integer primary key, person_id integer not null references persons on delete cascade, at text);
create table settings (id integer primary key, agency integer not null references agencies on delete cascade, theme text);
insert into agencies values (1, 'Ash', null), (2, 'Birch', null), (3, 'Cedar', null);
insert into persons values (1, 'ann@studio.example', 'Ann', 1), (2, 'bob@studio.example', 'Bob', 2),
    (4, 'dee@studio.example', 'Dee', 3), (5, 'ANN@studio.example', 'Ann too', 3), (6, 'fay@studio.example', 'Fay', null),
    (7, 'gus@studio.example', 'Gus', 2), (8, 'hal@studio.example', 'Hal', null);
insert into persons values (3, 'cem@studio.example', 'Cem', null, 6);
update agencies set owner_id = case id when 1 then 1 else 4 end;
insert into members values (1, 1, 1, 'boss'), (2, 1, 2, 'hand'), (3, 2, 2, 'hand'), (4, 2, 3, 'boss'), (5, 3, 4, 'boss'), (6, 3, 5, 'hand');
insert into projects values (1, 1, 'one', null), (2, 1, 'two', 1), (3, 2, 'three', 4), (4, null, 'nobody''s', 8);
insert into tasks values (1, 1, 3, null), (2, 1, 1, 3), (3, 3, 2, null), (4, null, 8, null), (5, 2, 2, 1);
insert into tags values (1, 'red', null), (2, 'blue', 7);
insert into logins values (1, 1, 'now'), (2, 4, 'then'), (3, 6, 'once'), (4, 5, 'often');
insert into settings values (1, 1, 'dark'), (2, 2, 'light'), (3, 3, 'none');
analyze;
"""

STUDIO_TARGET = """
create type role as enum ('hand', 'boss');
create table agencies (id uuid primary key default gen_random_uuid(), legacy_id text not null unique, name text not null, owner_id uuid);
create table people (id uuid primary key default gen_random_uuid(), legacy_id text not null unique,
    account_id uuid unique references auth.users (id), mail text not null unique, name text, home_id uuid references agencies (id),
    mentor_id uuid references people (id), created_at timestamptz not null, updated_at timestamptz not null);
alter table agencies add foreign key (owner_id) references people (id);
create table members (agency_id uuid not null references agencies (id), id uuid not null default gen_random_uuid(),
    legacy_id text not null, person_id uuid not null references people (id), role role not null,
    primary key (agency_id, id), unique (agency_id, legacy_id));
create table projects (agency_id uuid not null references agencies (id), id uuid not null default gen_random_uuid(),
    legacy_id text not null, title text, lead_id uuid references people (id) on delete set null,
    primary key (agency_id, id), unique (agency_id, legacy_id));
create table tasks (agency_id uuid not null references agencies (id), id uuid not null default gen_random_uuid(),
    legacy_id text not null, project_id uuid, author_id uuid not null references people (id), other_id uuid,
    primary key (agency_id, id), unique (agency_id, legacy_id),
    foreign key (agency_id, project_id) references projects (agency_id, id),
    foreign key (agency_id, other_id) references projects (agency_id, id));
create table tags (id uuid primary key default gen_random_uuid(), legacy_id text not null unique, label text,
    made_by uuid references people (id));
create table logins (id uuid primary key default gen_random_uuid(), legacy_id text not null unique,
    person_id uuid not null references people (id) on delete cascade, at text);
create table settings (id uuid primary key default gen_random_uuid(), legacy_id text not null unique,
    agency uuid not null references agencies (id) on delete cascade, theme text);
"""

STUDIO_MANIFEST = """
name = "studio"
[source]
schema = "public"
[target]
schema = "studio"
files = ["target.sql"]
[ids]
namespace = "studio"
[tenant]
table = "agencies"
column = "agency_id"
[membership]
table = "members"
profile = "person_id"
role = "role"
[roles]
order = ["hand", "boss"]
[users]
from = "persons"
email = "mail"
profile = "people"
account = "account_id"

[tables.agencies]
from = "agencies"
access = { select = "hand", insert = "super", update = "boss", delete = "super" }
[tables.people]
from = "persons"
merge = { by = ["mail"], keep = "legacy_id", reason = "one address" }
access = { select = { own = "id" }, insert = "service", update = { own = "id" }, delete = "service" }
[tables.people.columns]
mail = { as = "email" }
created_at = { from = "born" }
updated_at = { from = "born" }
[tables.members]
from = "members"
access = { select = "hand", insert = "service", update = "service", delete = "service" }
[tables.projects]
from = "projects"
access = { select = "hand", insert = "boss", update = "boss", delete = "boss" }
[tables.tasks]
from = "tasks"
tenant = ["project_id"]
access = { select = "hand", insert = "boss", update = "boss", delete = "boss" }
[tables.tags]
from = "tags"
access = "shared"
[tables.logins]
from = "logins"
access = { select = "service", insert = "service", update = "service", delete = "service" }
[tables.settings]
from = "settings"
access = { select = "service", insert = "service", update = "service", delete = "service" }
"""


@pytest.fixture
def studio(database: Database, tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "target.sql").write_text(STUDIO_TARGET)
    (tmp_path / "tenantry.toml").write_text(STUDIO_MANIFEST)
    manifest = load_manifest(tmp_path / "tenantry.toml")
    with database.connect() as admin:
        admin.execute(STUDIO)
    let_own(database, manifest, owner=SHOP_OWNER)
    yield Place(database, manifest, SHOP_OWNER, "studio")


def test_referenced_people_come_along_and_references_to_other_tenants_wait(studio: Place) -> None:
    before = studio.original()
    studio.migrate("agencies.id = 1")
    assert studio.rows("agencies").keys() == {"1"}
    # Ann and Bob are members, Cem an author, Fay his mentor, Gus made a tag; the other Ann is Ann.
    assert studio.rows("people").keys() == {"1", "2", "3", "6", "7"}
    assert rows(studio.database, "select source_key, into_key from tenantry.merged") == [("5", "1")]
    assert studio.rows("tags").keys() == {"1", "2"}
    assert studio.rows("logins").keys() == {"1", "3", "4"}
    assert studio.rows("settings").keys() == {"1"}
    assert studio.rows("projects").keys() == {"1", "2"}
    assert studio.rows("tasks").keys() == {"1", "5"}
    homes = {key: row["home_id"] for key, row in studio.rows("people").items()}
    assert homes["1"] is not None
    assert homes["2"] is homes["7"] is None
    held = "select mapping, source_key, reason from tenantry.quarantine where state = 'open' order by 1, 2"
    assert rows(studio.database, held) == [("tasks", "2", "tenant_conflict")]
    studio.take_back()
    assert studio.original() == before
    studio.migrate()
    whole = studio.state()
    assert rows(studio.database, held) == [
        ("projects", "4", "tenant_missing"), ("tasks", "2", "tenant_conflict"), ("tasks", "4", "tenant_missing"),
    ]  # fmt: skip
    studio.take_back()
    studio.migrate("s.name = 'Ash'")
    studio.migrate(rest=True)
    got = studio.state()
    assert {name: (whole[name], got[name]) for name in whole if whole[name] != got[name]} == {}


def test_rows_follow_their_parents_into_a_pilot_and_out_of_it(studio: Place) -> None:
    studio.migrate("agencies.id = 1")
    studio.write("update projects set agency_id = 1 where id = 3")
    studio.catch_up()
    # Its task and its lead with her login come along, and what named it from here is no conflict any more.
    assert studio.rows("projects").keys() == {"1", "2", "3"}
    assert studio.rows("tasks").keys() == {"1", "2", "3", "5"}
    assert studio.rows("people").keys() == {"1", "2", "3", "4", "6", "7"}
    assert studio.rows("logins").keys() == {"1", "2", "3", "4"}
    studio.write(
        "update projects set agency_id = 2 where id in (1, 3)",
        "insert into agencies values (4, 'Ash')",
        "update persons set mail = 'Fay@studio.example ' where id = 8",
        "update persons set home_id = 1 where id = 2",
        "insert into logins values (5, 8, 'as the other')",
        "insert into persons values (9, 'ivy@studio.example', 'Ivy')",
        "insert into tags values (3, 'green', 9)",
        "delete from settings where id = 1",
    )
    studio.catch_up()
    assert studio.rows("projects").keys() == {"2"}
    assert studio.rows("agencies").keys() == {"1"}
    assert studio.rows("settings").keys() == set()
    # Hal has Fay's address now, and is Fay; who came along stays until the trial ends.
    assert rows(studio.database, "select source_key, into_key from tenantry.merged order by 1") == [
        ("5", "1"),
        ("8", "6"),
    ]
    assert studio.rows("people").keys() == {"1", "2", "3", "4", "6", "7", "9"}
    assert studio.rows("logins").keys() == {"1", "2", "3", "4", "5"}
    assert studio.rows("people")["2"]["home_id"] is not None
    held = "select mapping, source_key, reason from tenantry.quarantine where state = 'open' order by 1, 2"
    assert rows(studio.database, held) == [("tasks", "5", "tenant_conflict")]
    studio.migrate(rest=True)
    got = studio.state()
    studio.take_back()
    studio.migrate()
    whole = studio.state()
    assert {name: (whole[name], got[name]) for name in whole if whole[name] != got[name]} == {}
