"""Writes the report as files: report.json, and a self-contained report.html; the plan as such a page."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from tenantry.plan import PHASES, Plan
from tenantry.plan.guide import GUIDE
from tenantry.report.formatting import count, duration, marked_up, when
from tenantry.report.html_page import (
    accounts_of,
    command_of,
    counted,
    failures_of,
    figures_of,
    grouped,
    phases_of,
    planted_of,
    proof_of,
    timeline_of,
    verdicts_of,
)
from tenantry.report.shortened import lock_lines
from tenantry.report.terminal.plan import need_lines, noticed_lines
from tenantry.report.time_axis import clock
from tenantry.report.timeline_svg import course_of
from tenantry.review.review import PlanReview

State = Literal["ok", "failed", "open"]
"""'open': not done, or not done yet."""

_MOST = 100
"""Maximum number of failures of one kind on the page; report.json holds all of them."""

_RISKS = ("none", "low", "medium", "high")


def write_report(report: Mapping[str, Any], folder: Path) -> None:
    """Write report.json and report.html into `folder`, which is created if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=1, default=str) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(render_html(report), encoding="utf-8")


def write_plan(plan: Plan, file: Path, review: PlanReview | None = None) -> None:
    """Write the plan as one HTML file: phases, steps, and every step's SQL and undo; with a review also the rest of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(render_plan(plan, review), encoding="utf-8")


def render_html(report: Mapping[str, Any]) -> str:
    """Return the report as one self-contained HTML file."""
    proof = proof_of(report)
    accounts = accounts_of(report)
    verdicts = verdicts_of(report, proof, accounts)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            verdicts=verdicts,
            states={verdict.word: verdict.state for verdict in verdicts},
            failures=failures_of(report, proof, accounts),
            figures=figures_of(report, proof),
            bars=timeline_of(report),
            course=course_of(report),
            accounts=accounts,
            planted=planted_of(report),
            quarantine=grouped(report.get("quarantine") or (), "mapping"),
            prefix=command_of(report),
            findings=[
                (severity, of_severity, grouped(of_severity, "area"))
                for severity, of_severity in grouped(report.get("findings") or (), "severity")
            ],
            checks=sorted(
                report.get("verifications") or (), key=lambda check: (check["passed"], check["check"] != "rows")
            ),
            proof=proof,
            plan_phases=phases_of(report),
            most=_MOST,
        )
    )


def render_plan(plan: Plan, review: PlanReview | None = None) -> str:
    """Return the plan as one self-contained HTML file."""
    phases = [(phase, plan.phase(phase)) for phase in PHASES]
    return (
        environment()
        .get_template("plan.html.j2")
        .render(
            plan=plan,
            phases=[(phase, steps) for phase, steps in phases if steps],
            # Ids may contain any table name, so they cannot be anchors.
            anchors={step.id: f"step-{number}" for number, step in enumerate(plan, 1)},
            locks=lock_lines(plan),
            review=review,
            guide=GUIDE,
            needs=need_lines(review) if review is not None else (),
            noticed=noticed_lines(review) if review is not None else (),
            risks=counted(step.risk_note for step in plan if step.risk_note),
            risk_counts=[(risk, sum(step.risk == risk for step in plan)) for risk in reversed(_RISKS)],
        )
    )


@cache
def environment() -> Environment:
    """Load the templates with their helper functions; everything is escaped."""
    environment = Environment(
        loader=PackageLoader("tenantry.report", "templates"),
        autoescape=select_autoescape(("html", "j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": lambda value: f"{value:,}",
        "count": count,
        "duration": duration,
        "clock": clock,
        "when": when,
        "marked_up": marked_up,
        "quoted": shlex.quote,
        "sha256": lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode(),
    }
    return environment
