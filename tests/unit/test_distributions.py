"""Two distributions from one repository: what each needs is in its lock, and Tenantry works without Clinic."""

from __future__ import annotations

import ast
import itertools
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tenantry import demo
from tenantry.errors import DemoMissing
from tools.dependencies import from_an_index

ROOT = Path(__file__).parents[2]
TENANTRY, CLINIC = ROOT / "pyproject.toml", ROOT / "apps" / "clinic" / "pyproject.toml"


def _project(pyproject: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return found


def _pinned(lock: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))


def _names(dependencies: Sequence[str]) -> set[str]:
    return {re.split(r"[^\w.-]", each, maxsplit=1)[0].lower() for each in dependencies}


def _with_extras(dependencies: Sequence[str]) -> set[str]:
    """Names of distributions; `psycopg[pool]` states `psycopg-pool` too."""
    stated = [(Requirement(each).name.lower(), Requirement(each).extras) for each in dependencies]
    return {name for name, _ in stated} | {f"{name}-{extra}" for name, extras in stated for extra in extras}


def test_clinic_announces_its_demo_and_tenantry_asks_for_clinic() -> None:
    assert "tenantry.demo" not in _project(TENANTRY)["entry-points"]
    assert list(_project(CLINIC)["entry-points"]["tenantry.demo"]) == ["clinic"]
    assert _names(_project(TENANTRY)["optional-dependencies"]["demo"]) == {_project(CLINIC)["name"]} == {demo.CLINIC}
    assert "tenantry" in _names(_project(CLINIC)["dependencies"])


def test_the_locks_have_what_each_distribution_needs() -> None:
    ours, clinics = _names(from_an_index(TENANTRY)), _names(from_an_index(CLINIC))
    assert ours <= _pinned("requirements-runtime.lock")
    assert ours | clinics <= _pinned("apps/clinic/requirements.lock")
    assert _pinned("apps/clinic/requirements.lock") <= _pinned("requirements.lock")
    # What only Clinic needs is not installed with Tenantry.
    assert "cryptography" in clinics - _pinned("requirements-runtime.lock")


def test_no_lock_names_a_host() -> None:
    locks = [*ROOT.glob("*.lock"), *ROOT.glob("apps/*/*.lock")]
    assert len(locks) == 5
    assert [lock.name for lock in locks if "://" in lock.read_text(encoding="utf-8")] == []


def test_a_missing_demo_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "entry_points", lambda **_group: ())
    with pytest.raises(DemoMissing) as caught:
        demo.find_demo(None)
    assert "pip install 'tenantry[demo]'" in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("pyproject", "itself"), [(TENANTRY, "tenantry"), (CLINIC, "clinic")])
def test_every_import_is_a_declared_dependency(pyproject: Path, itself: str) -> None:
    # A package that another one happens to bring along is there today, in one environment.
    project = _project(pyproject)
    optional = itertools.chain.from_iterable(project.get("optional-dependencies", {}).values())
    stated = _with_extras([*project["dependencies"], *optional])
    brings = packages_distributions()
    unstated = {
        name
        for file in (pyproject.parent / "src").rglob("*.py")
        for name in _imported(ast.parse(file.read_text(encoding="utf-8")))
        if name not in sys.stdlib_module_names
        and name != itself
        and not {each.lower() for each in brings.get(name, [name])} & stated
    }
    assert unstated == set()


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
