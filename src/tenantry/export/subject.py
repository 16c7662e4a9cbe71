"""What is exported: the target's catalog, and the statements that make it in an empty database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tenantry.access import (
    close_sql,
    context_sql,
    cutover_grants,
    cutover_revokes,
    insertable,
    roles_sql,
    secure_statements,
)
from tenantry.accounts.auth_schema import auth_script, drop_auth_script
from tenantry.accounts.sync import drop_functions_sql, functions_sql, triggers_sql
from tenantry.catalog import Catalog, Table, read_catalog
from tenantry.catalog.build import schema_statements
from tenantry.export.changed import changes_since
from tenantry.ids.functions import native_rows_function
from tenantry.journal.journal import Connection
from tenantry.manifest import Manifest
from tenantry.mapping import Project
from tenantry.migrate.session.prepare import Prepared
from tenantry.plan.operations.expand import close_statements, drop_context
from tenantry.plan.operations.id_map import mark_native_rows
from tenantry.postgres import ident
from tenantry.statements.keys import legacy_index

_SCHEMA_TENANTRY = (
    "create schema if not exists tenantry",
    "comment on schema tenantry is 'Tenantry: the functions that policies call.'",
    "revoke all on schema tenantry from public",
)


@dataclass(frozen=True, slots=True)
class ExportPart:
    """One of the scripts that make the target, to be run in one transaction, in their order.

    Attributes:
        name: of a file, as "schema".
        title: what it makes, in a few words.
        note: what whoever applies it must know, in sentences.
        statements, undo: each may hold several statements of SQL; whether they end with a semicolon is left to them.
    """

    name: str
    title: str
    note: str
    statements: tuple[str, ...]
    undo: tuple[str, ...]

    def script(self, *, undo: bool = False) -> str:
        """The statements as one text, each with its semicolon, a blank line between them."""
        return "\n\n".join(ended(each) for each in (self.undo if undo else self.statements))


@dataclass(frozen=True, slots=True)
class Subject:
    """What forms write.

    Attributes:
        name: of the manifest.
        catalog: the target's schema: as the plan creates it or, after a cut-over, as it is in the database now.
        roles: the script that makes the cluster's roles, for a superuser.
        parts: what makes the target: accounts, context, schema, access; the owner of the tables runs them.
        project: for what clients may read and write.
        changed: what was changed in the database's tables since they were made from the files, which `parts` repeat.
    """

    name: str
    catalog: Catalog
    roles: str
    parts: tuple[ExportPart, ...]
    project: Project
    changed: tuple[str, ...] = ()

    def given(self, table: Table) -> frozenset[str]:
        """The columns that a client may give for a new row; all, where the manifest says nothing of the table."""
        if table.name not in self.project.manifest.tables:
            return frozenset(column.name for column in table.columns)
        return frozenset(insertable(self.project, table))

    def hidden(self, table: Table) -> frozenset[str]:
        """The columns that no client may read."""
        rules = self.project.manifest.tables.get(table.name)
        return frozenset(rules.access.hidden if rules is not None else ())


def read_subject(connection: Connection, prepared: Prepared, *, owner: str | None = None) -> Subject:
    """What a manifest describes that was met with a database.

    Args:
        owner: the role that shall own the tables where the export is applied; None: the one that owns, or would own, them here.
    """
    project, run = prepared.project, prepared.run
    if run is not None and run.status in ("cut over", "contracted"):
        now = _without_what_serves_the_way_back(read_catalog(connection, project.target.schema))
    else:
        now = project.target
    found = subject(
        project,
        now,
        prepared.files,
        owner=owner or prepared.environment.user,
        login=owner or prepared.environment.login,
    )
    return replace(found, changed=changes_since(_without_what_serves_the_way_back(project.target), now))


def subject(project: Project, catalog: Catalog, files: Sequence[Path], *, owner: str, login: str) -> Subject:
    """The parts of a project.

    Args:
        login: the session_user of whoever changes rows without that accounts follow; see `triggers_sql`.
    """
    manifest = project.manifest
    return Subject(
        manifest.name,
        catalog,
        roles_sql(manifest, owner=owner, database=None),
        (_accounts(), _context(manifest), _schema(project, files), _access(project, owner, login)),
        project,
    )


def ended(statement: str) -> str:
    """A statement with its semicolon; behind a comment it stands on a line of its own."""
    text = statement.strip()
    if "--" in text.rpartition("\n")[2]:
        return text + "\n;"
    return text if text.endswith(";") else f"{text};"


def _without_what_serves_the_way_back(catalog: Catalog) -> Catalog:
    """Until the contract, tables have an index on the old id."""
    return replace(
        catalog,
        tables=tuple(
            replace(table, indexes=tuple(index for index in table.indexes if index.name != legacy_index(table)))
            for table in catalog.tables
        ),
    )


def _accounts() -> ExportPart:
    return ExportPart(
        "accounts",
        "schema auth, compatible with Supabase Auth",
        "Leave it out where Supabase Auth, or another schema `auth` with its tables, is there already.",
        (auth_script(),),
        (drop_auth_script(),),
    )


def _context(manifest: Manifest) -> ExportPart:
    sealed = (
        " Contexts are sealed: register a key afterwards (`tenantry seal`), without which no context opens."
        if manifest.context.sealed
        else ""
    )
    return ExportPart(
        "context",
        "schema tenantry: the functions that say who the caller is",
        f"It needs auth.users.{sealed}",
        (*_SCHEMA_TENANTRY, context_sql(manifest)),
        (drop_context(), "drop schema if exists tenantry cascade"),
    )


def _schema(project: Project, files: Sequence[Path]) -> ExportPart:
    schema = project.target.schema
    return ExportPart(
        "schema",
        f"schema {schema}: types, tables, functions and views",
        "No role of the application may read or write it before the part `access`.",
        (*schema_statements(schema, files), *close_statements(project)),
        (f"drop schema if exists {ident(schema)} cascade",),
    )


def _access(project: Project, owner: str, login: str) -> ExportPart:
    secured = secure_statements(project, owner=owner)
    native = mark_native_rows(project, ())
    return ExportPart(
        "access",
        "row-level security, policies and rights",
        "",
        (
            *(statement for each in secured for statement in each.statements),
            *((native_rows_function(), *native.sql) if native is not None else ()),
            *functions_sql(project),
            *cutover_grants(project),
            *triggers_sql(project, login, on=True),
            close_sql(project.manifest),
        ),
        (
            *triggers_sql(project, login, on=False),
            *cutover_revokes(project),
            *drop_functions_sql(project),
            *(native.undo if native is not None else ()),
            *(statement for each in reversed(secured) for statement in each.undo),
        ),
    )
