"""Writes rows of any target, and says what the source must hold then.

A value that a row takes over from another row of its tenant must arrive in the source as the value that the other row has there, whatever
the manifest makes of it; a row that is copied must arrive as a copy.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg

from tenantry.catalog import Table
from tenantry.derivation.keys import mapping_key
from tenantry.mapping import MappedColumn, Mapping, Project
from tenantry.mapping.project import LEGACY_ID, ROW_ID
from tenantry.mapping.shapes import Pair
from tenantry.postgres import ident, literal
from tests.corpus.run.source_writer import changed_text, unique_sets
from tests.corpus.run.states import Connection, Row, as_row, both_since, row_key, same_row, same_value, texts

_REFUSED = {"23505", "23503", "23514", "23502", "23001", "23P01"}
_KINDS = ("value", "reference", "json_ids")


@dataclass
class Born:
    """A row that the target alone had: its id, the source row that it must become, but for its key and `changed`."""

    mapping: Mapping
    id: str
    like: Row
    changed: dict[str, str] = field(default_factory=dict)


class TargetWriter:
    """An application of the target. What must come of it in the source is done in the twin."""

    def __init__(self, target: Connection, twin: Connection, project: Project, seed: str) -> None:
        self.target, self.twin, self.project = target, twin, project
        self.random = Random(seed)
        self.born: list[Born] = []
        self.done: Counter[str] = Counter()
        self.mappings = [
            mapping for mapping in project
            if project.of_source(mapping.source.name) == (mapping,) and len(project.by_target[mapping.target.name]) == 1
            and mapping.merge is None
        ]  # fmt: skip

    def write(self, transactions: int) -> None:
        for _ in range(transactions):
            mapping = self.random.choice(self.mappings)
            what = self.random.choices(("insert", "update", "delete"), (3, 7, 1))[0]
            done = getattr(self, what)(mapping)
            self.done[what if done else "refused"] += 1

    # -- writes ------------------------------------------------------------------------------------------------------

    def update(self, mapping: Mapping) -> bool:
        """A row takes a value over from another row of its tenant."""
        columns = [
            column
            for column in mapping.columns
            if column.kind in _KINDS and column.source and self._own(mapping, column)
        ]
        pair = self._two(mapping)
        if not columns or pair is None:
            return False
        column = self.random.choice(columns)
        row, other = pair
        assert column.source is not None
        given = f"(select o.{ident(column.name)} from {self._name(mapping.target)} o where o.{ROW_ID} = {literal(other['id'])})"
        statement = f"update {self._name(mapping.target)} set {ident(column.name)} = {given} where {ROW_ID} = {literal(row['id'])}"
        ours, theirs = self._source_row(mapping, row), self._source_row(mapping, other)
        if ours is None or theirs is None or self._lossy(mapping, column, theirs, other):
            return False
        # An application never writes one half of a polymorphic pair.
        if any(ours[name] != theirs[name] for name in self._types_of_pairs(mapping, column)):
            return False
        name = self._name(mapping.source)
        back = f"update {name} z set {ident(column.source)} = {literal(theirs[column.source])} where {same_row(mapping.source, ours)}"
        return self._both(statement, back)

    def insert(self, mapping: Mapping) -> bool:
        """A copy of a row."""
        pair = self._two(mapping)
        like = self._source_row(mapping, pair[0]) if pair is not None else None
        if pair is None or like is None:
            return False
        row = pair[0]
        generated = {column.name for column in mapping.target.columns if column.generated is not None}
        names = [column.name for column in mapping.target.columns if column.name not in {ROW_ID, LEGACY_ID} | generated]
        numbered = {
            column.name for column in mapping.target.columns if column.identity or "nextval(" in (column.default or "")
        }
        names = [name for name in names if name not in numbered]
        born = Born(mapping, "", like)
        for column in mapping.columns:
            if column.source and column.kind in ("reference", "json_ids") and self._lossy(mapping, column, like, row):
                born.changed[column.source] = "*"
        changed: dict[str, str] = {}
        for columns in unique_sets(mapping.target):
            if (
                {ROW_ID, LEGACY_ID} & set(columns)
                or numbered & set(columns)
                or not self._changed(mapping, columns, row, changed, born)
            ):
                if {ROW_ID, LEGACY_ID} & set(columns) or numbered & set(columns):
                    continue
                return False
        values = ", ".join(literal(changed[name]) if name in changed else f"o.{ident(name)}" for name in names)
        listed = ", ".join(map(ident, names))
        statement = (
            f"insert into {self._name(mapping.target)} ({listed}) select {values} from {self._name(mapping.target)} o"
            f" where o.{ROW_ID} = {literal(row['id'])} returning {ROW_ID}::text"
        )
        for name in numbered:
            source = next((column.source for column in mapping.columns if column.name == name), None)
            if source is not None:
                born.changed[source] = "*"
        try:
            with self.target.transaction():
                found = self.target.execute(statement.encode()).fetchone()
        except psycopg.Error as error:
            return self._refused(error, statement)
        assert found is not None
        born.id = str(found[0])
        self.born.append(born)
        return True

    def delete(self, mapping: Mapping) -> bool:
        """A row that nothing hangs on, on either side."""
        pair = self._two(mapping)
        ours = self._source_row(mapping, pair[0]) if pair is not None else None
        if pair is None or ours is None or mapping.is_root or any(each.like == ours for each in self.born):
            return False
        back = f"delete from {self._name(mapping.source)} z where {same_row(mapping.source, ours)}"
        statement = f"delete from {self._name(mapping.target)} where {ROW_ID} = {literal(pair[0]['id'])}"
        if self.project.target.references_to(mapping.target.name) or self.project.source.references_to(
            mapping.source.name
        ):
            return False
        return self._both(statement, back)

    # -- parts -------------------------------------------------------------------------------------------------------

    def _both(self, statement: str, back: str) -> bool:
        try:
            with self.twin.transaction():
                self.twin.execute(
                    "set local session_replication_role = replica" if not back.startswith("delete") else "select 1"
                )
                self.twin.execute(back.encode())
                with self.target.transaction():
                    self.target.execute(statement.encode())
        except psycopg.Error as error:
            return self._refused(error, statement)
        return True

    @staticmethod
    def _refused(error: psycopg.Error, statement: str) -> bool:
        if error.sqlstate not in _REFUSED:
            raise AssertionError(f"a write of the target is refused: {statement}: {error}") from error
        return False

    def _two(self, mapping: Mapping) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Two rows of one tenant that come from the source: id, old id, tenant."""
        tenant = ident(self.project.manifest.tenant.column) if mapping.scoped else "null"
        table = self._name(mapping.target)
        known = f"{LEGACY_ID} <> {ROW_ID}::text"
        query = (
            f"with one as (select {ROW_ID}::text as id, {LEGACY_ID} as old, {tenant}::text as tenant from {table} where {known}"
            f" order by random() limit 1)"
            f" (select * from one) union all (select o.{ROW_ID}::text, o.{LEGACY_ID}, o.{tenant}::text from {table} o, one"
            f" where o.{known} and o.{tenant}::text is not distinct from one.tenant order by random() limit 1)"
        )
        query = query.replace("o.null", "null").replace(f"o.{LEGACY_ID} <> {ROW_ID}", f"o.{LEGACY_ID} <> o.{ROW_ID}")
        rows = [dict(zip(("id", "old", "tenant"), row, strict=True)) for row in self.target.execute(query.encode())]
        return (rows[0], rows[1]) if len(rows) == 2 else None

    def _source_row(self, mapping: Mapping, row: dict[str, Any]) -> Row | None:
        source, key = mapping.source, mapping_key(mapping, "z")
        old = str(row["old"]).removeprefix(mapping.legacy_prefix)
        found = self.twin.execute(
            f"select {texts(source)} from {self._name(source)} z where {key} = {literal(old)}".encode()
        ).fetchall()
        return as_row(source, found[0]) if len(found) == 1 else None

    def _own(self, mapping: Mapping, column: MappedColumn) -> bool:
        """Whether a column is made from one source column that makes no other, and that is no key."""
        feeding = [each for each in mapping.columns if each.source == column.source]
        source = mapping.source.column(column.source or "")
        if (
            len(feeding) > 1
            or source is None
            or source.generated is not None
            or column.source in row_key(mapping.source)
        ):
            return False
        unique = {name for table in (mapping.source, mapping.target) for each in unique_sets(table) for name in each}
        ways = {name for ref in mapping.tenant_paths for name in ref.columns}
        return not {column.name, column.source} & unique and column.source not in ways and column.down is not None

    @staticmethod
    def _types_of_pairs(mapping: Mapping, column: MappedColumn) -> set[str]:
        """Return the source columns that say to which table an id of this column, or of its pair, belongs."""
        pairs = {each.shape.type_column for each in mapping.columns if isinstance(each.shape, Pair)}
        own = {column.shape.type_column} if isinstance(column.shape, Pair) else set()
        return own | ({str(column.source)} & pairs)

    def _lossy(self, mapping: Mapping, column: MappedColumn, source: Row, row: dict[str, Any]) -> bool:
        """Whether the target has nothing where the source has something: ids of no rows."""
        value = source[column.source or ""]
        name = ident(column.name)
        held = f"cardinality({name})" if column.type.endswith("[]") else f"({name} is not null)::integer"
        found = self.target.execute(
            f"select {held} from {self._name(mapping.target)} where {ROW_ID} = {literal(row['id'])}".encode()
        ).fetchone()
        if found is None:
            return True
        if column.type.endswith("[]") and value is not None:
            listed = self.twin.execute("select cardinality(%s::text[])", [value]).fetchone()
            return listed is None or listed[0] != found[0]
        return bool(found[0]) != (value is not None)

    def _changed(
        self, mapping: Mapping, columns: tuple[str, ...], row: dict[str, Any], changed: dict[str, str], born: Born
    ) -> bool:
        """Let one column of a unique key have a value of its own; False where there is none that can."""
        if set(columns) & changed.keys():
            return True
        for name in columns:
            column = next((each for each in mapping.columns if each.name == name), None)
            plain = mapping.target.column(name)
            if (
                column is None
                or plain is None
                or column.kind != "value"
                or not column.source
                or plain.type_kind != "base"
            ):
                continue
            if plain.type.split("(")[0] not in ("text", "character varying", "integer", "bigint"):
                continue
            found = self.target.execute(
                f"select {ident(name)}::text from {self._name(mapping.target)} where {ROW_ID} = {literal(row['id'])}".encode()
            ).fetchone()
            if found is None or found[0] is None:
                return True
            value = str(found[0])
            new = (
                str(int(value) + self.random.randint(10**6, 10**8))
                if plain.type in ("integer", "bigint")
                else changed_text(self.random, value)
            )
            changed[name] = born.changed[column.source] = new
            return True
        return False

    @staticmethod
    def _name(table: Table) -> str:
        return ident(table.schema, table.name)

    # -- what comes of it --------------------------------------------------------------------------------------------

    def settle_born(self, source: Connection, began: str) -> list[str]:
        """Add the rows that were born to the twin, under the keys that the source has for them; returns what is wrong with them."""
        problems = []
        for each in self.born:
            mapping, table = each.mapping, each.mapping.source
            found = self.target.execute(
                f"select {LEGACY_ID} from {self._name(mapping.target)} where {ROW_ID} = {literal(each.id)}".encode()
            ).fetchone()
            if found is None:
                problems.append(f"{mapping.name} {each.id}: born, and gone")
                continue
            part = source.execute(
                "select source_key from tenantry.born_part where mapping = %s and legacy_id = %s",
                [mapping.name, found[0]],
            ).fetchone()
            old = str(part[0]) if part else str(found[0]).removeprefix(mapping.legacy_prefix)
            key = mapping_key(mapping, "z")
            rows = source.execute(
                f"select {texts(table)} from {self._name(table)} z where {key} = {literal(old)}".encode()
            ).fetchall()
            if len(rows) != 1:
                listed = source.execute(
                    "select from tenantry.kept where table_name = %s and legacy_id = %s and column_name = ''",
                    [mapping.target.name, found[0]],
                ).fetchone()
                self.done["kept"] += listed is not None
                if listed is None:
                    problems.append(f"{mapping.name} {each.id} ({old}): {len(rows)} rows in the source, and not listed")
                continue
            row = as_row(table, rows[0])
            want = {**each.like, **each.changed}
            own = {*row_key(table), *(column.name for column in table.columns if column.generated is not None)}
            problems += [
                f"{table.name} {old}.{name}: expected {want[name]!r} as in the row that was copied, found {value!r}"
                for name, value in row.items() if name not in own and want[name] != "*" and not same_value(want[name], value)
                and not both_since(want[name], value, began)
            ]  # fmt: skip
            names = [column.name for column in table.columns if column.generated is None]
            values = ", ".join(literal(row[name]) for name in names)
            with self.twin.transaction():
                self.twin.execute("set local session_replication_role = replica")
                self.twin.execute(
                    f"insert into {self._name(table)} ({', '.join(map(ident, names))}) overriding system value values ({values})".encode()
                )
        self.born = []
        return problems
