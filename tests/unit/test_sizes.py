"""Modules and signatures stay small. Over the limit, look for the second reason to change, and for a value among parameters.

What is longer is listed here with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = (ROOT / "src", *(ROOT / "apps").glob("*/src"))
LINES, TEST_LINES = 500, 700
PARAMETERS = 7

LONGER_TESTS = {
    "tests/integration/accounts/test_users.py": "its situations share one costly setup",
    "tests/chaos/campaign.py": "one campaign, whose actions share its state",
    "tests/chaos/source_writes.py": "one table of writes for every shape of the source",
}

MORE_PARAMETERS = {
    "src/tenantry/postgres/tenant.py:tenant": "public: every setting of a transaction is a keyword of its own",
    "src/tenantry/postgres/tenant.py:async_tenant": "public: as tenant()",
    "src/tenantry/postgres/tenant.py:__init__": "as tenant(), which it implements",
}
"""Functions with more parameters. Those of commands are options of the command line, and are not counted."""


def _lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_module_is_longer_than_five_hundred_lines() -> None:
    files = [path for root in SOURCES for kind in ("*.py", "*.sql") for path in root.rglob(kind)]
    assert len(files) > 300
    assert [f"{_name(path)}: {lines}" for path in files if (lines := _lines(path)) > LINES] == []


def test_no_module_of_tests_is_longer_than_seven_hundred_lines() -> None:
    longer = {_name(path) for path in (ROOT / "tests").rglob("*.py") if _lines(path) > TEST_LINES}
    assert sorted(longer - set(LONGER_TESTS)) == []


def test_no_function_has_more_than_seven_parameters() -> None:
    found = {name for root in SOURCES for path in root.rglob("*.py") for name in _with_many_parameters(path)}
    assert sorted(found) == sorted(MORE_PARAMETERS)


def _with_many_parameters(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_command(path, node):
            continue
        named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        own = bool(named) and named[0].arg in ("self", "cls")
        count = len(named) - own + bool(node.args.vararg) + bool(node.args.kwarg)
        if count > PARAMETERS:
            yield f"{_name(path)}:{node.name}"


def _is_command(path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A public function of a command's file: what it takes is what the command line offers."""
    return "cli/commands" in _name(path) and not node.name.startswith("_")
