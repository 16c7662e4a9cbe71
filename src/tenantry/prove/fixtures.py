"""The rows that a proof is run against: two invented tenants, invented people, and rows in every table.

They are committed, since the application's login has to see them, and journalled in the same transaction, so that those
of a proof that was killed are found and removed by the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError
from itertools import pairwise
from typing import Any
from uuid import uuid4

import psycopg

from tenantry.catalog import Table
from tenantry.errors import StatementRefused
from tenantry.manifest.mapping import ROW_ID, Project
from tenantry.manifest.order import sorter
from tenantry.postgres import ident, literal, load_sql
from tenantry.postgres.seal import SealKey
from tenantry.prove.further import LENDER, conditions, places, share_columns, shared_with, tenants
from tenantry.prove.maker import CannotMake, Maker, Values
from tenantry.prove.oracle import EXISTING, Facts, own_columns, parent_columns, parent_values
from tenantry.prove.people import OTHER, OWN, Person


@dataclass(frozen=True, slots=True)
class FixtureRow:
    """A row that stands in the database, and how it stands in the world."""

    table: Table
    facts: Facts
    values: Values

    @property
    def where(self) -> str:
        """The condition that finds it, by its key."""
        types = {column.name: column.type for column in self.table.columns}
        return " and ".join(
            f"{ident(name)} = {literal(self.values[name])}::{types[name]}" for name in self.table.row_key or ()
        )


@dataclass(slots=True)
class Fixtures:
    """What was made, and what could not be, with the reason."""

    rows: dict[str, list[FixtureRow]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """Table → why it has no row."""
    profiles: dict[str, str] = field(default_factory=dict)
    """Account → profile."""
    key: SealKey | None = None
    """With which contexts are opened; None where claims are not sealed."""
    tenants: dict[str, str] = field(default_factory=dict)

    def values(self) -> dict[str, list[Values]]:
        return {table: [row.values for row in rows] for table, rows in self.rows.items()}


def remove_leftovers(conn: psycopg.Connection[Any]) -> int:
    """Remove what earlier proofs left behind; how many rows there were. The caller holds the proof's lock."""
    with conn.transaction():
        conn.execute(load_sql("tenantry.prove", "fixture"))
        conn.execute("set constraints all deferred")
        return _remove(conn)


def _remove(conn: psycopg.Connection[Any]) -> int:
    """The last made goes first. A table that is gone, as after a rollback of the migration, took its rows along."""
    rows = conn.execute(
        "delete from tenantry.proof_fixture returning position, table_schema, table_name, key::text"
    ).fetchall()
    for _, schema, table, key in sorted(rows, reverse=True):
        name = ident(schema, table)
        if conn.execute("select to_regclass(%s)", [name]).fetchone() != (None,):
            where = " and ".join(f"{ident(column)} = {literal(value)}" for column, value in json.loads(key).items())
            conn.execute(f"delete from {name} where {where}".encode())
    return len(rows)


def make_fixtures(
    conn: psycopg.Connection[Any],
    project: Project,
    persons: Sequence[Person],
    *,
    without: Mapping[str, str] | None = None,
    removable: bool = True,
) -> Fixtures:
    """Make and commit everything, after it was found that it can be removed again.

    Args:
        without: tables of which no row is to be made, with the reason.
        removable: False where the caller's transaction is rolled back anyway.

    Raises:
        StatementRefused: tenants, people or memberships cannot be made, or the rows could not be removed again.
    """
    builder = _Builder(conn, project, persons, without or {}, removable)
    with conn.transaction():
        conn.execute("set constraints all immediate")
        builder.build()
        if removable:
            _try_removal(conn)
    return builder.fixtures


def _try_removal(conn: psycopg.Connection[Any]) -> None:
    try:
        with conn.transaction(force_rollback=True):
            conn.execute("set constraints all deferred")
            _remove(conn)
            conn.execute("set constraints all immediate")
    except psycopg.Error as error:
        raise StatementRefused(
            "The rows of a proof could not be removed again, so none were left behind:"
            f" {error.diag.message_primary or type(error).__name__}.",
            hint="A trigger of the target seems to write rows that nobody may delete. Let it pass over the role that"
            " owns the tables, or run the proof on a copy of the database.",
        ) from None


class _Builder:
    def __init__(
        self,
        conn: psycopg.Connection[Any],
        project: Project,
        persons: Sequence[Person],
        without: Mapping[str, str],
        removable: bool,
    ) -> None:
        self.without = without
        self.removable = removable
        self.conn = conn
        self.project = project
        self.manifest = project.manifest
        self.persons = persons
        self.fixtures = Fixtures()
        self.rows: dict[str, list[Values]] = {}
        self.maker = maker(conn, project, self.rows, persons)

    def build(self) -> None:
        if self.manifest.context.sealed:
            self._seal_key()
        for person in self.persons:
            self._account(person)
        for table in in_order(self.project):
            try:
                if table.name in self.without:
                    raise CannotMake(self.without[table.name])
                self._table(table)
            except CannotMake as error:
                if table.name in self._needed():
                    raise StatementRefused(
                        f"No row could be invented for {table.name}, without which nothing can be proved: {error}.",
                        hint="Relax what refuses it, or run the proof on a copy of the database where that is relaxed.",
                    ) from None
                self.fixtures.reasons[table.name] = str(error)
        self._check_shares()

    def _needed(self) -> set[str]:
        users = self.manifest.users
        return {self.manifest.tenant.table, self.manifest.membership.table, *([users.profile] if users else [])}

    def _seal_key(self) -> None:
        """A key of this proof's own: the application's is nobody else's to know."""
        key = SealKey.new("proof-" + uuid4().hex[:12])
        key.register(self.conn)
        self._journal("tenantry", "seal_key", {"kid": key.kid})
        self.fixtures.key = key

    def _account(self, person: Person) -> None:
        # Before the account, so that what keeps accounts and profiles in step passes over it.
        self._journal("auth", "users", {"id": person.uid})
        self.conn.execute(
            "insert into auth.users (id, aud, role, email, raw_app_meta_data, banned_until)"
            " values (%s, %s, %s, %s, %s, %s)",
            [
                person.uid,
                self.manifest.database_roles.authenticated,
                self.manifest.database_roles.authenticated,
                person.email,
                json.dumps({"super_admin": True} if person.is_super else {}),
                "infinity" if person.is_banned else None,
            ],
        )
        if self.manifest.users is None:
            self.fixtures.profiles[person.uid] = person.uid

    def _table(self, table: Table) -> None:
        made: list[FixtureRow] = []
        wanted = [(facts, given, None) for facts, given in self._wanted(table)]
        for facts, given, condition in [*wanted, *self._further(table)]:
            reason = self._unremovable(table, given) if self.removable else None
            if reason is not None:
                self.fixtures.reasons[table.name] = f"rows of this table can never be removed ({reason})"
                made = self._existing(table)
                break
            values = self._maker(table, condition).insert(table, given)
            row = FixtureRow(table, self._seen(table, facts, values), values)
            self._journal(table.schema, table.name, {name: values[name] for name in table.row_key or ()})
            self.rows.setdefault(table.name, []).append(values)
            made.append(row)
            self._note(table, facts, values)
        self.fixtures.rows[table.name] = made
        if not made:
            self.fixtures.reasons.setdefault(table.name, "there is no row that its rows could hang on")

    def _further(self, table: Table) -> Iterator[tuple[Facts, Values, str | None]]:
        """Rows that are shared, public, or without a tenant."""
        tenant = self.manifest.tenant.column
        own = self.fixtures.tenants.get(OWN)
        for facts, values, condition in conditions(self.project, table):
            given: Values = {} if facts.tenant is None else {tenant: self.fixtures.tenants[facts.tenant]}
            yield (
                facts,
                {**given, **{name: own if value is None else value for name, value in values.items()}},
                condition,
            )

    def _check_shares(self) -> None:
        """Where no row could be made by which a tenant shares, nothing of it is shared."""
        for rows in self.fixtures.rows.values():
            for at, row in enumerate(rows):
                if row.facts.shared_with and not self._is_shared(row.table.name):
                    rows[at] = replace(row, facts=replace(row.facts, shared_with=frozenset()))
                    self.fixtures.reasons.setdefault(
                        row.table.name, "no share could be made by which its rows are read"
                    )

    def _is_shared(self, table: str) -> bool:
        share = self.manifest.shares[self.manifest.tables[table].access.shared or ""]
        tenant = self.manifest.tenant.column
        query = (
            f"select from {ident(self.project.target.schema, share.table)} where {ident(tenant)}::text = %s"
            f" and {ident(share.to)}::text = %s and ({share.holds.replace('%', '%%')})"
        )
        lender, reader = self.fixtures.tenants[LENDER], self.fixtures.tenants[OWN]
        return self.conn.execute(query.encode(), [lender, reader]).fetchone() is not None

    def _maker(self, table: Table, condition: str | None) -> Maker:
        if condition is None:
            return self.maker
        return replace(self.maker, conditions={**self.maker.conditions, table.name: condition})

    def _seen(self, table: Table, facts: Facts, values: Values) -> Facts:
        """With the fact whether everybody sees the row."""
        public = self.manifest.tables[table.name].access.public
        if public is None:
            return facts
        where = FixtureRow(table, facts, values).where
        row = self.conn.execute(
            f"select ({public}) is true from {ident(table.schema, table.name)} where {where}"
        ).fetchone()
        return replace(facts, public=row == (True,))

    def _note(self, table: Table, facts: Facts, values: Values) -> None:
        users = self.manifest.users
        if table.name == self.manifest.tenant.table and facts.tenant is not None:
            self.fixtures.tenants[facts.tenant] = values[ROW_ID] or ""
        if users is not None and table.name == users.profile and facts.person is not None:
            self.fixtures.profiles[facts.person.uid] = values[ROW_ID] or ""

    def _wanted(self, table: Table) -> Iterator[tuple[Facts, Values]]:
        """The rows that a table gets: for each tenant, and for each person whose own they can be."""
        manifest = self.manifest
        name, tenant = table.name, manifest.tenant.column
        if name == manifest.tenant.table:
            access = manifest.tables[name].access
            for which in (OWN, OTHER, *tenants(self.project)):
                yield Facts(name, which, shared_with=shared_with(access, which)), {}
        elif manifest.users is not None and name == manifest.users.profile:
            for person in self.persons:
                yield Facts(name, None, person), {manifest.users.account: person.uid}
        elif name == manifest.membership.table:
            profile, role = manifest.membership.profile, manifest.membership.role
            for person in self.persons:
                for which, held in person.memberships.items():
                    given: Values = {tenant: self.fixtures.tenants[which], role: held}
                    given[profile] = self.fixtures.profiles[person.uid]
                    yield Facts(name, which, person), given
        else:
            readers = share_columns(self.project, name)
            for place in (OWN, OTHER, *places(self.project, name)) if self.project.scoped(name) else (None,):
                for facts, values in slots(self.project, self.fixtures, self.persons, table, place):
                    # What these tenants share, nobody here is to see.
                    yield facts, {**values, **dict.fromkeys(readers, self.fixtures.tenants.get(LENDER))}

    def _unremovable(self, table: Table, given: Values) -> str | None:
        """Why a row could not be removed again; found by removing one that is never committed."""
        if not table.row_key:
            raise CannotMake("the table has no key by which its rows could be told apart")
        if self.rows.get(table.name) or not table.triggers:
            return None
        with self.conn.transaction(force_rollback=True):
            row = FixtureRow(table, Facts(table.name), self.maker.insert(table, given))
            try:
                deleted = self.conn.execute(f"delete from {ident(table.schema, table.name)} where {row.where}").rowcount
            except psycopg.Error as error:
                return error.diag.message_primary or type(error).__name__
        return None if deleted == 1 else "a trigger keeps them"

    def _existing(self, table: Table) -> list[FixtureRow]:
        """A row that the application made: it belongs to none of the invented tenants, and nobody here may see it."""
        columns = ", ".join(f"{ident(column.name)}::text" for column in table.columns)
        row = self.conn.execute(f"select {columns} from {ident(table.schema, table.name)} limit 1").fetchone()
        if row is None or not self.project.scoped(table.name):
            return []
        values = dict(zip((column.name for column in table.columns), row, strict=True))
        return [FixtureRow(table, Facts(table.name, EXISTING), values)]

    def _journal(self, schema: str, table: str, key: Values) -> None:
        self.conn.execute(
            "insert into tenantry.proof_fixture (table_schema, table_name, key) values (%s, %s, %s)",
            [schema, table, json.dumps(key)],
        )


def maker(
    conn: psycopg.Connection[Any], project: Project, rows: Mapping[str, Sequence[Values]], persons: Sequence[Person]
) -> Maker:
    manifest = project.manifest
    conditions = {manifest.tenant.table: manifest.tenant.active, manifest.membership.table: manifest.membership.active}
    return Maker(
        conn,
        project.target,
        rows,
        [person.uid for person in persons],
        {table: condition for table, condition in conditions.items() if condition},
    )


def slots(
    project: Project, fixtures: Fixtures, persons: Sequence[Person], table: Table, which: str | None
) -> Iterator[tuple[Facts, Values]]:
    """The rows to make in one tenant (None: a table for all): one, or one for each person whose own it can be."""
    access = project.manifest.tables[table.name].access
    base: Values = {} if which is None else {project.manifest.tenant.column: fixtures.tenants[which]}
    parents, owns = parent_columns(access), own_columns(access)
    shared = shared_with(access, which)
    if which is None and access.system is not None:
        yield Facts(table.name), {}
    elif parents:
        column, parent = next(iter(parents.items()))
        named = parent_values(access)[column]
        for row in fixtures.rows.get(parent, ()):
            if row.facts.tenant in (which, None) and row.values[named] is not None:
                facts = Facts(table.name, which, row.facts.person, row.facts, shared_with=shared)
                yield facts, {**base, column: row.values[named]}
    elif owns:
        for person in persons:
            if which is None or which in person.memberships:
                yield Facts(table.name, which, person), {**base, **dict.fromkeys(owns, fixtures.profiles[person.uid])}
    else:
        yield Facts(table.name, which, shared_with=shared), base


def in_order(project: Project) -> tuple[Table, ...]:
    """The tables that clients know, parents before children; what a row must refer to, and whose it is, comes first."""
    manifest = project.manifest
    tables = {table.name: table for table in project.target.tables if table.name in manifest.tables}
    edges: dict[str, set[str]] = {}
    optional: dict[str, set[str]] = {}
    for table in tables.values():
        access = manifest.tables[table.name].access
        set_columns = {column.name for column in table.columns if not column.nullable} | set(own_columns(access))
        parents = {key.ref_table for key in table.foreign_keys if set(key.columns) <= set_columns}
        parents |= set(parent_columns(access).values())
        parents |= {manifest.tenant.table} if share_columns(project, table.name) else set()
        if own_columns(access) and manifest.users is not None:
            parents.add(manifest.users.profile)
        if project.scoped(table.name):
            parents.add(manifest.tenant.table)
            if own_columns(access):
                parents.add(manifest.membership.table)
        if table.name == manifest.membership.table and manifest.users is not None:
            parents.add(manifest.users.profile)
        edges[table.name] = {name for name in parents if name in tables and name != table.name}
        others = {key.ref_table for key in table.foreign_keys if key.ref_schema == table.schema}
        # Not needed, but a check may ask for one of them.
        optional[table.name] = {name for name in others if name in tables and name != table.name} - edges[table.name]
    while True:
        graph = {name: edges[name] | optional[name] for name in edges}
        try:
            return tuple(tables[name] for name in sorter(graph).static_order())
        except CycleError as error:
            cycle: list[str] = error.args[1]  # each is a parent of the next
            steps = [(child, parent) for parent, child in pairwise(cycle)]
            child, parent = next(((c, p) for c, p in steps if p in optional[c]), steps[0])
            optional[child].discard(parent)
            edges[child].discard(parent)
