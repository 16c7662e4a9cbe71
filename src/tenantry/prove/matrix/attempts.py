"""Builds every statement that a proof runs, with the outcome the matrix expects. Only `prepare` queries the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from tenantry.access.columns import insertable, visible
from tenantry.catalog import Table
from tenantry.manifest.model import Command
from tenantry.mapping.client_columns import tenant_references
from tenantry.mapping.named_rows import named_keys
from tenantry.mapping.project import LEGACY_ID, ROW_ID, Project
from tenantry.postgres import ident, literal
from tenantry.prove.expected.callers import ABOVE, INACTIVE_LENDER, OTHER, OWN, SHARE, Caller, ProofPerson
from tenantry.prove.expected.oracle import EXISTING, NEW, RowFacts, is_same, may, own_columns, parent_columns
from tenantry.prove.expected.shared_rows import places
from tenantry.prove.fixtures.build import FixtureRow, Fixtures, slots
from tenantry.prove.fixtures.row_factory import CannotMake, RowFactory, Values

AUDIT = ("created_at", "updated_at", "created_by", "updated_by")


@dataclass(frozen=True, slots=True)
class MatrixAttempt:
    """One statement to run as one caller. `counts` marks a SELECT that returns how many rows the caller saw."""

    caller: Caller
    table: str
    command: str
    relation: str
    expected: Literal["allow", "refuse"]
    statement: str
    counts: bool = False
    doubt: str = ""
    """Why success would prove nothing (the statement may touch no row): only a refusal by right counts then."""


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT that the table accepts from its owner; `doubt` says why none was found."""

    facts: RowFacts
    statement: str
    doubt: str = ""


@dataclass(slots=True)
class AttemptCatalog:
    """The facts from which attempts are built."""

    project: Project
    fixtures: Fixtures
    persons: Sequence[ProofPerson]
    writes: bool
    """Whether clients have their rights to write; before the cut-over they do not."""
    inserts: dict[str, list[Insert]] = field(default_factory=dict)
    joins: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Tables where clients may insert memberships: person, what they try to become, and the INSERT."""
    held: dict[str, frozenset[str]] = field(default_factory=dict)
    """The columns of each table that a client's role may update, as the server reports them."""
    gone: set[tuple[str, str]] = field(default_factory=set)
    """Rows, as table and condition, that do not exist at present: they were deleted with a membership."""
    _changeable: dict[str, list[str]] = field(default_factory=dict)

    def prepare(self, maker: RowFactory, table: Table) -> None:
        """Find an INSERT for every place of a table where a row can be put."""
        without = [
            LEGACY_ID,
            *AUDIT,
            *({column.name for column in table.columns} - set(insertable(self.project, table))),
        ]
        found = []
        for facts, given in self._places(table):
            made, doubt = self._tried(maker, table, given, without)
            if made is not None:
                statement, values = made
            else:
                values = given
                try:
                    statement = maker.guess(table, given, without=without)
                except CannotMake:
                    statement = f"insert into {ident(table.schema, table.name)} default values"
            found.append(Insert(self.fixtures.naming(self.project, table, facts, values), statement, doubt))
        self.inserts[table.name] = found
        role = literal(self.project.manifest.database_roles.authenticated)
        held = maker.conn.execute(
            f"select a.attname, has_column_privilege({role}, a.attrelid, a.attnum, 'update'),"
            f" has_column_privilege({role}, a.attrelid, a.attnum, 'insert') from pg_attribute as a"
            " where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped",
            [ident(table.schema, table.name)],
        ).fetchall()
        self.held[table.name] = frozenset(str(name) for name, may_update, _ in held if may_update)
        membership = self.project.manifest.membership
        if table.name == membership.table and any(
            name == membership.profile and may_insert for name, _, may_insert in held
        ):
            self._prepare_joins(maker, table, without)

    def _prepare_joins(self, maker: RowFactory, table: Table, without: Sequence[str]) -> None:
        """Let each person try to make themselves a member, with each role, of a tenant they do not belong to."""
        manifest = self.project.manifest
        for person in self.persons:
            profile = self.fixtures.profiles.get(person.uid)
            for which in (OWN, OTHER):
                if (
                    profile is None
                    or not person.acts
                    or which in person.memberships
                    or person.is_out
                    or person.is_super
                ):
                    continue
                for role in manifest.roles.order:
                    given: Values = {
                        manifest.tenant.column: self.fixtures.tenants[which],
                        manifest.membership.profile: profile,
                        manifest.membership.role: role,
                    }
                    with suppress(CannotMake):
                        statement, _ = maker.statement(table, given, without=without)
                        relation = f"becoming {role} of a tenant, {which}"
                        self.joins.setdefault(person.uid, []).append((relation, statement))

    def _places(self, table: Table) -> Iterator[tuple[RowFacts, Values]]:
        manifest = self.project.manifest
        name = table.name
        if name == manifest.tenant.table:
            yield RowFacts(name, NEW), {}
        elif manifest.users is not None and name == manifest.users.profile:
            yield RowFacts(name), {}
        elif name == manifest.membership.table:
            column, role = manifest.tenant.column, manifest.membership.role
            for which in (OWN, OTHER):
                yield RowFacts(name, which), {column: self.fixtures.tenants[which], role: manifest.roles.order[-1]}
        else:
            for place in (OWN, OTHER, *places(self.project, name)) if self.project.scoped(name) else (None,):
                for facts, given in slots(self.project, self.fixtures, self.persons, table, place):
                    stated = {**given, **self._other_tenants(table, place)}
                    yield facts, stated

    def _other_tenants(self, table: Table, place: str | None) -> Values:
        """For columns that clients give and by which a row names another tenant: one that it is not of."""
        other = self.fixtures.tenants[OTHER if place == OWN else OWN]
        given = insertable(self.project, table)
        return {
            name: other
            for name, there in tenant_references(table, self.project.manifest.tenant).items()
            if name in given and there == ROW_ID
        }

    def _tried(
        self, maker: RowFactory, table: Table, given: Values, without: Sequence[str]
    ) -> tuple[tuple[str, Values] | None, str]:
        """An INSERT and its row; or None, and what refused the last one. It names a row that many people see, if the table accepts it."""
        why = ""
        for option in (*self._seen_rows(table, given), {}):
            try:
                return maker.statement(table, {**given, **option}, without=without), ""
            except CannotMake as error:
                why = str(error)
        return None, why

    def _seen_rows(self, table: Table, given: Values) -> list[Values]:
        """For a key that a row needs, and by which clients name only what they see: the rows, first those that most people see."""
        needed = {column.name for column in table.columns if not column.nullable and column.default is None}
        access = self.project.manifest.tables[table.name].access
        for key in named_keys(self.project, table, access, "insert"):
            if not needed & set(key.columns) - set(given):
                continue
            pairs = list(zip(key.columns, key.ref_columns, strict=True))
            parents = [
                row
                for row in self.fixtures.rows.get(key.ref_table or "", ())
                if all(given.get(mine, row.values[there]) == row.values[there] is not None for mine, there in pairs)
            ]
            parents.sort(key=self._seen_by, reverse=True)
            return [{mine: row.values[there] for mine, there in pairs} for row in parents]
        return []

    def _seen_by(self, row: FixtureRow) -> int:
        return sum(may(self.project.manifest, "select", person, row.facts) for person in self.persons)

    # -- attempts ------------------------------------------------------------------------------------------------------

    def attempts(self, caller: Caller, table: Table) -> Iterator[MatrixAttempt]:
        """Yield everything that one caller tries on one table.

        In a membership state these are the attempts about the lost membership and about rows without an owner.
        """
        rows = self._rows(caller, table)
        plain = (
            *self._selects(caller, table, rows),
            *self._inserts(caller, table),
            *self._changes(caller, table, rows),
            *self._beyond(caller, table, rows),
        )
        if caller.state:
            access = self.project.manifest.tables[table.name].access
            if caller.share is not None and access.shared != caller.share:
                return
            for attempt in plain:
                if _concerns(caller, attempt.relation):
                    yield replace(attempt, relation=f"{caller.state}: {attempt.relation}")
            return
        yield from plain
        if caller.person is not None and caller.person.is_super and not caller.person.is_out:
            yield from self._columns(caller, table)
        if caller.person is not None:
            yield from self._moves(caller, table, rows)

    def _expect(self, caller: Caller, command: Command, facts: RowFacts) -> Literal["allow", "refuse"]:
        if command != "select" and not self.writes:
            return "refuse"
        if command == "update" and not self.changeable(facts.table):
            return "refuse"
        if facts.tenant in caller.closed:
            facts = replace(facts, shared_with=frozenset())
        return "allow" if may(self.project.manifest, command, caller.person, facts) else "refuse"

    def changeable(self, table_name: str) -> list[str]:
        """Return the columns of a table that the manifest leaves open to change."""
        if table_name not in self._changeable:
            self._changeable[table_name] = self._open_columns(table_name)
        return self._changeable[table_name]

    def _open_columns(self, table_name: str) -> list[str]:
        manifest = self.project.manifest
        table = self.project.target.table(table_name)
        listed = manifest.tables[table_name].access.update_columns
        others = tenant_references(table, manifest.tenant) if table is not None and listed is None else {}
        closed = {*others, ROW_ID, LEGACY_ID, manifest.tenant.column, *AUDIT, *manifest.tables[table_name].access.fixed}
        return [
            column.name
            for column in (table.columns if table else ())
            if column.name not in closed
            and column.generated is None
            and column.identity != "always"
            and (listed is None or column.name in listed)
        ]

    def _rows(self, caller: Caller, table: Table) -> list[tuple[str, FixtureRow]]:
        """Return one row for each relation that a row of the table can have to the caller."""
        found: dict[str, FixtureRow] = {}
        for row in self.fixtures.rows.get(table.name, ()):
            if not self.gone or (table.name, row.where) not in self.gone:
                found.setdefault(self.relation(caller.person, row.facts), row)
        return list(found.items())

    def missing(self, caller: Caller, table: Table) -> list[str]:
        """Return the relations that rows of a table had, but that no row has at present."""
        if not self.gone:
            return []
        had = dict.fromkeys(self.relation(caller.person, row.facts) for row in self.fixtures.rows.get(table.name, ()))
        has = dict(self._rows(caller, table))
        return [relation for relation in had if relation not in has and _concerns(caller, relation)]

    def relation(self, person: ProofPerson | None, facts: RowFacts) -> str:
        """Return the relation of a row to a person, in words. A membership that no longer counts is named by the caller's state."""
        tenants = set() if person is None else {*person.memberships, *person.former}
        if person is None:
            found = "public row" if facts.public else "any row"
        elif facts.public:
            found = "public row"
        elif facts.tenant == NEW:
            found = "new row"
        elif is_same(facts.person, person):
            found = "own row" if facts.tenant in (OWN, None) else "own row, other membership"
        elif person.memberships.get(ABOVE) and facts.tenant in (OWN, OTHER) and facts.tenant not in person.memberships:
            found = "tenant below"
        elif facts.tenant == ABOVE and facts.tenant not in tenants:
            found = "tenant above"
        elif facts.tenant is not None and facts.tenant not in tenants:
            found = "shared row" if facts.shared_with & tenants else "other tenant"
        elif facts.tenant is None and self.project.scoped(facts.table):
            found = "system row"
        elif facts.tenant is not None:
            tenant = "own tenant" if facts.tenant == OWN else "tenant of the other membership"
            found = tenant if facts.person is None else f"another's row, {tenant}"
        elif facts.person is not None:
            found = "colleague's row" if tenants & set(facts.person.memberships) else "stranger's row"
        else:
            found = "shared"
        return found

    def _selects(self, caller: Caller, table: Table, rows: list[tuple[str, FixtureRow]]) -> Iterator[MatrixAttempt]:
        name = ident(table.schema, table.name)
        access = self.project.manifest.tables[table.name].access
        if caller.person is None and access.for_visitors:
            yield from self._as_anybody(caller, table, rows)
            return
        if caller.person is None:
            # The whole table: an anonymous caller sees no row at all, synthetic or not.
            statement = f"select count(*) from (select from {name} limit 1) as seen"
            doubt = "" if rows else self._no_row(table)
            yield MatrixAttempt(caller, table.name, "select", "any row", "refuse", statement, True, doubt)
            return
        for relation, row in rows:
            statement = f"select count(*) from {name} where {row.where}"
            expected = self._expect(caller, "select", row.facts)
            yield MatrixAttempt(caller, table.name, "select", relation, expected, statement, True)
        yield from self._without_row(caller, table, "select", rows)
        for column in access.hidden:
            statement = f"select {ident(column)} from {name} where false"
            yield MatrixAttempt(
                caller, table.name, "select", f"column {column}", "refuse", statement, doubt="no row is read"
            )

    def _as_anybody(self, caller: Caller, table: Table, rows: list[tuple[str, FixtureRow]]) -> Iterator[MatrixAttempt]:
        """An anonymous caller sees public rows only. Rows are located by columns that this caller may read."""
        name = ident(table.schema, table.name)
        shown = visible(table, self.project.manifest.tables[table.name].access)
        doubt = "" if set(table.row_key or ()) <= set(shown) else "its key is not for visitors"
        for relation, row in rows:
            statement = f"select count(*) from {name} where {row.where}"
            expected = self._expect(caller, "select", row.facts)
            yield MatrixAttempt(caller, table.name, "select", relation, expected, statement, True, doubt)

    def _inserts(self, caller: Caller, table: Table) -> Iterator[MatrixAttempt]:
        seen: set[str] = set()
        for insert in self.inserts.get(table.name, ()):
            relation = self.relation(caller.person, insert.facts)
            if relation not in seen:
                seen.add(relation)
                expected = self._expect(caller, "insert", insert.facts)
                yield MatrixAttempt(
                    caller, table.name, "insert", relation, expected, insert.statement, doubt=insert.doubt
                )

    def _changes(self, caller: Caller, table: Table, rows: list[tuple[str, FixtureRow]]) -> Iterator[MatrixAttempt]:
        for relation, row in rows:
            for command, statement in self._change_statements(table, row.where):
                if row.facts.tenant != EXISTING:
                    expected = self._expect(caller, command, row.facts)
                    yield MatrixAttempt(caller, table.name, command, relation, expected, statement)
        if not rows or rows[0][1].facts.tenant == EXISTING:
            for command in ("update", "delete"):
                yield from self._without_row(caller, table, command, [])

    def _change_statements(self, table: Table, where: str) -> list[tuple[Command, str]]:
        name = ident(table.schema, table.name)
        column = self._harmless(table)
        return [
            ("update", f"update {name} set {column} = {column} where {where}"),
            ("delete", f"delete from {name} where {where}"),
        ]

    def _harmless(self, table: Table) -> str:
        """Return a column to set to itself: preferably one that the manifest leaves open, never a generated one."""
        plain = [column.name for column in table.columns if column.generated is None and column.identity != "always"]
        held = [name for name in plain if name in self.held.get(table.name, ())]
        meant = [name for name in self.changeable(table.name) if name in held]
        return ident([*meant, *held, *self.changeable(table.name), *plain][0])

    def _beyond(self, caller: Caller, table: Table, rows: list[tuple[str, FixtureRow]]) -> Iterator[MatrixAttempt]:
        """Yield attempts that nobody should be able to make: change each column that a client's role may update beyond the
        manifest, and insert a membership for oneself."""
        if caller.person is None:
            return
        name, manifest = ident(table.schema, table.name), self.project.manifest
        meant = [] if manifest.tables[table.name].access.update == "service" else self.changeable(table.name)
        held = self.held.get(table.name, frozenset()) - set(meant) if self.writes else frozenset()
        for column in sorted(held):
            values = [ident(column)]
            if table.name == manifest.membership.table and column == manifest.membership.role:
                values += [literal(role) for role in (manifest.roles.order[0], manifest.roles.order[-1])]
            for relation, row in rows:
                for value in values:
                    statement = f"update {name} set {ident(column)} = {value} where {row.where}"
                    yield MatrixAttempt(
                        caller, table.name, "update", f"{relation}, {column} = {value}", "refuse", statement
                    )
        if table.name == manifest.membership.table:
            for relation, statement in self.joins.get(caller.person.uid, ()):
                expected = self._expect(
                    caller, "insert", RowFacts(table.name, OTHER if relation.endswith(OTHER) else OWN, caller.person)
                )
                yield MatrixAttempt(caller, table.name, "insert", relation, expected, statement)

    def _without_row(
        self, caller: Caller, table: Table, command: Command, rows: list[tuple[str, FixtureRow]]
    ) -> Iterator[MatrixAttempt]:
        """Without a row, only a refusal by right can be shown; everything else stays untried."""
        reason = self.fixtures.reasons.get(table.name)
        name = ident(table.schema, table.name)
        statement = f"select count(*) from {name} where false"
        if command != "select":
            statement = dict(self._change_statements(table, "false"))[command]
        scoped = self.project.scoped(table.name)
        facts = RowFacts(table.name, OWN if scoped else None)
        relation = self.relation(caller.person, facts)
        expected = self._expect(caller, command, facts)
        if reason is not None and relation not in dict(rows):
            yield MatrixAttempt(caller, table.name, command, relation, expected, statement, command == "select", reason)

    def _no_row(self, table: Table) -> str:
        return self.fixtures.reasons.get(table.name, "the table has no row")

    def _columns(self, caller: Caller, table: Table) -> Iterator[MatrixAttempt]:
        """Not even a super admin changes an id, a tenant, an author or a fixed column: rights forbid it."""
        name = ident(table.schema, table.name)
        closed = [
            column.name
            for column in table.columns
            if column.name not in self.changeable(table.name) and column.generated is None
        ]
        for column in closed:
            statement = f"update {name} set {ident(column)} = default where false"
            doubt = "no row is written"
            yield MatrixAttempt(caller, table.name, "update", f"column {column}", "refuse", statement, doubt=doubt)

    def _moves(self, caller: Caller, table: Table, rows: list[tuple[str, FixtureRow]]) -> Iterator[MatrixAttempt]:
        """Move a row into the other tenant, and give one away."""
        manifest = self.project.manifest
        name = ident(table.schema, table.name)
        types = {column.name: column.type for column in table.columns}
        mine = next((row for relation, row in rows if row.facts.tenant == OWN and relation.startswith("own")), None)
        mine = mine or next((row for _, row in rows if row.facts.tenant == OWN), None)
        if mine is not None and self.project.scoped(table.name):
            column = manifest.tenant.column
            value = f"{literal(self.fixtures.tenants[OTHER])}::{types[column]}"
            statement = f"update {name} set {ident(column)} = {value} where {mine.where}"
            yield MatrixAttempt(caller, table.name, "update", "move to the other tenant", "refuse", statement)
        own = next((row for relation, row in rows if relation == "own row"), None)
        access = manifest.tables[table.name].access
        if own is None:
            return
        for column in (*own_columns(access), *parent_columns(access)):
            other = self._another(table, own)
            if other is None or column == ROW_ID:
                continue
            given = f"{literal(other.values[column])}::{types[column]}"
            statement = f"update {name} set {ident(column)} = {given} where {own.where}"
            both = {self._expect(caller, "update", own.facts), self._expect(caller, "update", other.facts)}
            open_column = column in self.changeable(table.name)
            expected: Literal["allow", "refuse"] = "allow" if both == {"allow"} and open_column else "refuse"
            yield MatrixAttempt(caller, table.name, "update", "give to another person", expected, statement)

    def _another(self, table: Table, own: FixtureRow) -> FixtureRow | None:
        return next(
            (
                row
                for row in self.fixtures.rows[table.name]
                if row.facts.tenant == own.facts.tenant and row.facts.person is not own.facts.person
            ),
            None,
        )


def _concerns(caller: Caller, relation: str) -> bool:
    """Whether an attempt in a membership state proves anything.

    A member is tried on rows of the lost membership and on rows for all; a super admin on a tenant they never belonged to.
    """
    if caller.person is None or caller.person.is_super:
        return relation == "other tenant"
    if caller.state == INACTIVE_LENDER or caller.state.startswith(SHARE):
        return relation == "shared row"
    return relation != "other tenant" and not relation.startswith("column")
