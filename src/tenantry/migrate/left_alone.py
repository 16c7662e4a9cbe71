"""Rows that stand in the target only, and refer to a row that the source deletes or moves: no source says what becomes of them.

They are rows of tables (or hold references) that nothing feeds, and rows that a rollback kept because the source has no place for
them. What their foreign key does by itself (CASCADE, SET NULL) it does; where it does nothing, the round could never end. The
reference is emptied where it may be null, else the row goes too; what it was stands in tenantry.conflict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from psycopg import errors as pg

from tenantry.catalog import Column, Constraint, Table
from tenantry.manifest import Mapping, Project
from tenantry.manifest.derive import JOURNAL
from tenantry.manifest.mapping import LEGACY_ID
from tenantry.manifest.reverse import as_shown
from tenantry.migrate.journal import Connection
from tenantry.postgres import ident, literal

LEFT_TABLES = """
create temporary table if not exists tenantry_left (tie int not null, vals text[] not null) on commit delete rows;
create temporary table if not exists tenantry_hanging (place oid not null, at tid not null, key text, loser json) on commit delete rows;
"""


@dataclass(frozen=True, slots=True)
class _Tie:
    """A foreign key that does nothing when its parent goes.

    Attributes:
        condition: which rows `t` of the child stand in the target only.
        kept: these are rows that a rollback kept.
    """

    child: Table
    key: Constraint
    parent: Table
    condition: str
    kept: bool


class LeftAlone:
    """What is done for them in one round: `note` before rows of the target are deleted, `settle` at its end."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._kept: set[str] = set()
        self._noted = False

    def begin(self, connection: Connection) -> None:
        """Look which tables have rows that a rollback kept."""
        self._noted = False
        self._kept = {
            str(row[0])
            for row in connection.execute(
                f"select distinct table_name from {JOURNAL}.kept where column_name = ''"
            ).fetchall()
        }

    def note(self, connection: Connection, parent: str, gone: str) -> None:
        """Remember what others may refer to, of rows that are about to be deleted.

        Args:
            gone: SQL of a relation with the rows, as `t`, and its condition.
        """
        for number, tie in self._of(parent):
            values = ", ".join(f"t.{ident(name)}::text" for name in tie.key.ref_columns)
            found = connection.execute(
                f"insert into tenantry_left select {number}, array[{values}] from {gone}"
            ).rowcount
            self._noted = self._noted or found > 0

    def note_changes(self, connection: Connection, mapping: Mapping, new: str) -> None:
        """Remember what others may refer to, of rows that are about to have other values there: another tenant, for one.

        Args:
            new: the temporary table with the rows as they shall be.
        """
        fed = {column.name for column in mapping.columns}
        target = ident(self.project.target.schema, mapping.target.name)
        for number, tie in self._of(mapping.target.name):
            if not fed & set(tie.key.ref_columns):
                continue
            values = ", ".join(f"t.{ident(name)}::text" for name in tie.key.ref_columns)
            changed = " or ".join(
                f"t.{ident(name)} is distinct from n.{ident(name)}" for name in tie.key.ref_columns if name in fed
            )
            found = connection.execute(
                f"insert into tenantry_left select {number}, array[{values}] from {new} n join {target} t"
                f" on t.legacy_id = n.legacy_id where {changed}"
            ).rowcount
            self._noted = self._noted or found > 0

    def settle(self, connection: Connection) -> int:
        """Empty the references to rows that are gone, or take the rows out. Returns how many conflicts were listed."""
        listed = 0
        while self._noted:
            self._noted = False
            for row in connection.execute("select distinct tie from tenantry_left order by 1").fetchall():
                listed += self._settle(connection, self._ties[int(row[0])], int(row[0]))
        return listed

    def _settle(self, connection: Connection, tie: _Tie, number: int) -> int:
        schema = self.project.target.schema
        child, parent = ident(schema, tie.child.name), ident(schema, tie.parent.name)
        named = " and ".join(
            f"t.{ident(here)} = l.vals[{place}]::{_type(tie.parent, there)}"
            for place, (here, there) in enumerate(zip(tie.key.columns, tie.key.ref_columns, strict=True), 1)
        )
        same = " and ".join(
            f"p.{ident(there)} = t.{ident(here)}"
            for here, there in zip(tie.key.columns, tie.key.ref_columns, strict=True)
        )
        which = (
            f"{tie.condition} and exists (select from tenantry_left l where l.tie = {number} and {named})"
            f" and not exists (select from {parent} p where {same})"
        )
        mapping = next(iter(self.project.by_target.get(tie.child.name, ())), None)
        shown = as_shown(mapping) if mapping is not None else "to_json(t.*)"
        key = f"t.{LEGACY_ID}" if mapping is not None else _key(tie.child)
        connection.execute("delete from tenantry_hanging")
        found = connection.execute(
            f"insert into tenantry_hanging select t.tableoid, t.ctid, {key}, {shown} from {child} t where {which}"
        ).rowcount
        if found:
            emptied = [column.name for column in self._emptied(tie)]
            if emptied:
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
            except (pg.IntegrityError, pg.RaiseException):
                return False
            self._list(connection, tie, "its reference was emptied", condition)
            return True

        if not attempt():
            # A check, or a trigger, wants some of them to have the reference.
            for place, at in connection.execute("select h.place, h.at::text from tenantry_hanging h").fetchall():
                attempt(f"h.place = {int(place)} and h.at = {literal(at)}::tid")

    def _delete(self, connection: Connection, tie: _Tie, child: str) -> None:
        rows = f"tenantry_hanging h join {child} t on t.tableoid = h.place and t.ctid = h.at"
        self.note(connection, tie.child.name, rows)
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
        """List what is done with, and take it off."""
        reason = f"the row of {tie.parent.name} to which it refers by {', '.join(tie.key.columns)} is gone from there, or has moved; {said}"
        connection.execute(
            f"with d as (delete from tenantry_hanging h where {condition} returning h.key, h.loser)"
            f" insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason)"
            f" select 'forward', {literal(tie.child.name)}, d.key, '', 'source', d.loser, {literal(reason)} from d"
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

    @cached_property
    def _ties(self) -> list[_Tie]:
        found = []
        for child in self.project.target.tables:
            mappings = self.project.by_target.get(child.name, ())
            fed = {column.name for mapping in mappings for column in mapping.columns}
            for key in child.foreign_keys:
                parent = self.project.target.table(key.ref_table or "")
                if (
                    parent is None
                    or key.ref_schema != self.project.target.schema
                    or key.inherited
                    or not key.enforced
                    or key.on_delete not in ("no action", "restrict")
                ):
                    continue
                alone = not mappings or not set(key.columns) <= fed
                kept = (
                    f"exists (select from {JOURNAL}.kept k where k.table_name = {literal(child.name)}"
                    f" and k.column_name = '' and k.legacy_id = t.{LEGACY_ID})"
                )
                found.append(_Tie(child, key, parent, "true" if alone else kept, not alone))
        return found


def _type(table: Table, name: str) -> str:
    column = table.column(name)
    assert column is not None
    return column.type


def _key(table: Table) -> str:
    """SQL of a row's key, as text."""
    names = table.row_key or ()
    return f"concat_ws(', ', {', '.join(f't.{ident(name)}' for name in names)})" if names else "''"


__all__ = ["LEFT_TABLES", "LeftAlone"]
