"""The catalogs that tests without a server start from are those that PostgreSQL states."""

from __future__ import annotations

import pytest

from tests.conftest import Database
from tests.fixtures import APPLICATIONS, path
from tests.fixtures.__main__ import read, shown


@pytest.mark.parametrize("application", APPLICATIONS)
def test_the_stored_catalog_equals_a_servers(application: str, database: Database) -> None:
    assert shown(read(database, application)) == path(application).read_text(encoding="utf-8"), (
        "python -m tests.fixtures"
    )
