"""Reads the target's catalog before the target exists: runs its files in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import errors as pg

from tenantry.catalog.model import Catalog
from tenantry.catalog.reader import read_catalog
from tenantry.errors import RightsMissing, TargetFilesWrong
from tenantry.postgres import ident, literal

Connection = psycopg.Connection[tuple[object, ...]]


def build_catalog(connection: Connection, *, schema: str, files: Sequence[Path], before: Sequence[str] = ()) -> Catalog:
    """Return the catalog of a schema made by `files`, after `before`; the database is unchanged afterwards.

    Raises:
        TargetFilesWrong: a statement of a file fails, with file and line.
        RightsMissing: the login may not create schemas.
    """
    with connection.transaction(force_rollback=True):
        try:
            for script in before:
                connection.execute(script)
        except pg.InsufficientPrivilege as error:
            raise RightsMissing(
                f"The login may not create what the target needs: {error.diag.message_primary}. Nothing was changed.",
                hint="Grant the login CREATE on the database (GRANT CREATE ON DATABASE … TO …) and run the roles script"
                " (tenantry roles --sql) once as a DBA.",
            ) from None
        run_files(connection, schema=schema, files=files)
        return read_catalog(connection, schema)


def schema_statements(schema: str, files: Sequence[Path]) -> tuple[str, ...]:
    """Return the statements that create the target schema: the files verbatim, under the search path that they expect."""
    texts = [f"-- {file.name}\n{file.read_text(encoding='utf-8').strip()}" for file in files]
    return (
        f"create schema {ident(schema)}",
        f"set local search_path = {ident(schema)}, pg_catalog",
        *texts,
        "set local search_path = pg_catalog",
    )


def run_files(connection: Connection, *, schema: str, files: Sequence[Path]) -> None:
    """Run the target's files in the open transaction.

    Raises:
        TargetFilesWrong: with file, line, and PostgreSQL's message.
    """
    create, path, *texts, end = schema_statements(schema, files)
    connection.execute(create)
    connection.execute(path)
    for file, text in zip(files, texts, strict=True):
        try:
            connection.execute(text)
        except psycopg.Error as error:
            if error.diag.message_primary is None:
                raise
            # The text has one line of its own before the file's.
            where, line = place_of(error, str(file), text, before=1)
            raise TargetFilesWrong(
                f"{where}: {error.diag.message_primary}",
                hint=(error.diag.message_hint or "Fix the file. Nothing was changed in the database.")
                + (f" Context: {error.diag.context}" if error.diag.context else ""),
                detail={"file": str(file), "line": line, "sqlstate": error.sqlstate},
            ) from None
    connection.execute(end)


def place_of(error: psycopg.Error, file: str, text: str, *, before: int = 0) -> tuple[str, int]:
    """Return where a statement of a file failed: `file:line` and the line; only the file, and 0, if the server does not say.

    Args:
        text: the text that was sent.
        before: its number of lines before the file's.
    """
    position = int(error.diag.statement_position or 0)
    line = text.count("\n", 0, position) + 1 - before if position else 0
    return (f"{file}:{line}" if line else file), line


def type_statements(catalog: Catalog) -> tuple[str, ...]:
    """Return the schema, its types and its functions, without tables: enough for expressions over a target's columns.

    Probes of the source run inside a transaction that creates only these and is rolled back, so analysis does not lock any
    table.
    """
    statements = [f"create schema if not exists {ident(catalog.schema)}", "set local check_function_bodies = off"]
    for enum in catalog.enums:
        labels = ", ".join(literal(label) for label in enum.labels)
        statements.append(f"create type {ident(enum.schema, enum.name)} as enum ({labels})")
    statements += [
        f"create type {ident(each.schema, each.name)} as range (subtype = {each.subtype},"
        f" multirange_type_name = {ident(each.schema, each.multirange)})"
        for each in catalog.ranges
    ]
    for composite in catalog.composites:
        fields = ", ".join(f"{ident(column.name)} {column.type}" for column in composite.columns)
        statements.append(f"create type {ident(composite.schema, composite.name)} as ({fields})")
    for domain in catalog.domains:
        checks = " ".join(f"constraint {ident(check.name)} {check.definition}" for check in domain.checks)
        null = "" if domain.nullable else " not null"
        statements.append(f"create domain {ident(domain.schema, domain.name)} as {domain.base}{null} {checks}")
    statements += [
        function.definition
        for function in catalog.functions
        if function.definition is not None and function.kind == "function" and function.returns != "trigger"
    ]
    return tuple(statements)
