"""Compiles the manifest's SQL on the server before any change, to check names and types that only the server knows.

The grammar and the columns were checked without a server. What is left (functions, operators, casts, tables of sub-selects) would
otherwise fail during a copy, far from the wrong line. Each expression is compiled over no rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from tenantry.catalog import Table
from tenantry.catalog.build import type_statements
from tenantry.derivation.reverse.write import reverse_statements
from tenantry.errors import ManifestError
from tenantry.journal.journal import Connection
from tenantry.manifest.model import ColumnRule, Correct
from tenantry.manifest.positions import Key, Places, Problem, in_order
from tenantry.mapping import Project
from tenantry.postgres import ident

_NOT_THERE = ("42", "3F")
"""Classes of SQL states: a syntax, name or type that the server does not accept; a missing schema."""
_NO_CAST = ("42846", "42883")
_NO_RIGHT = "42501"


MOST_COLUMNS = 800
"""The largest number of columns that reverse replay supports. PostgreSQL allows 1,600 columns in a table and 1,664 entries in a
SELECT, in which reverse replay compares both sides."""


def check_widths(project: Project) -> None:
    """Check that no table has more columns than reverse replay supports.

    Raises:
        ManifestError: with the tables and their numbers of columns.
    """
    places = Places(str(project.manifest.path), project.manifest.text)
    problems = [
        places.problem(
            ("tables", table.parts[0].target),
            f"{len(table.slots):,} columns of {table.name} would be migrated, and reverse replay supports {MOST_COLUMNS:,};"
            " keep some in a second table that refers to this one, or fill fewer columns in the target",
        )
        for table in reverse_statements(project)
        if len(table.slots) > MOST_COLUMNS
    ]
    if problems:
        raise ManifestError(in_order(problems))


def check_expressions(connection: Connection, project: Project) -> None:
    """Compile every expression of the manifest, with the target's types and functions, in a transaction that is rolled back.

    Raises:
        ManifestError: the refused expressions, each with file, line and key.
    """
    places = Places(str(project.manifest.path), project.manifest.text)
    problems: list[Problem] = []
    with connection.transaction(force_rollback=True):
        try:
            with connection.transaction():
                for statement in type_statements(project.target):
                    connection.execute(statement)
        except psycopg.Error:
            return  # functions over tables that do not exist yet: only the copy can show whether they work
        for key, text, query in _queries(project):
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(query)
            except psycopg.Error as error:
                state = error.sqlstate or ""
                # The run makes the functions of the journal's schema.
                if state.startswith(_NOT_THERE) and state != _NO_RIGHT and "tenantry." not in text:
                    problems.append(
                        places.problem(key, f"PostgreSQL does not take {text!r}: {error.diag.message_primary}")
                    )
        problems += _without_cast(connection, project, places)
    if problems:
        raise ManifestError(in_order(problems))


def _without_cast(connection: Connection, project: Project, places: Places) -> Iterator[Problem]:
    """Yield columns without a transform between types that the server cannot cast."""
    for mapping in project:
        rows = f"from {ident(mapping.source.schema, mapping.source.name)} s"
        back = f"from {_row(mapping.target, 't')}"
        if mapping.scoped:
            tenant = f" cross join {_row(project.root_table, 'tenant')}"
            rows, back = rows + tenant, back + tenant
        label = mapping.legacy_prefix.removesuffix(":")
        key: Key = ("tables", mapping.target.name, *(("sources", label) if label else ()), "columns")
        rules = project.manifest.tables[mapping.target.name].parts()[label].columns
        for column in mapping.columns:
            rule = rules.get(column.name)
            source = mapping.source.column(column.source or "")
            if column.kind != "value" or source is None or (rule is not None and (rule.up or rule.down)):
                continue
            if source.type == column.type:
                continue
            for made, where in ((column.value, rows), (column.down, back)):
                if made is None or "tenantry." in made:
                    continue
                try:
                    with connection.transaction(force_rollback=True):
                        connection.execute(f"select {made} {where} limit 0")
                except psycopg.Error as error:
                    if error.sqlstate in _NO_CAST:
                        yield places.problem(
                            (*key, column.name),
                            f"{mapping.source.name}.{source.name} is {source.type} and {mapping.target.name}.{column.name} is"
                            f' {column.type}, with no cast between them; state the conversion with up = "<SQL>" and down = "<SQL>"',
                        )
                        break


def _queries(project: Project) -> Iterator[tuple[Key, str, str]]:
    """Yield key, text and query of each expression."""
    manifest = project.manifest
    for mapping in project:
        rule = manifest.tables[mapping.target.name]
        label = mapping.legacy_prefix.removesuffix(":")
        part = rule.parts()[label]
        key: Key = ("tables", mapping.target.name, *(("sources", label) if label else ()))
        source = f"from {ident(mapping.source.schema, mapping.source.name)} s"
        tenant = f" cross join {_row(project.root_table, 'tenant')}" if mapping.scoped else ""
        if part.where:
            yield (*key, "where"), part.where, f"select {source} where ({part.where}) limit 0"
        for name, column in part.columns.items():
            there = mapping.target.column(name)
            kind = there.type if there is not None else "text"
            for way, text in _made(column):
                yield (*key, "columns", name, *way), text, f"select ({text})::{kind} {source}{tenant} limit 0"
            if column.orphan is not None and isinstance(column.orphan, Correct):
                text = column.orphan.correct
                yield (*key, "columns", name, "orphan", "correct"), text, f"select ({text})::text {source} limit 0"
        if rule.merge is not None:
            row = _row(mapping.target, "t")
            yield (
                ("tables", mapping.target.name, "merge", "keep"),
                rule.merge.keep,
                f"select from {row} order by {rule.merge.keep} limit 0",
            )
    users = manifest.users
    if users is not None:
        people = f"from {ident(project.source.schema, users.source)} s"
        for name in ("super", "verified", "deleted", "system"):
            text = getattr(users, name)
            if text:
                yield ("users", name), text, f"select {people} where ({text}) limit 0"
        if users.metadata:
            yield ("users", "metadata"), users.metadata, f"select ({users.metadata})::jsonb {people} limit 0"


def _made(column: ColumnRule) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the expressions of a column's value."""
    if column.up is not None:
        yield ("up",), column.up
    for name in ("null", "empty", "invalid"):
        treatment = getattr(column, name)
        if isinstance(treatment, Correct):
            yield (name, "correct"), treatment.correct


def _row(table: Table, alias: str) -> str:
    """Return SQL of a row of a table that does not exist yet."""
    columns = ", ".join(f"null::{column.type} as {ident(column.name)}" for column in table.columns)
    return f"(select {columns}) {alias}"


__all__ = ["MOST_COLUMNS", "check_expressions", "check_widths"]
