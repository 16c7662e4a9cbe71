"""Checks of the target as a whole: ids, references, the catalog and the manifest's rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Mapping as MappingType
from dataclasses import asdict, is_dataclass, replace
from typing import Any

from tenantry.catalog import Constraint, Table, Trigger, read_catalog
from tenantry.derivation.reverse.strangers import without_strangers
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.journal.window import own_definitions
from tenantry.mapping import Project
from tenantry.migrate.session.reserved_names import TRIGGERS
from tenantry.migrate.verify.results import SAMPLES, Difference, Verification, show
from tenantry.postgres import ident, idents
from tenantry.statements.keys import in_transition, is_to_left_table, legacy_index


def verify_ids(connection: Connection, project: Project) -> Verification:
    """Check that legacy and new ids are one to one: no id of either kind belongs to two migrated rows, in any tenant, or to two rows of
    one tenant. A target-native row may have the id of another tenant's row, if a client sets it. The comparison of rows shows that
    each new id belongs to its legacy id."""
    differences: list[Difference] = []
    compared = 0
    for name in project.by_target:
        table = without_strangers(project, name)
        twice = "count(*) > 1"
        if project.scoped(name):
            tenant = ident(project.manifest.tenant.column)
            twice += (
                f" and (count(*) > count(distinct t.{tenant}) or count(*) filter (where t.legacy_id <> t.id::text) > 1)"
            )
        for column in ("id", "legacy_id"):
            compared += 1
            with connection.transaction():
                # The planner underestimates the number of distinct ids: sorting takes a third of the time of hashing.
                connection.execute("set local enable_hashagg = off")
                rows = connection.execute(
                    f"select t.{column}::text, count(*) from {table} t group by t.{column} having {twice}"
                    f" limit {SAMPLES}"
                ).fetchall()
            differences += [
                Difference("ids", name, str(value), column, "one row", f"{count} rows") for value, count in rows
            ]
    return Verification("ids", "all tables", compared, tuple(differences))


def verify_references(connection: Connection, project: Project) -> Verification:
    """Check each foreign key of the target by an anti-join, regardless of the constraints."""
    differences: list[Difference] = []
    compared = 0
    fed = {mapping.target.name for mapping in project}
    for table in project.target.tables:
        if table.name not in fed:
            continue
        for fk in table.foreign_keys:
            compared += 1
            parent = ident(fk.ref_schema or "", fk.ref_table or "")
            given = " and ".join(f"t.{ident(column)} is not null" for column in fk.columns)
            same = " and ".join(
                f"p.{ident(there)} = t.{ident(here)}" for here, there in zip(fk.columns, fk.ref_columns, strict=True)
            )
            rows = connection.execute(
                f"select t.legacy_id, {idents(fk.columns, prefix='t')} from {ident(table.schema, table.name)} t"
                f" where {given} and not exists (select from {parent} p where {same}) limit {SAMPLES}"
            )
            differences += [
                Difference(
                    "references", table.name, str(row[0]), ", ".join(fk.columns), f"a row of {fk.ref_table}",
                    "none: " + ", ".join(str(value) for value in row[1:]),
                )
                for row in rows
            ]  # fmt: skip
    return Verification("references", "all tables", compared, tuple(differences))


def verify_catalog(connection: Connection, project: Project) -> Verification:
    """Check that the target has every column, key, check, index and trigger of its files, valid and unchanged."""
    differences: list[Difference] = []
    compared = 0
    now = read_catalog(connection, project.target.schema)
    row = connection.execute(f"select direction <> 'forward' from {JOURNAL}.run order by id desc limit 1").fetchone()
    over = row is not None and bool(row[0])
    fed = project.by_target.keys()
    own = own_definitions(connection)
    for table in project.target.tables:
        there = now.table(table.name)
        if there is None:
            differences.append(Difference("catalog", table.name, "table", "", "a table", "none"))
            continue
        # Without Tenantry's additions during the transition.
        for kind, wanted, got in (
            ("column", _facts(table.columns), _facts(there.columns)),
            (
                "constraint",
                _facts(in_transition(project, table, each) for each in _kept_all_along(project, table.constraints)),
                _facts(_kept_all_along(project, there.constraints)),
            ),
            (
                "index",
                _facts(table.indexes),
                _facts(each for each in there.indexes if each.name != legacy_index(table)),
            ),
            ("trigger", _facts(_asleep(table, over, fed)), _facts(_themselves(there, own))),
            ("comment", {"table": table.comment}, {"table": there.comment}),
        ):
            compared += len(wanted)
            differences += [
                Difference("catalog", table.name, f"{kind} {name}", "", _shown(wanted.get(name)), _shown(got.get(name)))
                for name in sorted(wanted.keys() | got.keys())
                if wanted.get(name) != got.get(name)
            ]
        differences += _invalid(there)
    return Verification("catalog", "all tables", compared, tuple(differences))


def _kept_all_along(project: Project, constraints: Iterable[Constraint]) -> Iterable[Constraint]:
    """Return constraints without the foreign keys that exist only from the cut-over on."""
    return (each for each in constraints if not is_to_left_table(project, each))


def _themselves(table: Table, own: MappingType[tuple[str, str], str]) -> Iterable[Trigger]:
    """Return the application's triggers, without the conditions that the dual-write window has added."""
    where = ident(table.schema, table.name)
    return (
        replace(trigger, definition=own.get((where, trigger.name), trigger.definition))
        for trigger in table.triggers
        if trigger.name not in TRIGGERS
    )


def _asleep(table: Table, over: bool, fed: Collection[str]) -> Iterable[Trigger]:
    """Return the triggers of mapped tables that must be disabled until applications write the target."""
    if over or table.name not in fed:
        return table.triggers
    return (replace(trigger, enabled="disabled") for trigger in table.triggers)


def _facts(items: Iterable[Any]) -> dict[str, Any]:
    """Return the relevant facts of catalog records, by name: everything except sizes."""
    return {item.name: replace(item, size_bytes=0) if hasattr(item, "size_bytes") else item for item in items}


def _shown(item: Any) -> str:
    if not is_dataclass(item) or isinstance(item, type):
        return show(item)
    return show({name: value for name, value in asdict(item).items() if name != "size_bytes"})


def _invalid(table: Table) -> list[Difference]:
    return [
        Difference("catalog", table.name, f"index {index.name}", "", "valid", "invalid")
        for index in table.indexes
        if not index.valid
    ]


def verify_rules(connection: Connection, project: Project) -> Verification:
    """Check the manifest's business rules: queries that return the rows which break them."""
    differences: list[Difference] = []
    with connection.transaction(force_rollback=True):
        connection.execute("set transaction read only")
        connection.execute(f"set local search_path = {ident(project.target.schema)}, pg_catalog")
        for rule in project.manifest.rules:
            cursor = connection.execute(rule.sql)
            names = [column.name for column in cursor.description or ()]
            found = cursor.pgresult
            # As text from the server: a date may be infinite, and a number may have more digits than Python reads.
            rows = [
                [None if (value := found.get_value(row, place)) is None else value.decode(errors="replace")
                 for place in range(len(names))]
                for row in range(min(found.ntuples, SAMPLES))
            ] if found is not None else []  # fmt: skip
            differences += [
                Difference(
                    "rules", rule.name, ", ".join(f"{n}={v}" for n, v in zip(names, row, strict=True)), "",
                    "no such row", "one",
                )
                for row in rows
            ]  # fmt: skip
    return Verification("rules", "all tables", len(project.manifest.rules), tuple(differences))


def verify_target(connection: Connection, project: Project) -> list[Verification]:
    """Run the checks of the target alone: ids, references, keys, rules."""
    return [
        verify_ids(connection, project),
        verify_references(connection, project),
        verify_catalog(connection, project),
        verify_rules(connection, project),
    ]


__all__ = ["verify_catalog", "verify_ids", "verify_references", "verify_rules", "verify_target"]
