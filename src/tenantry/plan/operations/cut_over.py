"""Cut over: one transaction in which clients get write rights and the source refuses them."""

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
from tenantry.statements.sequences import sequences
from tenantry.statements.triggers import triggers


def cut_over(project: Project, environment: Environment, after: Sequence[str]) -> Step:
    """Sequences, write rights on the target, and the fence on the source instead of the target: one transaction, with the
    source locked, that also carries over the last changes."""
    target = project.target.schema
    return Step(
        id="cut_over",
        does="gives clients write rights on the target, and refuses writes to the source",
        phase="cut over",
        kind="cut over",
        title=f"Give clients write rights on {target}, and refuse writes to {project.source.schema}",
        sql=(
            *sequences(project),
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
            *source_fence(project, on=False),
            *triggers_sql(project, environment.login, on=False),
            *target_fence(project, on=True),
            *triggers(project, on=False),
            *cutover_revokes(project),
        ),
        lock="SHARE ROW EXCLUSIVE on the source tables: writers wait for at most the stall that is allowed (1 s)",
        risk="high",
        risk_note="From here on the application must use the target; the source refuses writes and says where the data is.",
        seconds=0.2,
        after=tuple(after),
    )
