"""What verifying tokens costs: `python benchmarks/auth.py`; the work is in benchmarks/signing."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # This folder may not stand before the standard library.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

    from benchmarks.signing.main import main

    sys.exit(main())
