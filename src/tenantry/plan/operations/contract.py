"""Contract: drops the source and everything that only a rollback needs."""

from __future__ import annotations

from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.plan.model import Step
from tenantry.postgres import ident
from tenantry.statements.capture import (
    capture_function,
    fed_tables,
    target_triggers,
)
from tenantry.statements.keys import legacy_index


def final(project: Project, after: str) -> list[Step]:
    """Return the final steps, which cannot be undone: they drop the source and everything that only a rollback needs."""
    tables = [ident(project.source.schema, table.name) for table in project.source_tables]
    # Partitions are dropped with their table; inheritance children are named.
    tables += [
        ident(each.schema, each.name)
        for table in project.source_tables
        if table.kind != "partitioned"
        for each in table.below
    ]
    functions = [capture_function(table) for table in project.source_tables]
    gone = target_triggers(project, "")[1]
    indexes = [
        f"drop index if exists {ident(table.schema, name)}"
        for table in fed_tables(project)
        if (name := legacy_index(table)) is not None
    ]
    return [
        Step(
            id="contract.source",
            does="drops the source tables",
            effect="drops source",
            phase="contract",
            kind="contract",
            title=f"Drop the {len(functions)} source tables",
            sql=(
                f"drop table if exists {', '.join(tables)}",
                # Also from a table that was renamed.
                *(f"drop function if exists {function}() cascade" for function in functions),
            ),
            undo=(),
            lock="ACCESS EXCLUSIVE on the source tables, which are no longer in use",
            risk="high",
            risk_note="This cannot be rolled back. Only an archive can restore the source.",
            seconds=0.1,
            after=(after,),
        ),
        Step(
            id="contract.target",
            does="removes the triggers and indexes of the target that only a rollback needs",
            phase="contract",
            kind="contract",
            title="Remove triggers and indexes from the target that only a rollback needs",
            sql=(*gone, *indexes, f"truncate {JOURNAL}.source_log, {JOURNAL}.target_log"),
            undo=(),
            lock="ACCESS EXCLUSIVE on one target table at a time, for a moment",
            risk="low",
            seconds=0.1,
            after=("contract.source",),
        ),
    ]
