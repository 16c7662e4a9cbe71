"""Reserved names: Tenantry's objects on the application's tables, and the check that no other object has their names.

Within statements there are no conflicts: columns are qualified by aliases, and reserved names differ from all columns.
A trigger or an index needs a permanent name, so a run does not begin if another object has it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.access.policies import table_policies
from tenantry.accounts.sync import TRIGGERS as IN_STEP
from tenantry.analyze import Taken
from tenantry.catalog import Table
from tenantry.errors import NameTaken
from tenantry.journal.journal import Connection
from tenantry.mapping import Project
from tenantry.plan.operations.id_map import NATIVE_TRIGGER
from tenantry.statements.capture import OURS
from tenantry.statements.keys import legacy_index

TRIGGERS = frozenset({*OURS, NATIVE_TRIGGER, *IN_STEP})
"""The triggers that Tenantry sets on tables of the application."""
RENAME = "Rename these in the source, or in the target's files (alter trigger … rename to …)"
ON_ACCOUNTS = frozenset({*IN_STEP, "tenantry_mirror_account", "tenantry_mirror_accounts"})
"""The triggers on auth.users."""


def check_names(connection: Connection, project: Project) -> None:
    """Check that no object of the application has a reserved name.

    Raises:
        NameTaken: with the objects, and what to do.
    """
    _refuse(all_taken(connection, project))


def all_taken(connection: Connection, project: Project) -> list[Taken]:
    """Return every object whose name blocks a run."""
    return [*_names_taken(project), *_accounts_taken(connection)]


def _refuse(taken: list[Taken]) -> None:
    if taken:
        found = [each.what.rstrip(",") for each in taken]
        raise NameTaken(
            f"Tenantry needs names for its own triggers, policies and indexes that are taken: {'; '.join(found)}.",
            hint=f"{RENAME}, and run the same command again. Nothing was changed.",
            detail={"taken": found},
        )


def _names_taken(project: Project) -> Iterator[Taken]:
    """Yield objects of both sides with a name that Tenantry needs."""
    source = {table.name for table in project.source_tables}
    for table in project.source.tables:
        if table.name in source or table.partition_of is not None:
            yield from _triggers(project.source.schema, table)
    relations = {table.name for table in project.target.tables} | {each.name for each in project.target.sequences}
    relations |= {index.name for table in project.target.tables for index in table.indexes}
    for table in project.target.tables:
        ours = {policy.name for policy in table_policies(project, table, table.owner)}
        yield from (
            Taken(table.name, f"policy {policy.name} on {table.schema}.{table.name}")
            for policy in table.policies
            if policy.name in ours
        )
    for name in project.by_target:
        fed = project.target.table(name)
        if fed is None:
            continue
        yield from _triggers(project.target.schema, fed)
        index = legacy_index(fed)
        if index in relations:
            yield Taken(name, f"{project.target.schema}.{index}, which would be an index on {name},")


def _accounts_taken(connection: Connection) -> Iterator[Taken]:
    """Yield others' triggers on auth.users with reserved names: they would be replaced."""
    rows = connection.execute(
        "select t.tgname from pg_trigger t join pg_proc p on p.oid = t.tgfoid where t.tgrelid = to_regclass('auth.users')"
        " and not t.tgisinternal and p.pronamespace is distinct from to_regnamespace('tenantry') and t.tgname = any (%s)",
        [sorted(ON_ACCOUNTS)],
    )
    for (name,) in rows.fetchall():
        yield Taken("auth.users", f"trigger {name} on auth.users")


def _triggers(schema: str, table: Table) -> Iterator[Taken]:
    for trigger in table.triggers:
        if trigger.name in TRIGGERS:
            yield Taken(table.name, f"trigger {trigger.name} on {schema}.{table.name}")


__all__ = ["RENAME", "TRIGGERS", "all_taken", "check_names"]
