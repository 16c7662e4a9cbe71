"""The import rule: tenantry never imports clinic, and clinic only what is public of tenantry."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"


def imports(package: str) -> list[tuple[str, str]]:
    found = []
    for file in sorted((SOURCE / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            found += [(str(file.relative_to(SOURCE)), name) for name in names]
    return found


def test_tenantry_never_imports_clinic() -> None:
    got = [(file, name) for file, name in imports("tenantry") if name.split(".")[0] == "clinic"]
    assert got == []


def test_the_rule_would_see_an_import() -> None:
    assert ("clinic/demo.py", "clinic.legacy") in imports("clinic")
