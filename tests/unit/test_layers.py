"""The rooms of the code and their floors: imports lead down, and a room's .sql files are its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "tenantry"

FLOORS = (
    "errors",
    "postgres",
    "settings",
    "manifest",
    "catalog",
    "prisma",
    "mapping",
    "survey",
    "journal",
    "access",
    "derivation",
    "statements",
    "analyze",
    "ids",
    "accounts",
    "auth_admin",
    "auth",
    "plan",
    "dbcopy",
    "migrate.session",
    "migrate.throttle",
    "migrate.copy",
    "migrate.verify",
    "migrate.replay",
    "migrate.run",
    "migrate.switch",
    "migrate.observe",
    "migrate",
    "draft",
    "review",
    "usage",
    "export",
    "prove.expected",
    "prove.model",
    "prove.formats",
    "prove.baseline",
    "prove.faults",
    "prove.lint",
    "prove.fixtures",
    "prove.matrix",
    "prove.attacks.harness",
    "prove.attacks",
    "prove.test_items",
    "prove.evidence",
    "prove",
    "report",
    "testing",
    "pytest_plugin",
    "rehearse",
    "demo",
    "cli",
    "__main__",
)
"""Every room, the lowest first. A module belongs to the longest name that it begins with; it may import its own room and lower ones."""

_IMPORT = re.compile(
    r"^[ \t]*(?:import (tenantry[\w.]*)|from (tenantry[\w.]*) import (\([^)]*\)|[^(\n]+))", re.MULTILINE
)
_LOADERS = {"load_sql", "load_blocks", "files", "PackageLoader"}


def modules(source: Path = SOURCE) -> dict[str, Path]:
    """Every module, by its name without the leading `tenantry.`."""
    found = {}
    for file in source.rglob("*.py"):
        parts = file.relative_to(source).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = file
    return found


def room(module: str) -> str | None:
    """The room that a module belongs to; None where the list of floors has none for it."""
    fitting = [name for name in FLOORS if module == name or module.startswith(f"{name}.")]
    return max(fitting, key=len, default=None)


def imports(text: str, known: set[str]) -> set[str]:
    """The modules of Tenantry that a text imports, wherever in it."""
    found = set()
    for plain, package, listed in _IMPORT.findall(text):
        within = [
            f"{package}.{name.split()[0]}" for name in re.sub(r"#.*", "", listed).strip("()").split(",") if name.split()
        ]
        names = [plain] if plain else [name if name.removeprefix("tenantry.") in known else package for name in within]
        found |= {name.removeprefix("tenantry.") for name in names if name.startswith("tenantry.")}
    return found


def loaded_packages(text: str) -> set[str]:
    """The packages of Tenantry whose files a text loads, written out or in a constant of the module."""
    if not any(loader in text for loader in _LOADERS):
        return set()
    tree = ast.parse(text)
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            value = first.value if isinstance(first, ast.Constant) else constants.get(getattr(first, "id", ""))
            if function in _LOADERS and isinstance(value, str) and re.fullmatch(r"tenantry(\.\w+)*", value):
                found.add(value.removeprefix("tenantry").removeprefix("."))
    return found


def test_imports_lead_down() -> None:
    known = modules()
    upward, homeless = [], []
    for module, file in known.items():
        here = room(module)
        if here is None:
            homeless.append(module)
            continue
        for other in imports(file.read_text(encoding="utf-8"), set(known)):
            there = room(other)
            if there is None:
                homeless.append(other)
            elif FLOORS.index(there) > FLOORS.index(here):
                upward.append(f"{module} -> {other}")
    assert upward == []
    assert homeless == []


def test_the_files_of_a_room_are_its_own() -> None:
    # Its own folder, or a folder of files within it.
    foreign = [
        f"{module} loads {loaded}"
        for module, file in modules().items()
        for package in [module if file.name == "__init__.py" else module.rpartition(".")[0]]
        for loaded in loaded_packages(file.read_text(encoding="utf-8"))
        if package not in (loaded, loaded.rpartition(".")[0])
    ]
    # It looks for the names of the tables that any room makes, and runs nothing of what it reads.
    assert foreign == ["postgres.ours loads "]


BUILDERS = SOURCE / "plan" / "operations"
_STEP_ID = re.compile(r"(?:expand|capture|copy|replay|verify|secure|contract)\.[a-z_]+(?::.*)?")


def step_ids_read(text: str, *, builder: bool = False) -> list[str]:
    """Where a text decides by the id of a step: names one, which only a builder of steps may, compares it, or takes an id apart."""
    found: list[str] = []
    if "step.id" not in text and not _STEP_ID.search(text):
        return found
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if node.func.attr in ("startswith", "endswith", "partition", "rpartition", "split", "removeprefix") and (
                isinstance(owner, ast.Attribute) and owner.attr == "id" and getattr(owner.value, "id", "") == "step"
            ):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Compare) and builder:
            found += [ast.unparse(node) for each in (node.left, *node.comparators) if _ids(each)]
    if not builder:
        found += _ids(tree)
    return found


def _ids(node: ast.AST) -> list[str]:
    return [
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and _STEP_ID.fullmatch(each.value)
    ]


def test_nothing_decides_by_the_id_of_a_step() -> None:
    # What a run has to know of a step is a field of it.
    found = {
        module: read
        for module, file in modules().items()
        if (read := step_ids_read(file.read_text(encoding="utf-8"), builder=file.is_relative_to(BUILDERS)))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("text", "builder"),
    [
        ('if "expand.auth" in done: ...', False),
        ('{f"capture.table:{name}" for name in missing} & done', False),
        ("step.id.startswith(prefix)", True),
        ('known = step.id == "copy.catch_up"', True),
    ],
)
def test_a_look_at_the_id_of_a_step_is_seen(text: str, builder: bool) -> None:
    assert step_ids_read(text, builder=builder)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from tenantry.plan import Step", {"plan"}),
        ("def f():\n    from tenantry.migrate import run", {"migrate.run"}),
        ("import tenantry.cli.main", {"cli.main"}),
        ("from tenantry import plan", {"plan"}),
    ],
)
def test_nested_imports_are_found(text: str, found: set[str]) -> None:
    assert imports(text, {"plan", "migrate.run"}) == found


@pytest.mark.parametrize(
    "text",
    ['load_sql("tenantry.prove", "fixture")', '_SQL = "tenantry.prove"\nsql.load_blocks(_SQL, "facts")["x"]'],
)
def test_a_file_that_is_loaded_is_seen(text: str) -> None:
    assert loaded_packages(text) == {"prove"}


TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_tests_stand_in_folders_named_like_the_rooms(kind: str) -> None:
    rooms = {path.stem for path in SOURCE.iterdir() if path.is_dir() or path.suffix == ".py"}
    folders = {path.name for path in (TESTS / kind).iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert folders - rooms <= {"clinic"}, "a folder is called like the package whose behaviour its tests show"
    if kind == "integration":
        assert list((TESTS / kind).glob("test_*.py")) == []
