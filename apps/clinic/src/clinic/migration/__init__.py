"""Clinic's way from one tenant to many: the manifest, the schema it comes from, sample data, and the demo.

The application does not import this package: it knows the target's schema only.
"""

from pathlib import Path

MANIFEST = Path(__file__).with_name("tenantry.toml")
"""The manifest of the migration; its target is the folder `schema` beside this package."""

__all__ = ["MANIFEST"]
