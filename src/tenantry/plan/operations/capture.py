"""Capture: triggers that record the keys of changed rows, and fences that block writes on the inactive side.

A trigger writes one short row into a table without indexes, so no transform can make the application's write fail. Row
triggers exist on every leaf partition and always fire, for logical replication too; cascades, COPY and MERGE fire them. Writes
of the migrator's own login are skipped, recognized by session_user: any client could forge a setting, and current_user is
the table's owner in cascades.

Both sides have a fence. It is disabled on the side that applications write, where it costs nothing, and refuses every
writer on the other side, the owner included. A table's owner can change the state of a trigger (ENABLE TRIGGER ALL), so a
fence that fires asks `tenantry.direction()` before it refuses; the transaction of a switchover replaces that function.
"""

from __future__ import annotations

from tenantry.catalog.environment import Environment
from tenantry.mapping import Project
from tenantry.plan.model import Step
from tenantry.statements.capture import capture_statements, release_statements, target_triggers


def capture(project: Project, environment: Environment, after: str) -> list[Step]:
    """Return one step for each source table, so that each lock lasts only as long as one table takes."""
    return [
        Step(
            id=f"capture.table:{table.name}",
            does="installs the triggers that record changes of a source table",
            about="source table",
            effect="captures",
            phase="capture",
            kind="capture",
            title=f"Record changes of {table.name} from now on",
            sql=tuple(capture_statements(project, table, environment)),
            undo=tuple(release_statements(project, table)),
            lock=f"SHARE ROW EXCLUSIVE on {table.name} for a moment, tried for 900 ms at a time: writers wait, readers do not",
            risk="low",
            risk_note="From now on, each write of a row also writes one short row to the change queue.",
            seconds=0.02,
            after=(after,),
            table=table.name,
            locks=(project.source.schema, table.name),
        )
        for table in project.source_tables
    ]


def guard_target(project: Project, environment: Environment, after: str) -> Step:
    """Block writes to the target until the cut-over, for its owner too; Tenantry alone writes. Other writes are recorded."""
    made, dropped = target_triggers(project, environment.login)
    return Step(
        id="expand.fence",
        does="refuses writes to the target until the cut-over",
        effect="fences target",
        phase="expand",
        kind="sql",
        title=f"Refuse writes to the tables of {project.target.schema} that are filled from the source, until the cut-over",
        sql=tuple(made),
        undo=tuple(dropped),
        lock="none that others notice: the target is not in use yet",
        risk="none",
        seconds=0.05,
        after=(after,),
    )
