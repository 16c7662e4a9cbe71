"""Fixtures of the rehearsals."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry.manifest import Manifest
from tests.conftest import Database
from tests.integration.rehearse.stall import make_stall


@pytest.fixture
def stall(database: Database, tmp_path: Path) -> tuple[Database, Manifest]:
    """The small application, in a database that its login owns, without connections."""
    return make_stall(database, tmp_path)
