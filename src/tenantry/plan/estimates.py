"""Costs of a row in seconds on one ordinary core, measured with benchmarks/copy.py and rounded up.

Estimates help to plan and promise nothing; docs/explanation/estimates.md describes how they are made.
"""

from __future__ import annotations

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
