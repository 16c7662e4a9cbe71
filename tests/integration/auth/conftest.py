"""A database with schema auth and what the sign-in server needs, copied for each test; and a server over it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tenantry.auth.install.database import install_database
from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, fresh_database, running_server
from tests.integration.auth.sign_in import Studio, studio

LOGIN = f"sign_in_{os.getpid()}"
"""The server's login, a role of the cluster: each worker of the suite has its own."""


@pytest.fixture(scope="session")
def sign_in_template(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    with fresh_database(running_server(servers, 18)) as made:
        with psycopg.connect(made.dsn, autocommit=True) as owner:
            install_database(owner, LOGIN, None)
        yield made
    with psycopg.connect(made.server.dsn("postgres"), autocommit=True) as owner:
        owner.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(LOGIN)))


@pytest.fixture
def accounts(servers: dict[int, EmbeddedServer], sign_in_template: Database) -> Iterator[Database]:
    """A database with schema auth and what the sign-in server needs."""
    with fresh_database(running_server(servers, 18), sign_in_template.name) as made:
        yield made


@pytest.fixture
def sign_in(accounts: Database) -> Iterator[Studio]:
    with studio(accounts.dsn_as(LOGIN)) as made:
        yield made
