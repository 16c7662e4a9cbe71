"""A schema with an object of every kind, and its catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry.catalog import (
    Catalog,
    Table,
    read_catalog,
)
from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, fresh_database, running_server, version_parameters

SCHEMA = "Clinic App"
EVERYTHING = Path(__file__).with_name("test_catalog.sql")
ROLES = ("cat_owner", "cat_reader", "cat_writer")


@pytest.fixture(scope="module", params=version_parameters())
def everything(servers: dict[int, EmbeddedServer], request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with the schema of test_catalog.sql; tests leave it as it is."""
    with fresh_database(running_server(servers, request.param)) as made:
        make_roles(made)
        with made.connect(user="cat_owner") as owner:
            owner.execute(EVERYTHING.read_text())
        yield made


def make_roles(database: Database) -> None:
    """Roles belong to the cluster, which other workers use at the same time."""
    with database.connect() as admin:
        for role in ROLES:
            admin.execute(
                f"do $$ begin create role {role} login;"
                " exception when duplicate_object or unique_violation then null; end $$"
            )
        admin.execute(f'grant create on database "{database.name}" to cat_owner')


@pytest.fixture
def owner(everything: Database) -> Iterator[psycopg.Connection[Any]]:
    """A transaction of the schema's owner, rolled back at the end."""
    with everything.connect(autocommit=False, user="cat_owner") as connection:
        connection.execute("set local search_path = 'Clinic App'")
        yield connection
        connection.rollback()


@pytest.fixture(scope="module")
def catalog(everything: Database) -> Catalog:
    with everything.connect(user="cat_owner") as connection:
        return read_catalog(connection, SCHEMA)


def table(catalog: Catalog, name: str) -> Table:
    found = catalog.table(name)
    assert found is not None
    return found
