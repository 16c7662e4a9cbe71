"""How fast Tenantry copies, beside a plain copy, a hand-written script and a loop row by row: `python benchmarks/copy.py`.

What is measured, and how, is said in docs/reference/benchmarks.md; the work is done in benchmarks/copying.
"""

from __future__ import annotations

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would import what is mended below

if __name__ == "copy":
    # A file of this folder runs, and the standard library asks for its own module of this name: it gets that.
    with open(os.path.join(os.path.dirname(os.__file__), "copy.py"), encoding="utf-8") as _own:  # noqa: PTH118, PTH120, PTH123
        exec(compile(_own.read(), _own.name, "exec"), globals())  # noqa: S102

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(_HERE)  # noqa: PTH120 - this folder may not stand before the standard library

    from benchmarks.copying.main import main

    sys.exit(main())
