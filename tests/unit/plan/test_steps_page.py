"""The page of steps lists every kind of step that a plan can have, as the plans of the sample applications have them."""

from __future__ import annotations

import re
from pathlib import Path

import tenantry.plan
from tools.docs import ROOT, steps


def test_the_page_of_steps_is_current() -> None:
    assert (ROOT / "docs/reference/steps.md").read_text(encoding="utf-8") == steps.page(), "stale: run `make docs`"


def test_every_step_that_the_code_names_is_in_one_of_the_plans() -> None:
    """A step that no plan of the page has would be on no page."""
    folder = Path(tenantry.plan.__file__).parent
    source = "".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.py"))
    named = set(re.findall(r'\bid=f?"([a-z_.]+)', source))
    assert len(named) > 20
    missing = named - {steps.kind(step) for plan in steps.plans() for step in plan} - {"verify."}
    assert not missing, "no plan of plans() in tools/docs/steps.py has these steps: add one that has"
