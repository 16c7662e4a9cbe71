"""Apply all mutations, and say who names each: `python -m tests.isolation.mutations [FILE]`, with arguments for pytest behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.isolation.mutations.catalogue import EQUIVALENT


def summary(lines: list[dict[str, object]]) -> list[str]:
    """A line for each mutation, and how many are named by the proof, by `access diff` only, and by nothing;
    those that nothing needs to name are counted apart."""
    counts: Counter[str] = Counter()
    told = []
    for line in lines:
        found = line["found"]
        assert isinstance(found, list)
        equivalent = line["mutation"] in EQUIVALENT
        by = (
            "prove"
            if set(found) - {"access diff"}
            else "access diff only"
            if found
            else "equivalent"
            if equivalent
            else "nothing"
        )
        counts[by] += 1
        told.append(f"{line['mutation']}: {', '.join(found) or 'nothing'}")
    return [
        *told,
        "",
        *(f"{by}: {counts[by]} of {len(lines)}" for by in ("prove", "access diff only", "equivalent", "nothing")),
    ]


def main() -> int:
    given = sys.argv[1:]
    file = Path(given[0] if given else Path(tempfile.mkdtemp()) / "mutations.jsonl")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(Path(__file__).parent), *given[1:]],
        env=os.environ | {"TENANTRY_TEST_MUTATIONS": str(file)}, check=False,
    )  # fmt: skip
    sys.stdout.write("\n".join(summary([json.loads(line) for line in file.read_text().splitlines()])) + "\n")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
