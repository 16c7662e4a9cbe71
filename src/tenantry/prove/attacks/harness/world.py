"""The world that the attacks of one run share: two synthetic tenants, their people, and the rows that each person must not see."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tenantry.catalog import Column, Table
from tenantry.errors import StatementRefused
from tenantry.manifest.model import Command, Manifest
from tenantry.mapping.project import ROW_ID, Project
from tenantry.postgres import ident, idents, literal, load_sql
from tenantry.postgres.seal import SealKey
from tenantry.prove.expected.callers import OTHER, OWN, ProofPerson, people
from tenantry.prove.expected.oracle import RowFacts, may
from tenantry.prove.fixtures.build import FixtureRow, Fixtures, make_fixtures, maker, remove_leftovers, slots
from tenantry.prove.fixtures.row_factory import CannotMake, RowFactory, Values

SQL = "tenantry.prove.attacks.harness.sql"

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Application:
    """How the application keeps its connections.

    Attributes:
        library: through tenantry.postgres.tenant; otherwise without it, as the other attributes say.
        empties: runs DISCARD ALL before the next user gets a connection.
        prepares: the driver prepares statements under names.
        binds: values are sent separately from the statement's text.
        states_path: each transaction sets its search path.
        local: the context lasts for the transaction; otherwise, if it is not sealed, for the session.
        pins: each new connection sets the meaning of literals, dates and numbers.
    """

    library: bool = True
    empties: bool = True
    prepares: bool = False
    binds: bool = True
    states_path: bool = True
    local: bool = True
    pins: bool = True


@dataclass(frozen=True, slots=True)
class AttackedDatabase:
    """The copy that is attacked, and how.

    Attributes:
        owner_dsn: a login that is, or may act as, the owner of the target's tables, on the copy.
        login_dsn: the application's login, or one like it, on the copy (see `attack_copy`).
        own_login: the login was made for this copy, so its settings may be changed.
        application: how the application keeps its connections; by default as tenantry.postgres.tenant does.
    """

    owner_dsn: str
    login_dsn: str
    own_login: bool = False
    application: Application = Application()


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A table with rows that the attacker must not see, and the client role's rights on it."""

    table: Table
    name: str
    """Quoted, with its schema."""
    tenant: str | None
    """The tenant column (the id in the tenant table itself); None for a table without tenants."""
    visible: tuple[FixtureRow, ...]
    hidden: tuple[FixtureRow, ...]
    readable: tuple[str, ...]
    insertable: tuple[str, ...]
    updatable: tuple[str, ...]
    deletable: bool

    @property
    def mixed(self) -> bool:
        """Whether the attacker may see some rows of the other tenant (public or shared), so that the tenant alone proves nothing."""
        return any(row.facts.tenant == OTHER for row in self.visible)

    @property
    def columns(self) -> str:
        """The readable columns as an SQL list; a constant if there is none."""
        return idents(self.readable) if self.readable else "1"

    def column(self, name: str) -> Column:
        found = self.table.column(name)
        assert found is not None
        return found

    def value(self, column: str, value: str | None) -> str:
        """Return a literal of the column's type."""
        return f"{literal(value)}::{self.column(column).type}"


@dataclass(slots=True)
class World:
    """The state that the attacks of one run share."""

    project: Project
    owner: psycopg.Connection[Any]
    login_dsn: str
    own_login: bool
    """Whether the login was made for this run, so that attacks may change it."""
    application: Application
    persons: tuple[ProofPerson, ...]
    fixtures: Fixtures = field(default_factory=Fixtures)
    _targets: dict[str, tuple[TargetTable, ...]] = field(default_factory=dict)

    @classmethod
    def prepare(
        cls,
        project: Project,
        owner: psycopg.Connection[Any],
        copy: AttackedDatabase,
    ) -> World:
        """Make synthetic tenants, people and rows, over the owner's connection.

        Raises:
            StatementRefused: they cannot be made.
        """
        world = cls(project, owner, copy.login_dsn, copy.own_login, copy.application, people(project.manifest))
        world.rebuild()
        return world

    def rebuild(self) -> None:
        """Make all rows again: a successful attack may have changed any of them."""
        with suppress(psycopg.Error):
            self.owner.rollback()
        remove_leftovers(self.owner)
        self.persons = people(self.project.manifest)
        self.fixtures = make_fixtures(self.owner, self.project, self.persons)
        self._targets.clear()

    # -- people ------------------------------------------------------------------------------------------------------

    @property
    def manifest(self) -> Manifest:
        return self.project.manifest

    @property
    def client(self) -> str:
        return self.manifest.database_roles.authenticated

    @property
    def key(self) -> SealKey | None:
        return self.fixtures.key

    def person(self, label: str) -> ProofPerson:
        return next(person for person in self.persons if person.label == label)

    @property
    def attacker(self) -> ProofPerson:
        """The member with the highest role in one tenant, and none elsewhere."""
        return self.person(self.manifest.roles.order[-1])

    @property
    def lowest(self) -> ProofPerson:
        return self.person(self.manifest.roles.order[0])

    @property
    def victim(self) -> ProofPerson:
        """The member with the highest role in the other tenant."""
        return next(p for p in self.persons if not p.acts and list(p.memberships) == [OTHER])

    @property
    def nobody(self) -> ProofPerson:
        """A signed-in person without memberships."""
        return self.person("signed in")

    def claims(self, person: ProofPerson, **more: object) -> dict[str, object]:
        return {"sub": person.uid, "role": self.client, "aud": self.client, "email": person.email, **more}

    def may(self, person: ProofPerson | None, command: Command, facts: RowFacts) -> bool:
        """Whether the access matrix allows it."""
        return may(self.manifest, command, person, facts)

    # -- rows --------------------------------------------------------------------------------------------------------

    def rights(self) -> dict[str, list[dict[str, Any]]]:
        """Table or view of the target → its columns with the client role's rights."""
        found: dict[str, list[dict[str, Any]]] = {}
        parameters = {"client": self.client, "schema": self.project.target.schema}
        with self.owner.cursor(row_factory=dict_row) as cursor:
            for row in cursor.execute(load_sql(SQL, "client_columns").encode(), parameters):
                found.setdefault(row["table_name"], []).append(row)
        return found

    def targets(self, person: ProofPerson) -> tuple[TargetTable, ...]:
        """The tables that clients know, with the rows that a person may and may not see."""
        if person.uid not in self._targets:
            rights = self.rights()
            self._targets[person.uid] = tuple(
                self._target(person, table, rights.get(table.name, []))
                for table in self.project.target.tables
                if self.fixtures.rows.get(table.name) and table.partition_of is None
            )
        return self._targets[person.uid]

    def _target(self, person: ProofPerson, table: Table, rights: list[dict[str, Any]]) -> TargetTable:
        rows = self.fixtures.rows[table.name]
        seen = [row for row in rows if self.may(person, "select", row.facts)]
        root = table.name == self.manifest.tenant.table
        tenant = ROW_ID if root else self.manifest.tenant.column if self.project.scoped(table.name) else None

        def columns(right: str) -> tuple[str, ...]:
            generated = {column.name for column in table.columns if column.generated is not None}
            names = [row["column_name"] for row in rights if row[right]]
            return tuple(name for name in names if right == "readable" or name not in generated)

        return TargetTable(
            table,
            ident(table.schema, table.name),
            tenant,
            tuple(seen),
            tuple(row for row in rows if row not in seen and row.facts.tenant != OWN),
            columns("readable"),
            columns("insertable"),
            columns("updatable"),
            any(row["deletable"] for row in rights),
        )

    def marks(self, person: ProofPerson) -> frozenset[str]:
        """Return ids and other long values that occur only in rows that a person must not see: output with one of them is a leak."""
        hidden: set[str] = set()
        seen: set[str] = set(self.fixtures.profiles.values())
        for target in self.targets(person):
            for rows, into in ((target.visible, seen), (target.hidden, hidden)):
                for row in rows:
                    into.update(value for value in row.values.values() if value is not None and _tells(value))
        hidden.add(self.fixtures.tenants[OTHER])
        return frozenset(hidden - seen)

    def maker(self) -> RowFactory:
        return maker(self.owner, self.project, self.fixtures.values(), self.persons)

    def new_row(
        self, table: Table, place: str | None, given: Values | None = None, condition: str | None = None
    ) -> Values | None:
        """Return a row of a tenant that the table accepts from its owner, or None. The trial is rolled back.

        Args:
            given: fixed values; by default those of a row of the tenant.
            condition: a condition that the row must fulfil.
        """
        if given is None:
            found = next(iter(slots(self.project, self.fixtures, self.persons, table, place)), None)
            given = {} if found is None else found[1]
        try:
            with self.owner.transaction(force_rollback=True):
                ready = self.maker()
                if condition is not None:
                    ready = replace(ready, conditions={**ready.conditions, table.name: condition})
                return ready.insert(table, given)
        except (CannotMake, KeyError):
            return None

    @contextmanager
    def more_rows(self, tables: Sequence[Table]) -> Iterator[list[str]]:
        """Add a row of the other tenant to each of these tables, if possible; yield the tables that have one."""
        made: list[FixtureRow] = []
        try:
            for table in tables:
                row = self._added(table)
                if row is not None:
                    made.append(row)
            yield [row.table.name for row in made]
        finally:
            self.remove(made)

    def _added(self, table: Table) -> FixtureRow | None:
        if table.name in self.fixtures.reasons or table.partition_of is not None:
            return None
        rule = self.manifest.tables.get(table.name)
        if rule is None or not self.project.scoped(table.name) or rule.access.for_visitors:
            return None
        for facts, given in slots(self.project, self.fixtures, self.persons, table, OTHER):
            try:
                with self.owner.transaction():
                    return FixtureRow(table, facts, self.maker().insert(table, given))
            except CannotMake:
                continue
        return None

    def remove(self, rows: Sequence[FixtureRow]) -> None:
        with self.owner.transaction():
            self.owner.execute("set constraints all deferred")
            for row in reversed(rows):
                self.owner.execute(f"delete from {ident(row.table.schema, row.table.name)} where {row.where}".encode())

    @contextmanager
    def member(self, person: ProofPerson, place: str, role: str) -> Iterator[FixtureRow]:
        """Commit a membership for the duration of this context."""
        membership = self.manifest.membership
        table = self.project.target.table(membership.table)
        assert table is not None
        given: Values = {
            self.manifest.tenant.column: self.fixtures.tenants[place],
            membership.profile: self.fixtures.profiles[person.uid],
            membership.role: role,
        }
        with self.owner.transaction():
            try:
                row = FixtureRow(table, RowFacts(table.name, place, person), self.maker().insert(table, given))
            except CannotMake as error:
                raise StatementRefused(f"No further membership could be made: {error}.") from None
        try:
            yield row
        finally:
            self.remove([row])

    @contextmanager
    def changed(self, statement: str, undo: str, parameters: Sequence[Any] | None = None) -> Iterator[None]:
        """Commit a change as the owner for the duration of this context."""
        try:
            self.owner.execute(statement.encode(), parameters)
            yield
        finally:
            self.owner.execute(undo.encode())

    def ask(self, statement: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a query over the owner's connection."""
        return self.owner.execute(statement.encode(), parameters).fetchall()

    @property
    def version(self) -> int:
        return self.owner.info.server_version // 10000


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def _tells(value: str) -> bool:
    """Whether a value is so unlikely that it identifies its row."""
    return _ID.search(value) is not None or "@tenantry-proof.invalid" in value


__all__ = ["SQL", "Application", "Claims", "TargetTable", "World"]
