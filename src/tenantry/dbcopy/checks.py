"""Checks what a copy lacks, and what prevents one."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import psycopg

from tenantry.catalog import PUBLIC, Catalog, Function, Grant
from tenantry.dbcopy.original import SQL
from tenantry.errors import RolesMissing
from tenantry.journal.journal import Connection
from tenantry.postgres import (
    ident,
    load_blocks,
)


def drop_database(name: str, run: Callable[[str], object]) -> None:
    """Drop a database that we created, whoever is connected.

    By force only as the last resort: only a superuser may end an autovacuum worker by force, while a plain drop makes it
    stop.
    """
    for force in ("", " with (force)", "", " with (force)"):
        try:
            run(f"drop database if exists {ident(name)}{force}")
            return
        except (psycopg.errors.ObjectInUse, psycopg.errors.InsufficientPrivilege):
            time.sleep(0.2)
    run(f"drop database if exists {ident(name)}")


def roles_missing(missing: Sequence[str], where: str, suffix: str) -> RolesMissing:
    return RolesMissing(
        f"The database roles {', '.join(missing)} do not exist on {where}.",
        hint=f"Ask a DBA to review and run the script once{suffix}: tenantry roles --sql | psql …; a superuser can run"
        " `tenantry roles --apply`. The copy needs the same roles as the original.",
        detail={"missing": list(missing)},
    )


def named_sessions(sessions: Sequence[str]) -> str:
    names = list(dict.fromkeys(sessions))
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def lacking_parts(original: Catalog, copy: Catalog) -> list[str]:
    """Return tables, columns, constraints, indexes, triggers and functions of the original that the copy lacks."""

    def parts(catalog: Catalog) -> set[str]:
        found = {f"function {each.name}({each.arguments})" for each in catalog.functions}
        found |= {f"view {each.name}" for each in catalog.views}
        for table in catalog.tables:
            found.add(f"table {table.name}")
            found |= {f"column {table.name}.{column.name} {column.type}" for column in table.columns}
            found |= {f"constraint {table.name}.{constraint.name}" for constraint in table.constraints}
            found |= {f"index {table.name}.{index.name}" for index in table.indexes}
            found |= {f"trigger {table.name}.{trigger.name}" for trigger in table.triggers}
        return found

    return [f"the copy has no {part}" for part in sorted(parts(original) - parts(copy))]


def lacking_access(original: Catalog, copy: Catalog, roles: Collection[str]) -> list[str]:
    """Policies and rights by which these roles, or everybody, reach something in the original and not in the copy: what is tried
    there would be refused for another reason."""
    known = {*roles, PUBLIC}

    def parts(catalog: Catalog) -> set[str]:
        found = set()
        things: list[Any] = [*catalog.tables, *catalog.views, *catalog.sequences, *catalog.functions]
        for thing in things:
            name = f"{thing.name}({thing.arguments})" if isinstance(thing, Function) else thing.name
            rights = [each for each in thing.grants if each.grantee in known and each.grantee != thing.owner]
            found |= {f"{each.privilege} on {name}{_of(each)} for {each.grantee}" for each in rights}
        for grant in catalog.grants:
            if grant.grantee in known:
                found.add(f"{grant.privilege} on schema {catalog.schema} for {grant.grantee}")
        for table in catalog.tables:
            policies = [each for each in table.policies if known & {*each.roles}]
            found |= {f"policy {each.name} of {table.name}" for each in policies}
        return found

    return sorted(parts(original) - parts(copy))


def _of(grant: Grant) -> str:
    return f".{grant.column}" if grant.column else ""


def emptied_tables(home: Connection) -> list[str]:
    """Drop everything in a database that was empty before the copy; return what could not be dropped, and why."""
    blocks = load_blocks(SQL, "duplicate")
    refused = []
    for (statement,) in home.execute(blocks["everything"]).fetchall():
        try:
            home.execute(str(statement).encode())
        except (psycopg.errors.UndefinedObject, psycopg.errors.InvalidSchemaName):
            pass  # it was dropped together with something else
        except psycopg.Error as error:
            refused.append(f"{statement}: {error.diag.message_primary}")
    return refused


__all__ = ["drop_database", "emptied_tables", "lacking_access", "lacking_parts", "named_sessions", "roles_missing"]
