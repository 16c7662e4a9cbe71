"""What a live migration costs those who write meanwhile, and how long it takes: `python benchmarks/live.py`.

The work is done in benchmarks/living; `--quick` takes two minutes, the whole half an hour.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # This folder may not stand before the standard library: it has a copy.py.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib imports copy

    from benchmarks.living.main import main

    sys.exit(main())
