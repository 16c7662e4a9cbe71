"""Compiles the reverse direction: the statements that update source rows from target rows. Pure; `migrate.replay` runs them.

Statements are compiled for each source table, because one source row can fill several target tables. Its mapping without a
part comes first; the rows of the other mappings are joined to that one's row. Several target columns may write one source
column: the first target row that exists decides, and the others are set to match.

up(source row), derived as in the verification, is compared with the target row. A source column is written only if they
differ, so that another spelling of the same value stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import CycleError

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.derivation.keys import equal, key_parts_sql
from tenantry.derivation.reverse import alternatives, moved
from tenantry.derivation.reverse.columns import SAME_ROW, WAITS
from tenantry.derivation.reverse.comparison import Comparison
from tenantry.derivation.reverse.deleted_ids import INTEGERS, unguarded
from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import legacy_of
from tenantry.mapping.order import sorter
from tenantry.mapping.project import ROW_ID, MappedColumn, Mapping, Project
from tenantry.mapping.values.type_names import base_type, is_text, text_length
from tenantry.postgres import ident, idents, literal, literals

NO_MEMBER = "the person is a member of other tenants only, which the source does not have"


def source_order(project: Project) -> list[Table]:
    """Return the source tables, parents first; tables with circular references come in any order."""
    graph: dict[str, set[str]] = {table.name: set() for table in project.source_tables}
    for mapping in project:
        for ref in (*mapping.references, *(path for path in mapping.tenant_paths if not path.backward)):
            graph[mapping.source.name] |= {parent.source.name for parent in project.feeding(ref)} - {
                mapping.source.name
            }
        for fk in mapping.source.foreign_keys:
            if fk.ref_schema == project.source.schema and fk.ref_table in graph and fk.ref_table != mapping.source.name:
                graph[mapping.source.name].add(fk.ref_table)
    while True:
        try:
            order = list(sorter(graph).static_order())
            break
        except CycleError as error:
            circle: list[str] = error.args[1]  # each is a parent of the next
            graph[circle[1]].discard(circle[0])
    tables = {table.name: table for table in project.source_tables}
    return [tables[name] for name in order]


def reverse_statements(project: Project) -> tuple[SourceTable, ...]:
    """Compile the reverse direction of all source tables, parents first."""
    return tuple(SourceTable(project, table) for table in source_order(project))


class SourceTable(Comparison):
    """The reverse direction of one source table."""

    # -- writing -----------------------------------------------------------------------------------------------------

    def update(self, places: Sequence[int], condition: str) -> str:
        """Return statements that write the source columns of these slots where they change."""
        named = [(ident(self.slots[j].column.name), j) for j in places]
        sets = ", ".join(f"{name} = case when w.c[{j + 1}] then w.v{j} else s.{name} end" for name, j in named)
        any_of = " or ".join(f"w.c[{j + 1}]" for _, j in named)
        return f"update {self.sql} s set {sets} from {self.work} w where {self.same_key('s', 'w')} and ({any_of}) and {condition}"

    def park(self) -> list[str]:
        """Return statements that give the rows to be changed temporary, unused values in their unique columns."""
        unique = {
            name
            for index in self.table.indexes
            if index.unique
            for name in index.columns
            if name is not None and name not in self.key
        }
        made = []
        for j, slot in enumerate(self.slots):
            if slot.column.name not in unique or slot.column.identity == "always":
                continue
            value = "null" if slot.column.nullable else _stranger(slot.column)
            if value is None:
                continue
            made.append(
                f"update {self.sql} s set {ident(slot.column.name)} = {value} from {self.work} w"
                f" where {self.same_key('s', 'w')} and w.c[{j + 1}]"
            )
        return made

    def insert(self, condition: str) -> str:
        names = [*self.key, *(slot.column.name for slot in self.slots)]
        values = [f"w.{name}" for name in self.key_columns]
        for j, slot in enumerate(self.slots):
            default = f"({slot.column.default})::{slot.column.type}" if slot.column.default else "null"
            values.append(f"case when w.g[{j + 1}] then w.v{j} else {default} end")
        system = " overriding system value" if any(column.identity for column in self.table.columns) else ""
        return (
            f"insert into {self.sql} ({idents(names)}){system}\nselect {', '.join(values)} from {self.work} w"
            f" where w.ins and {condition}"
        )

    def left_out(self) -> str | None:
        """Return a statement that deletes inserted rows which do not pass the mapping's own filter."""
        if not any(part.mapping.where for part in self.parts):
            return None
        passes = " or ".join(f"(w.h{i} and ({part.mapping.where or 'true'}))" for i, part in enumerate(self.parts))
        return (
            f"delete from {self.sql} s using {self.work} w, {self.keys} k where w.ins and k.key = w.key and k.state = 'inserted'"
            f" and {self.same_key('s', 'w')} and ({passes}) is not true returning w.key"
        )

    def unpatch(self, places: Sequence[int], condition: str) -> str:
        """Return statements: a value written to a row that was corrected in the quarantine replaces the correction."""
        gone = ", ".join(f"case when w.c[{j + 1}] then {literal(self.slots[j].column.name)} end" for j in places)
        return (
            f"update {JOURNAL}.quarantine q set patch = q.patch - array_remove(array[{gone}]::text[], null) from {self.work} w"
            f" where q.source_table = {literal(self.name)} and q.source_key = w.key and q.state = 'readmitted'"
            f" and q.patch <> '{{}}' and {condition}"
        )

    # -- deleting ----------------------------------------------------------------------------------------------------

    def collect_gone(self) -> list[str]:
        """Return the source rows whose target row was deleted, and the rows that were merged into them."""
        typed = ", ".join(self.key_columns)
        made = [
            f"insert into {self.gone} (key, {typed}, position) select key, {typed}, resp from {self.work} where del"
            " on conflict do nothing"
        ]
        for i, part in enumerate(self.parts):
            if part.mapping.merge is None:
                continue
            values = key_parts_sql(self.project.source, part.mapping, "m.source_key")
            there = f"exists (select from {self.target_sql(part)} t where t.legacy_id = m.source_key)"
            made.append(
                f"insert into {self.gone} (key, {typed}, position) select m.source_key, {', '.join(values)}, {i} from {self.gone} d"
                f" join {JOURNAL}.merged m on m.mapping = {literal(part.mapping.name)} and m.into_key = d.key"
                f" where d.position = {i} and not {there} on conflict do nothing"
            )
        return made

    def held_back(self, made: Iterable[SourceTable]) -> list[tuple[str, str]]:
        """Return (child table, statement): removes rows from the deletion list to which remaining rows still refer; a cascade
        would also delete data that only the source has."""
        tables = {each.name: each for each in made}
        found = []
        for child, fk in self.project.source.references_to(self.name):
            if fk.on_delete in ("set null", "set default") or fk.inherited or not fk.enforced:
                continue
            held = [column for name in fk.ref_columns if (column := self.table.column(name)) is not None]
            same = " and ".join(
                equal(column, f"c.{ident(here)}", f"p.{ident(column.name)}")
                for here, column in zip(fk.columns, held, strict=True)
            )
            goes = ""
            if child.name in tables:
                other = tables[child.name]
                goes = f" and not exists (select from {other.gone} x where {other.same_key('c', 'x')})"
            found.append(
                (
                    child.name,
                    f"delete from {self.gone} d using {self.sql} p where {self.same_key('p', 'd')}"
                    f" and exists (select from {ident(child.schema, child.name)} c where {same}{goes}) returning d.key",
                )
            )
        return found

    def delete(self, condition: str = "true") -> str:
        return f"delete from {self.sql} s using {self.gone} d where {self.same_key('s', 'd')} and {condition}"

    def forget(self) -> list[str]:
        """Return statements that remove the journal's entries about deleted rows."""
        name = literal(self.name)
        return [
            f"delete from {JOURNAL}.merged m using {self.gone} d where m.source_table = {name} and m.source_key = d.key",
            f"delete from {JOURNAL}.quarantine q using {self.gone} d where q.source_table = {name} and q.source_key = d.key"
            " and q.state = 'open'",
            f"delete from {JOURNAL}.born_part b using {self.gone} d where b.source_key = d.key and b.mapping in"
            f" ({literals(part.mapping.name for part in self.parts)})",
        ]

    # -- what stays in the target --------------------------------------------------------------------------------------

    def kept(self) -> list[str]:
        """Return queries of (table, legacy id, column, reason) over the work table, run after everything is written."""
        made = []
        for i, part in enumerate(self.parts):
            name = literal(part.target)
            shared = {
                part.feeds[n].asked for slot in self.slots for n in dict(alternatives.considered(self, slot)).get(i, ())
            }
            places = self._places_of_ids(i)
            why = ", ".join(
                f"({literal(column)}, {literal(reason)}, {places.get(column, 'null::int')})"
                for column, reason in part.why.items()
                if column not in shared
            )
            if why:
                born = f"r.place = 0 and w.legacy{i} <> {legacy_of(part.mapping, 'w.key')}"
                reason = f"case when w.g[r.place] or ({born}) then {literal(SAME_ROW)} else r.reason end"
                made.append(
                    f"select {name}, w.legacy{i}, r.name, {reason} from {self.work} w join (values {why}) r (name, reason, place)"
                    f" on r.name = any (w.d{i}) where w.has_s and w.h{i} and w.cov{i}"
                )
            made.append(
                f"select {name}, w.legacy{i}, e, 'the source has no column for it' from {self.work} w"
                f" cross join lateral unnest(w.e{i}) e where w.has_s and w.h{i}"
            )
            made.append(
                f"select {name}, w.legacy{i}, '', {literal(f'the row of {self.name} is listed in the quarantine, or as merged')}"
                f" from {self.work} w where w.q{i} and w.legacy{i} is not null"
            )
            made += alternatives.kept(self, i)
            made += moved.kept(self, i)
            if i:
                made.append(
                    f"select {name}, {legacy_of(part.mapping, 'w.key')}, '', {literal(f'the row is gone, and {self.name} cannot say so')}"
                    f" from {self.work} w where w.gone{i}"
                )
            if part.link != "same":
                made.append(
                    f"select {name}, w.legacy{i}, {literal(ROW_ID)}, {literal(f'target-native: {self.name} would give it another id')}"
                    f" from {self.work} w where w.has_s and w.h{i} and w.legacy{i} <> {legacy_of(part.mapping, 'w.key')}"
                )
                made.append(
                    f"select {name}, {legacy_of(part.mapping, 'w.key')}, '', 'its place is that of ' || w.legacy{i} || ', which is target-native'"
                    f" from {self.work} w where w.has_s and w.h{i} and w.legacy{i} <> {legacy_of(part.mapping, 'w.key')}"
                )
        return made

    def _places_of_ids(self, position: int) -> dict[str, str]:
        """Return the slots, counted from 1, of a part's references and of its values with ids. If one has a value, the source names the
        same row. 0: the key's own."""
        part = self.parts[position]
        # An id that is dropped on the way to the target would be lost indeed.
        named = {
            column.name
            for column in part.compared
            if (column.kind == "reference" and not self._may_be_lost(part.mapping, column))
            or (column.kind == "json_ids" and not column.drop_stale)
        }
        # A target-native row has its place by the row that its key names.
        keyed = {feed.asked: "0" for feed in part.natural if feed.asked in named}
        return keyed | {
            part.feeds[n].asked: str(place)
            for place, slot in enumerate(self.slots, start=1)
            for at, n in slot.feeds
            if at == position and len(slot.feeds) == 1 and part.feeds[n].asked in named
        }

    def _may_be_lost(self, mapping: Mapping, column: MappedColumn) -> bool:
        """Whether a reference may name a deleted row, and becomes null for it on the way to the target."""
        ref = column.reference
        return column.orphan == "null" and ref is not None and unguarded(self.project, mapping, column.name, ref)

    def alone(self) -> list[str]:
        """Return queries of (table, legacy id, reason): target rows that have no source row."""
        made = []
        for i, part in enumerate(self.parts):
            waits = f"{literal(WAITS[0])} || w.waits || {literal(WAITS[1])}"
            lacks = f"{literal(f'{self.name}.')} || w.lacks || ' cannot be made'"
            if self.project.constant:
                lacks = f"case when w.lacks = '' then {literal(NO_MEMBER)} else {lacks} end"
            alone = f"no row of {self.name} that could hold it" if i else "refused: see tenantry.conflict"
            made.append(
                f"select {literal(part.target)}, w.legacy{i}, coalesce({waits}, {f'{lacks}, ' if not i else ''}{literal(alone)})"
                f" from {self.work} w where w.h{i} and not w.has_s"
            )
        return made

    def placed(self) -> list[str]:
        return [
            f"select {literal(part.target)}, w.legacy{i} from {self.work} w where w.has_s and w.legacy{i} is not null"
            for i, part in enumerate(self.parts)
        ]

    def born_parts(self, *, inserted: bool = False) -> list[str]:
        """Record the source row of a target-native row that is a part, or whose key is made from other columns.

        Args:
            inserted: limit this to rows that were inserted just now, for rows that refer to them.
        """
        there = (
            f"exists (select from {self.keys} k where k.key = w.key and k.state = 'inserted')"
            if inserted
            else "w.has_s"
        )
        column = ident(self.project.manifest.tenant.column)

        def tenant(i: int) -> str:
            part = self.parts[i]
            if not part.mapping.scoped:
                return "null"
            return f"(select t.{column}::text from {self.target_sql(part)} t where t.legacy_id = w.legacy{i} limit 1)"

        return [
            f"insert into {JOURNAL}.born_part (mapping, legacy_id, source_key, tenant) select {literal(part.mapping.name)}, w.legacy{i},"
            f" w.key, {tenant(i)} from {self.work} w where {there} and w.h{i} and w.legacy{i} <> {legacy_of(part.mapping, 'w.key')}"
            " on conflict (mapping, md5(legacy_id)) do update set source_key = excluded.source_key, tenant = excluded.tenant"
            " where (born_part.source_key, born_part.tenant) is distinct from (excluded.source_key, excluded.tenant)"
            for i, part in enumerate(self.parts)
            if (part.natural if inserted else part.link != "same")
        ]

    def loser(self, position: int) -> str:
        """Return the target's row `t` as JSON, without secrets."""
        return as_shown(self.parts[position].mapping)


def as_shown(mapping: Mapping) -> str:
    """Return SQL of the target's row `t` as JSON, without secrets."""
    hidden = [
        column.name for column in mapping.columns if column.kind in ("value", "python") and mapping.is_secret(column)
    ]
    shown = ", ".join(
        f"'(secret)' as {ident(column.name)}" if column.name in hidden else f"t.{ident(column.name)}"
        for column in mapping.target.columns
    )
    return f"(select {JOURNAL}.row_json(z.*) from (select {shown}) z)"


def _stranger(column: CatalogColumn) -> str | None:
    """Return a value that no row is likely to have, by its key's position; None for types with no spare values."""
    base = base_type(column.type)
    if is_text(column):
        length = text_length(column.type)
        made = "replace(gen_random_uuid()::text, '-', '')"
        return f"left({made}, {length})" if length is not None else made
    if base == "uuid":
        return "gen_random_uuid()"
    if base in INTEGERS:
        return f"-(w.n + {2 ** {'smallint': 14, 'integer': 30, 'bigint': 62}[base]})"
    if base == "numeric":
        return "-(w.n + 0.0)"
    return None


__all__ = ["SourceTable", "as_shown", "reverse_statements", "source_order"]
