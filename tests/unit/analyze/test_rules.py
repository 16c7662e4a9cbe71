"""The folder of rules is their list: each code is that of its file, documented, pure, and found in what the other tests look at."""

from __future__ import annotations

import ast
from pathlib import Path

import tenantry.analyze.rules
from tenantry.analyze import SEVERITIES, all_rules, analyze
from tests.fixtures import project
from tests.unit.analyze.samples import AROUND, evidence, movable, neglected, torn
from tools.docs.findings import page

ROOT = Path(__file__).parents[3]
FOLDER = Path(tenantry.analyze.rules.__file__).parent
FILES = sorted(file for file in FOLDER.glob("*.py") if file.stem != "__init__")


def test_each_file_of_the_folder_is_one_rule_with_a_code_of_its_own() -> None:
    named = [file.stem.partition("_")[0].replace("ta", "TA-") for file in FILES]
    assert named == [rule.code for rule in all_rules()]
    assert len(named) == len(set(named))


def test_the_page_is_current() -> None:
    assert (ROOT / "docs/reference/findings.md").read_text(encoding="utf-8") == page(), "stale: run `make docs`"


def test_each_rule_has_words() -> None:
    for rule in all_rules():
        assert rule.__doc__ and rule.title and not rule.title.endswith("."), rule.code


def test_rules_read_no_database() -> None:
    for file in (
        *FILES,
        *(FOLDER.parent / f"{name}.py" for name in ("rule", "schemas", "refused_rows", "surroundings")),
    ):
        modules = [
            module
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for module in (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
            )
        ]
        assert not any(each.startswith(("psycopg", "tenantry.analyze.probes")) for each in modules), file


def test_each_code_is_found_somewhere_and_never_graver_than_its_rule_says() -> None:
    found = [
        *analyze(neglected(), (), AROUND["a busy database"]),
        *(each for around in AROUND.values() for each in analyze(project("depot"), (), around)),
        *analyze(project("clinic"), evidence()),
        *analyze(movable(), ()),
        *analyze(torn(), ()),
    ]
    severities = {rule.code: SEVERITIES.index(rule.severity) for rule in all_rules()}
    assert {each.code for each in found} == severities.keys()
    assert [each for each in found if SEVERITIES.index(each.severity) < severities[each.code]] == []
