"""A database with schema auth and what the sign-in server needs, copied for each test; and a server over it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tenantry.accounts.auth_schema import auth_script
from tenantry.postgres import EmbeddedServer, load_sql
from tests.conftest import Database, fresh_database, running_server
from tests.integration.auth.sign_in import Studio, studio


@pytest.fixture(scope="session")
def sign_in_template(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    with fresh_database(running_server(servers, 18)) as made:
        with psycopg.connect(made.dsn, autocommit=True) as owner:
            owner.execute(auth_script().encode())
            for name in ("server_tables", "functions"):
                owner.execute(load_sql("tenantry.auth.install.sql", name).encode())
        yield made


@pytest.fixture
def accounts(servers: dict[int, EmbeddedServer], sign_in_template: Database) -> Iterator[Database]:
    with fresh_database(running_server(servers, 18), sign_in_template.name) as made:
        yield made


@pytest.fixture
def sign_in(accounts: Database) -> Iterator[Studio]:
    with studio(accounts.dsn) as made:
        yield made
