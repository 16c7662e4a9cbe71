"""The generators of the pages that are made from the code: `python -m tools.docs`, or `make docs`, writes them all."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository."""
