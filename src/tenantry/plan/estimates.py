"""Costs of a row in seconds on one ordinary core, measured with benchmarks/copy.py and rounded up.

Estimates help to plan and promise nothing; docs/explanation/estimates.md describes how they are made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

COPY_SECONDS = 8e-6
"""Read, convert, join and write a row; each column of the target adds COLUMN_SECONDS."""
COLUMN_SECONDS = 0.3e-6
INDEX_SECONDS = 0.8e-6
"""One index, for each row and the square root of its number of columns."""
VALIDATE_SECONDS = 0.3e-6
SCAN_SECONDS = 0.2e-6
MERGE_SECONDS = 1.0e-6
VERIFY_SECONDS = 9e-6
PYTHON_SECONDS = 60e-6
"""One cell that Python transforms: read, converted and written back."""


@dataclass(frozen=True, slots=True)
class RowCosts:
    """Costs of a row in seconds, for the estimates of a plan: the constants, or those of a calibrated server."""

    copy: float = COPY_SECONDS
    column: float = COLUMN_SECONDS
    index: float = INDEX_SECONDS
    validate: float = VALIDATE_SECONDS
    scan: float = SCAN_SECONDS
    merge: float = MERGE_SECONDS
    verify: float = VERIFY_SECONDS
    python: float = PYTHON_SECONDS

    def scaled(self, *, copy: float, index: float, validate: float, scan: float) -> RowCosts:
        """Multiply the costs by the factors of a calibration. Merging and comparing rows is work of the same sort as copying
        them; Python runs on this machine, not on the server."""
        return replace(
            self,
            copy=self.copy * copy,
            column=self.column * copy,
            merge=self.merge * copy,
            verify=self.verify * copy,
            index=self.index * index,
            validate=self.validate * validate,
            scan=self.scan * scan,
        )


DEFAULT_COSTS = RowCosts()
