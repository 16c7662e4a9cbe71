"""A copy of a database's schema, and invented rows in it, for proofs where no manifest says what is what.

The copy holds the schema only: no row of the original leaves it. Rows are made from the schema, for two tenants with a member each, as
fixtures of a manifest's proof are: values are chosen, tried against the constraints, inserted.
"""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from tenantry.catalog import Catalog, Table, read_catalog
from tenantry.errors import TenantryError
from tenantry.migrate.contract import find_program, program_environment
from tenantry.migrate.dump import fitting_programs, in_short, run_program
from tenantry.migrate.duplicate import CopyRefused
from tenantry.postgres import connect, ident, with_parameters
from tenantry.prove.discover import Scope
from tenantry.prove.maker import CannotMake, Maker, Values

_MARK = "made by tenantry prove: the schema of "
_PERSON = re.compile(
    r"^(user|owner|author|profile|person|member|creator|sender|seller|buyer|created_by|updated_by)", re.IGNORECASE
)
_TEXTS = ("text", "character varying")


@contextmanager
def schema_copy(dsn: str, left: list[str]) -> Iterator[str]:
    """A database beside the original with its schema and no row, which is gone in the end; its DSN.

    Args:
        left: is given what could not be removed, with the reason.

    Raises:
        CopyRefused: there is no pg_dump that fits, or the login may make no database, or the schema could not be made again.
    """
    with connect(dsn, name="tenantry proof", any_encoding=True) as original:
        database, version = original.info.dbname, original.info.server_version // 10000
    found = find_program("pg_dump")
    programs = None if found is None else fitting_programs(Path(found), version, version)
    if programs is None:
        raise CopyRefused(
            "There is no pg_dump on this machine that fits, so that the schema cannot be copied.",
            hint=f"Install PostgreSQL's client programs, version {version} or newer.",
        )
    name = f"tenantry_proof_{secrets.token_hex(6)}"
    beside = with_parameters(dsn, dbname="postgres")
    with connect(beside, name="tenantry proof", any_encoding=True) as admin:
        _remove_leftovers(admin, _MARK + database)
        try:
            admin.execute(f"create database {ident(name)} template template0".encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise CopyRefused(
                f"No database can be made for the copy: {error.diag.message_primary}.",
                hint="Use a login with CREATEDB, or leave out --copy.",
            ) from None
    copy = with_parameters(dsn, dbname=name)
    try:
        with connect(beside, name="tenantry proof", any_encoding=True) as admin:
            admin.execute(
                f"comment on database {ident(name)} is '{_MARK}{database.replace(chr(39), chr(39) * 2)}'".encode()
            )
        _fill(programs, dsn, copy)
        yield copy
    finally:
        try:
            with connect(beside, name="tenantry proof", any_encoding=True) as admin:
                admin.execute(f"drop database if exists {ident(name)} with (force)".encode())
        except (psycopg.Error, TenantryError) as error:
            left.append(f"database {name} ({' '.join(str(error).split())})")


def _remove_leftovers(admin: psycopg.Connection[Any], mark: str) -> None:
    """Of proofs that were killed; one that is still connected keeps its own."""
    rows = admin.execute(
        "select d.datname from pg_database as d join pg_shdescription as s on s.objoid = d.oid"
        " and s.classoid = 'pg_database'::regclass where s.description = %s and d.datname ~ '^tenantry_proof_'",
        [mark],
    ).fetchall()
    for (name,) in rows:
        with suppress(psycopg.Error):
            admin.execute(f"drop database {ident(str(name))}".encode())


def _fill(programs: tuple[str, str], original: str, copy: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="tenantry-proof-"))
    try:
        arguments, environment = program_environment(original)
        code, errors = run_program(
            [programs[0], *arguments, "--no-password", "--schema-only", "--format=custom", "--no-subscriptions",
             "--no-publications", "--lock-wait-timeout=10000", f"--file={folder / 'dump'}"],
            environment, "\0", lambda _: None,
        )  # fmt: skip
        if code != 0:
            raise CopyRefused(
                f"pg_dump could not read the schema: {in_short(errors)}.",
                hint="Mend the cause: the login needs to read every table of the database.",
            )
        arguments, environment = program_environment(copy)
        code, errors = run_program(
            [programs[1], *arguments, "--no-password", str(folder / "dump")], environment, "\0", lambda _: None
        )
        # Newer programs set it in older servers, which do not know it; schema public is there already.
        errors = [
            each for each in errors if "transaction_timeout" not in each and 'schema "public" already' not in each
        ]
        if errors:
            raise CopyRefused(
                f"The schema could not be made again: {in_short(errors)}.",
                hint="Mend the cause: the login needs the right to make what the original has (extensions, schemas, owners).",
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- rows --------------------------------------------------------------------------------------------------------------


def invent_rows(conn: psycopg.Connection[Any], scope: Scope) -> list[str]:
    """Make rows of two tenants, in the transaction that is open; what none could be made for, and why.

    Each tenant has an account and a row in every table; foreign keys name rows of the same tenant.
    """
    notes: list[str] = []
    accounts = [str(uuid4()) for _ in range(2)]
    _accounts(conn, accounts, notes)
    catalogs = [read_catalog(conn, schema) for schema in scope.schemas]
    for account in accounts:
        tenant: str | None = account if scope.user_owned else None
        for catalog in catalogs:
            rows: dict[str, list[Values]] = {}
            maker = Maker(conn, catalog, rows, [account])
            for table in _in_order(catalog, first=scope.tenant.table if scope.tenant is not None else ""):
                given = _given(table, scope, account, tenant) | _parents(table, rows)
                try:
                    with conn.transaction():
                        row = maker.insert(table, given)
                except (CannotMake, psycopg.Error) as error:
                    notes.append(f"no row could be invented for {ident(table.schema, table.name)}: {error}")
                    continue
                rows.setdefault(table.name, []).append(row)
                if tenant is None and scope.tenant is not None and table.name == scope.tenant.table:
                    tenant = _key(table, row)
    return list(dict.fromkeys(notes))


def _accounts(conn: psycopg.Connection[Any], accounts: Sequence[str], notes: list[str]) -> None:
    there = conn.execute("select to_regclass('auth.users')").fetchone()
    if there is None or there[0] is None:
        return
    catalog = read_catalog(conn, "auth")
    users = next((table for table in catalog.tables if table.name == "users"), None)
    if users is None:
        return
    for account in accounts:
        try:
            with conn.transaction():
                Maker(conn, catalog, {}, ()).insert(users, _email(users, account) | {"id": account})
        except (CannotMake, psycopg.Error) as error:
            notes.append(f"no account could be invented: {error}")


def _email(users: Table, account: str) -> Values:
    return {"email": f"{account}@tenantry-proof.invalid"} if users.column("email") is not None else {}


def _given(table: Table, scope: Scope, account: str, tenant: str | None) -> Values:
    """What is not to be chosen: the tenant, and who somebody is where no foreign key says so."""
    given: Values = {}
    referring = {name for key in table.foreign_keys for name in key.columns}
    checked = {name for check in table.checks for name in check.columns}
    for column in table.columns:
        if column.generated is not None or column.identity == "always":
            continue
        if column.name == scope.tenant_column and tenant is not None:
            given[column.name] = tenant
        elif column.type == "uuid" and column.name not in referring and _PERSON.match(column.name):
            given[column.name] = account
        elif column.nullable and column.type in _TEXTS and column.name not in referring | checked:
            # Something that can be recognised where it comes out.
            given[column.name] = f"invented {secrets.token_hex(4)}"
    keys = table.row_key or ()
    # The table of people, whose key is the account.
    if (
        len(keys) == 1
        and not referring
        and re.match(r"^(users?|profiles?|people|persons?)$", table.name, re.IGNORECASE)
    ):
        key = table.column(keys[0])
        if key is not None and key.type == "uuid":
            given[key.name] = account
    return given


def _parents(table: Table, rows: Mapping[str, Sequence[Values]]) -> Values:
    """Rows that could hang on another hang on one of their tenant's, also where they need not."""
    found: Values = {}
    for key in table.foreign_keys:
        columns = [table.column(name) for name in key.columns]
        above = rows.get(key.ref_table or "", ()) if key.ref_schema == table.schema else ()
        if above and table.name != key.ref_table and all(column is not None and column.nullable for column in columns):
            found |= {mine: above[-1].get(theirs) for mine, theirs in zip(key.columns, key.ref_columns, strict=True)}
    return found


def _key(table: Table, row: Values) -> str | None:
    keys = table.row_key or ()
    return row.get(keys[0]) if len(keys) == 1 else None


def _in_order(catalog: Catalog, *, first: str) -> Iterator[Table]:
    """Tables behind those that they need; of a circle, as they come."""
    ahead = sorted(catalog.tables, key=lambda table: (table.name != first, table.name))
    done: set[str] = set()
    while ahead:
        ready = next((table for table in ahead if _needs(table) <= done | {table.name}), ahead[0])
        ahead.remove(ready)
        done.add(ready.name)
        yield ready


def _needs(table: Table) -> set[str]:
    return {str(key.ref_table) for key in table.foreign_keys if key.ref_schema == table.schema}


__all__ = ["invent_rows", "schema_copy"]
