"""Clinic's migration from one tenant to many: the manifest, the legacy schema, sample data, and the demo.

The application does not import this package: it knows the target's schema only.
"""

from pathlib import Path

MANIFEST = Path(__file__).with_name("tenantry.toml")
"""The manifest of the migration; its target is the folder `schema` next to this package."""

__all__ = ["MANIFEST"]
