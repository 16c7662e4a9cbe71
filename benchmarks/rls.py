"""What row-level security costs: compiled policies against a WHERE by hand without them, and against two usual forms of policies."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # This folder may not stand before the standard library.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

    from benchmarks.policies.main import main

    sys.exit(main())
