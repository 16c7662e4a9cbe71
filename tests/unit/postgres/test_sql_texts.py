"""Texts that become SQL: what a reader of one line does not see is held here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tenantry

ROOT = Path(tenantry.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if "prove" not in path.parts)
CONSTANT = re.compile(r"(_?[A-Z][A-Z_]*|load_\w+\(.*\)|.*blocks\[.*\]|_block\(.*\))(\.encode\(\))?")
OF_OURS = re.compile(
    r"ident\(ROW_ID\)|', '\.join\(blocks\)|table\.(keys|work|gone|name|link\(.*\))|prefix( \+ 1)?|i|source|.*f'legacy\{i\}'.*"
)
"""Temporary tables of ours, whose names are letters and digits; and numbers."""
WHOLE_ROW = re.compile(
    r"\b(?:to_jsonb?|row_to_json|jsonb_agg|hash_record\w*)\((?!(?:old|new)\))([a-z_]\w*)\)|(?<![%)\w.])([a-z])::text"
)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The string constants of a file, the pieces of f-strings among them, but for docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_whole_row_is_written_as_a_bare_alias(path: Path) -> None:
    """`to_jsonb(s)` is the column s of a table that has one; `to_jsonb(s.*)` is the row. (In triggers old and new are variables.)"""
    found = [f"{line}: {text!r}" for line, text in texts(path) if WHOLE_ROW.search(text)]
    assert found == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_generated_parts_of_a_statement_with_parameters_are_taken_verbatim(path: Path) -> None:
    """A table may be called 100%, which psycopg would take for a placeholder."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (
            isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "execute" and len(node.args) > 1
        ):
            continue
        if ast.unparse(node.args[0]).startswith("ready("):
            continue
        for part in ast.walk(node.args[0]):
            if isinstance(part, ast.FormattedValue):
                said = ast.unparse(part.value)
                if not (said.startswith("verbatim(") or CONSTANT.fullmatch(said) or OF_OURS.fullmatch(said)):
                    found.append(f"{node.lineno}: {said}")
    assert found == []
