"""The migrated Clinic that mutations are applied to."""

from __future__ import annotations

from tests.migrate_support import finished

__all__ = ["finished"]
