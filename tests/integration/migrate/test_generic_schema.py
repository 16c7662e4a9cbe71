"""Another application than Clinic: workshops, with all that PostgreSQL schemas hold and Clinic's does not.

Its manifest, its target files and its data are written here; the migration needs nothing else.
"""

# ruff: noqa: ARG002 - observers are given more than each of them looks at

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry.analyze import analyze, gather
from tenantry.derivation.ids import derive_id
from tenantry.errors import ManifestError
from tenantry.manifest import Manifest, load_manifest
from tenantry.mapping import Project
from tenantry.migrate.run.engine import Options
from tenantry.migrate.session.observer import Silent
from tenantry.migrate.session.prepare import prepare
from tenantry.plan import Step
from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, fresh_database, running_server, version_parameters
from tests.migrate_support import (
    engine,
    grant_rights,
    let_own,
    migrate,
    one,
    rows,
    shared_template,
    source_digest,
    verify_all,
)

OWNER = "shop_owner"
SOURCE, TARGET = "Old Shop", "shop"
LONG = "a_table_whose_name_is_as_long_as_names_may_be_in_postgresql_yes"
FIRST_LONG = "reference_to_a_machine_by_a_column_with_a_very_long_name_here_1"
SECOND_LONG = "reference_to_a_machine_by_a_column_with_a_very_long_name_here_2"

LEGACY = f"""
create schema "Old Shop";
set search_path = "Old Shop";

create table "Org" (id bigint primary key, slug text not null unique, "orgName" text not null, opened text);
create table "User" (id bigint primary key, "orgId" bigint not null references "Org", mail text not null,
    "displayName" text, kind text not null, "apiToken" text);
create table machines (code varchar(20) not null unique, "orgId" bigint not null references "Org", label text, cost text,
    address text);
create table parts (machine_code varchar(20) not null references machines (code), part_no integer not null, qty integer,
    price numeric(10,2), primary key (machine_code, part_no));
create table usages (id bigint primary key, machine_code varchar(20), part_no integer, used integer,
    foreign key (machine_code, part_no) references parts (machine_code, part_no));
create table categories (id integer primary key, "orgId" bigint references "Org", parent_id integer references categories,
    name text);
create table teams (id integer primary key, "orgId" bigint not null references "Org", lead_id integer, name text);
create table team_members (id integer primary key, team_id integer not null references teams, name text, level text);
alter table teams add foreign key (lead_id) references team_members deferrable initially deferred;
create table clients (id bigint primary key, "orgId" bigint not null references "Org", full_name text);
create table guests (guest_no bigint primary key, "orgId" bigint not null references "Org", called text);
create table visits (id bigint primary key, client_id bigint references clients, guest_id bigint references guests, note text);
create table bookings (no bigint primary key, org_slug text not null references "Org" (slug), starts integer, ends integer,
    deleted boolean not null default false);
create table log_entries (id bigint, day date not null, "orgId" bigint not null references "Org", message text,
    primary key (id, day)) partition by range (day);
create table log_entries_2023 partition of log_entries for values from ('2023-01-01') to ('2024-01-01');
create table log_entries_2024 partition of log_entries for values from ('2024-01-01') to ('2025-01-01');
create table {LONG} (id text primary key, {FIRST_LONG} varchar(20) references machines (code),
    {SECOND_LONG} varchar(20) references machines (code));
create table _migrations (n integer);

insert into "Org" values (1, 'oak', 'Oak & Sons', '2020-01-01'), (2, 'elm', 'Elm "Tools"', 'nobody knows'), (3, 'fir', 'Fir', null);
insert into "User" values
    (1, 1, 'a@oak.example', 'Ann', 'boss', ' tok-secret-1 '), (2, 1, 'B@Oak.example', null, 'hand', 'tok-secret-2'),
    (3, 2, 'c@elm.example', 'Cem', 'boss', null), (4, 3, 'd@fir.example', 'Dee', 'root', ' tok-secret-4');
insert into machines select 'M' || n, 1 + n % 3, nullif('label ' || n, 'label 5'),
    case n when 7 then 'cheap' when 8 then '' when 9 then null else '1,' || 100 + n || '.50' end,
    case n when 11 then '10.0.0.300' when 23 then 'not at all' else '10.0.0.' || n end
  from generate_series(1, 40) n;
insert into parts select 'M' || 1 + n % 40, n, n % 5, n * 1.25 from generate_series(1, 120) n;
insert into usages select n, 'M' || 1 + n % 40, n, n * 2 from generate_series(1, 100) n;
insert into usages values (101, 'M3', null, 1), (102, null, null, 1);
insert into categories select n, 1 + n % 3, null, 'category ' || n from generate_series(1, 9) n;
insert into categories select n, 1 + n % 3, n - 9, 'sub ' || n from generate_series(10, 30) n;
insert into categories values (31, 2, 3, 'of another org than its parent'), (32, null, null, 'of nobody'),
    (33, null, 32, 'below nobody''s');
begin;
insert into teams select n, 1 + n % 3, n, 'team ' || n from generate_series(1, 6) n;
insert into team_members select n, n, 'lead ' || n, case n when 4 then 'no such level' else 'senior' end
  from generate_series(1, 6) n;
insert into team_members select n, 1 + n % 6, 'hand ' || n, 'junior' from generate_series(7, 30) n;
commit;
insert into clients select n, 1 + n % 3, 'client ' || n from generate_series(1, 12) n;
insert into guests select n, 1 + (n + 1) % 3, 'guest ' || n from generate_series(1, 12) n;
insert into visits select n, n, null, 'of a client' from generate_series(1, 12) n;
insert into visits select 100 + n, null, n, 'of a guest' from generate_series(1, 12) n;
insert into bookings select n, (array['oak', 'elm', 'fir'])[1 + n % 3], n * 10, n * 10 + 5, n % 7 = 0
  from generate_series(5, 60) n;
insert into log_entries select n, '2023-06-01'::date + n * 10, 1 + n % 3, 'entry ' || n from generate_series(1, 50) n;
insert into {LONG} select 'x' || n, 'M' || n, 'M' || n + 3 from generate_series(1, 20) n;
analyze;
"""

TABLE = """
    shop_id uuid not null, id uuid not null default gen_random_uuid(), legacy_id text not null,
    primary key (shop_id, id), unique (shop_id, legacy_id),
    foreign key (shop_id) references shops (id) deferrable initially immediate
"""

FILES = {
    "10_people.sql": """
create type level as enum ('junior', 'senior');
create type kind as enum ('hand', 'boss');
create domain money_amount as numeric(12,2) check (value >= 0);

create table shops (id uuid primary key default gen_random_uuid(), legacy_id text not null unique, name text not null,
    slug text not null unique, opened date not null);
create table people (id uuid primary key default gen_random_uuid(), legacy_id text not null unique,
    account_id uuid unique references auth.users (id), mail text not null unique, name text not null,
    token text, created_at timestamptz not null default now(), updated_at timestamptz not null default now());
create table members (shop_id uuid not null references shops (id), id uuid not null default gen_random_uuid(),
    legacy_id text not null, person_id uuid not null references people (id), role kind not null,
    primary key (shop_id, id), unique (shop_id, legacy_id), unique (shop_id, person_id));
""",
    "20_work.sql": f"""
create table "Machine" (label text, cost money_amount not null, "costWas" text, address inet, {TABLE});
create table parts (machine_id uuid not null, part_no integer not null, qty integer not null, price numeric(10,2),
    total numeric generated always as (qty * price) stored, {TABLE},
    foreign key (shop_id, machine_id) references "Machine" (shop_id, id));
create table usages (part_id uuid, used integer, {TABLE},
    constraint usages_part foreign key (shop_id, part_id) references parts (shop_id, id));
alter table usages drop constraint usages_part,
    add constraint usages_part foreign key (shop_id, part_id) references parts (shop_id, id) not valid;
create table categories (parent_id uuid, name text not null, {TABLE},
    foreign key (shop_id, parent_id) references categories (shop_id, id) deferrable);
create table teams (lead_id uuid, name text, {TABLE});
create table team_members (team_id uuid not null, name text, level level not null, {TABLE},
    foreign key (shop_id, team_id) references teams (shop_id, id));
alter table teams add foreign key (shop_id, lead_id) references team_members (shop_id, id) deferrable initially deferred;
create table contacts (name text, known_as text not null, {TABLE});
create table visits (contact_id uuid, note text, {TABLE}, foreign key (shop_id, contact_id) references contacts (shop_id, id));
create table bookings (no bigint generated always as identity, slot int4range not null, more serial, {TABLE},
    constraint one_at_a_time exclude using gist (slot with &&));
create table entries (day date not null, message text, {TABLE});
create table {LONG} ({FIRST_LONG} uuid, {SECOND_LONG} uuid, {TABLE},
    foreign key (shop_id, {FIRST_LONG}) references "Machine" (shop_id, id),
    foreign key (shop_id, {SECOND_LONG}) references "Machine" (shop_id, id));
create table notes (body text, category_id uuid, {TABLE}, foreign key (shop_id, category_id) references categories (shop_id, id));
create index on "Machine" (lower(label)) where label is not null;
create index "Parts by price" on parts (shop_id, price desc nulls last) include (qty);
""",
    "30_triggers.sql": """
create table touched (id uuid primary key default gen_random_uuid(), what text);
create function touch() returns trigger language plpgsql as $$
begin
    insert into shop.touched (what) values (tg_table_name);
    return new;
end $$;
create trigger touch after insert or update on categories for each row execute function touch();
alter table categories enable always trigger touch;
create trigger replica_only after insert on teams for each row execute function touch();
alter table teams enable replica trigger replica_only;
create trigger off after insert on visits for each row execute function touch();
alter table visits disable trigger off;
""",
}

ACCESS = 'access = { select = "hand", insert = "boss", update = "boss", delete = "boss" }'

MANIFEST = f"""
name = "shop"
[source]
schema = "Old Shop"
ignore = ["_migrations"]
[source.secrets]
User = ["apiToken"]
[target]
schema = "shop"
files = ["target/*.sql"]
[ids]
namespace = "shop"
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
from = "User"
email = "mail"
profile = "people"
account = "account_id"
super = "s.kind = 'root'"

[tables.shops]
from = "Org"
access = {{ select = "hand", insert = "super", update = "boss", delete = "super" }}
[tables.shops.columns]
name = {{ from = "orgName" }}
opened = {{ null = {{ default = "1999-09-09" }}, invalid = {{ correct = "'2000-01-0' || s.id" }} }}

[tables.people]
from = "User"
access = {{ select = {{ colleagues = "hand", own = "id" }}, insert = "service", update = {{ own = "id" }}, delete = "service" }}
[tables.people.columns]
mail = {{ as = "email" }}
name = {{ from = "displayName", null = {{ correct = "'user ' || s.id" }} }}
token = {{ from = "apiToken", as = "trim" }}

[tables.members]
from = "User"
part = "member"
{ACCESS}
[tables.members.columns]
person_id = {{ from = "id", ref = "people" }}
role = {{ from = "kind", map = {{ boss = "boss", hand = "hand", root = "boss" }} }}

[tables.Machine]
from = "machines"
tenant = ["orgId"]
{ACCESS}
[tables.Machine.columns]
cost = {{ as = "money", null = {{ default = 0 }}, empty = {{ default = 1 }}, invalid = "quarantine" }}
costWas = {{ up = "coalesce(s.cost, '') || '%'", down = "nullif(left(t.\\"costWas\\", -1), '')" }}
address = {{ up = "s.address::inet" }} # the server itself says what no address is

[tables.parts]
from = "parts"
tenant = ["machine_code"]
{ACCESS}
[tables.parts.columns]
machine_id = {{ from = "machine_code", ref = "Machine" }}

[tables.usages]
from = "usages"
tenant = ["part_no"]
{ACCESS}
[tables.usages.columns]
part_id = {{ from = "part_no", ref = "parts" }}

[tables.categories]
from = "categories"
tenant = ["orgId"]
{ACCESS}

[tables.teams]
from = "teams"
{ACCESS}

[tables.team_members]
from = "team_members"
tenant = ["team_id"]
{ACCESS}

[tables.contacts]
{ACCESS}
[tables.contacts.sources.client]
from = "clients"
[tables.contacts.sources.client.columns]
name = {{ from = "full_name" }}
known_as = {{ up = "'client'" }}
[tables.contacts.sources.guest]
from = "guests"
[tables.contacts.sources.guest.columns]
name = {{ from = "called" }}
known_as = {{ up = "'guest'" }}

[tables.visits]
{ACCESS}
[tables.visits.sources.client]
from = "visits"
where = "s.client_id is not null"
tenant = ["client_id"]
[tables.visits.sources.client.columns]
contact_id = {{ from = "client_id", ref = "contacts" }}
[tables.visits.sources.guest]
from = "visits"
part = "guest"
where = "s.guest_id is not null"
tenant = ["guest_id"]
[tables.visits.sources.guest.columns]
contact_id = {{ from = "guest_id", ref = "contacts" }}

[tables.bookings]
from = "bookings"
where = "not s.deleted and s.starts % 100 <> 0"
tenant = ["org_slug"]
{ACCESS}
[tables.bookings.columns]
slot = {{ up = "int4range(s.starts, s.ends)" }}

[tables.entries]
from = "log_entries"
{ACCESS}

[tables.{LONG}]
from = "{LONG}"
tenant = ["{FIRST_LONG}"]
{ACCESS}

[tables.notes]
{ACCESS}

[tables.touched]
access = {{ select = "service", insert = "service", update = "service", delete = "service" }}

[[rules]]
name = "no two leads in one team"
sql = "select lead_id from teams where lead_id is not null group by lead_id having count(*) > 1"
"""


@dataclass(frozen=True)
class Shop:
    database: Database
    manifest: Manifest

    def migrate(self, observer: Silent | None = None, chunk_rows: int = 7) -> None:
        migrate(
            self.database,
            self.manifest,
            observer=observer,
            options=Options(workers=2, chunk_rows=chunk_rows),
            owner=OWNER,
        )

    def project(self) -> Project:
        with engine(self.database, OWNER) as connection:
            return prepare(connection, self.manifest).project

    def quarantined(self, mapping: str) -> dict[str, tuple[str, str]]:
        return {
            key: (reason, column or "")
            for key, reason, column in rows(
                self.database,
                "select source_key, reason, column_name from tenantry.quarantine where mapping = %s and state = 'open'",
                [mapping],
            )
        }


def write_manifest(folder: Path) -> Manifest:
    (folder / "target").mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / "target" / name).write_text(text)
    (folder / "tenantry.toml").write_text(MANIFEST)
    return load_manifest(folder / "tenantry.toml")


def fill(database: Database, manifest: Manifest) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as admin:
        admin.execute("select pg_advisory_lock(4712)")
        for statement in LEGACY.split(";\n"):
            admin.execute(statement)
    let_own(database, manifest, owner=OWNER, schema=SOURCE)
    with database.connect() as admin:
        admin.execute(f'grant usage on schema "Old Shop" to {OWNER}')


@pytest.fixture(scope="module", params=version_parameters())
def shop(
    servers: dict[int, object], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """The workshops, migrated, on every version; to be read only."""
    manifest = write_manifest(tmp_path_factory.mktemp("shop"))
    server: EmbeddedServer = running_server(servers, request.param)  # type: ignore[arg-type]

    def fill_and_migrate(made: Database) -> None:
        fill(made, manifest)
        Shop(made, manifest).migrate()

    with fresh_database(server, shared_template(server, "shop_finished", fill_and_migrate)) as database:
        grant_rights(database, manifest, owner=OWNER)
        yield Shop(database, manifest)


@pytest.fixture
def fresh_shop(database: Database, tmp_path: Path) -> Shop:
    manifest = write_manifest(tmp_path)
    fill(database, manifest)
    return Shop(database, manifest)


def ids(shop: Shop, table: str) -> dict[str, str]:
    return {key: str(new) for key, new in rows(shop.database, f'select legacy_id, id from shop."{table}"')}


def test_it_is_cut_over_and_verified_again_without_a_difference(shop: Shop) -> None:
    assert rows(shop.database, "select status from tenantry.run") == [("cut over",)]
    with engine(shop.database, OWNER) as connection:
        checks = verify_all(connection, shop.project(), 1)
    assert [str(d) for check in checks for d in check.differences] == []
    assert all(check.account.balanced for check in checks if check.account is not None)


def test_every_source_row_that_its_filter_lets_through_is_in_one_place(shop: Shop) -> None:
    for mapping in shop.project():
        where = f"where {mapping.where}" if mapping.where else ""
        total = one(shop.database, f'select count(*) from "Old Shop"."{mapping.source.name}" s {where}')
        names = [mapping.name, mapping.source.name]
        carried = one(
            shop.database,
            f'select count(*) from shop."{mapping.target.name}" where left(legacy_id, {len(mapping.legacy_prefix)}) = %s',
            [mapping.legacy_prefix],
        )
        held = one(shop.database, "select count(*) from tenantry.quarantine where mapping = %s", [mapping.name])
        assert total == carried + held, names


def test_bigint_ids_of_quoted_tables_become_derived_uuids(shop: Shop) -> None:
    assert ids(shop, "shops") == {str(n): str(derive_id("shop", "Org", str(n))) for n in (1, 2, 3)}
    assert ids(shop, "members") == {str(n): str(derive_id("shop", "User/member", str(n))) for n in (1, 2, 3, 4)}


def test_composite_keys_are_one_text_and_references_to_them_are_followed(shop: Shop) -> None:
    parts = rows(shop.database, "select id, legacy_id, part_no from shop.parts order by part_no limit 1")
    ((new, old, number),) = parts
    assert old == f'["M{1 + number % 40}", "{number}"]'
    assert str(new) == str(derive_id("shop", "parts", old))
    wrong = rows(
        shop.database,
        "select u.legacy_id from shop.usages u left join shop.parts p on p.id = u.part_id"
        ' join "Old Shop".usages o on o.id::text = u.legacy_id where p.part_no is distinct from o.part_no',
    )
    assert wrong == []


def test_a_partly_null_reference_references_no_row(shop: Shop) -> None:
    held = shop.quarantined("usages")
    assert held["101"] == ("tenant_missing", "")
    assert held["102"] == ("tenant_missing", "")


def test_a_table_without_primary_key_is_known_by_its_unique_key(shop: Shop) -> None:
    assert ids(shop, "Machine")["M1"] == str(derive_id("shop", "machines", "M1"))


def test_rows_that_only_the_server_refuses_are_found_one_by_one_and_their_neighbours_come_over(shop: Shop) -> None:
    held = shop.quarantined("Machine")
    assert held == {
        "M7": ("value_invalid", "cost"),
        "M11": ("row_refused", ""),
        "M23": ("row_refused", ""),
    }
    detail: dict[Any, Any] = dict(
        rows(shop.database, "select source_key, detail from tenantry.quarantine where mapping = 'Machine'")
    )
    assert detail["M11"] == 'invalid input syntax for type inet: "10.0.0.300"'
    assert len(ids(shop, "Machine")) == 37


def test_dependents_of_a_refused_row_are_quarantined_over_two_levels(shop: Shop) -> None:
    parts = shop.quarantined("parts")
    assert set(parts.values()) == {("parent_quarantined", "machine_id")}
    gone = {f'["M{1 + n % 40}", "{n}"]' for n in range(1, 121) if f"M{1 + n % 40}" in ("M7", "M11", "M23")}
    assert set(parts) == gone
    usages = shop.quarantined("usages")
    assert {key for key, (reason, _) in usages.items() if reason == "parent_quarantined"} == {
        str(n) for n in range(1, 101) if f"M{1 + n % 40}" in ("M7", "M11", "M23")
    }


def test_treatments_put_their_values_in_place_and_keep_the_originals(shop: Shop) -> None:
    got: dict[Any, Any] = dict(rows(shop.database, "select legacy_id, opened::text from shop.shops"))
    assert got == {"1": "2020-01-01", "2": "2000-01-02", "3": "1999-09-09"}
    got = dict(
        rows(shop.database, "select legacy_id, cost from shop.\"Machine\" where legacy_id in ('M8', 'M9', 'M10')")
    )
    assert got == {"M8": Decimal(1), "M9": Decimal(0), "M10": Decimal("1110.50")}
    assert dict(rows(shop.database, "select legacy_id, name from shop.people")) == {
        "1": "Ann",
        "2": "user 2",
        "3": "Cem",
        "4": "Dee",
    }
    changes = {
        (mapping, key, column): (original, new)
        for mapping, key, column, original, new in rows(
            shop.database, "select mapping, source_key, column_name, original, carried from tenantry.change"
        )
    }
    assert changes[("shops", "2", "opened")] == ("nobody knows", "2000-01-02")
    assert changes[("shops", "3", "opened")] == (None, "1999-09-09")
    assert changes[("Machine", "M8", "cost")] == ("", 1)
    assert changes[("Machine", "M9", "cost")] == (None, 0)
    assert changes[("people", "2", "mail")] == ("B@Oak.example", "b@oak.example")
    assert ("shops", "1", "opened") not in changes


def test_an_expression_with_percent_signs_is_used_verbatim(shop: Shop) -> None:
    assert one(shop.database, 'select "costWas" from shop."Machine" where legacy_id = \'M1\'') == "1,101.50%"


def test_secrets_are_not_in_the_change_log_though_their_cells_were_changed(shop: Shop) -> None:
    assert one(shop.database, "select token from shop.people where legacy_id = '1'") == "tok-secret-1"
    log = rows(
        shop.database,
        "select source_key, original::text, carried::text from tenantry.change where column_name = 'token'",
    )
    assert {key for key, _, _ in log} == {"1", "4"}
    assert "tok-secret" not in str(log)


def test_a_tree_is_migrated_and_dependents_of_a_tenantless_row_are_quarantined(shop: Shop) -> None:
    held = shop.quarantined("categories")
    assert held == {"31": ("tenant_conflict", ""), "32": ("tenant_missing", ""), "33": ("tenant_missing", "")}
    found = {key: (parent, tenant) for key, parent, tenant in rows(
        shop.database, "select c.legacy_id, p.legacy_id, s.legacy_id from shop.categories c"
        " left join shop.categories p on p.id = c.parent_id join shop.shops s on s.id = c.shop_id")}  # fmt: skip
    assert found == {str(n): (str(n - 9) if n > 9 else None, str(1 + n % 3)) for n in range(1, 31)}


def test_a_way_to_the_tenant_that_leads_in_a_circle_is_refused_by_name(fresh_shop: Shop) -> None:
    file = fresh_shop.manifest.path
    file.write_text(
        MANIFEST.replace('from = "categories"\ntenant = ["orgId"]', 'from = "categories"\ntenant = ["parent_id"]')
    )
    with engine(fresh_shop.database, OWNER) as connection, pytest.raises(ManifestError) as refused:
        prepare(connection, load_manifest(file))
    problem = refused.value.message
    assert "tables.categories.tenant" in problem
    assert "cycle: categories -> categories" in problem


def test_dependents_of_a_quarantined_row_in_a_cycle_are_quarantined(shop: Shop) -> None:
    members, teams = shop.quarantined("team_members"), shop.quarantined("teams")
    assert members["4"] == ("value_invalid", "level")
    assert teams == {"4": ("parent_quarantined", "lead_id")}
    assert {key for key, (reason, _) in members.items() if reason == "parent_quarantined"} == {
        str(n) for n in range(7, 31) if 1 + n % 6 == 4
    }
    assert len(ids(shop, "teams")) == 5


def test_ids_of_several_sources_that_look_alike_are_kept_apart(shop: Shop) -> None:
    assert set(ids(shop, "contacts")) == {f"{kind}:{n}" for kind in ("client", "guest") for n in range(1, 13)}
    assert len(set(ids(shop, "contacts").values())) == 24
    wrong = rows(
        shop.database,
        "select v.legacy_id, c.legacy_id from shop.visits v join shop.contacts c on c.id = v.contact_id"
        " join \"Old Shop\".visits o on o.id::text = split_part(v.legacy_id, ':', 2)"
        " where c.legacy_id <> coalesce('client:' || o.client_id, 'guest:' || o.guest_id)",
    )
    assert wrong == []
    assert len(ids(shop, "visits")) == 24


def test_a_reference_to_a_unique_non_key_column_leads_to_the_tenant(shop: Shop) -> None:
    wrong = rows(
        shop.database,
        'select b.legacy_id from shop.bookings b join "Old Shop".bookings o on o.no::text = b.legacy_id'
        " join shop.shops s on s.id = b.shop_id where s.slug <> o.org_slug",
    )
    assert wrong == []
    kept = {str(n) for n in range(5, 61) if n % 7 and n % 10}
    assert set(ids(shop, "bookings")) == kept


def test_identity_and_serial_columns_continue_after_the_copied_numbers(shop: Shop) -> None:
    with shop.database.connect(autocommit=False) as admin:
        tenant = admin.execute("select id from shop.shops limit 1").fetchone()
        (number,) = admin.execute(
            "insert into shop.bookings (shop_id, legacy_id, slot) values (%s, 'new', '[9000,9001)') returning no",
            tenant,
        ).fetchone() or (None,)
        admin.rollback()
    assert number == 60


def test_generated_columns_are_generated(shop: Shop) -> None:
    assert one(shop.database, "select count(*) from shop.parts where total is distinct from qty * price") == 0


def test_all_partitions_of_a_source_table_are_migrated_and_fenced(shop: Shop) -> None:
    assert one(shop.database, "select count(*) from shop.entries") == 50
    for table in ("log_entries", "log_entries_2023", "log_entries_2024"):
        for statement in (f'update "Old Shop".{table} set message = message', f'delete from "Old Shop".{table}',
                          f'truncate "Old Shop".{table}'):  # fmt: skip
            with shop.database.connect() as admin, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                admin.execute(statement)


def test_constraints_and_triggers_are_restored_and_none_has_fired(shop: Shop) -> None:
    assert one(shop.database, "select count(*) from shop.touched") == 0
    got: dict[Any, Any] = dict(rows(shop.database, "select tgname, tgenabled from pg_trigger where not tgisinternal"
                    " and tgrelid::regclass::text ~ '^shop' and tgname in ('touch', 'replica_only', 'off')"))  # fmt: skip
    assert got == {"touch": "A", "replica_only": "R", "off": "D"}
    assert rows(shop.database, "select conname from pg_constraint where not convalidated and connamespace = 'shop'::regnamespace"
                " order by 1") == [("usages_part",)]  # fmt: skip
    assert one(shop.database, "select contype from pg_constraint where conname = 'one_at_a_time'") == "x"


def test_names_of_63_bytes_do_not_collide(shop: Shop) -> None:
    held = set(shop.quarantined(LONG))
    found = rows(
        shop.database,
        f'select t.legacy_id, a.legacy_id, b.legacy_id from shop.{LONG} t left join shop."Machine" a on a.id = t.{FIRST_LONG}'
        f' left join shop."Machine" b on b.id = t.{SECOND_LONG}',
    )
    assert found
    assert {(f"x{n}", f"M{n}", f"M{n + 3}") for n in range(1, 21) if f"x{n}" not in held} == set(found)


def test_super_admins_are_flagged_and_foreign_keys_to_accounts_hold(shop: Shop) -> None:
    got = rows(
        shop.database,
        "select p.legacy_id, u.email from shop.people p join auth.users u on u.id = p.account_id"
        " where u.raw_app_meta_data ->> 'super_admin' = 'true'",
    )
    assert got == [("4", "d@fir.example")]


def test_the_analysis_predicts_the_migration(fresh_shop: Shop) -> None:
    with engine(fresh_shop.database, OWNER) as connection:
        prepared = prepare(connection, fresh_shop.manifest)
        evidence = gather(connection, prepared.project)
        analyze(prepared.project, evidence)
    assert one(fresh_shop.database, "select to_regnamespace('tenantry')") is None


class Stopped(Exception):
    pass


class StopAt(Silent):
    def __init__(self, step: str) -> None:
        self._step = step

    def finished(self, step: Step, *, seconds: float, rows: int | None) -> None:
        if step.id == self._step:
            raise Stopped


def test_writes_between_two_runs_are_replayed_on_resume(fresh_shop: Shop) -> None:
    with pytest.raises(Stopped):
        fresh_shop.migrate(StopAt("verify.rules"))
    with fresh_shop.database.connect() as application:
        application.execute('update "Old Shop"."User" set "displayName" = \'Anna\' where id = 1')
    fresh_shop.migrate()
    assert one(fresh_shop.database, "select name from shop.people where legacy_id = '1'") == "Anna"
    assert one(fresh_shop.database, "select count(*) from auth.users") == 4


def test_all_steps_can_be_undone(fresh_shop: Shop) -> None:
    before = source_digest(fresh_shop.database, SOURCE)
    fresh_shop.migrate()
    with engine(fresh_shop.database, OWNER) as connection:
        for step in reversed(prepare(connection, fresh_shop.manifest).plan.steps):
            for last in (False, False, False, True):
                try:
                    with connection.transaction():
                        for statement in step.undo:
                            connection.execute(statement)
                    break
                except psycopg.errors.LockNotAvailable:
                    # Autovacuum backs off only after others have waited for a second.
                    if last:
                        raise
    assert source_digest(fresh_shop.database, SOURCE) == before
