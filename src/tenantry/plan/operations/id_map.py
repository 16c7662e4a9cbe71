"""The id map: old and new ids of every source row, for clients that stored ids and for people; the functions that look ids
up; and triggers that give target-native rows an old id too."""

from __future__ import annotations

from tenantry.catalog import Table
from tenantry.ids.functions import drop_statements, lookup_statements
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.mapping.project import LEGACY_ID
from tenantry.plan.model import Step
from tenantry.postgres import ident, literal
from tenantry.statements.capture import fed_tables

NATIVE_TRIGGER = "tenantry_born_here"
"""Name of the trigger that sets the old id of a new target row to its own id."""


def id_map(project: Project, *after: str) -> Step:
    """Create views over the target, merged and quarantined rows, and the lookup functions. Views cannot lag behind and cost
    no writes. None of them reads the source, so they remain after the contract."""
    people = _person(project)
    return Step(
        id="expand.id_map",
        does="creates the id map and the functions that look ids up",
        phase="expand",
        kind="sql",
        title="Create the id map (old and new ids of every row) and the functions that look ids up",
        sql=(*_map(project), *people, *lookup_statements(project)),
        undo=(
            *drop_statements(project),
            *([f"drop view if exists {JOURNAL}.person"] if people else []),
            f"drop view if exists {JOURNAL}.id_map",
            f"drop function if exists {JOURNAL}.born_here()",
        ),
        lock="none that others notice",
        risk="none",
        seconds=0.05,
        after=after,
    )


def mark_native_rows(project: Project, after: tuple[str, ...]) -> Step | None:
    """Create a trigger for each table that does not set the old id of new rows itself; None if every table does."""
    tables = [table for table in fed_tables(project) if not _sees_to_it(project, table)]
    if not tables:
        return None
    names = [ident(table.schema, table.name) for table in tables]
    return Step(
        id="secure.born_here",
        does="lets new rows have their own id as `legacy_id`; only where the target leaves it open",
        phase="secure",
        kind="sql",
        title=f"Set {LEGACY_ID} of new rows to their own id in {len(tables)} tables",
        sql=tuple(
            f"create or replace trigger {NATIVE_TRIGGER} before insert on {name} for each row when (new.{LEGACY_ID} is null)"
            f" execute function {JOURNAL}.born_here()"
            for name in names
        ),
        undo=tuple(f"drop trigger if exists {NATIVE_TRIGGER} on {name}" for name in names),
        lock="none that others notice",
        risk="none",
        seconds=0.01 * len(tables),
        after=after,
    )


def _sees_to_it(project: Project, table: Table) -> bool:
    """Return whether the column has a default or a BEFORE INSERT trigger mentions it."""
    column = table.column(LEGACY_ID)
    if column is not None and (column.default is not None or column.generated is not None):
        return True
    bodies = {ident(function.schema, function.name): function.definition or "" for function in project.target.functions}
    return any(
        " BEFORE INSERT" in trigger.definition
        and trigger.enabled != "disabled"
        and (LEGACY_ID in trigger.definition or LEGACY_ID in bodies.get(trigger.function.partition("(")[0], ""))
        for trigger in table.triggers
    )


# -- views -------------------------------------------------------------------------------------------------------------


def _map(project: Project) -> tuple[str, str]:
    selects = []
    for mapping in project:
        if mapping.keeps_ids:
            continue
        table = ident(project.target.schema, mapping.target.name)
        old, where, into = source_key(mapping), from_part(mapping, " where"), legacy_of(mapping, "m.into_key")
        names = f"{literal(mapping.source.name)}, {literal(mapping.target.name)}"
        state = "'carried'" if mapping.legacy_prefix or _may_be_uuid(mapping) else _NATIVE_STATE
        selects += [
            f"select {names}, {old}, t.id, {state} from {table} t{where}",
            f"select {names}, m.source_key, t.id, 'merged' from {JOURNAL}.merged m join {table} t on t.legacy_id = {into}"
            f" where m.mapping = {literal(mapping.name)}",
            f"select {names}, q.source_key, null, 'quarantined' from {JOURNAL}.quarantine q"
            f" where q.mapping = {literal(mapping.name)} and q.state = 'open'",
        ]
    for name, mappings in project.by_target.items():
        prefixes = [mapping.legacy_prefix for mapping in mappings]
        if all(prefixes):
            none = " and ".join(f"left(t.legacy_id, {len(prefix)}) <> {literal(prefix)}" for prefix in prefixes)
            selects.append(
                f"select null, {literal(name)}, t.legacy_id, t.id, 'born' from {ident(project.target.schema, name)} t"
                f" where {none}"
            )
    view = f"{JOURNAL}.id_map"
    return (
        f"create or replace view {view} (source_table, target_table, old_id, new_id, state) as\n"
        + "\nunion all\n".join(selects),
        f"comment on view {view} is 'Old and new ids of migrated rows, of merged rows (the id of the row that they were"
        " merged into), of quarantined rows (no new id yet) and of target-native rows (their own id).'",
    )


_NATIVE_STATE = "case when t.legacy_id = t.id::text then 'born' else 'carried' end"


def _may_be_uuid(mapping: Mapping) -> bool:
    """Return whether an old id can be the text of a uuid, which is kept; then target-native rows look the same."""
    if len(mapping.key) > 1:
        return False
    column = mapping.source.column(mapping.key[0])
    return column is None or not column.type.startswith(("smallint", "integer", "bigint", "numeric"))


def _person(project: Project) -> tuple[str, ...]:
    users = project.manifest.users
    if users is None:
        return ()
    profiles = ident(project.target.schema, users.profile)
    return (
        f"create or replace view {JOURNAL}.person (old_id, profile_id, account_id, state) as\n"
        f"select m.old_id, m.new_id, p.{ident(users.account)}, m.state\n"
        f"  from {JOURNAL}.id_map m left join {profiles} p on p.id = m.new_id\n"
        f" where m.target_table = {literal(users.profile)}",
        f"comment on view {JOURNAL}.person is 'The three ids of a person: the old id (one row each if several were merged),"
        " the profile id and the account id; null if absent.'",
    )
