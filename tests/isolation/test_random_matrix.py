"""For any matrix, memberships and rows: what a caller sees and may write is what an oracle in Python reads from the matrix.

Each example is a small manifest with random cells over tables of every kind, and a random world in it: tenants and memberships
that are active or not, people with roles in several tenants, super admins, banned people, shares, rows. Then every caller reads,
inserts, updates and deletes all there is, over the application's login.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import ClientCursor, errors

from tenantry.access import context_sql, cutover_grants, secure_statements
from tenantry.accounts.auth_schema import auth_script
from tenantry.catalog import read_catalog
from tenantry.journal.ddl import journal_ddl
from tenantry.manifest import COMMANDS, Command, Manifest
from tenantry.manifest.model import Own
from tenantry.mapping.check_access import resolve_access
from tenantry.prove.expected.callers import ProofPerson
from tenantry.prove.expected.oracle import RowFacts, may
from tests.conftest import Database
from tests.isolation.build import KEY, LOGIN, OWNER, Connection, add_key, make_roles, open_context, run

ROLES = ("reader", "writer", "keeper")
BEDS = ("beds", "rows_of_beds", "plants")
"""Tables of a tenant; later ones may reference earlier ones."""
COMMON = ("seeds",)
"""Tables without a tenant."""
SCHEMA = "garden"

TABLES = """
create table gardens (id uuid primary key, open boolean not null, flag boolean not null default false, note text);
create table people (id uuid primary key, account uuid unique, note text);
create table crew (garden_id uuid not null, id uuid not null, person_id uuid not null, rank text not null, active boolean not null,
    spot uuid not null, note text, primary key (garden_id, id));
create table loans (garden_id uuid not null, id uuid not null default gen_random_uuid(), guest_id uuid not null,
    active boolean not null, note text,
    primary key (garden_id, id));
create table beds (garden_id uuid, id uuid not null default gen_random_uuid(), person_id uuid, link uuid,
    flag boolean not null, note text);
create table rows_of_beds (garden_id uuid, id uuid not null default gen_random_uuid(), person_id uuid, link uuid,
    flag boolean not null, note text);
create table plants (garden_id uuid, id uuid not null default gen_random_uuid(), person_id uuid, link uuid,
    flag boolean not null, note text);
create table seeds (id uuid not null default gen_random_uuid(), person_id uuid, link uuid, flag boolean not null, note text);
"""


# -- worlds -----------------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """A row, and how it stands in the world."""

    table: str
    id: UUID
    values: dict[str, Any]
    facts: RowFacts


@dataclass
class World:
    """An example: a manifest, and what stands in the database."""

    manifest: Manifest
    people: list[ProofPerson]
    rows: list[Row] = field(default_factory=list)
    profiles: dict[str, UUID] = field(default_factory=dict)
    """By account."""
    changes: list[tuple[Row, Row]] = field(default_factory=list)
    """Rows, and the changes that a caller tries."""

    def of(self, table: str) -> list[Row]:
        return [row for row in self.rows if row.table == table]


class Draws:
    """Draws a world, value by value."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.order = list(ROLES[: data.draw(st.integers(1, 3), "roles")])

    def one(self, of: list[Any]) -> Any:
        return self.data.draw(st.sampled_from(of))

    def coin(self, of: int = 2) -> bool:
        return self.data.draw(st.integers(1, of)) == 1

    def uuid(self) -> UUID:
        return self.data.draw(st.uuids(version=4))

    # -- the matrix ----------------------------------------------------------------------------------------------------

    def manifest(self) -> Manifest:
        tables: dict[str, dict[str, Any]] = {
            "gardens": self.simple(self.order, shares=True),
            "people": {
                "select": {"colleagues": self.one(self.order), "own": "id"},
                "insert": "service",
                "update": {"own": "id"},
                "delete": "service",
                "fixed": ["account"],
            },
            "crew": self.simple(self.order),
            "loans": self.simple(self.order),
        }
        for name in BEDS:
            tables[name] = self.bed(tables)
        for name in COMMON:
            tables[name] = self.common(tables)
        return Manifest.model_validate(
            {
                "name": "garden",
                "source": {"schema": "old"},
                "target": {"schema": SCHEMA, "files": []},
                "ids": {"namespace": "garden"},
                "tenant": {"table": "gardens", "column": "garden_id", "active": "open"},
                "membership": {
                    "table": "crew",
                    "profile": "person_id",
                    "role": "rank",
                    "active": "active",
                    "clients_write": "drawn",
                },
                "roles": {"order": self.order},
                "users": {"from": "users", "email": "email", "profile": "people", "account": "account"},
                "shares": {
                    "loans": {
                        "table": "loans",
                        "to": "guest_id",
                        "active": "active",
                        "accepted": "true",
                        **({} if self.coin(4) else {"role": self.one(self.order)}),
                    }
                },
                "tables": {name: {"access": access} for name, access in tables.items()},
            }
        )

    def simple(self, roles: list[str], *, shares: bool = False) -> dict[str, Any]:
        """Roles alone: the tables on which the context functions stand must be readable by members."""
        access: dict[str, Any] = {"select": self.one(roles)}
        access |= {command: self.one([*roles, "super", "service"]) for command in COMMANDS[1:]}
        if shares and self.coin():
            access["shared"] = "loans"
        return access

    def bed(self, before: dict[str, dict[str, Any]]) -> dict[str, Any]:
        role = self.one(self.order)
        cells = [
            *self.order, role, "super", "service",
            {"own": "person_id", "role": role},
            {"own": "link", "role": role, "through": {"table": "crew", "match": "spot", "profile": "person_id"}},
            *({"own": f"link -> {name}", "role": role} for name in BEDS if name in before and before[name]["select"] != "service"),
        ]  # fmt: skip
        access: dict[str, Any] = {command: self.one(cells) for command in COMMANDS}
        if self.coin(3):
            access["system"] = self.one(["signed_in", "super"])
        if self.coin() and access["select"] not in ("service", "super"):
            access["shared"] = "loans"
        if self.coin(4) and access["select"] != "service":
            access["public"] = "flag"
        if self.coin(6) and "public" not in access and "shared" not in access:
            access["select"] = "public"
        return access

    def common(self, before: dict[str, dict[str, Any]]) -> dict[str, Any]:
        cells = [
            "signed_in", "super", "service", {"own": "person_id"},
            {"own": "link", "through": {"table": "crew", "match": "spot", "profile": "person_id"}},
            *({"own": f"link -> {name}"} for name in BEDS if before[name]["select"] != "service"),
        ]  # fmt: skip
        access: dict[str, Any] = {command: self.one(cells) for command in COMMANDS}
        if self.coin(3) and access["select"] != "service":
            access["public"] = "flag"
        elif self.coin(4):
            access["select"] = "public"
        return access

    # -- what stands in it ---------------------------------------------------------------------------------------------

    def world(self) -> World:
        manifest = self.manifest()
        world = World(manifest, [])
        gardens = {str(self.uuid()): not self.coin(4) for _ in range(self.one([2, 3]))}
        members = self.members(world, gardens)
        loans = [
            (giver, guest, self.coin()) for giver in gardens for guest in gardens if giver != guest and self.coin()
        ]
        shared = {
            giver: frozenset(guest for one, guest, active in loans if one == giver and active and gardens[giver])
            for giver in gardens
        }
        for garden, is_open in gardens.items():
            values: dict[str, Any] = {"open": is_open}
            self.put(world, "gardens", values, RowFacts("gardens", garden, shared_with=self.share(manifest, "gardens", shared, garden)),
                     UUID(garden))  # fmt: skip
        for person in world.people:
            self.put(
                world, "people", {"account": person.uid}, RowFacts("people", None, person), world.profiles[person.uid]
            )
        for person, garden, rank, active in members:
            spot = self.uuid()
            self.put(
                world, "crew",
                {"garden_id": garden, "person_id": world.profiles[person.uid], "rank": rank, "active": active, "spot": spot},
                RowFacts("crew", garden, person),
            )  # fmt: skip
        for giver, guest, active in loans:
            self.put(
                world, "loans", {"garden_id": giver, "guest_id": guest, "active": active}, RowFacts("loans", giver)
            )
        for name in (*BEDS, *COMMON):
            for _ in range(self.one([2, 3, 4])):
                self.row(world, name, list(gardens), shared)
        return world

    def members(self, world: World, gardens: dict[str, bool]) -> list[tuple[ProofPerson, str, str, bool]]:
        found = []
        for number in range(self.one([3, 4])):
            held = [(garden, self.one(self.order), not self.coin(4)) for garden in gardens if self.coin()]
            effective = {garden: rank for garden, rank, active in held if active and gardens[garden]}
            person = ProofPerson(
                f"person {number}",
                effective,
                former=frozenset(garden for garden, _, _ in held) - set(effective),
                is_super=self.coin(5),
                is_banned=self.coin(6),
                uid=str(self.uuid()),
            )
            world.people.append(person)
            world.profiles[person.uid] = self.uuid()
            found += [(person, *each) for each in held]
        return found

    def row(self, world: World, name: str, gardens: list[str], shared: dict[str, frozenset[str]]) -> None:
        """A row, and a changed version of it in every changeable column."""
        access = world.manifest.tables[name].access
        without = [None] if access.system is not None else []
        garden = self.one([*gardens, *without]) if name in BEDS else None
        row, other = (self.version(world, name, garden, shared) for _ in range(2))
        self.put(world, name, *row)
        world.changes.append((world.rows[-1], Row(name, world.rows[-1].id, *other)))

    def version(
        self, world: World, name: str, garden: str | None, shared: dict[str, frozenset[str]]
    ) -> tuple[dict[str, Any], RowFacts]:
        scoped = name in BEDS
        person = self.one([*world.people, None])
        parent = self.one([*self.parents(world, name), None])
        flag = self.coin()
        values: dict[str, Any] = {
            "person_id": None if person is None else world.profiles[person.uid],
            "link": None if parent is None else parent.values["spot"] if parent.table == "crew" else parent.id,
            "flag": flag,
        }
        if scoped:
            values["garden_id"] = garden
        # The row that is named counts where it is of the same tenant; in a table without one the id alone does.
        same = parent is not None and (not scoped or (garden is not None and parent.facts.tenant == garden))
        return values, RowFacts(
            name,
            garden,
            person,
            parent.facts if parent is not None and same else None,
            public=world.manifest.tables[name].access.public is not None and flag,
            shared_with=self.share(world.manifest, name, shared, garden),
        )

    def parents(self, world: World, name: str) -> list[Row]:
        """Rows of the one table that the cells of a table lead to; a cell that leads elsewhere finds nothing in them."""
        access = world.manifest.tables[name].access
        cells = [cell for command in COMMANDS if isinstance(cell := access.cell(command), Own)]
        tables = {cell.through.table if cell.through else cell.parent for cell in cells} - {None}
        return [row for row in world.rows if row.table in tables]

    def share(
        self, manifest: Manifest, name: str, shared: dict[str, frozenset[str]], garden: str | None
    ) -> frozenset[str]:
        if manifest.tables[name].access.shared is None or garden is None:
            return frozenset()
        return shared[garden]

    def put(
        self, world: World, table: str, values: dict[str, Any], facts: RowFacts, row_id: UUID | None = None
    ) -> None:
        world.rows.append(Row(table, row_id or self.uuid(), values, facts))


# -- expectation ------------------------------------------------------------------------------------------------------


def expected(world: World, command: Command, person: ProofPerson | None, table: str) -> set[UUID]:
    """The rows of a table on which the matrix allows a person this command (for insert: rows that they may make)."""
    return {row.id for row in world.of(table) if may(world.manifest, command, person, row.facts)}


# -- the database -----------------------------------------------------------------------------------------------------


class Garden:
    """One database, in which each example takes the place of the one before."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sessions: tuple[Connection, Connection] | None = None

    def close(self) -> None:
        for session in self.sessions or ():
            session.close()

    @property
    def owner(self) -> Connection:
        assert self.sessions is not None
        return self.sessions[0]

    def build(self, world: World) -> Connection:
        """Tables, policies and rows of an example; the application's login."""
        if self.sessions is None:
            make_roles(self.database, world.manifest)
            self.sessions = self.database.connect(user=OWNER), self.database.connect(user=LOGIN)
            run(
                self.sessions[0],
                journal_ddl()[0],
                auth_script(),
            )
        (owner, login), manifest = self.sessions, world.manifest
        with owner.transaction():
            run(owner, f"drop schema if exists {SCHEMA} cascade", "delete from auth.users", context_sql(manifest))
            if owner.execute("select from tenantry.seal_key").fetchone() is None:
                add_key(owner, KEY)
            run(owner, f"create schema {SCHEMA}", f"set local search_path = {SCHEMA}, pg_catalog", TABLES)
            self.fill(owner, world)
        project = resolve_access(manifest, read_catalog(owner, SCHEMA))
        with owner.transaction():
            run(owner, *(text for entry in secure_statements(project, owner=OWNER) for text in entry.statements))
            run(owner, *cutover_grants(project))
        return login

    def fill(self, owner: Connection, world: World) -> None:
        with owner.cursor() as cursor:
            cursor.executemany(
                "insert into auth.users (id, email, raw_app_meta_data, banned_until) values (%s, %s, %s, %s)",
                [
                    (person.uid, person.email, json.dumps({"super_admin": person.is_super}), "infinity" if person.is_banned else None)
                    for person in world.people
                ],
            )  # fmt: skip
            for row in world.rows:
                columns = ["id", *row.values]
                marks = ", ".join(["%s"] * len(columns))
                query = f"insert into {row.table} ({', '.join(columns)}) values ({marks})"
                cursor.execute(query.encode(), [row.id, *row.values.values()])


class Caller:
    """A caller over the application's login, in a transaction that is rolled back."""

    def __init__(self, login: Connection, world: World) -> None:
        self.login, self.world = login, world

    def tried(self, statement: str, values: Sequence[object] = ()) -> ClientCursor[tuple[object, ...]] | None:
        """The answer to a statement that is taken back at once, all in one message; None where it is refused by right."""
        cursor = ClientCursor(self.login)
        text = f"savepoint tried; {statement}; rollback to savepoint tried; release savepoint tried"
        try:
            cursor.execute(text.encode(), values or None)
        except errors.InsufficientPrivilege:
            self.login.execute("rollback to savepoint tried; release savepoint tried")
            return None
        cursor.nextset()
        return cursor

    def ids(self, statement: str) -> set[UUID]:
        """The ids that a statement returns; none where it is refused by right."""
        answer = self.tried(statement)
        return set() if answer is None else {row[0] for row in answer}  # type: ignore[misc]

    def inserts(self, row: Row) -> bool:
        columns = ", ".join(row.values)
        marks = ", ".join(["%s"] * len(row.values))
        query = f"insert into {SCHEMA}.{row.table} ({columns}) values ({marks})"
        return self.tried(query, list(row.values.values())) is not None

    def changes(self, before: Row, after: Row) -> bool:
        given = {name: value for name, value in after.values.items() if name != "garden_id"}
        marks = ", ".join(f"{name} = %s" for name in given)
        query = f"update {SCHEMA}.{before.table} set {marks} where id = %s"
        answer = self.tried(query, [*given.values(), before.id])
        return answer is not None and answer.rowcount == 1

    def check(self, person: ProofPerson | None, who: str) -> None:
        """Everything that this caller sees and does, against the matrix."""
        world = self.world
        for table in world.manifest.tables:
            name = f"{SCHEMA}.{table}"
            for command, statement in (
                ("select", f"select id from {name}"),
                ("update", f"update {name} set note = note returning id"),
                ("delete", f"delete from {name} returning id"),
            ):
                want = expected(world, command, person, table)  # type: ignore[arg-type]
                assert self.ids(statement) == want, f"{who}: {command} {table}, {world.manifest.tables[table].access}"
            if table in (*BEDS, *COMMON):
                may_insert = expected(world, "insert", person, table)
                for row in world.of(table):
                    assert self.inserts(row) == (row.id in may_insert), (
                        f"{who}: insert {row}, {world.manifest.tables[table].access}"
                    )
        for before, after in world.changes:
            # What comes of it must be the caller's to change, and to see, as well as what was there.
            want_change = all(may(world.manifest, "update", person, row.facts) for row in (before, after))
            assert self.changes(before, after) == want_change, f"{who}: change {before} into {after}"


def tenants(world: World, person: ProofPerson, role: str) -> set[str]:
    order = world.manifest.roles.order
    if person.is_banned:
        return set()
    if person.is_super:
        return {str(row.id) for row in world.of("gardens")}
    return {garden for garden, held in person.memberships.items() if order.index(held) >= order.index(role)}


def test_every_caller_sees_and_writes_what_the_matrix_allows(database: Database) -> None:
    garden = Garden(database)
    allowed: Counter[str] = Counter()
    ended: Counter[str] = Counter()

    @settings(
        max_examples=40,
        derandomize=True,
        deadline=None,
        database=None,
        # A smaller example takes minutes to find, and the message names caller, cell and row.
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(data=st.data())
    def examples(data: st.DataObject) -> None:
        world = Draws(data).world()
        login = garden.build(world)
        allowed.update(look(login, world))
        ended.update(end_memberships(garden.owner, login, world))

    examples()
    garden.close()
    # Each was allowed often: a database that refuses everything would not pass.
    assert all(allowed[command] > 100 for command in COMMANDS), allowed
    assert all(ended[command] > 10 for command in COMMANDS), ended


def look(login: Connection, world: World) -> Counter[str]:
    """Compare the whole world, caller by caller; what was allowed, by command."""
    caller = Caller(login, world)
    allowed: Counter[str] = Counter()
    for person in world.people:
        with login.transaction(force_rollback=True):
            run(login, "set local role authenticated")
            open_context(login, json.dumps({"sub": person.uid, "role": "authenticated"}))
            caller.check(person, f"{person}")
            for role in world.manifest.roles.order:
                row = login.execute("select tenantry.tenants(%s)::text[]", [role]).fetchone()
                assert row is not None
                assert sorted(row[0]) == sorted(tenants(world, person, role))  # type: ignore[call-overload]
            for command in COMMANDS:
                allowed[command] += sum(len(expected(world, command, person, table)) for table in world.manifest.tables)
    for role in ("authenticated", "anon"):
        with login.transaction(force_rollback=True):
            run(login, f"set local role {role}")
            caller.check(None, f"nobody, as {role}")
    return allowed


def end_memberships(owner: Connection, login: Connection, world: World) -> Counter[str]:
    """A caller reads their rows; then one of their memberships ends, and the same transaction must see the change.

    Of all memberships it is the one with which most is lost. Returns how many rows that are, by command.
    """
    caller = Caller(login, world)
    found = [
        (person, garden, without(person, garden))
        for person in world.people
        for garden in person.memberships
        if not person.is_super and not person.is_banned
    ]
    if not found:
        return Counter()
    person, garden, after = max(found, key=lambda each: lost(world, each[0], each[2]).total())
    change = f"update {SCHEMA}.crew set active = %s where garden_id = %s and person_id = %s"
    with login.transaction(force_rollback=True):
        run(login, "set local role authenticated")
        open_context(login, json.dumps({"sub": person.uid, "role": "authenticated"}))
        for table in world.manifest.tables:
            assert caller.ids(f"select id from {SCHEMA}.{table}") == expected(world, "select", person, table)
        owner.execute(change.encode(), [False, garden, world.profiles[person.uid]])
        caller.check(after, f"{person}, no member of {garden} any more")
    return lost(world, person, after)


def without(person: ProofPerson, garden: str) -> ProofPerson:
    left = {which: rank for which, rank in person.memberships.items() if which != garden}
    return replace(person, memberships=left, former=person.former | {garden})


def lost(world: World, before: ProofPerson, after: ProofPerson) -> Counter[str]:
    return Counter(
        {
            command: sum(
                len(expected(world, command, before, table) - expected(world, command, after, table))
                for table in world.manifest.tables
            )
            for command in COMMANDS
        }
    )
