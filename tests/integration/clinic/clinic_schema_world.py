"""Clinic's target schema, with its owner and a client."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg import errors, sql

from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, fresh_database, running_server
from tests.migrate_support import shared_template

Connection = psycopg.Connection[tuple[object, ...]]

OWNER = "clinic_schema_owner"
CLIENT = "clinic_schema_client"

# The people of another schema are not there yet, nor is the function that knows the caller: stand-ins for both.
SURROUNDINGS: LiteralString = """
    create schema if not exists auth;
    create table if not exists auth.users (id uuid primary key);
    create schema tenantry;
    create function tenantry.profile_id() returns uuid
        language sql stable as $$ select nullif(current_setting('test.profile_id', true), '')::uuid $$;
"""


def make_role(admin: Connection, name: str) -> None:
    """Roles belong to the cluster, which tests share: another one may make it in the same moment."""
    try:
        admin.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
    except (errors.DuplicateObject, errors.UniqueViolation):
        return


def load_schema(database: Database) -> None:
    with database.connect() as admin:
        make_role(admin, OWNER)
        make_role(admin, CLIENT)
        make_role(admin, "authenticated")  # whose members the audit columns name as authors
        admin.execute(SURROUNDINGS)
        admin.execute(
            sql.SQL(
                "create schema clinic authorization {owner};"
                "grant usage on schema auth, tenantry to {owner}, {client};"
                "grant references on auth.users to {owner}"
            ).format(owner=sql.Identifier(OWNER), client=sql.Identifier(CLIENT))
        )
    scripts = sorted(
        (file for file in files("clinic").joinpath("schema").iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    with database.connect(autocommit=False, user=OWNER) as owner:
        owner.execute("set local search_path = clinic, pg_catalog")
        for script in scripts:
            owner.execute(script.read_text(encoding="utf-8").encode())


@pytest.fixture
def database(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    """A database with the schema, on PostgreSQL 18: a clone of one that is loaded once."""
    server = running_server(servers, 18)
    with fresh_database(server, shared_template(server, "clinic_schema_alone", load_schema)) as made:
        yield made


@pytest.fixture
def owner(database: Database) -> Iterator[Connection]:
    """A session of the owner of the schema, as a migration has one."""
    with database.connect(user=OWNER) as connection:
        connection.execute("set search_path = clinic, pg_catalog")
        yield connection


def names_of(connection: Connection, query: LiteralString) -> list[object]:
    return [row[0] for row in connection.execute(query)]


def one_row(connection: Connection, query: LiteralString, *values: object) -> tuple[object, ...]:
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return row


def insert_clinic(connection: Connection, legacy_id: str | None = None) -> UUID:
    made = one_row(
        connection,
        "insert into clinics (legacy_id, name, location, time_zone)"
        " values (%s, 'Fernhill', 'Fernhill', 'America/Chicago') returning id",
        legacy_id,
    )[0]
    assert isinstance(made, UUID)
    return made


def insert_metric(connection: Connection) -> object:
    return one_row(
        connection,
        "insert into metric_definitions (name, description, data_type, category)"
        " values ('Production', 'All of it', 'currency', 'financial') returning id",
    )[0]


def insert_provider(connection: Connection, clinic: UUID) -> object:
    return one_row(
        connection,
        "insert into providers (clinic_id, name, provider_type) values (%s, 'Ada Quill', 'dentist') returning id",
        clinic,
    )[0]
