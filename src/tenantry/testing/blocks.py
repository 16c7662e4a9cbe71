"""Blocks in which a caller acts, in one transaction of the owner that is rolled back at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, cast
from uuid import uuid4

import psycopg
from psycopg.pq import TransactionStatus

from tenantry.access import missing_roles
from tenantry.access.seal_keys import draw_key
from tenantry.errors import RightsMissing, RolesMissing, SettingsError
from tenantry.manifest import Manifest
from tenantry.mapping import Project
from tenantry.postgres import connect, explain, ident, idents
from tenantry.postgres.seal import claims_text
from tenantry.testing.bridge import Bridge
from tenantry.testing.callers import (
    ANON,
    NOBODY,
    SERVICE,
    SUPER_ADMIN,
    AsyncClient,
    AsyncWhere,
    Client,
    Found,
    Id,
    Target,
    Where,
    Who,
    caller_of,
)
from tenantry.testing.read import read_project, tuples
from tenantry.testing.synthetic_callers import make_caller

_DOING = "making ready for a test"


def as_user(
    where: Where,
    target: Target,
    *,
    role: str | None = None,
    tenant: Id | None = None,
    user: Id | None = None,
    memberships: Mapping[Id, str] | None = None,
    claims: Mapping[str, Any] | None = None,
) -> AbstractContextManager[Client]:
    """Act as a signed-in user.

    Args:
        role: the user's role in `tenant`, one of the manifest's [roles].
        tenant: an id in the tenant table; by default a tenant is created for the role.
        user: an existing account, with its memberships; by default account and profile are created.
        memberships: {tenant: role}, for members of several tenants.
        claims: claims to add to the token or to replace in it.

    Raises:
        SettingsError: the role, tenant or user does not exist.
        RolesMissing, RightsMissing: the cluster lacks roles, or the login may not set them.
    """
    return _block(where, target, caller_of(role, tenant, user, memberships, claims))


def as_super_admin(where: Where, target: Target) -> AbstractContextManager[Client]:
    """Act as a signed-in user whose account's app_metadata makes them a super admin."""
    return _block(where, target, SUPER_ADMIN)


def as_nobody(where: Where, target: Target) -> AbstractContextManager[Client]:
    """Act with the role of signed-in users but without a context: no row is visible."""
    return _block(where, target, NOBODY)


def as_anon(where: Where, target: Target) -> AbstractContextManager[Client]:
    """Act as an anonymous client."""
    return _block(where, target, ANON)


def as_service(where: Where, target: Target) -> AbstractContextManager[Client]:
    """Act as the application itself. The login must be able to set the service role, which the roles script does not grant."""
    return _block(where, target, SERVICE)


def async_as_user(
    where: AsyncWhere,
    target: Target,
    *,
    role: str | None = None,
    tenant: Id | None = None,
    user: Id | None = None,
    memberships: Mapping[Id, str] | None = None,
    claims: Mapping[str, Any] | None = None,
) -> AbstractAsyncContextManager[AsyncClient]:
    """Like as_user(), for `async with`."""
    return _async_block(where, target, caller_of(role, tenant, user, memberships, claims))


def async_as_super_admin(where: AsyncWhere, target: Target) -> AbstractAsyncContextManager[AsyncClient]:
    """Like as_super_admin(), for `async with`."""
    return _async_block(where, target, SUPER_ADMIN)


def async_as_nobody(where: AsyncWhere, target: Target) -> AbstractAsyncContextManager[AsyncClient]:
    """Like as_nobody(), for `async with`."""
    return _async_block(where, target, NOBODY)


def async_as_anon(where: AsyncWhere, target: Target) -> AbstractAsyncContextManager[AsyncClient]:
    """Like as_anon(), for `async with`."""
    return _async_block(where, target, ANON)


def async_as_service(where: AsyncWhere, target: Target) -> AbstractAsyncContextManager[AsyncClient]:
    """Like as_service(), for `async with`."""
    return _async_block(where, target, SERVICE)


# -- the blocks ----------------------------------------------------------------------------------------------------------


@contextmanager
def _block(where: Where, target: Target, who: Who) -> Iterator[Client]:
    if isinstance(where, str):
        with connect(where, name="tenantry testing") as connection, _block(connection, target, who) as client:
            yield client
        return
    _check_usable(where)
    with where.transaction(force_rollback=True):
        found = _enter(where, target, who)
        yield Client(where, found.user, found.profile, found.tenant)


@asynccontextmanager
async def _async_block(where: AsyncWhere, target: Target, who: Who) -> AsyncIterator[AsyncClient]:
    if isinstance(where, str):
        async with await _async_connect(where) as connection, _async_block(connection, target, who) as client:
            yield client
        return
    _check_usable(where)
    async with where.transaction(force_rollback=True):
        bridge = cast(psycopg.Connection[Any], Bridge(where, asyncio.get_running_loop()))
        found = await asyncio.to_thread(_enter, bridge, target, who)
        yield AsyncClient(where, found.user, found.profile, found.tenant)


async def _async_connect(dsn: str) -> psycopg.AsyncConnection[Any]:
    try:
        return await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, application_name="tenantry testing", prepare_threshold=None
        )
    except psycopg.Error:
        # The engine's own connection fails with the same error, whose hint says what to do.
        (await asyncio.to_thread(connect, dsn, name="tenantry testing")).close()
        raise


def _check_usable(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    if connection.closed:
        raise SettingsError("The connection is closed.", hint="Pass an open one, or a connection string.")
    if connection.info.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.INTRANS):
        raise SettingsError(
            "A statement failed in the transaction of this connection, or one is still running: nothing more can run in it.",
            hint="Roll it back first, or pass another connection.",
        )


def _enter(connection: psycopg.Connection[Any], target: Target, who: Who) -> Found:
    """Create the wanted caller within a transaction, and act as them."""
    with tuples(connection):
        try:
            _leave_others(connection)
            project = target if isinstance(target, Project) else read_project(connection, target)
            _check_roles(connection, project.manifest)
            found = make_caller(connection, project, who)
            _become(connection, project, who, found)
        except psycopg.Error as error:
            raise explain(error, _DOING) from error
    return found


_CLAIMS = ("request.jwt.claims", "tenantry.seal", *(f"request.jwt.claim.{name}" for name in ("sub", "role", "email")))


def _leave_others(connection: psycopg.Connection[Any]) -> None:
    """Reset the role and claims of an outer block's caller."""
    for name in _CLAIMS:
        connection.execute("select set_config(%s, '', true)", [name])
    connection.execute("select set_config('role', coalesce(nullif(current_setting('tenantry.test_owner', true), ''),"
                       " current_setting('role')), true)")  # fmt: skip
    connection.execute("select set_config('tenantry.test_owner', current_setting('role'), true)")


def _check_roles(connection: psycopg.Connection[Any], manifest: Manifest) -> None:
    missing = missing_roles(connection, manifest)
    if missing:
        raise RolesMissing(
            f"The cluster has no role {', '.join(missing)}.",
            hint="Ask a superuser, or a role with CREATEROLE, to run the script that `tenantry roles --sql` prints.",
            detail={"missing": list(missing)},
        )


def _become(connection: psycopg.Connection[Any], project: Project, who: Who, found: Found) -> None:
    manifest = project.manifest
    role: str = getattr(manifest.database_roles, who.database_role)
    if found.user is not None:
        claims: dict[str, Any] = {"sub": found.user, "role": role, "aud": role}
        claims |= {"app_metadata": {"super_admin": True}} if who.is_super else {}
        _open(connection, manifest, claims_text({**claims, **(who.claims or {})}))
    path = f"pg_catalog, {idents([project.target.schema])}, pg_temp"
    connection.execute("select set_config('search_path', %s, true)", [path])
    try:
        connection.execute("select set_config('role', %s, true)", [role])
    except psycopg.errors.InsufficientPrivilege:
        login = connection.info.user
        raise RightsMissing(
            f"{login} cannot become {role}.",
            hint=f"Ask a superuser to run: grant {ident(role)} to {ident(login)} (from PostgreSQL 16 on: with inherit false,"
            " set true). Or test as a login that may.",
        ) from None


def _open(connection: psycopg.Connection[Any], manifest: Manifest, claims: str) -> None:
    """Open a context with a key that exists in this transaction only: the application's key stays secret."""
    if not manifest.context.sealed:
        connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        return
    key = draw_key(connection, "test-" + uuid4().hex[:12])
    # Not by seal.open_context(), which creates a cursor: this may be a bridge to an asynchronous connection, which cannot.
    challenge = connection.execute("select tenantry.challenge()").fetchone()
    assert challenge is not None
    connection.execute("select tenantry.open(%s, %s)", [claims, key.token(claims, challenge[0])])


__all__ = [
    "as_anon",
    "as_nobody",
    "as_service",
    "as_super_admin",
    "as_user",
    "async_as_anon",
    "async_as_nobody",
    "async_as_service",
    "async_as_super_admin",
    "async_as_user",
]
