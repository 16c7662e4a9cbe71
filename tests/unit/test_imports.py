"""The import rules: Tenantry never imports Clinic, and Clinic's packages import downwards and only what is public of Tenantry."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TENANTRY, CLINIC = ROOT / "src", ROOT / "apps" / "clinic" / "src"

APPLICATION = frozenset({"postgres", "access", "auth", "testing", "errors", "prove"})
"""What Clinic's features and platform may import of Tenantry; its migration also what describes a schema."""
MIGRATION = APPLICATION | {"manifest", "catalog"}
ASSEMBLY = frozenset({"app", "worker", "cli"})
"""The modules that put the features together."""


def imports(source: Path, package: str, *, of: str = "") -> list[tuple[str, str]]:
    """Each import of a package: the file, and the full name of what it takes; of files that mention a name, if one is given."""
    found = []
    for file in sorted((source / package).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if of in text else ():
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [(str(file.relative_to(source)), name) for name in names]
    return found


def forbidden(file: str, name: str) -> str | None:
    """Why a file of Clinic may not import this; None where it may."""
    package = file.split("/")[1].removesuffix(".py")
    parts = name.split(".")
    if parts[0] == "tenantry":
        allowed = MIGRATION if package == "migration" else APPLICATION
        return None if len(parts) > 1 and parts[1] in allowed else "not public"
    if parts[0] != "clinic" or len(parts) == 1 or parts[1] == package or package in ASSEMBLY:
        return None
    if parts[1] == "migration":
        return "only the migration knows where the database comes from"
    if package in {"platform", "migration"} and parts[1] != "platform":
        return "upwards"
    return "another feature's statements" if "queries" in parts[2:] else None


def test_tenantry_never_imports_clinic() -> None:
    found = imports(TENANTRY, "tenantry", of="clinic")
    assert [(file, name) for file, name in found if name.split(".")[0] == "clinic"] == []


def test_clinic_imports_downwards_and_only_public_modules_of_tenantry() -> None:
    found = imports(CLINIC, "clinic")
    assert ("clinic/migration/demo.py", "clinic.migration.legacy.load") in found
    assert [(*each, why) for each in found if (why := forbidden(*each))] == []


@pytest.mark.parametrize(
    ("file", "name", "why"),
    [
        ("clinic/goals/service.py", "clinic.metrics.service.current", None),
        ("clinic/goals/service.py", "clinic.platform.tokens", None),
        ("clinic/goals/service.py", "tenantry.postgres.tenant", None),
        ("clinic/goals/queries.py", "clinic.goals.queries.Goal", None),
        ("clinic/app.py", "clinic.goals.routes.router", None),
        ("clinic/migration/checks.py", "tenantry.catalog.read_catalog", None),
        ("clinic/goals/service.py", "clinic.metrics.queries.values", "another feature's statements"),
        ("clinic/goals/service.py", "clinic.metrics.queries", "another feature's statements"),
        ("clinic/goals/service.py", "tenantry.migrate.run.engine.Migration", "not public"),
        ("clinic/goals/service.py", "tenantry.catalog.read_catalog", "not public"),
        (
            "clinic/goals/service.py",
            "clinic.migration.MANIFEST",
            "only the migration knows where the database comes from",
        ),
        ("clinic/platform/settings.py", "clinic.goals.service.current", "upwards"),
        ("clinic/migration/demo.py", "clinic.goals.service.current", "upwards"),
    ],
)
def test_the_rule_tells_what_clinic_may_import(file: str, name: str, why: str | None) -> None:
    assert forbidden(file, name) == why
