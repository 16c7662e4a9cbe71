"""What a proof takes: the lint alone, the matrix in place, the attacks on a copy; on Clinic, and on a schema of a hundred tables."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # This folder may not stand before the standard library.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

    from benchmarks.proving.main import main

    sys.exit(main())
