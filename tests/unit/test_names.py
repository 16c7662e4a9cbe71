"""A class has one name, and a name one class: whoever reads `Facts` somewhere knows which."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "tenantry"

SAME = {
    "Throttle": "the section of the manifest, and what obeys it",
    "JsonIds": "a transform's file is named by its name in manifests",
}
"""Names that stand twice, with the reason."""


def test_class_names_are_unique() -> None:
    found = defaultdict(list)
    for file in sorted(SOURCE.rglob("*.py")):
        for name in re.findall(r"^class ([A-Za-z]\w*)", file.read_text(encoding="utf-8"), re.MULTILINE):
            found[name].append(str(file.relative_to(SOURCE)))
    assert {name: files for name, files in found.items() if len(files) > 1 and name not in SAME} == {}
