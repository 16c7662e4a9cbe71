"""Capture: triggers that note the keys of changed rows, and fences on the side that is not written.

A trigger writes one short row into a table without indexes: it cannot fail for what a transform would make of the row. Row
triggers stand on every leaf and fire always, also for logical replication; cascades, COPY and MERGE fire them too. What
the migrator's own login writes is left out, by session_user: a setting could be forged by any client, and current_user is
the table's owner in cascades.

A fence stands on both sides. It sleeps on the side that applications write, so that it costs them nothing, and refuses
everybody on the other one, the owner too. The state of a trigger can be changed by whoever owns the table (ENABLE TRIGGER
ALL): so a fence that fires asks `tenantry.direction()`, which the transaction of a turn replaces, before it refuses.
"""

from __future__ import annotations

from tenantry.catalog.environment import Environment
from tenantry.mapping import Project
from tenantry.plan.model import Step
from tenantry.statements.capture import capture_statements, release_statements, target_triggers


def capture(project: Project, environment: Environment, after: str) -> list[Step]:
    """One step for each source table, so that no lock is held for longer than one table takes."""
    return [
        Step(
            id=f"capture.table:{table.name}",
            does="installs the triggers that record changes of a source table",
            about="source table",
            effect="captures",
            phase="capture",
            kind="capture",
            title=f"Note changes of {table.name} from now on",
            sql=tuple(capture_statements(project, table, environment)),
            undo=tuple(release_statements(project, table)),
            lock=f"SHARE ROW EXCLUSIVE on {table.name} for a moment, tried for 900 ms at a time: writers wait, readers go on",
            risk="low",
            risk_note="From here on each write of a row writes one short row more.",
            seconds=0.02,
            after=(after,),
            table=table.name,
            locks=(project.source.schema, table.name),
        )
        for table in project.source_tables
    ]


def guard_target(project: Project, environment: Environment, after: str) -> Step:
    """Nobody but Tenantry writes the target until the cut-over, not even its owner; what is written all the same is noted."""
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
        lock="none that others feel: nobody uses the target yet",
        risk="none",
        seconds=0.05,
        after=(after,),
    )
