"""Surveys a database: its tables, the likely tenant, and what a migration would encounter. Reads only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import psycopg

from tenantry.catalog import Catalog, Table, read_catalog
from tenantry.catalog.hidden import hidden_tables
from tenantry.errors import SettingsError, nearest
from tenantry.mapping.types import enum_labels
from tenantry.postgres import ident
from tenantry.survey.graph import Graph
from tenantry.survey.kinds import kind_of, membership_table, tenant_candidates, values_found
from tenantry.survey.model import CONSTANT, Candidate, Survey, SurveyedTable, TenantPath, UsersColumns
from tenantry.survey.names import words
from tenantry.survey.people import columns_of_users, users_candidates, with_password_table
from tenantry.survey.references import discover_references
from tenantry.survey.sample import Sample, read_rows, sample_tables

Progress = Callable[[str, int, int], None]
"""Called with the current activity, the number done, and the total."""


def survey(
    connection: psycopg.Connection[Any],
    schema: str = "public",
    *,
    tenant: str | None = None,
    users: str | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> Survey:
    """Survey a database that has no manifest. Works on a standby, too: it writes nothing, not even a temporary table.

    Args:
        tenant: use this table as the tenant, whatever the scores; `table.column`: each value of the column, in all tables that
            have it; `constant`: one tenant that everything belongs to.
        users: use this table as the users table, whatever the scores.

    Raises:
        SchemaMissing: the schema does not exist.
        SettingsError: a given table does not exist.
    """
    started = time.monotonic()
    catalog = read_catalog(connection, schema)
    _need_tables(catalog, tenant, users)
    with connection.transaction(force_rollback=True):
        connection.execute("set transaction isolation level repeatable read, read only")
        found = _survey(connection, catalog, tenant, users, progress)
    return replace(found, seconds=round(time.monotonic() - started, 3))


def _need_tables(catalog: Catalog, tenant: str | None, users: str | None) -> None:
    names = [table.name for table in tables_to_read(catalog)]
    for option, table in (("--tenant", tenant), ("--users", users)):
        if table is not None and table not in names and (option, table) != ("--tenant", CONSTANT):
            if option == "--tenant" and (place := column_of(catalog, table)) is not None:
                _need_column(catalog, *place)
                continue
            near = nearest(table, names)
            raise SettingsError(
                f"{option}: there is no table {table!r} in schema {catalog.schema}.",
                hint=f"Did you mean {near!r}?" if near else f"There are {', '.join(names[:20])}.",
            )


def column_of(catalog: Catalog, name: str) -> tuple[str, str] | None:
    """Return table and column of a name `table.column`; None if there is no such table, or a table has the whole name."""
    if catalog.table(name) is not None:
        return None
    table, _, column = name.rpartition(".")
    return (table, column) if catalog.table(table) is not None else None


def _need_column(catalog: Catalog, name: str, column: str) -> None:
    table = catalog.table(name)
    columns = [each.name for each in table.columns] if table is not None else []
    if column not in columns:
        near = nearest(column, columns)
        raise SettingsError(
            f"--tenant: {name} has no column {column!r}.",
            hint=f"Did you mean {near!r}?" if near else f"It has {', '.join(columns[:20])}.",
        )


def tables_to_read(catalog: Catalog) -> list[Table]:
    """Return the tables with the application's rows: a partitioned table represents its partitions, a parent its children."""
    return [table for table in catalog.tables if table.partition_of is None and table.kind != "partition"]


def _survey(
    connection: psycopg.Connection[Any], catalog: Catalog, tenant: str | None, users: str | None, progress: Progress
) -> Survey:
    tables = tables_to_read(catalog)
    done = iter(range(len(tables) + 1))
    samples = sample_tables(
        connection, catalog, tables, progress=lambda _name: progress("sampling tables", next(done), len(tables))
    )
    progress("looking for references", 0, 1)
    people = _people(users, users_candidates(catalog, samples))
    found = discover_references(connection, catalog, samples, [each.table for each in people])
    progress("looking for references", 1, 1)
    people = _people(users, users_candidates(catalog, samples, found.references))
    user = people[0].table if people else ""
    columns = UsersColumns()
    if user:
        table = catalog.table(user)
        assert table is not None
        columns = columns_of_users(catalog, table, samples[user])
        columns = with_password_table(catalog, samples, user, columns, found.references)
    graph = Graph(catalog, found.references)
    tenants = tenant_candidates(catalog, graph, samples, user, found.references)
    if tenant is not None:
        asked = Candidate(tenant, 100, ("as asked for",))
        if tenant == CONSTANT:
            asked = Candidate("", 100, asked.reasons, "constant")
        elif (place := column_of(catalog, tenant)) is not None:
            reasons = (*asked.reasons, *values_found(place[1], tables, samples))
            asked = Candidate("", 100, reasons, "column", place[1])
        tenants = (
            asked,
            *(
                each
                for each in tenants
                if (each.table, each.form, each.column) != (asked.table, asked.form, asked.column)
            ),
        )
    root = tenants[0] if tenants else None
    name = root.table if root is not None and root.form in ("table", "person") else ""
    member = membership_table(catalog, graph, name, user, samples)[0] if name and user and name != user else ""
    place = _role_place(catalog, member, user, columns)
    roles = _roles(catalog, samples, place)
    hidden = hidden_tables(connection, [ident(catalog.schema, table.name) for table in tables])
    listed = []
    for at, table in enumerate(tables):
        progress("following paths to the tenant", at, len(tables))
        sample = samples[table.name]
        kind, why = kind_of(
            table, graph, sample, tenant=name if name != user else "", users=user, membership=member,
            passwords=columns.password_table,
        )  # fmt: skip
        paths: tuple[TenantPath, ...] = ()
        if name and kind not in ("framework", "tenant"):
            paths = _followed(connection, catalog, graph, graph.paths(table.name, name))
            if paths and paths[0].rows and not any(path.reached for path in paths):
                # References that are always null lead nowhere: settings that only their owner names.
                against = _followed(connection, catalog, graph, graph.paths_against(table.name, name))
                paths = against if any(path.reached for path in against) else paths
        listed.append(SurveyedTable(table.name, kind, why, sample.rows, table.size_bytes, paths))
    progress("following paths to the tenant", len(tables), len(tables))
    notes = [f"{each.table}: {each.said}; its rows are unknown" for each in samples.values() if each.said]
    notes += [f"{each.table}: {each.why}; only the visible ones were sampled" for each in hidden]
    return Survey(
        catalog.database, catalog.schema, _version(catalog.server_version), tuple(listed), found.references, found.external,
        found.ids, tenants, people, columns, member, place, roles, notes=tuple(notes), hidden=tuple(each.table for each in hidden),
    )  # fmt: skip


def _people(asked: str | None, found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    if asked is None:
        return tuple(found)
    return (Candidate(asked, 100, ("as asked for",)), *(each for each in found if each.table != asked))


def _role_place(catalog: Catalog, member: str, user: str, columns: UsersColumns) -> tuple[str, str] | None:
    """Find the column of roles in a tenant: in the memberships, otherwise in the users table."""
    table = catalog.table(member) if member else None
    found = next((each.name for each in table.columns if words(each.name)[-1:] == ("role",)), "") if table else ""
    if found:
        return member, found
    return (user, columns.role) if user and columns.role and not member else None


def _roles(catalog: Catalog, samples: Mapping[str, Sample], place: tuple[str, str] | None) -> tuple[str, ...]:
    table = catalog.table(place[0]) if place is not None else None
    column = table.column(place[1]) if table is not None and place is not None else None
    if place is None or column is None:
        return ()
    labels = enum_labels(column, catalog)
    found = labels if labels is not None else tuple(sorted(samples[place[0]].distinct(place[1])))
    return found if len(found) <= 20 else ()


def _version(number: int) -> str:
    return f"{number // 10000}.{number % 10000}"


def _followed(
    connection: psycopg.Connection[Any], catalog: Catalog, graph: Graph, paths: Sequence[TenantPath], most: int = 50_000
) -> tuple[TenantPath, ...]:
    """Add facts from a sample of rows to the paths: how many reach a tenant, and how many another one than by the first
    path."""
    if not paths or not paths[0].hops:
        return tuple(paths)
    child = ident(catalog.schema, paths[0].table)
    joins, roots = [], []
    for at, path in enumerate(paths):
        left = "c"
        for step, hop in enumerate(path.hops):
            right = f"p{at}_{step}"
            parent = graph.parent_columns(hop)
            pairs = zip(parent, hop.columns, strict=True) if hop.backwards else zip(hop.columns, parent, strict=True)
            on = " and ".join(f"{left}.{ident(mine)}::text = {right}.{ident(theirs)}::text" for mine, theirs in pairs)
            joins.append(f"left join {ident(catalog.schema, hop.to)} {right} on {on}")
            left = right
        roots.append(left)
    key = _root_key(catalog, paths[0])
    if key is None:
        return tuple(paths)
    values = [f"{root}.{ident(key)}::text" for root in roots]
    first = f"coalesce({', '.join(values)})" if len(values) > 1 else values[0]
    counted = ", ".join(f"count({value}), count(*) filter (where {value} <> {first})" for value in values)
    read = read_rows(
        connection, f"select count(*), {counted} from (select * from {child} limit {most}) c {' '.join(joins)}"
    )
    if isinstance(read, str) or not read:
        return tuple(paths)
    row = read[0]
    return tuple(
        replace(path, rows=row[0], reached=row[1 + 2 * at], disagree=row[2 + 2 * at]) for at, path in enumerate(paths)
    )


def _root_key(catalog: Catalog, path: TenantPath) -> str | None:
    root = catalog.table(path.hops[-1].to)
    return root.row_key[0] if root is not None and root.row_key is not None and len(root.row_key) == 1 else None
