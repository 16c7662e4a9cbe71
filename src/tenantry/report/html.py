"""The report as files: report.json, and report.html in one self-contained piece."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from tenantry.plan import PHASES, Plan


def write_report(report: Mapping[str, Any], folder: Path) -> None:
    """Write report.json and report.html into `folder`, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=1, default=str) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(render_html(report), encoding="utf-8")


def write_plan(plan: Plan, file: Path) -> None:
    """Write the plan as one HTML file: phases, steps, and every step's SQL and undo."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(render_plan(plan), encoding="utf-8")


def render_html(report: Mapping[str, Any]) -> str:
    """The report as one HTML file without anything to load."""
    return _environment().get_template("report.html.j2").render(report=report)


def render_plan(plan: Plan) -> str:
    """The plan as one HTML file without anything to load."""
    phases = [(phase, plan.phase(phase)) for phase in PHASES]
    return _environment().get_template("plan.html.j2").render(plan=plan, phases=phases)


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("tenantry.report", "templates"),
        autoescape=select_autoescape(("html", "j2")),
        trim_blocks=True,
        lstrip_blocks=True,
    )
