"""A plan from catalogs alone: what it would do is pinned, for one application in full and for another by digests."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from tenantry.plan import PHASES, Plan, Step
from tests.fixtures import APPLICATIONS, plan, same_as_snapshot


def _shown(step: Step) -> str:
    """A step for people to review."""
    lines = [f"# {step.id} ({step.phase}; {step.kind}): {step.title}", f"# lock: {step.lock}; risk: {step.risk}"]
    if step.after:
        lines.append(f"# after: {', '.join(step.after)}")
    lines += [f"{text};" for text in step.sql]
    lines += [f"-- undo\n{text};" for text in step.undo]
    return "\n".join(lines)


def _digests(made: Plan) -> str:
    rows = []
    for step in made:
        content = repr((step.phase, step.kind, step.sql, step.undo, step.after, step.lock, step.risk))
        rows.append(f"{hashlib.sha256(content.encode()).hexdigest()[:16]} {step.id}")
    return "\n".join([*rows, ""])


def test_every_step_of_the_depot_is_as_reviewed() -> None:
    # The journal's tables are a file of their own; the rest is compiled.
    steps = [step for step in plan("depot") if step.id != "expand.journal"]
    same_as_snapshot("depot-plan.sql", "\n\n".join(_shown(step) for step in steps) + "\n")


def test_every_step_of_clinic_matches_its_snapshot() -> None:
    same_as_snapshot("clinic-plan.txt", _digests(plan("clinic")))


@pytest.mark.parametrize("application", APPLICATIONS)
def test_steps_are_in_an_order_in_which_each_may_run(application: str) -> None:
    done: set[str] = set()
    for step in plan(application):
        assert set(step.after) <= done, step.id
        assert step.id not in done
        done.add(step.id)
    phases = [PHASES.index(step.phase) for step in plan(application) if step.phase not in ("copy", "replay")]
    assert phases[-1] == max(phases)


def test_a_plan_survives_json() -> None:
    made = plan("depot")
    assert Plan.from_json(made.to_json()) == made


def test_every_process_makes_the_same_plan() -> None:
    # Sets are walked in another order in each process. What depends on it is caught by a few of them.
    code = "from tests.fixtures import *; print([plan(each).digest() for each in APPLICATIONS])"
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
