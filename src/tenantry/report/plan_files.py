"""A plan as files: the SQL of each phase, and the JSON that an earlier plan was stored as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tenantry.errors import PlanFileWrong
from tenantry.plan import PHASES, Phase, Plan
from tenantry.plan.guide import GUIDE
from tenantry.postgres import comment
from tenantry.report.terminal.plan import step_sql

_MARK = "-- Plan of "


def write_phases(plan: Plan, folder: Path) -> list[Path]:
    """Write one SQL file for each phase, in the order in which they run, and return the files.

    Raises:
        PlanFileWrong: a file that Tenantry did not write has one of the names.
    """
    files = {folder / f"{number}-{phase.replace(' ', '-')}.sql": phase for number, phase in enumerate(PHASES, 1)}
    foreign = [file.name for file in files if file.exists() and not _text(file).startswith(_MARK)]
    if foreign:
        raise PlanFileWrong(
            f"{', '.join(foreign)} in {folder} was not written by Tenantry. Nothing was written.",
            hint="Give another folder with --sql-dir.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {step.id: number for number, step in enumerate(plan, 1)}
    for file, phase in files.items():
        steps = [step_sql(numbers[step.id], step) for step in plan.phase(phase)]
        file.write_text("\n".join([phase_head(plan, phase), *steps]), encoding="utf-8")
    return list(files)


def phase_head(plan: Plan, phase: Phase) -> str:
    """Return the comments that begin the file of a phase: its purpose, when it is done, and how to go back."""
    guide = GUIDE[phase]
    lines = [
        comment(
            f"Plan of {plan.name}, phase {phase}: schema {plan.source_schema} to {plan.target_schema}; digest {plan.digest()}"
        ),
        comment(guide.purpose),
        *(comment(f"done when: {each.what} Check: {each.command}", indent=3) for each in guide.criteria),
        *(comment(f"go back if: {each}", indent=3) for each in guide.triggers),
        comment(f"how: {guide.procedure}", indent=3),
        comment(
            "For review: Tenantry runs these statements itself, each step in one transaction, and records it in its journal."
        ),
        "",
    ]
    return "\n".join(lines)


def read_plan(file: Path) -> dict[str, Any]:
    """Read the output of `tenantry plan --json`.

    Raises:
        PlanFileWrong: the file cannot be read, or is no plan.
    """
    try:
        found = json.loads(_text(file))
        Plan.from_json(found)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise PlanFileWrong(
            f"{file} is not a plan ({type(error).__name__}).", hint="Give the output of `tenantry plan --json`."
        ) from error
    plain: dict[str, Any] = found
    return plain


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


__all__ = ["phase_head", "read_plan", "write_phases"]
