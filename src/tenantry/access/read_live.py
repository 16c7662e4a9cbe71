"""Reads the access of a live database, and the expected policies as PostgreSQL normalizes them. Read-only: its temporary
tables are made in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from tenantry.access.left_tables import HeldRights, read_left
from tenantry.access.policies import TablePolicy, table_policies
from tenantry.catalog import Catalog, Table, read_catalog
from tenantry.errors import SchemaMissing
from tenantry.mapping.project import Project
from tenantry.postgres import ident, load_blocks

MIRRORS = ("tenantry_mirror_account", "tenantry_mirror_accounts")
CONTEXT = "tenantry"

Conditions = Mapping[tuple[str, str], tuple[str | None, str | None]]
"""USING and WITH CHECK by table and policy, normalized by PostgreSQL; without policies that the database refuses."""


@dataclass(frozen=True, slots=True)
class DefaultRight:
    """A default right on objects that a role makes later; `schema` None: in every schema; `grantee` None: no grantee."""

    role: str
    schema: str | None
    kind: str
    grantee: str | None
    privilege: str | None


@dataclass(frozen=True, slots=True)
class WantedTrigger:
    """A trigger that calls a function of schema tenantry.

    Attributes:
        table: as SQL, with its schema.
        events: as pg_trigger.tgtype has them.
        statement: creates it, in place of one of its name.
        made_with: what creates its function.
    """

    table: str
    name: str
    function: str
    events: int
    statement: str
    made_with: tuple[str, ...] = ()


def trigger_states(connection: psycopg.Connection[Any], wanted: Sequence[WantedTrigger]) -> dict[WantedTrigger, str]:
    """Return the state of each: 'enabled', 'disabled', 'another trigger', or 'none'."""
    values = {
        "tables": [each.table for each in wanted],
        "names": [each.name for each in wanted],
        "functions": [f"tenantry.{each.function}()" for each in wanted],
        "events": [each.events for each in wanted],
    }
    rows = connection.execute(load_blocks("tenantry.access.sql", "live")["triggers"], values).fetchall()
    return {each: str(state) for each, (state,) in zip(wanted, rows, strict=True)}


@dataclass(frozen=True, slots=True)
class LiveAccess:
    """The access of the live database. `owner` owns the tenant table, and should own all others."""

    owner: str
    target: Catalog
    context: Catalog | None
    defaults: tuple[DefaultRight, ...]
    mirrors: Mapping[str, str]
    """Trigger name → 'enabled', 'disabled' or 'another trigger'."""
    superusers: frozenset[str]
    conditions: Conditions
    left: HeldRights
    """The clients' rights on tables of the source that are left where they are."""


def read_live(connection: psycopg.Connection[Any], project: Project) -> LiveAccess:
    """Read everything that a comparison needs. `project.target` is the live schema's catalog."""
    blocks = load_blocks("tenantry.access.sql", "live")
    schema = project.target.schema
    owner = owner_of(project)
    try:
        context = read_catalog(connection, CONTEXT)
    except SchemaMissing:
        context = None
    defaults = connection.execute(blocks["default_privileges"], {"schema": schema}).fetchall()
    mirrors = connection.execute(blocks["mirrors"], {"names": list(MIRRORS)}).fetchall()
    superusers = connection.execute(blocks["superusers"]).fetchall()
    return LiveAccess(
        owner,
        project.target,
        context,
        tuple(DefaultRight(*row) for row in defaults),
        dict(mirrors),
        frozenset(name for (name,) in superusers),
        expected_conditions(connection, project, owner),
        read_left(connection, project.manifest),
    )


def owner_of(project: Project) -> str:
    """Return the owner of the tenant table."""
    root = project.target.table(project.manifest.tenant.table)
    assert root is not None
    return root.owner


def governed(project: Project) -> tuple[Table, ...]:
    """Return the tables of the live schema that the manifest governs, and their partitions."""
    known = project.manifest.tables
    found = []
    for table in project.target.tables:
        root: Table | None = table
        while root is not None and root.partition_of is not None:
            root = project.target.table(root.partition_of[1])
        if root is not None and root.name in known and table.kind != "foreign":
            found.append(table)
    return tuple(found)


def expected_conditions(connection: psycopg.Connection[Any], project: Project, owner: str) -> Conditions:
    """Return the conditions of the expected policies as PostgreSQL normalizes them. The policies are made on
    empty temporary tables with the same names and columns."""
    expected = {table.name: table_policies(project, table, owner) for table in governed(project)}
    query = load_blocks("tenantry.access.sql", "live")["conditions"]
    with connection.transaction(force_rollback=True):
        connection.execute("set local search_path = pg_catalog")
        for table in governed(project):
            columns = ", ".join(f"{ident(column.name)} {column.type}" for column in table.columns)
            connection.execute(f"create temporary table {ident(table.name)} ({columns})".encode())
        _make(connection, expected)
        rows = connection.execute(query).fetchall()
    return {(table, name): (using, check) for table, name, using, check in rows}


def _make(connection: psycopg.Connection[Any], expected: Mapping[str, Sequence[TablePolicy]]) -> None:
    """Make all policies at once; if one fails (e.g. its function no longer exists), one by one without the failing ones."""
    statements = [policy.create(ident("pg_temp", table)) for table, policies in expected.items() for policy in policies]
    try:
        with connection.transaction():
            connection.execute("\n".join(statements).encode())
    except errors.Error:
        for statement in statements:
            try:
                with connection.transaction():
                    connection.execute(statement.encode())
            except (errors.SyntaxErrorOrAccessRuleViolation, errors.DataException):
                continue


def lock_holders(connection: psycopg.Connection[Any], schema: str, tables: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return who holds locks on these tables or functions of a schema: a change of rights would wait for them."""
    blocks = load_blocks("tenantry.access.sql", "live")
    return connection.execute(blocks["holders"], {"schema": schema, "tables": list(tables)}).fetchall()
