"""Protects target-only data in a round that writes the source's state: the source cannot restore it.

It exists once applications have written the target, after a rollback or in the dual-write window: rows of unmapped
tables, rows that a rollback kept because the source has no place for them, and columns without a source column. A round deletes
rows and makes them again, and deletes rows that the source no longer has. To keep target-only data:

1. Rows are saved before they are deleted, with the rows that the actions of foreign keys would delete or change.
2. At the end of the round, target-only rows and the values of target-only columns are restored.
3. References to rows that no longer exist, or have moved, are released: the reference is set to null if allowed, otherwise the
   row is removed. tenantry.conflict lists the previous values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tenantry.catalog import Column, Constraint, Table
from tenantry.derivation.reverse.strangers import no_stranger, strangers_in
from tenantry.derivation.reverse.write import as_shown
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.mapping.project import LEGACY_ID
from tenantry.migrate.replay.row_errors import ROW_ERRORS
from tenantry.postgres import ident, idents, literal

LEFT_TABLES = """
create temporary table if not exists tenantry_left (tie int not null, vals text[] not null) on commit delete rows;
create temporary table if not exists tenantry_hanging (place oid not null, at tid not null, key text, loser json) on commit delete rows;
create temporary table if not exists tenantry_hit (name text not null, place oid not null, at tid not null, primary key (name, place, at))
    on commit delete rows;
create temporary table if not exists tenantry_put_by (name text not null, key text not null, line text not null,
    digest text generated always as (md5(key)) stored, primary key (name, digest))
    on commit delete rows;
"""


@dataclass(frozen=True, slots=True)
class _Tie:
    """A foreign key of target-only rows.

    Attributes:
        condition: selects these rows `t` of the child.
        kept: whether they are rows that a rollback kept.
    """

    child: Table
    key: Constraint
    parent: Table
    condition: str
    kept: bool


class LeftAlone:
    """The protection in one round: `put_by` and `note_changes` before target rows are deleted or changed, `settle` at its end."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._active = False
        self._kept: set[str] = set()
        self._strangers: frozenset[str] = frozenset()
        self._noted = False

    def begin(self, connection: Connection) -> None:
        """Find out whether applications have written the target, and in which tables a rollback kept rows or values."""
        self._noted = False
        row = connection.execute(
            f"select exists (select from {JOURNAL}.event where code = 'cut_over'),"
            f" (select array_agg(distinct table_name) from {JOURNAL}.kept)"
        ).fetchone()
        assert row is not None
        self._active, self._kept = bool(row[0]), set(row[1] or ())
        if self._active:
            connection.execute(LEFT_TABLES)
        self._strangers = strangers_in(connection, self.project)

    # -- before rows are deleted or changed ----------------------------------------------------------------------------

    def put_by(self, connection: Connection, name: str, rows: str) -> None:
        """Save rows of a mapped table that are about to be deleted, with the rows that would be deleted with them.

        Args:
            rows: SQL of a relation with the rows as `t`, and its condition.
        """
        if not self._active:
            return
        if name in self._kept or self._unfed(name):
            connection.execute(
                f"insert into tenantry_put_by select {literal(name)}, t.{LEGACY_ID}, (t.*)::text from {rows} on conflict do nothing"
            )
        self._uproot(connection, name, rows)
        self._note(connection, name, rows)

    def note_changes(self, connection: Connection, mapping: Mapping, new: str) -> None:
        """Record referenced values of rows that are about to change them, e.g. their tenant.

        Args:
            new: the temporary table with the new rows.
        """
        if not self._active:
            return
        fed = {column.name for column in mapping.columns}
        target = self._sql(mapping.target.name)
        for number, tie in self._of(mapping.target.name):
            changed = " or ".join(
                f"t.{ident(name)} is distinct from n.{ident(name)}" for name in tie.key.ref_columns if name in fed
            )
            if changed:
                self._remember(
                    connection,
                    number,
                    tie,
                    f"{new} n join {target} t on t.legacy_id = n.legacy_id"
                    f" where ({changed}){self._visible(mapping.target.name)}",
                )

    def as_it_was(self, name: str) -> str:
        """Return SQL of the rows of a table, including saved ones."""
        table = self._sql(name)
        if not self._active:
            return table
        return (
            f"(select x.* from {table} x union all select (p.line::{table}).* from tenantry_put_by p where p.name = {literal(name)}"
            f" and not exists (select from {table} x where x.{LEGACY_ID} = p.key))"
        )

    def _uproot(self, connection: Connection, parent: str, rows: str) -> None:
        """Save and delete rows of unmapped tables that the action of a foreign key would reach."""
        if not any(tie.parent.name == parent for tie in self._acting):
            return
        connection.execute("delete from tenantry_hit")
        reached: list[str] = []
        for tie in self._acting:
            if tie.parent.name == parent:
                self._reach(connection, tie, f"(select t.* from {rows}) p", reached)
        todo = [*reached]
        while todo:
            name = todo.pop(0)
            for tie in self._acting:
                if tie.parent.name == name:
                    hit = (
                        f"(select x.* from {self._sql(name)} x join tenantry_hit h on h.name = {literal(name)} and h.place = x.tableoid"
                        " and h.at = x.ctid) p"
                    )
                    todo += self._reach(connection, tie, hit, reached)
        for name in reached:
            which = f"tenantry_hit h join {self._sql(name)} t on h.place = t.tableoid and h.at = t.ctid where h.name = {literal(name)}"
            connection.execute(
                f"insert into tenantry_put_by select {literal(name)}, concat_ws(' ', t.tableoid, t.ctid), (t.*)::text from {which}"
            )
            self._note(connection, name, which)
        for name in reversed(reached):  # children first: a row whose key was set to null would not be found
            connection.execute(
                f"delete from {self._sql(name)} t using tenantry_hit h where h.name = {literal(name)} and h.place = t.tableoid"
                " and h.at = t.ctid"
            )

    def _reach(self, connection: Connection, tie: _Tie, parents: str, reached: list[str]) -> list[str]:
        """Record the rows that reference these; append the child's table if there are new ones."""
        found = connection.execute(
            f"insert into tenantry_hit select {literal(tie.child.name)}, t.tableoid, t.ctid from {self._sql(tie.child.name)} t"
            f" join {parents} on {_same(tie, 't', 'p')} on conflict do nothing"
        ).rowcount
        if not found:
            return []
        if tie.child.name in reached:
            reached.remove(tie.child.name)
        reached.append(tie.child.name)
        return [tie.child.name]

    def _note(self, connection: Connection, parent: str, rows: str) -> None:
        for number, tie in self._of(parent):
            self._remember(connection, number, tie, rows)

    def _remember(self, connection: Connection, number: int, tie: _Tie, rows: str) -> None:
        values = ", ".join(f"t.{ident(name)}::text" for name in tie.key.ref_columns)
        found = connection.execute(f"insert into tenantry_left select {number}, array[{values}] from {rows}").rowcount
        self._noted = self._noted or found > 0

    # -- at the end of a round -----------------------------------------------------------------------------------------

    def settle(self, connection: Connection) -> int:
        """Restore the saved rows, and release references to rows that no longer exist. Return the number of listed conflicts."""
        if not self._active:
            return 0
        listed = 0
        while True:
            names = connection.execute("select distinct name from tenantry_put_by order by 1").fetchall()
            for (name,) in names:
                listed += self._again(connection, str(name))
            if not names and not self._noted:
                return listed
            self._noted = False
            for (number,) in connection.execute("select distinct tie from tenantry_left order by 1").fetchall():
                listed += self._settle(connection, self._ties[int(number)], int(number))

    def _again(self, connection: Connection, name: str) -> int:
        table, listed = self._sql(name), 0
        lines = f"(select p.key as put_key, (p.line::{table}).* from tenantry_put_by p where p.name = {literal(name)})"
        fed = name in self.project.by_target
        unfed = self._unfed(name) if fed else ()
        if unfed:
            sets = ", ".join(f"{ident(each)} = p.{ident(each)}" for each in unfed)
            connection.execute(
                f"update {table} t set {sets} from {lines} p where t.{LEGACY_ID} = p.put_key{self._visible(name)}"
            )
        held = self.project.target.table(name)
        assert held is not None
        names = idents(column.name for column in held.columns if column.generated is None)
        # Rows of a mapped table are restored only if they are target-only.
        mine = (
            f" where exists (select from {JOURNAL}.kept k where k.table_name = {literal(name)} and k.column_name = ''"
            f" and k.legacy_id = p.put_key) and not exists (select from {table} t where t.{LEGACY_ID} = p.put_key{self._visible(name)})"
            if fed
            else ""
        )
        insert = f"insert into {table} ({names}) overriding system value select {names} from {lines} p"
        try:
            with connection.transaction():
                connection.execute(insert + mine)
        except ROW_ERRORS:
            for (key,) in connection.execute(f"select p.put_key from {lines} p{mine}").fetchall():
                one = f"{mine} {'and' if mine else 'where'} p.put_key = {literal(key)}"
                try:
                    with connection.transaction():
                        connection.execute(insert + one)
                except ROW_ERRORS:
                    listed += self._lost(connection, held, lines, key)
        connection.execute(f"delete from tenantry_put_by where name = {literal(name)}")
        return listed

    def _lost(self, connection: Connection, table: Table, lines: str, put_key: str) -> int:
        shown, key = self._shown(table)
        connection.execute(
            f"insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason)"
            f" select 'forward', {literal(table.name)}, {key}, '', 'source', {shown},"
            f" 'a row of the source has taken its place; it was taken out' from {lines} t where t.put_key = {literal(put_key)}"
        )
        if table.name in self.project.by_target:
            connection.execute(
                f"delete from {JOURNAL}.kept where table_name = {literal(table.name)} and column_name = ''"
                f" and legacy_id = {literal(put_key)}"
            )
        return 1

    def _settle(self, connection: Connection, tie: _Tie, number: int) -> int:
        child, parent = self._sql(tie.child.name), self._sql(tie.parent.name)
        named = " and ".join(
            f"t.{ident(here)} = l.vals[{place}]::{_type(tie.parent, there)}"
            for place, (here, there) in enumerate(zip(tie.key.columns, tie.key.ref_columns, strict=True), 1)
        )
        which = (
            f"{tie.condition} and exists (select from tenantry_left l where l.tie = {number} and {named})"
            f" and not exists (select from {parent} p where {_same(tie, 't', 'p')})"
        )
        shown, key = self._shown(tie.child)
        connection.execute("delete from tenantry_hanging")
        found = connection.execute(
            f"insert into tenantry_hanging select t.tableoid, t.ctid, {key}, {shown} from {child} t where {which}"
        ).rowcount
        if found:
            emptied = [column.name for column in self._emptied(tie)]
            if emptied and tie.key.on_delete != "cascade":
                self._empty(connection, tie, child, emptied)
            self._delete(connection, tie, child)
        connection.execute("delete from tenantry_left where tie = %s", [number])
        return found

    def _empty(self, connection: Connection, tie: _Tie, child: str, emptied: list[str]) -> None:
        nulls = ", ".join(f"{ident(name)} = null" for name in emptied)
        update = f"update {child} t set {nulls} from tenantry_hanging h where t.tableoid = h.place and t.ctid = h.at"

        def attempt(condition: str = "true") -> bool:
            try:
                with connection.transaction():
                    connection.execute(f"{update} and {condition}")
            except ROW_ERRORS:
                return False
            self._list(connection, tie, "its reference was emptied", condition)
            return True

        if not attempt():
            # A check or a trigger requires the reference in some of them.
            for place, at in connection.execute("select h.place, h.at::text from tenantry_hanging h").fetchall():
                attempt(f"h.place = {int(place)} and h.at = {literal(at)}::tid")

    def _delete(self, connection: Connection, tie: _Tie, child: str) -> None:
        rows = f"tenantry_hanging h join {child} t on t.tableoid = h.place and t.ctid = h.at"
        self._uproot(connection, tie.child.name, rows)
        self._note(connection, tie.child.name, rows)
        connection.execute(
            f"delete from {child} t using tenantry_hanging h where t.tableoid = h.place and t.ctid = h.at"
        )
        self._list(connection, tie, "it was taken out")
        if tie.kept:
            connection.execute(
                f"delete from {JOURNAL}.kept k where k.table_name = {literal(tie.child.name)} and k.column_name = ''"
                f" and not exists (select from {child} t where t.{LEGACY_ID} = k.legacy_id)"
            )

    @staticmethod
    def _list(connection: Connection, tie: _Tie, said: str, condition: str = "true") -> None:
        """List the handled rows as conflicts, and remove them from the work table."""
        reason = f"the row of {tie.parent.name} that it references by {', '.join(tie.key.columns)} was deleted or has moved; {said}"
        connection.execute(
            f"with d as (delete from tenantry_hanging h where {condition} returning h.key, h.loser)"
            f" insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason)"
            f" select 'forward', {literal(tie.child.name)}, d.key, '', 'source', d.loser, {literal(reason)} from d"
        )

    def _visible(self, name: str) -> str:
        return no_stranger(self.project, name, "t") if name in self._strangers else ""

    # -- facts about tables --------------------------------------------------------------------------------------------

    def _sql(self, name: str) -> str:
        return ident(self.project.target.schema, name)

    def _shown(self, table: Table) -> tuple[str, str]:
        """Return SQL of a row `t` without secrets, and of its key."""
        mapping = next(iter(self.project.by_target.get(table.name, ())), None)
        return (f"{JOURNAL}.row_json(t.*)", _key(table)) if mapping is None else (as_shown(mapping), f"t.{LEGACY_ID}")

    def _fed(self, name: str) -> set[str]:
        return {column.name for mapping in self.project.by_target.get(name, ()) for column in mapping.columns}

    def _unfed(self, name: str) -> tuple[str, ...]:
        """Return the writable columns of a table without a source column."""
        table = self.project.target.table(name)
        assert table is not None
        fed = self._fed(name)
        return tuple(
            column.name
            for column in table.columns
            if column.name not in fed and column.generated is None and column.identity != "always"
        )

    def _emptied(self, tie: _Tie) -> Iterator[Column]:
        primary = {name for each in tie.child.constraints if each.kind == "primary" for name in each.columns}
        for name in tie.key.columns:
            column = tie.child.column(name)
            if (
                column is not None
                and column.nullable
                and column.generated is None
                and name not in primary
                and name != self.project.manifest.tenant.column
            ):
                yield column

    def _of(self, parent: str) -> list[tuple[int, _Tie]]:
        return [
            (number, tie)
            for number, tie in enumerate(self._ties)
            if tie.parent.name == parent and (not tie.kept or tie.child.name in self._kept)
        ]

    @property
    def _acting(self) -> list[_Tie]:
        """Return the keys of unmapped tables whose children are deleted or changed with their parent."""
        return [
            tie
            for tie in self._ties
            if tie.child.name not in self.project.by_target and tie.key.on_delete not in ("no action", "restrict")
        ]

    @cached_property
    def _ties(self) -> list[_Tie]:
        found = []
        for child in self.project.target.tables:
            for key in child.foreign_keys:
                parent = self.project.target.table(key.ref_table or "")
                if (
                    parent is None
                    or key.ref_schema != self.project.target.schema
                    or (key.inherited or not key.enforced)
                ):
                    continue
                alone = child.name not in self.project.by_target or not set(key.columns) <= self._fed(child.name)
                kept = (
                    f"exists (select from {JOURNAL}.kept k where k.table_name = {literal(child.name)}"
                    f" and k.column_name = '' and k.legacy_id = t.{LEGACY_ID})"
                )
                found.append(_Tie(child, key, parent, "true" if alone else kept, not alone))
        return found


def _same(tie: _Tie, child: str, parent: str) -> str:
    return " and ".join(
        f"{child}.{ident(here)} = {parent}.{ident(there)}"
        for here, there in zip(tie.key.columns, tie.key.ref_columns, strict=True)
    )


def _type(table: Table, name: str) -> str:
    column = table.column(name)
    assert column is not None
    return column.type


def _key(table: Table) -> str:
    """Return SQL of a row's key, as text."""
    names = table.row_key or ()
    return f"concat_ws(', ', {', '.join(f't.{ident(name)}' for name in names)})" if names else "''"


__all__ = ["LEFT_TABLES", "LeftAlone"]
