"""What it costs that a token opens one transaction: `python benchmarks/opening.py`; the work is in benchmarks/policies/opening.py."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # This folder may not stand before the standard library.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

    from benchmarks.policies.opening import main

    sys.exit(main())
