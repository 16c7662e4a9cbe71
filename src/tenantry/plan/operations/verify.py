"""Verify: compares source and target."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.mapping import Project
from tenantry.plan.estimates import DEFAULT_COSTS, RowCosts
from tenantry.plan.model import Check, Step


def verify(project: Project, rows: dict[str, int], after: Sequence[str], costs: RowCosts = DEFAULT_COSTS) -> list[Step]:
    """Compare source and target; `migrate.verify` builds the statements, which only read."""
    steps = []
    for mapping in project:
        count = rows[mapping.source.name]
        steps.append(
            Step(
                id=f"verify.rows:{mapping.name}",
                does="compares every row of a mapping with its source",
                about="mapping",
                phase="verify",
                kind="verify",
                title=f"Compare every row of {mapping.source.name} and {mapping.name}",
                sql=(),
                undo=(),
                lock="ACCESS SHARE on the source",
                risk="none",
                seconds=costs.verify * count,
                after=tuple(after),
                mapping=mapping.name,
                table=mapping.target.name,
                rows=count,
                rerun="always",
            )
        )
    total = sum(step.rows for step in steps)
    checks: tuple[tuple[Check, str, str], ...] = (
        (
            "catalog",
            "Compare keys, checks, indexes, triggers and comments with the plan",
            "compares keys, checks, indexes, triggers and comments with the plan",
        ),
        ("ids", "Search for ids that belong to two rows", "finds ids that belong to two rows"),
        ("references", "Search for rows whose parent is missing", "finds rows whose parent is missing"),
        ("rules", "Run the business rules", "runs the manifest's business rules"),
    )
    for name, title, does in checks:
        steps.append(
            Step(
                id=f"verify.{name}",
                does=does,
                phase="verify",
                kind="check",
                check=name,
                rerun="always",
                title=title,
                sql=tuple(rule.sql for rule in project.manifest.rules) if name == "rules" else (),
                undo=(),
                lock="ACCESS SHARE on the source",
                risk="none",
                seconds=0.1 + (costs.scan * 3 * total if name in ("ids", "references") else 0),
                after=tuple(after),
            )
        )
    return steps


def drain(after: Sequence[str]) -> Step:
    """Replay the change queue until it is nearly empty."""
    return Step(
        id="replay.drain",
        does="replays changes until the queue is nearly empty",
        phase="replay",
        kind="replay",
        title="Replay changes until the change queue is nearly empty",
        sql=(),
        undo=(),
        lock="none that others notice",
        risk="none",
        seconds=0.5,
        after=tuple(after),
        rows=0,
        rerun="always",
    )
