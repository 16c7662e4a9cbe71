"""Reads the catalog of a schema from a live database: a fixed number of queries, however many objects it has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from tenantry.catalog.mentions import mentioned
from tenantry.catalog.model import (
    Below,
    Catalog,
    Column,
    CompositeType,
    Constraint,
    DomainType,
    EnumType,
    Function,
    Grant,
    Index,
    Policy,
    Publication,
    RangeType,
    Sequence,
    Table,
    Trigger,
    View,
)
from tenantry.errors import SchemaMissing
from tenantry.postgres.sql import load_sql

_SQL = "tenantry.catalog.sql"
_T = TypeVar("_T")
_Row = dict[str, Any]
_Grouped = Mapping[int, tuple[_T, ...]]


def read_catalog(conn: psycopg.Connection[Any], schema: str) -> Catalog:
    """Read the catalog of `schema` without changing anything, not even the settings of the session.

    On an idle connection all queries see one snapshot. Inside a transaction they run under a savepoint, see the transaction's
    own changes, and are as consistent as its isolation level. No privileges on the objects are needed; sequences that the
    login may not read have no last value.

    Raises:
        SchemaMissing: the schema does not exist; the error lists the existing ones.
    """
    with _undisturbed(conn):
        return _Reader(conn, schema).catalog()


def has_schema(conn: psycopg.Connection[Any], schema: str) -> bool:
    """Whether a schema exists."""
    return conn.execute("select from pg_namespace where nspname = %s", [schema]).fetchone() is not None


def need_schema(conn: psycopg.Connection[Any], schema: str) -> None:
    """
    Raises:
        SchemaMissing: the schema does not exist; the error lists the existing ones.
    """
    if not has_schema(conn, schema):
        rows = conn.execute("select nspname::text from pg_namespace where nspname !~ '^pg_' order by 1").fetchall()
        raise SchemaMissing(schema, conn.info.dbname, [str(row[0]) for row in rows])


def estimates(conn: psycopg.Connection[Any], schema: str) -> dict[str, int]:
    """Return PostgreSQL's estimate of the rows of each table of a schema, by table; nothing for a schema that does not exist."""
    rows = conn.execute(load_sql(_SQL, "estimates"), {"schema": schema}).fetchall()
    return {str(name): int(estimate) for name, estimate in rows}


@contextmanager
def _undisturbed(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """Open a transaction, or a savepoint in the open one, and roll it back at the end, which restores every setting."""
    idle = conn.info.transaction_status == TransactionStatus.IDLE
    with conn.transaction(force_rollback=True):
        if idle:
            conn.execute("set transaction isolation level repeatable read, read only")
        conn.execute(load_sql(_SQL, "session"))
        yield


class _Reader:
    """Runs the queries of one reading and assembles their rows."""

    def __init__(self, conn: psycopg.Connection[Any], schema: str) -> None:
        self._conn = conn
        self._schema = schema
        self._namespace = 0
        self._grants: _Grouped[Grant] = {}
        self._columns: _Grouped[Column] = {}
        self._indexes: _Grouped[Index] = {}
        self._triggers: _Grouped[Trigger] = {}

    def catalog(self) -> Catalog:
        found = self._rows("schema")
        if not found:
            others = self._rows("schemas")
            known = [row["name"] for row in others if row["name"] is not None]
            raise SchemaMissing(self._schema, others[0]["database"], known)
        (row,) = found
        self._namespace = row["oid"]
        self._grants = self._grouped("grants", Grant, "oid")
        self._columns = self._grouped("columns", Column)
        self._indexes = self._grouped("indexes", Index)
        self._triggers = self._grouped("triggers", Trigger)
        tables = self._tables()
        views = self._named("views", View, columns=self._columns, indexes=self._indexes, triggers=self._triggers)
        return Catalog(
            schema=self._schema,
            database=row["database"],
            server_version=row["server_version"],
            owner=row["owner"],
            grants=self._grants.get(self._namespace, ()),
            comment=row["comment"],
            tables=tables,
            views=views,
            functions=self._functions({table.name for table in tables} | {view.name for view in views}),
            sequences=self._named("sequences", Sequence),
            enums=self._named("enums", EnumType),
            domains=self._named("domains", DomainType, checks=self._grouped("domain_checks", Constraint, "domain")),
            composites=self._composites(),
            ranges=self._named("ranges", RangeType),
            extensions=tuple(row["name"] for row in self._rows("extensions")),
        )

    def _tables(self) -> tuple[Table, ...]:
        constraints = self._grouped("constraints", Constraint)
        policies = self._grouped("policies", Policy)
        publications = self._grouped("publications", Publication)
        extras = self._extras()
        return tuple(
            _make(
                Table,
                row,
                schema=self._schema,
                partition_of=row["parents"][0] if row["is_partition"] else None,
                inherits=() if row["is_partition"] else row["parents"],
                below=tuple(Below(*each) for each in row["below"]),
                columns=self._columns.get(row["oid"], ()),
                constraints=constraints.get(row["oid"], ()),
                indexes=self._indexes.get(row["oid"], ()),
                triggers=self._triggers.get(row["oid"], ()),
                policies=policies.get(row["oid"], ()),
                grants=self._grants.get(row["oid"], ()),
                publications=publications.get(row["oid"], ()),
                rules=extras["rule", row["oid"]],
                statistics=extras["statistics", row["oid"]],
            )
            for row in self._rows("tables")
        )

    def _functions(self, relations: Collection[str]) -> tuple[Function, ...]:
        return tuple(
            _make(
                Function,
                row,
                schema=self._schema,
                grants=self._grants.get(row["oid"], ()),
                mentions=() if row["body"] is None else mentioned(row["body"], self._schema, relations),
            )
            for row in self._rows("functions")
        )

    def _composites(self) -> tuple[CompositeType, ...]:
        return tuple(
            _make(
                CompositeType,
                row,
                schema=self._schema,
                columns=self._columns.get(row["relation"], ()),
                grants=self._grants.get(row["oid"], ()),
            )
            for row in self._rows("composites")
        )

    def _extras(self) -> Mapping[tuple[str, int], list[str]]:
        found: dict[tuple[str, int], list[str]] = defaultdict(list)
        for row in self._rows("extras"):
            found[row["kind"], row["relation"]].append(row["definition"])
        return found

    def _named(self, query: str, kind: type[_T], **parts: _Grouped[Any]) -> tuple[_T, ...]:
        """Return the objects that `query` lists, with their grants and the given parts of each, found by its oid."""
        parts["grants"] = self._grants
        return tuple(
            _make(kind, row, schema=self._schema, **{name: found.get(row["oid"], ()) for name, found in parts.items()})
            for row in self._rows(query)
        )

    def _grouped(self, query: str, kind: type[_T], owner: str = "relation") -> _Grouped[_T]:
        """Return the rows of `query` by the oid of the object that each belongs to."""
        found: dict[int, list[_T]] = defaultdict(list)
        for row in self._rows(query):
            found[row[owner]].append(_make(kind, row))
        return {oid: tuple(items) for oid, items in found.items()}

    def _rows(self, query: str) -> list[_Row]:
        parameters = {"schema": self._schema, "namespace": self._namespace}
        with self._conn.cursor(row_factory=dict_row) as cursor:
            # Prepared statements would outlive the reading, and break behind a pooler.
            return cursor.execute(load_sql(_SQL, query), parameters, prepare=False).fetchall()


def _make(kind: type[_T], row: _Row, **more: object) -> _T:
    """Build a record from the columns of a row with the names of its fields, and from `more`, which takes precedence."""
    names = _names(cast(Any, kind))
    values = {**row, **more} if more else row
    return kind(**{name: _frozen(value) for name, value in values.items() if name in names})


@cache
def _names(kind: Any) -> frozenset[str]:
    return frozenset(item.name for item in fields(kind))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
