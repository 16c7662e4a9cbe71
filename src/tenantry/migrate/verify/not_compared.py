"""Lists what a comparison of both sides leaves out, and why. Every result includes the list, and these values never count as equal.

A comparison covers each mapped row of the target, column by column, against the derivation of its source row; and that no
row is missing or surplus.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from tenantry.analyze import Case
from tenantry.analyze.rules.ta106_column_left_behind import ColumnLeftBehind
from tenantry.derivation.reverse.strangers import of_another_tenant
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.mapping.legacy_ids import of_part
from tenantry.migrate.verify.results import Difference, Verification
from tenantry.postgres import ident, literal


@dataclass(frozen=True, slots=True)
class NotCompared:
    """Rows or a column that a comparison left out.

    Attributes:
        table: a table of source or target, with its schema.
        column: empty for whole rows.
        rows: their number; None if the column is left out in all rows, or if they were not counted.
    """

    table: str
    column: str
    rows: int | None
    why: str

    def __str__(self) -> str:
        what = self.table + (f", column {self.column}" if self.column else "")
        return f"{what}: {self.why}" if self.rows is None else f"{what}: {self.rows:,} rows {self.why}"

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def not_compared(connection: Connection, project: Project) -> tuple[NotCompared, ...]:
    """Return everything that `tenantry verify` currently does not compare, by table."""
    found = [*_columns(project), *_tables(project), *_journal(connection, project)]
    for mapping in project:
        found += _rows(connection, project, mapping)
    return tuple(sorted(found, key=lambda each: (each.table, each.column, each.why)))


def nobodys_rows(connection: Connection, project: Project) -> list[Verification]:
    """Find rows, in target tables with several sources, whose legacy id fits no source and that are not target-native. No
    comparison of a source would find them."""
    checks = []
    for name, mappings in project.by_target.items():
        if not all(mapping.legacy_prefix for mapping in mappings):
            continue
        row = connection.execute(
            f"select count(*), (array_agg(coalesce(t.legacy_id, '(none)') order by t.legacy_id))[1:5]"
            f" from {ident(project.target.schema, name)} t where {_nobodys(mappings)} and t.legacy_id is distinct from t.id::text"
            f" and not exists (select from {JOURNAL}.kept k where k.table_name = {literal(name)} and k.legacy_id = t.legacy_id)"
        ).fetchone()
        assert row is not None
        differences = tuple(
            Difference("rows", name, str(key), "", "a row of one of its sources", "a row of no source")
            for key in row[1] or ()
        )
        checks.append(Verification("origin", name, int(row[0]), differences, max(0, int(row[0]) - len(differences))))
    return checks


def _nobodys(mappings: tuple[Mapping, ...]) -> str:
    return " and ".join(f"({of_part(mapping, 't.legacy_id')}) is not true" for mapping in mappings)


def _columns(project: Project) -> Iterator[NotCompared]:
    schema = project.target.schema
    for name, mappings in project.by_target.items():
        target = mappings[0].target
        for column in target.columns:
            fed = [mapping for mapping in mappings if any(each.name == column.name for each in mapping.columns)]
            if not fed:
                yield NotCompared(ident(schema, name), column.name, None, "no source column fills it")
            elif len(fed) < len(mappings):
                of = ", ".join(mapping.source.name for mapping in mappings if mapping not in fed)
                yield NotCompared(
                    ident(schema, name), column.name, None, f"no source column fills it in rows that come from {of}"
                )
    for finding in ColumnLeftBehind().find(Case(project)):
        yield NotCompared(ident(project.source.schema, finding.table), finding.column, None, "it is not migrated")


def _tables(project: Project) -> Iterator[NotCompared]:
    for table in project.new_tables:
        if table.partition_of is None:
            yield NotCompared(ident(table.schema, table.name), "", None, "it has no source")
    below = {each.name for table in project.source_tables for each in table.below}
    for name in project.manifest.source.ignore:
        if name not in below and project.source.table(name) is not None:
            yield NotCompared(ident(project.source.schema, name), "", None, "[source] ignore leaves it behind")
    for name in project.manifest.source.left:
        yield NotCompared(ident(project.source.schema, name), "", None, "[source] left leaves it where it is")
    if project.manifest.users is not None:
        yield NotCompared(
            "auth.users", "", None, "which account a person has is compared, the content of the account is not"
        )


def _journal(connection: Connection, project: Project) -> Iterator[NotCompared]:
    schema = project.target.schema
    for table, column, reason, rows in connection.execute(
        f"select table_name, column_name, reason, count(*) from {JOURNAL}.kept group by 1, 2, 3"
    ):
        yield NotCompared(
            ident(schema, str(table)), str(column), int(rows), f"exist in the target only: {reason} (tenantry.kept)"
        )
    for mapping in project:
        source = ident(project.source.schema, mapping.source.name)
        counted = connection.execute(
            f"select (select count(*) from {JOURNAL}.quarantine where mapping = %(name)s and state = 'open'),"
            f" (select count(*) from {JOURNAL}.merged where mapping = %(name)s),"
            f" (select count(*) from {JOURNAL}.born_part where mapping = %(name)s)",
            {"name": mapping.name},
        ).fetchone()
        assert counted is not None
        into = f" ({mapping.name})" if mapping.name != mapping.source.name else ""
        for rows, why in (
            (counted[0], "are in quarantine"),
            (counted[1], "were merged into others"),
            (counted[2], "are part of a target-native row"),
        ):
            if rows:
                yield NotCompared(source, "", int(rows), why + into)


def _rows(connection: Connection, project: Project, mapping: Mapping) -> Iterator[NotCompared]:
    source = ident(project.source.schema, mapping.source.name)
    target = ident(project.target.schema, mapping.target.name)
    if mapping.where:
        row = connection.execute(
            f"select count(*) from {source} s where ({mapping.where}) is not true".encode()
        ).fetchone()
        if row is not None and row[0]:
            yield NotCompared(source, "", int(row[0]), f"are left out by where = {mapping.where} ({mapping.name})")
    if project.trial and mapping is project.of_source(mapping.source.name)[0]:
        yield NotCompared(source, "", None, f"rows outside of {project.trial} stay where they are")
    for column in mapping.columns:
        if column.kind == "account":
            row = connection.execute(f"select count(*) from {target} t where t.legacy_id = t.id::text").fetchone()
            if row is not None and row[0]:
                yield NotCompared(target, column.name, int(row[0]), "are target-native, with an account of their own")
    mappings = project.by_target[mapping.target.name]
    if project.constant and mapping.scoped and mapping is mappings[0]:
        row = connection.execute(f"select count(*) from {target} t where {of_another_tenant(project, 't')}").fetchone()
        if row is not None and row[0]:
            yield NotCompared(target, "", int(row[0]), "belong to tenants that the source does not have")
    if mapping is mappings[0] and all(each.legacy_prefix for each in mappings):
        row = connection.execute(
            f"select count(*) from {target} t where {_nobodys(mappings)} and t.legacy_id = t.id::text"
        ).fetchone()
        if row is not None and row[0]:
            yield NotCompared(target, "", int(row[0]), "are target-native, and come from no source")


__all__ = ["NotCompared", "nobodys_rows", "not_compared"]
