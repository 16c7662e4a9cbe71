"""The review of a plan: the plan itself, and all that a person needs to approve it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from tenantry.analyze import Evidence, analyze
from tenantry.mapping import Project
from tenantry.plan import PHASES, Plan
from tenantry.plan.build import expected_rows
from tenantry.plan.guide import GUIDE
from tenantry.plan.locks import TableLock, locks
from tenantry.plan.size import Sizes, sizes
from tenantry.review.calibrate import Calibration
from tenantry.review.samples import ColumnSample

WRITE_PAUSE = 1.0
"""Default of --max-write-pause, in seconds."""
LOCK_WAIT = 0.9
"""Longest time in seconds for which a step waits for a lock, and others wait behind it."""


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """Something to decide before the migration."""

    code: str
    subject: str
    question: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class PlanReview:
    """A plan with locks by step, sizes, samples and open questions."""

    plan: Plan
    sizes: Sizes
    calibration: Calibration = field(default_factory=lambda: Calibration(why="--no-calibration"))
    locks: Mapping[str, tuple[TableLock, ...]] = field(default_factory=dict)
    samples: tuple[ColumnSample, ...] = ()
    questions: tuple[OpenQuestion, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the plan's JSON with the review; `Plan.from_json` reads it too."""
        plain = self.plan.to_json()
        steps = plain["steps"]
        assert isinstance(steps, list)
        for step in steps:
            step["table_locks"] = [each.to_json() for each in self.locks.get(step["id"], ())]
        return {
            **plain,
            "phases": [
                {
                    "phase": phase,
                    "steps": len(self.plan.phase(phase)),
                    "seconds": round(sum(step.seconds for step in self.plan.phase(phase)), 1),
                    **GUIDE[phase].to_json(),
                }
                for phase in PHASES
            ],
            "calibration": self.calibration.to_json(),
            "size": self.sizes.to_json(),
            "write_pause": {"at_most_seconds": WRITE_PAUSE, "lock_wait_seconds": LOCK_WAIT},
            "samples": [each.to_json() for each in self.samples],
            "questions": [asdict(each) for each in self.questions],
        }

    def noticed(self) -> list[tuple[TableLock, list[str]]]:
        """Return the locks that make reads or writes wait, with the ids of the steps that take them; the strongest first."""
        found: dict[TableLock, list[str]] = {}
        for step in self.plan:
            for lock in self.locks.get(step.id, ()):
                if len(lock.blocks) > 1:
                    found.setdefault(lock, []).append(step.id)
        return sorted(found.items(), key=lambda item: -len(item[0].blocks))


def review_plan(
    project: Project, plan: Plan, calibration: Calibration, samples: tuple[ColumnSample, ...] = ()
) -> PlanReview:
    """Assemble the review of a plan; reads no database."""
    return PlanReview(
        plan,
        sizes(project, expected_rows(project)),
        calibration,
        locks(plan),
        samples,
        (*_undecided(samples), *_from_findings(project)),
    )


def _undecided(samples: tuple[ColumnSample, ...]) -> tuple[OpenQuestion, ...]:
    return tuple(
        OpenQuestion(
            "samples",
            f"{each.mapping}.{each.column}",
            f"{each.unconvertible:,} of {each.looked_at:,} rows have a value that cannot be converted: quarantine, repair or replace it?",
            "State null, empty or invalid for the column in the manifest, or repair the source.",
        )
        for each in samples
        if each.unconvertible
    )


def _from_findings(project: Project) -> tuple[OpenQuestion, ...]:
    """Return what analysis of the schemas alone warns about."""
    none: tuple[Evidence, ...] = ()
    return tuple(
        OpenQuestion(each.code, f"{each.table}.{each.column}" if each.column else each.table, each.title, each.advice)
        for each in analyze(project, none)
        if each.severity in ("blocker", "warning")
    )


__all__ = ["LOCK_WAIT", "WRITE_PAUSE", "OpenQuestion", "PlanReview", "review_plan"]
