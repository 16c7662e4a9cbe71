"""Cut over: in one transaction clients get write rights on the target and the source refuses writes."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.access import close_sql, cutover_grants, cutover_revokes
from tenantry.accounts.sync import triggers_sql
from tenantry.catalog.environment import Environment
from tenantry.mapping import Project
from tenantry.plan.model import Step
from tenantry.statements.capture import (
    source_fence,
    source_triggers,
    target_fence,
)
from tenantry.statements.keys import add_constraint, drop_constraint, in_transition, keys_to_left_tables
from tenantry.statements.sequences import sequences
from tenantry.statements.triggers import triggers


def cut_over(project: Project, environment: Environment, after: Sequence[str]) -> Step:
    """Return the step that sets sequences, grants write rights on the target and moves the fence to the source. It runs in
    one transaction that locks the source and replays the last changes."""
    target = project.target.schema
    return Step(
        id="cut_over",
        does="gives clients write rights on the target, and refuses writes to the source",
        phase="cut over",
        kind="cut over",
        title=f"Give clients write rights on {target}, and refuse writes to {project.source.schema}",
        sql=(
            *sequences(project),
            *(
                statement
                for table, fk in keys_to_left_tables(project)
                for statement in (
                    drop_constraint(table, fk, there=False),
                    add_constraint(table, in_transition(project, table, fk), valid=table.kind == "partitioned"),
                )
            ),
            *cutover_grants(project),
            *triggers(project, on=True),
            *target_fence(project, on=False),
            *triggers_sql(project, environment.login, on=True),
            *source_fence(project, on=True),
            *source_triggers(project, on=False),
            close_sql(project.manifest),
        ),
        undo=(
            *source_triggers(project, on=True),
            *(drop_constraint(table, fk, there=False) for table, fk in keys_to_left_tables(project)),
            *source_fence(project, on=False),
            *triggers_sql(project, environment.login, on=False),
            *target_fence(project, on=True),
            *triggers(project, on=False),
            *cutover_revokes(project),
        ),
        lock="SHARE ROW EXCLUSIVE on the source tables: writers wait for at most the allowed write pause (1 s)",
        risk="high",
        risk_note="From now on the application must use the target. The source refuses writes with a message that names the target.",
        seconds=0.2,
        after=tuple(after),
    )
