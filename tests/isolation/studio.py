"""A schema with a table of every kind that the access matrix knows: studios that make pots and lend each other their shows."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID, uuid4

from tenantry.manifest import Manifest, load_manifest
from tests.conftest import Database
from tests.isolation.build import Built, Connection, build_once, open_context, run

SOURCE = "create table old_people (id text primary key, mail text not null);"

TARGET = """
create table studios (
    id     uuid primary key default gen_random_uuid(),
    name   text not null,
    closed boolean not null default false);
create table people (
    id      uuid primary key default gen_random_uuid(),
    account uuid unique references auth.users (id),
    name    text not null);
create table crew (
    studio_id uuid not null references studios (id),
    id        uuid not null default gen_random_uuid(),
    person_id uuid not null references people (id),
    rank      text not null,
    kiln_id   uuid,
    left_at   timestamptz,
    primary key (studio_id, id),
    unique (studio_id, person_id));
create table loans (
    studio_id uuid not null references studios (id),
    id        uuid not null default gen_random_uuid(),
    guest_id  uuid not null references studios (id),
    what      text not null,
    ends_at   timestamptz,
    agreed_at timestamptz,
    made_at   timestamptz default now(),
    primary key (studio_id, id));
create table kilns (
    studio_id uuid not null references studios (id),
    id        uuid not null default gen_random_uuid(),
    name      text not null,
    primary key (studio_id, id));
create table firings (
    studio_id uuid not null references studios (id),
    id        uuid not null default gen_random_uuid(),
    kiln_id   uuid not null,
    cone      int not null,
    primary key (studio_id, id),
    foreign key (studio_id, kiln_id) references kilns (studio_id, id));
create table pots (
    studio_id uuid not null references studios (id),
    id        uuid not null default gen_random_uuid(),
    title     text not null,
    on_show   boolean not null default false,
    price     numeric(10,2),
    cost      numeric(10,2),
    primary key (studio_id, id));
create table notes (
    studio_id uuid not null references studios (id),
    id        uuid not null default gen_random_uuid(),
    person_id uuid not null,
    body      text not null,
    pinned    boolean not null default false,
    primary key (studio_id, id));
create table glazes (
    studio_id uuid references studios (id),
    id        uuid primary key default gen_random_uuid(),
    recipe    text not null);
create table journal (
    studio_id uuid not null references studios (id),
    id        uuid not null default gen_random_uuid(),
    entry     text not null,
    primary key (studio_id, id));
create table cones (
    id   int primary key,
    heat int not null);
create table licences (
    studio_id uuid not null references studios (id),
    id        uuid not null default gen_random_uuid(),
    token     text not null,
    primary key (studio_id, id));
create table fairs (
    id    uuid primary key default gen_random_uuid(),
    city  text not null,
    fee   numeric(10,2));
create index pots_studio_id_idx on pots (studio_id);
"""

MANIFEST = """
name = "studio"
source = { schema = "old", ignore = ["old_people"] }
target = { schema = "studio", files = ["*.sql"] }
ids = { namespace = "studio" }
tenant = { table = "studios", column = "studio_id", active = "not closed" }
membership = { table = "crew", profile = "person_id", role = "rank", active = "left_at is null" }
roles = { order = ["guest", "potter", "master"] }
users = { from = "old_people", email = "mail", profile = "people", account = "account" }

[shares.shows]
table = "loans"
to = "guest_id"
role = "potter"
active = "what = 'shows' and (ends_at is null or ends_at > now())"
accepted = "agreed_at is not null"

[shares.notes]
table = "loans"
to = "guest_id"
active = "what = 'notes' and (ends_at is null or ends_at > now())"
accepted = "true" # notes are lent without asking

[tables.studios.access]
select = "guest"
insert = "super"
update = "master"
delete = "super"
shared = "shows"

[tables.people.access]
select = { colleagues = "guest", own = "id" }
insert = "service"
update = { own = "id" }
delete = "service"
fixed = ["account"]

[tables]
crew.access = { select = "guest", insert = "service", update = "service", delete = "service" }
loans.access = { kind = "managed", update = "service", insert_columns = ["guest_id", "what", "ends_at"] }
kilns.access = "managed"
journal.access = "append_only"
cones.access = "shared"
licences.access = "service"
glazes.access = "system"
fairs.access = { kind = "shared", select = "public", public_columns = ["id", "city"] }

[tables.firings.access]
select = { own = "kiln_id", through = { table = "crew", match = "kiln_id", profile = "person_id" }, role = "guest" }
insert = { own = "kiln_id", through = { table = "crew", match = "kiln_id", profile = "person_id" }, role = "potter" }
update = { own = "kiln_id", through = { table = "crew", match = "kiln_id", profile = "person_id" }, role = "potter" }
delete = "master"

[tables.pots.access]
kind = "tenant"
shared = "shows"
public = "on_show and price > 0"
public_columns = ["studio_id", "id", "title", "price"]
insert_columns = ["id", "title", "price"]
update_columns = ["title", "on_show"]

[tables.notes.access]
kind = "own"
by = "person_id"
shared = "notes"
"""


def studio_manifest(folder: Path, text: str = MANIFEST) -> Manifest:
    folder.joinpath("studio.sql").write_text(TARGET, encoding="utf-8")
    path = folder / "tenantry.toml"
    path.write_text(text, encoding="utf-8")
    return load_manifest(path)


def build_studio(database: Database, folder: Path, text: str = MANIFEST) -> Built:
    return build_once(database, studio_manifest(folder, text), SOURCE, [TARGET])


class World:
    """Rows, made by the owner, and what callers see of them."""

    def __init__(self, built: Built, owner: Connection, login: Connection) -> None:
        self.built, self.owner, self.login = built, owner, login
        self.here, self.there = (self.put("studios", name=name) for name in ("Ashpit", "Saltglaze"))

    def put(self, table: str, **values: object) -> UUID:
        """A new row; its id."""
        columns = ", ".join(values)
        marks = ", ".join(["%s"] * len(values))
        query = f"insert into studio.{table} ({columns}) values ({marks}) returning id"
        row = self.owner.execute(query.encode(), list(values.values())).fetchone()
        assert row is not None
        return row[0]  # type: ignore[return-value]

    def person(self, *, is_super: bool = False, **ranks: UUID) -> Caller:
        """A person with a rank in some studios."""
        account = uuid4()
        meta = json.dumps({"super_admin": True} if is_super else {})
        self.owner.execute(
            "insert into auth.users (id, email, raw_app_meta_data) values (%s, %s, %s)",
            [account, f"{account}@example.org", meta],
        )
        profile = self.put("people", account=account, name="Somebody")
        for rank, studio in ranks.items():
            self.put("crew", studio_id=studio, person_id=profile, rank=rank)
        return Caller(self, account, profile)

    @property
    def visitor(self) -> Caller:
        return Caller(self, None, None)


class Caller:
    """Runs statements as a person, or without an account as an anonymous client."""

    def __init__(self, world: World, account: UUID | None, profile: UUID | None) -> None:
        self.world, self.account, self._profile = world, account, profile

    @property
    def profile(self) -> UUID:
        assert self._profile is not None
        return self._profile

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        login = self.world.login
        with login.transaction():
            run(login, f"set local role {'anon' if self.account is None else 'authenticated'}")
            if self.account is not None:
                open_context(login, json.dumps({"sub": str(self.account), "role": "authenticated"}))
            cursor = login.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description is not None else []

    def sees(self, table: str, column: str = "id") -> set[object]:
        return {row[0] for row in self.rows(f"select {column} from studio.{table}")}

    def touched(self, statement: str, *values: object) -> int:
        """How many rows a statement with RETURNING touched."""
        return len(self.rows(statement, *values))
