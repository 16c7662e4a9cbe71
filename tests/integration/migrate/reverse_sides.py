"""A migrated database whose target is written, with the changes replayed into the source; and a laboratory of many kinds of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry.derivation.derived import Reading
from tenantry.derivation.forward import Deriver
from tenantry.manifest import Manifest, load_manifest
from tenantry.mapping import Project
from tenantry.migrate.replay.reverse import Reversed, Reverser
from tenantry.migrate.verify.sums import corrected_mappings
from tenantry.postgres import EmbeddedServer, ident, idents, load_sql
from tests.conftest import Database, fresh_database, running_server, version_parameters
from tests.migrate_support import (
    OWNER,
    clinic_manifest,
    engine,
    finished_template,
    grant_rights,
    let_own,
    migrate,
    project_of,
    rows,
    shared_template,
)

Row = dict[str, Any]


AUDIT = {"created_at", "updated_at"}


def open_sides(database: Database, manifest: Manifest, owner: str = OWNER) -> None:
    """Let both sides of a migrated database be written, with nothing that records it."""
    with database.connect() as admin:
        for table, trigger in admin.execute(
            "select tgrelid::regclass::text, tgname from pg_trigger where tgname ~ '^tenantry_' and not tgisinternal"
        ).fetchall():
            admin.execute(f"drop trigger {trigger} on {table}")
        for table in manifest.tables:
            admin.execute(f"alter table {ident(manifest.target.schema_name, table)} enable trigger user")
    with engine(database, owner) as connection:
        connection.execute(load_sql("tenantry.journal.sql", "reverse"))


_PROJECTS: dict[tuple[str, int], Project] = {}
"""By manifest and server version: all clones of one template have the same."""


def project_once(database: Database, manifest: Manifest, owner: str = OWNER) -> Project:
    key = (manifest.name, database.version)
    if key not in _PROJECTS:
        _PROJECTS[key] = project_of(database, manifest, owner=owner)
    return _PROJECTS[key]


class Sides:
    """A migrated database whose target is written, with the changes replayed into the source."""

    def __init__(self, database: Database, project: Project, owner: str = OWNER) -> None:
        self.database, self.project, self.owner = database, project, owner
        self.reverser = Reverser(self.project)
        self.seen: dict[str, set[str]] = {}

    def write(self, *statements: str) -> list[tuple[Any, ...]]:
        """Write the target, as its owner, and note which rows that changed; returns what the last statement returned."""
        before = self.target()
        with engine(self.database, self.owner) as connection, connection.transaction():
            connection.execute(f"set local search_path = {ident(self.project.target.schema)}")
            connection.execute("set constraints all deferred")
            for statement in statements:
                cursor = connection.execute(statement)
            found = cursor.fetchall() if cursor.description else []
        after = self.target()
        for table, now in after.items():
            was = before[table]
            self.seen.setdefault(table, set()).update(
                key for key in was.keys() | now.keys() if was.get(key) != now.get(key)
            )
        return found

    def back(
        self, changed: Mapping[str, Sequence[str]] | None = None, on: psycopg.Connection[Any] | None = None
    ) -> Reversed:
        """One round with what was noted, or with the rows named; what was noted is noted for the next round as well."""
        opened = nullcontext(on) if on else engine(self.database, self.owner)
        with opened as connection, connection.transaction():
            connection.execute("set transaction isolation level repeatable read")
            connection.execute(
                "create temporary table tenantry_changed (table_name text, legacy_id text) on commit drop"
            )
            for table, keys in (self.seen if changed is None else changed).items():
                connection.execute("insert into tenantry_changed select %s, unnest(%s::text[])", [table, sorted(keys)])
            return self.reverser.apply(connection)

    def target(self) -> dict[str, dict[str, str]]:
        """Every row of the target's fed tables, as text, by legacy id."""
        with self.database.connect() as connection:
            return {
                name: {
                    str(key): str(text)
                    for key, text in connection.execute(
                        f"select legacy_id, t::text from {ident(self.project.target.schema, name)} t"
                    )
                }
                for name in self.project.by_target
            }

    def source(self) -> dict[str, dict[str, Row]]:
        """Every source row as its columns' texts, by its key's text."""
        found: dict[str, dict[str, Row]] = {}
        with self.database.connect() as connection:
            for table in self.project.source_tables:
                texts = ", ".join(f"{ident(column.name)}::text" for column in table.columns)
                names = [column.name for column in table.columns]
                key = self.project.of_source(table.name)[0].key
                found[table.name] = {}
                for row in connection.execute(f"select {texts} from {ident(table.schema, table.name)}"):
                    cells = dict(zip(names, row, strict=True))
                    found[table.name]["|".join(str(cells[name]) for name in key)] = cells
        return found

    def changes(self, before: dict[str, dict[str, Row]]) -> dict[tuple[str, str], Row | None]:
        """What is not as it was in the source: new rows whole, changed rows by their changed cells, None for deleted ones."""
        found: dict[tuple[str, str], Row | None] = {}
        for table, now in self.source().items():
            was = before[table]
            for key in was.keys() | now.keys():
                if key not in now:
                    found[table, key] = None
                elif key not in was:
                    found[table, key] = now[key]
                elif now[key] != was[key]:
                    found[table, key] = {name: cell for name, cell in now[key].items() if was[key][name] != cell}
        return found

    def kept(self) -> dict[tuple[str, str, str], str]:
        return {
            (table, key, column): reason
            for table, key, column, reason in rows(
                self.database, "select table_name, legacy_id, column_name, reason from tenantry.kept"
            )
        }

    def conflicts(self) -> list[tuple[Any, ...]]:
        return rows(
            self.database,
            "select table_name, legacy_id, source_key, winner, loser, reason from tenantry.conflict order by id",
        )

    def disagreements(self) -> list[str]:
        """Where up(source), derived as the verification does, is not the target, and `kept` does not say so: in what was written and in
        what comes of the same source tables, or everywhere, if nothing was written."""
        written = {name for name, keys in self.seen.items() if keys}
        sources = {mapping.source.name for mapping in self.project if mapping.target.name in written}
        kept = self.kept()
        found = []
        with engine(self.database, self.owner) as connection:
            corrected = corrected_mappings(connection)
            for mapping in self.project:
                if written and mapping.source.name not in sources:
                    continue
                names = [c.name for c in mapping.columns if c.kind not in ("python", "account")]
                derivation = Deriver(self.project, Reading.VERIFY, corrected=corrected).derive(mapping)
                want = {
                    row[0]: row[1:]
                    for row in connection.execute(
                        derivation.statement(f"select legacy_id, {idents(names)} from derived")
                    )
                }
                table = ident(self.project.target.schema, mapping.target.name)
                length = len(mapping.legacy_prefix)
                got = {
                    row[0]: row[1:]
                    for row in connection.execute(f"select legacy_id, {idents(names)} from {table}")
                    if row[0][:length] == mapping.legacy_prefix
                }
                for key in want.keys() | got.keys():
                    if (mapping.target.name, key, "") in kept:
                        continue
                    if key not in want or key not in got:
                        if not any((mapping.target.name, key, "id") == each for each in kept):
                            found.append(
                                f"{mapping.name} {key}: {'only in the target' if key in got else 'only in the source'}"
                            )
                        continue
                    found += [
                        f"{mapping.name} {key}.{name}: source {a!r}, target {b!r}"
                        for name, a, b in zip(names, want[key], got[key], strict=True)
                        if a != b and (mapping.target.name, key, name) not in kept
                    ]
        return found

    def assert_in_line(self) -> None:
        """Both sides agree but for what is kept, and another round finds nothing to do."""
        assert self.disagreements() == []
        kept, conflicts, before = self.kept(), self.conflicts(), self.source()
        again = self.back()
        assert again.written == 0
        assert self.changes(before) == {}
        assert (self.kept(), self.conflicts()) == (kept, conflicts)


@pytest.fixture
def sides(servers: dict[int, EmbeddedServer]) -> Iterator[Sides]:
    """A migrated Clinic, both sides of which can be written, on PostgreSQL 18."""
    server, manifest = running_server(servers, 18), clinic_manifest()
    template = shared_template(
        server, "clinic_sides", lambda made: open_sides(made, manifest), template=finished_template(server)
    )
    with fresh_database(server, template) as database:
        grant_rights(database, manifest)
        yield Sides(database, project_once(database, manifest))


def pick(sides: Sides, query: str) -> Any:
    """One row of the source or the target, by a query; its only value where it has one."""
    found = rows(sides.database, query)
    assert found, query
    return found[0][0] if len(found[0]) == 1 else found[0]


def keys_of(sides: Sides, listed: str) -> set[str]:
    """The source keys of a list of the journal."""
    return {row[0] for row in rows(sides.database, f"select source_key from tenantry.{listed}")}


GOOD = (
    "select v.id from public.metric_values v join clinic.metric_values t on t.legacy_id = v.id"
    " where not exists (select from tenantry.merged m where m.into_key = v.id)"
)


# -- another schema: names in quotes, keys of several columns, trees, circles, parts -----------------------------------------

LAB_OWNER = "lab_owner"


LAB_SOURCE = """
create schema "Old Lab";
set search_path = "Old Lab";
create type "Grade" as enum ('low', 'high', 'Very High');
create domain percents as text check (value ~ '%$');
create table "Site" (id text primary key, "siteCode" varchar(8) not null unique, "zoneName" text not null);
create table nodes (id text primary key, "siteId" text not null references "Site" on delete restrict,
    parent_id text references nodes on delete restrict, label varchar(10) not null unique, "Grade" "Grade" not null default 'low',
    seen timestamp(3), local_at timestamp, day timestamptz, "isOpen" text not null default 'no', price text, ratio real,
    share percents, extra jsonb, wait interval, tags text[], size varchar(3), generated text generated always as (label || '!') stored);
create table shelves (room text, no integer, "siteId" text not null references "Site", title text not null, primary key (room, no));
create table boxes (id text primary key, room text, no integer, site_code varchar(8) not null references "Site" ("siteCode") on update cascade,
    foreign key (room, no) references shelves on delete cascade);
create table teams (id text primary key, "siteId" text not null references "Site", lead text, name text);
create table members (id text primary key, team text not null references teams on delete restrict, name text);
alter table teams add foreign key (lead) references members on delete restrict;
create table counters (id bigint generated always as identity primary key, "siteId" text not null references "Site", n integer not null);
create table devices (id text primary key, "siteId" text not null references "Site", serial text not null, note text, "noteKind" text, secret text);
create table visits (id bigint primary key, "siteId" text not null references "Site", guest text, client text, note text);

insert into "Site" values ('s1', 'north', 'America/New_York'), ('s2', 'south', 'Europe/Berlin');
insert into nodes (id, "siteId", parent_id, label, "Grade", seen, local_at, day, "isOpen", price, ratio, share, extra, wait, tags, size)
values ('n1', 's1', null, 'root', 'high', '2024-01-01 10:00:00.5', '2024-07-01 12:00', '2024-03-10 05:00+00', ' YES ', ' $ 1,000.50 ', 0.1, '12%',
        '{"kin": ["n2", "gone"]}', '1 mon', '{a,b}', ' S '),
       ('n2', 's1', 'n1', 'leaf', 'Very High', null, null, null, 'off', null, null, null, null, '30 days', null, null),
       ('n3', 's2', null, 'other', 'low', null, null, null, '0', '(5)', 1e20, '7.5%', null, null, '{}', 'M');
insert into shelves values ('A', 1, 's1', 'one'), ('A', 2, 's1', 'two'), ('B "x"', 1, 's2', 'three');
insert into boxes values ('b1', 'A', 1, 'north'), ('b2', 'A', 2, 'north'), ('b3', 'B "x"', 1, 'south'), ('b4', 'A', null, 'north');
insert into teams values ('t1', 's1', null, 'team');
insert into members values ('m1', 't1', 'lead'), ('m2', 't1', 'hand');
update teams set lead = 'm1';
insert into counters ("siteId", n) values ('s1', 1), ('s2', 2);
insert into devices values ('d1', 's1', 'x-1', 'a note', 'plain', 'pass-1'), ('d2', 's1', 'x-2', null, null, 'pass-2');
insert into visits values (1, 's1', 'Ann', null, 'n'), (2, 's1', null, 'Bob', 'm');
analyze;
"""


_OWN = """site_id uuid not null, id uuid not null default gen_random_uuid(), legacy_id text not null, primary key (site_id, id),
    unique (site_id, legacy_id), foreign key (site_id) references sites (id) deferrable initially immediate"""


LAB_TARGET = f"""
create type role as enum ('reader', 'writer');
create domain share_of as numeric(6,4) check (value >= 0);
create table sites (id uuid primary key default gen_random_uuid(), legacy_id text not null unique, code text not null unique, zone text not null);
create table people (id uuid primary key default gen_random_uuid());
create table crew (person_id uuid not null, role role not null, site_id uuid not null,
    id uuid not null default gen_random_uuid(), primary key (site_id, id));
create table nodes (parent_id uuid, label text not null, grade smallint not null, seen timestamptz, local_at timestamptz, day date,
    "isOpen" boolean not null, price numeric(12,2), ratio double precision, share share_of, extra jsonb, wait interval, tags text[], size text,
    shout text not null, {_OWN}, foreign key (site_id, parent_id) references nodes (site_id, id) deferrable initially immediate);
create table shelves (room text not null, no integer not null, title text not null, {_OWN});
create table boxes (shelf_id uuid, {_OWN}, foreign key (site_id, shelf_id) references shelves (site_id, id) deferrable initially immediate);
create table teams (lead uuid, name text, {_OWN});
create table members (team uuid not null, name text, {_OWN},
    foreign key (site_id, team) references teams (site_id, id) deferrable initially immediate);
alter table teams add foreign key (site_id, lead) references members (site_id, id) deferrable initially immediate;
create table counters (n integer not null, {_OWN});
create table devices (serial text not null, password text, {_OWN});
create table device_notes (device_id uuid not null, body text not null, {_OWN});
create table visits (guest text, client text, note text, {_OWN});
create function born() returns trigger language plpgsql as $$ begin new.legacy_id := new.id::text; return new; end $$;
do $$
declare name text;
begin
    foreach name in array '{{sites,nodes,shelves,boxes,teams,members,counters,devices,device_notes,visits}}'::text[] loop
        execute format('create trigger born before insert on %I for each row when (new.legacy_id is null) execute function born()', name);
    end loop;
end $$;
"""


_ACCESS = 'access = { select = "service", insert = "service", update = "service", delete = "service" }'


LAB_MANIFEST = f"""
name = "lab"
[source]
schema = "Old Lab"
[source.secrets]
devices = ["secret"]
[source.down.devices]
noteKind = "case when device_notes.id is not null then 'of ' || t.serial end"
note = "device_notes.body"
[target]
schema = "lab"
files = ["target.sql"]
[ids]
namespace = "lab"
[tenant]
table = "sites"
column = "site_id"
[membership]
table = "crew"
profile = "person_id"
role = "role"
[roles]
order = ["reader", "writer"]

[tables.people]
{_ACCESS}
[tables.crew]
{_ACCESS}
[tables.sites]
from = "Site"
{_ACCESS}
[tables.sites.columns]
code = {{ from = "siteCode" }}
zone = {{ from = "zoneName" }}
[tables.nodes]
from = "nodes"
tenant = ["siteId"]
{_ACCESS}
[tables.nodes.columns]
grade = {{ from = "Grade", map = {{ low = 1, high = 2, "Very High" = 3 }} }}
local_at = {{ as = "local_time", zone = "tenant.zone" }}
day = {{ as = "local_day", zone = "tenant.zone" }}
isOpen = {{ as = "boolean" }}
price = {{ as = "money" }}
share = {{ as = "percent" }}
size = {{ as = "trim" }}
extra = {{ as = "json_ids", ids = {{ "kin[*]" = "nodes" }} }}
shout = {{ up = "upper(s.label)" }}
[tables.shelves]
from = "shelves"
{_ACCESS}
[tables.boxes]
from = "boxes"
tenant = ["site_code"]
{_ACCESS}
[tables.boxes.columns]
shelf_id = {{ from = "no", ref = "shelves" }}
[tables.teams]
from = "teams"
{_ACCESS}
[tables.members]
from = "members"
tenant = ["team"]
{_ACCESS}
[tables.counters]
from = "counters"
{_ACCESS}
[tables.devices]
from = "devices"
{_ACCESS}
[tables.devices.columns]
password = {{ from = "secret" }}
[tables.device_notes]
from = "devices"
part = "note"
where = "s.note is not null"
{_ACCESS}
[tables.device_notes.columns]
device_id = {{ from = "id", ref = "devices" }}
body = {{ from = "note" }}
[tables.visits]
{_ACCESS}
[tables.visits.sources.guest]
from = "visits"
where = "s.guest is not null"
[tables.visits.sources.client]
from = "visits"
part = "client"
where = "s.client is not null"
"""


def fill_lab(database: Database, manifest: Manifest) -> None:
    with database.connect() as admin:
        for statement in LAB_SOURCE.split(";\n"):
            admin.execute(statement)
    let_own(database, manifest, owner=LAB_OWNER, schema="Old Lab")
    with database.connect() as admin:
        admin.execute(f'grant usage on schema "Old Lab" to {LAB_OWNER}')
    migrate(database, manifest, owner=LAB_OWNER)
    open_sides(database, manifest, LAB_OWNER)


def lab_manifest(folder: Path) -> Manifest:
    (folder / "target.sql").write_text(LAB_TARGET)
    (folder / "tenantry.toml").write_text(LAB_MANIFEST)
    return load_manifest(folder / "tenantry.toml")


@contextmanager
def lab_on(server: EmbeddedServer, folder: Path) -> Iterator[Sides]:
    manifest = lab_manifest(folder)
    template = shared_template(server, "reverse_lab", lambda made: fill_lab(made, manifest))
    with fresh_database(server, template) as database:
        grant_rights(database, manifest, owner=LAB_OWNER)
        yield Sides(database, project_once(database, manifest, LAB_OWNER), LAB_OWNER)


@pytest.fixture
def lab(servers: dict[int, EmbeddedServer], tmp_path: Path) -> Iterator[Sides]:
    with lab_on(running_server(servers, 18), tmp_path) as made:
        yield made


@pytest.fixture(params=version_parameters())
def lab_each(servers: dict[int, EmbeddedServer], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sides]:
    """The texts of values are the server's, and what is written from them."""
    with lab_on(running_server(servers, request.param), tmp_path) as made:
        yield made


@pytest.fixture
def lab_project(database: Database, tmp_path: Path) -> Project:
    manifest = lab_manifest(tmp_path)
    with database.connect() as admin:
        for statement in LAB_SOURCE.split(";\n"):
            admin.execute(statement)
    let_own(database, manifest, owner=LAB_OWNER, schema="Old Lab")
    with database.connect() as admin:
        admin.execute(f'grant usage on schema "Old Lab" to {LAB_OWNER}')
    return project_of(database, manifest, owner=LAB_OWNER)
