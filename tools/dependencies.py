"""`python -m tools.dependencies PYPROJECT`: what a distribution of this repository needs from a package index, one a line.

pip-compile cannot read the file itself where it names Tenantry, which is beside it and on no index.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

OURS = {"tenantry", "tenantry-clinic"}


def from_an_index(pyproject: Path) -> list[str]:
    """The dependencies without the distributions of this repository."""
    needed: list[str] = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [each for each in needed if re.split(r"[^\w.-]", each, maxsplit=1)[0] not in OURS]


if __name__ == "__main__":
    sys.stdout.write("\n".join(from_an_index(Path(sys.argv[1]))) + "\n")
