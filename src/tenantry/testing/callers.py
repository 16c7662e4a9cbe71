"""The callers of tests, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.abc import Params

from tenantry.errors import SettingsError
from tenantry.manifest import Manifest
from tenantry.mapping import Project
from tenantry.postgres.tenant import Query

Where = str | psycopg.Connection[Any]
AsyncWhere = str | psycopg.AsyncConnection[Any]
Target = Project | Manifest | Path | str
"""A manifest, its path, or the result of read_project(), which saves reading the catalog for each block."""
Id = str | UUID


@dataclass(frozen=True, slots=True)
class Who:
    """A caller to create or find. `database_role` is a field of the manifest's [database_roles]."""

    database_role: str = "authenticated"
    user: str | None = None
    memberships: tuple[tuple[str | None, str], ...] = ()
    """(tenant, role); for a tenant of None a synthetic tenant is created."""
    account: bool = True
    is_super: bool = False
    claims: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An existing caller: ids as text."""

    user: str | None = None
    profile: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A caller in a transaction that will be rolled back.

    Attributes:
        connection: has the caller's role and context, for functions of the application that take a connection.
        user: the caller's id in auth.users; None without an account.
        profile: the id of the caller's profile, as memberships reference it.
        tenant: the tenant of the caller's first membership that was given or created here.
    """

    connection: psycopg.Connection[Any]
    user: str | None = None
    profile: str | None = None
    tenant: str | None = None

    def execute(self, query: Query, params: Params | None = None) -> psycopg.Cursor[Any]:
        """Run a statement as the caller. If it fails, only this statement is rolled back; others can follow."""
        with self.connection.transaction():
            return self.connection.execute(query, params)


@dataclass(frozen=True, slots=True)
class AsyncClient:
    """Like Client, over an asynchronous connection."""

    connection: psycopg.AsyncConnection[Any]
    user: str | None = None
    profile: str | None = None
    tenant: str | None = None

    async def execute(self, query: Query, params: Params | None = None) -> psycopg.AsyncCursor[Any]:
        """Like Client.execute()."""
        async with self.connection.transaction():
            return await self.connection.execute(query, params)


def caller_of(
    role: str | None,
    tenant: Id | None,
    user: Id | None,
    memberships: Mapping[Id, str] | None,
    claims: Mapping[str, Any] | None,
) -> Who:
    if tenant is not None and role is None:
        raise SettingsError(
            "A tenant was given without a role in it.",
            hint="Pass role=… with tenant=…. For an account that already has a membership, user=… is enough.",
        )
    if role is not None and memberships:
        raise SettingsError("Both a role and memberships were given.", hint="Pass only memberships={tenant: role, …}.")
    held: list[tuple[str | None, str]] = [(str(where), name) for where, name in (memberships or {}).items()]
    if role is not None:
        held.append((None if tenant is None else str(tenant), role))
    return Who(user=None if user is None else str(user), memberships=tuple(held), claims=claims)


NOBODY = Who(account=False)
ANON = Who("anon", account=False)
SERVICE = Who("service", account=False)
SUPER_ADMIN = Who(is_super=True)


__all__ = [
    "ANON",
    "NOBODY",
    "SERVICE",
    "SUPER_ADMIN",
    "AsyncClient",
    "AsyncWhere",
    "Client",
    "Found",
    "Id",
    "Target",
    "Where",
    "Who",
    "caller_of",
]
