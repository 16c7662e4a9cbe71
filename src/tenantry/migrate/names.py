"""Objects of Tenantry that stand beside those of the application: their names, and that nobody else has them.

Within statements nothing can meet: columns are written behind aliases, and names of ours are chosen so that no column has them.
A trigger or an index needs a name that lasts, so a run that would meet another of that name does not begin.
"""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.catalog import Table
from tenantry.errors import NameTaken
from tenantry.identity.in_step import TRIGGERS as IN_STEP
from tenantry.manifest import Project
from tenantry.migrate.journal import Connection
from tenantry.plan.operations.capture import OURS
from tenantry.plan.operations.defer import legacy_index
from tenantry.plan.operations.id_map import BORN

TRIGGERS = frozenset({*OURS, BORN, *IN_STEP})
"""The triggers that Tenantry sets on tables of the application."""

_FOREIGN = """
select exists (select from pg_namespace n where n.nspname = 'tenantry')
       and coalesce(obj_description(to_regnamespace('tenantry'), 'pg_namespace'), '') not like 'Tenantry:%'
       and to_regclass('tenantry.run') is null and to_regclass('tenantry.account_request') is null
       and (exists (select from pg_class c where c.relnamespace = to_regnamespace('tenantry'))
            or exists (select from pg_proc p where p.pronamespace = to_regnamespace('tenantry'))
            or exists (select from pg_type t where t.typnamespace = to_regnamespace('tenantry')))
"""


def check_names(connection: Connection, project: Project) -> None:
    """That a run can begin without meeting what has a name of ours.

    Raises:
        NameTaken: it names the object, and what to do.
    """
    row = connection.execute(_FOREIGN).fetchone()
    if row is not None and row[0]:
        raise NameTaken(
            "There is a schema tenantry in this database, and Tenantry did not make it; its journal needs that name.",
            hint="Rename it (alter schema tenantry rename to …), and run again; nothing was changed.",
        )
    found = list(_taken(project))
    if found:
        raise NameTaken(
            f"Names that Tenantry needs for its own triggers and indexes are taken: {'; '.join(found)}.",
            hint="Rename these in the source, or in the target's files (alter trigger … rename to …), and run again;"
            " nothing was changed.",
            detail={"taken": found},
        )


def _taken(project: Project) -> Iterator[str]:
    source = {table.name for table in project.source_tables}
    for table in project.source.tables:
        if table.name in source or table.partition_of is not None:
            yield from _triggers(project.source.schema, table)
    relations = {table.name for table in project.target.tables} | {each.name for each in project.target.sequences}
    relations |= {index.name for table in project.target.tables for index in table.indexes}
    for name in project.by_target:
        fed = project.target.table(name)
        if fed is None:
            continue
        yield from _triggers(project.target.schema, fed)
        index = legacy_index(fed)
        if index in relations:
            yield f"{project.target.schema}.{index}, which would be an index on {name}"


def _triggers(schema: str, table: Table) -> Iterator[str]:
    for trigger in table.triggers:
        if trigger.name in TRIGGERS:
            yield f"trigger {trigger.name} on {schema}.{table.name}"


__all__ = ["TRIGGERS", "check_names"]
