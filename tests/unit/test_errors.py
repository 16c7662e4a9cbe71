"""Every error has a code and a name of its own, says what to do, is raised somewhere, and is on the page of errors."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import tenantry
from tenantry.errors import TenantryError
from tools.docs import ROOT, errors

ERRORS = errors.all_errors()
_CALL = re.compile(r"(?<!class )\b([A-Z]\w+)\(")


@cache
def _called() -> set[str]:
    """The names of all classes that the package calls."""
    files = Path(tenantry.__file__).parent.rglob("*.py")
    return {name for file in files for name in _CALL.findall(file.read_text(encoding="utf-8"))}


def test_codes_and_names_are_distinct() -> None:
    assert [code for code, count in Counter(each.code for each in ERRORS).items() if count > 1] == []
    assert [name for name, count in Counter(each.__name__ for each in ERRORS).items() if count > 1] == []


def test_every_error_has_a_meaning_and_advice() -> None:
    own = [each for each in ERRORS if each is not TenantryError]
    assert len(own) > 50
    assert [each.__name__ for each in own if errors.sense(each) in ("", errors.sense(TenantryError))] == []
    assert [each.__name__ for each in own if "remedy" not in vars(each) or "code" not in vars(each)] == []


def test_an_error_without_a_hint_gives_its_remedy() -> None:
    class Example(TenantryError):
        __module__ = "tests"
        remedy = "Do this."

    assert (Example("It failed.").hint, Example("It failed.", hint="Do that.").hint) == ("Do this.", "Do that.")


def test_every_error_is_raised_somewhere() -> None:
    assert [each.__name__ for each in ERRORS if each.__name__ not in _called()] == []


def test_the_page_of_errors_is_current() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    assert page == errors.page(), "stale: run `make docs`"
    assert [each.code for each in ERRORS if page.count(f"| `{each.code}` ") != 1] == []
