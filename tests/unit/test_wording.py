"""Texts that people read use plain words: pages of reports, steps of plans, lint checks and comments of the journal."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "tenantry"

AVOIDED = re.compile(
    r"\b(?:he|his|him|himself|whom|anew|mend(?:ed|s)?|somebody|anybody|nobody|everybody|whoever|gone on with"
    r"|carr(?:y|ied) (?:over|back)|stands aside|make way|others feel)\b",
    re.IGNORECASE,
)
"""Words of ours, or that say "he" for a person; the field has others."""


def _strings(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def _texts() -> Iterator[tuple[Path, str]]:
    for file in (SOURCE / "report" / "templates").glob("*.html.j2"):
        text = re.sub(r"{[{%#].*?[}%#]}", " ", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        yield file, text
    for file in (SOURCE / "plan").rglob("*.py"):
        yield from ((file, text) for text in _strings(file) if " " in text)
    for file in (SOURCE / "prove" / "lint" / "sql").glob("*.sql"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith(("-- title: ", "-- why: ")):
                yield file, line
    for file in (SOURCE / "journal" / "sql").glob("*.sql"):
        for comment in re.findall(r"(?im)^comment on .*? is\s+'(.*)';$", file.read_text(encoding="utf-8")):
            yield file, comment


def test_visible_texts_use_plain_words() -> None:
    found = [
        f"{file.relative_to(SOURCE)}: {word.group()}: {text.strip()[:100]}"
        for file, text in _texts()
        for word in AVOIDED.finditer(text)
    ]
    assert found == []
