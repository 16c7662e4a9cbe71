"""For tests of applications: run statements as a given caller on the application's own database, and roll everything back.

    with as_user(owner_dsn, "tenantry.toml", role="staff", tenant=clinic) as staff:
        assert staff.execute("select count(*) from goals").fetchone() == (3,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            staff.execute("insert into locations (clinic_id, name) values (%s, 'Annex')", [clinic])

Everything happens in one transaction of the owner, which is rolled back at the end. It creates an account, a profile and a
membership if none is named, opens a context with a temporary key, and sets the caller's role and search path. Each statement
has a savepoint, so the test continues after a refused one. Blocks can be nested on one connection: the inner block sees what
the outer one wrote.

`where` is a connection string or an open connection. With a connection, the block sees what its transaction wrote and leaves it
unchanged. As for `tenantry prove`, the login must own the target's tables, or act as their owner, and be able to set the client
roles.

Nothing here needs pytest; its plugin is tenantry.pytest_plugin.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import psycopg
from psycopg.abc import Params
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from tenantry.access import missing_roles
from tenantry.catalog import Table, read_catalog
from tenantry.errors import RightsMissing, RolesMissing, SettingsError, nearest
from tenantry.manifest import Manifest, load_manifest
from tenantry.mapping import Project
from tenantry.mapping.check_access import resolve_access
from tenantry.mapping.project import ROW_ID
from tenantry.migrate.apply_access import has_writes
from tenantry.postgres import connect, explain, ident, idents, verbatim
from tenantry.postgres.seal import SealKey, claims_text
from tenantry.postgres.tenant import Query
from tenantry.prove.attacks.harness.accepted import INHERENT
from tenantry.prove.attacks.run import ask_rights
from tenantry.prove.evidence import accepted_attacks, accepted_cells, lint_exceptions
from tenantry.prove.fixtures.row_factory import CannotMake, RowFactory, Values
from tenantry.prove.lint.run import find_exceptions, run_lint
from tenantry.prove.matrix.prove import prove
from tenantry.prove.test_items import of_lint, of_matrix, of_rights

Where = str | psycopg.Connection[Any]
AsyncWhere = str | psycopg.AsyncConnection[Any]
Target = Project | Manifest | Path | str
"""A manifest, its path, or the result of read_project(), which saves reading the catalog for each block."""
Id = str | UUID

_MAIL = "tenantry-test.invalid"
_DOING = "making ready for a test"
T = TypeVar("T")


def read_project(where: Where, manifest: Manifest | Path | str) -> Project:
    """Read the manifest and the live target once, for many blocks.

    Raises:
        ManifestError, SchemaMissing: the manifest does not fit the database.
    """
    if isinstance(where, str):
        with connect(where, name="tenantry testing") as connection:
            return read_project(connection, manifest)
    loaded = manifest if isinstance(manifest, Manifest) else load_manifest(Path(manifest))
    with _tuples(where):
        return resolve_access(loaded, read_catalog(where, loaded.target.schema_name))


# -- who acts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Who:
    """A caller to create or find. `database_role` is a field of the manifest's [database_roles]."""

    database_role: str = "authenticated"
    user: str | None = None
    memberships: tuple[tuple[str | None, str], ...] = ()
    """(tenant, role); for a tenant of None a synthetic tenant is created."""
    account: bool = True
    is_super: bool = False
    claims: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Found:
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


def _user(
    role: str | None,
    tenant: Id | None,
    user: Id | None,
    memberships: Mapping[Id, str] | None,
    claims: Mapping[str, Any] | None,
) -> _Who:
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
    return _Who(user=None if user is None else str(user), memberships=tuple(held), claims=claims)


_NOBODY = _Who(account=False)
_ANON = _Who("anon", account=False)
_SERVICE = _Who("service", account=False)
_SUPER_ADMIN = _Who(is_super=True)


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
    return _block(where, target, _user(role, tenant, user, memberships, claims))


def as_super_admin(where: Where, target: Target) -> AbstractContextManager[Client]:
    """Act as a signed-in user whose account's app_metadata makes them a super admin."""
    return _block(where, target, _SUPER_ADMIN)


def as_nobody(where: Where, target: Target) -> AbstractContextManager[Client]:
    """Act with the role of signed-in users but without a context: no row is visible."""
    return _block(where, target, _NOBODY)


def as_anon(where: Where, target: Target) -> AbstractContextManager[Client]:
    """Act as an anonymous client."""
    return _block(where, target, _ANON)


def as_service(where: Where, target: Target) -> AbstractContextManager[Client]:
    """Act as the application itself. The login must be able to set the service role, which the roles script does not grant."""
    return _block(where, target, _SERVICE)


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
    return _async_block(where, target, _user(role, tenant, user, memberships, claims))


def async_as_super_admin(where: AsyncWhere, target: Target) -> AbstractAsyncContextManager[AsyncClient]:
    """Like as_super_admin(), for `async with`."""
    return _async_block(where, target, _SUPER_ADMIN)


def async_as_nobody(where: AsyncWhere, target: Target) -> AbstractAsyncContextManager[AsyncClient]:
    """Like as_nobody(), for `async with`."""
    return _async_block(where, target, _NOBODY)


def async_as_anon(where: AsyncWhere, target: Target) -> AbstractAsyncContextManager[AsyncClient]:
    """Like as_anon(), for `async with`."""
    return _async_block(where, target, _ANON)


def async_as_service(where: AsyncWhere, target: Target) -> AbstractAsyncContextManager[AsyncClient]:
    """Like as_service(), for `async with`."""
    return _async_block(where, target, _SERVICE)


# -- the blocks ----------------------------------------------------------------------------------------------------------


@contextmanager
def _block(where: Where, target: Target, who: _Who) -> Iterator[Client]:
    if isinstance(where, str):
        with connect(where, name="tenantry testing") as connection, _block(connection, target, who) as client:
            yield client
        return
    _check_usable(where)
    with where.transaction(force_rollback=True):
        found = _enter(where, target, who)
        yield Client(where, found.user, found.profile, found.tenant)


@asynccontextmanager
async def _async_block(where: AsyncWhere, target: Target, who: _Who) -> AsyncIterator[AsyncClient]:
    if isinstance(where, str):
        async with await _async_connect(where) as connection, _async_block(connection, target, who) as client:
            yield client
        return
    _check_usable(where)
    async with where.transaction(force_rollback=True):
        bridge = cast(psycopg.Connection[Any], _Bridge(where, asyncio.get_running_loop()))
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


@contextmanager
def _tuples(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Fetch rows as tuples, whatever row factory the connection has."""
    before = connection.row_factory
    connection.row_factory = tuple_row
    try:
        yield
    finally:
        connection.row_factory = before


def _enter(connection: psycopg.Connection[Any], target: Target, who: _Who) -> _Found:
    """Create the wanted caller within a transaction, and act as them."""
    with _tuples(connection):
        try:
            _leave_others(connection)
            project = target if isinstance(target, Project) else read_project(connection, target)
            _check_roles(connection, project.manifest)
            found = _make(connection, project, who)
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


def _become(connection: psycopg.Connection[Any], project: Project, who: _Who, found: _Found) -> None:
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
    key = SealKey.new("test-" + uuid4().hex[:12])
    key.register(connection)
    # Not by seal.open_context(), which creates a cursor: this may be a bridge to an asynchronous connection, which cannot.
    challenge = connection.execute("select tenantry.challenge()").fetchone()
    assert challenge is not None
    connection.execute("select tenantry.open(%s, %s)", [claims, key.token(claims, challenge[0])])


# -- accounts, profiles, memberships ------------------------------------------------------------------------------------


def _make(connection: psycopg.Connection[Any], project: Project, who: _Who) -> _Found:
    _check_names(project.manifest, who)
    if not who.account:
        return _Found()
    user = who.user or str(uuid4())
    if who.user is None:
        _account(connection, project.manifest, user, is_super=who.is_super)
    elif connection.execute("select from auth.users where id::text = %s", [user.lower()]).fetchone() is None:
        raise SettingsError(
            f"There is no account {user} in auth.users.",
            hint="Pass one that exists, or leave user out: then an account is created and removed with the block.",
        )
    profile = _profile(connection, project, user)
    tenants = [
        _membership(connection, project, profile, user, _tenant(connection, project, tenant), role)
        for tenant, role in who.memberships
    ]
    return _Found(user, profile, tenants[0] if tenants else None)


_OTHERS = {"super": "as_super_admin", "super_admin": "as_super_admin", "super admin": "as_super_admin",
           "anon": "as_anon", "public": "as_anon", "service": "as_service", "service_role": "as_service",
           "signed_in": "as_user, without a role,", "authenticated": "as_user, without a role,"}  # fmt: skip


def _check_names(manifest: Manifest, who: _Who) -> None:
    order = manifest.roles.order
    for _, role in who.memberships:
        if role in order:
            continue
        near = nearest(role, order)
        other = _OTHERS.get(role.lower())
        suggestion = f"Did you mean {near!r}? " if near else f"{other} is for that. " if other else ""
        raise SettingsError(
            f"The manifest has no tenant role {role!r}.", hint=f"{suggestion}Its roles are {', '.join(order)}."
        )


def _account(connection: psycopg.Connection[Any], manifest: Manifest, user: str, *, is_super: bool) -> None:
    role = manifest.database_roles.authenticated
    connection.execute(
        "insert into auth.users (id, aud, role, email, raw_app_meta_data) values (%s, %s, %s, %s, %s)",
        [user, role, role, f"{user}@{_MAIL}", json.dumps({"super_admin": True} if is_super else {})],
    )


def _profile(connection: psycopg.Connection[Any], project: Project, user: str) -> str:
    """Return the account's profile, which a trigger of the application may have created already."""
    users = project.manifest.users
    if users is None:
        return user
    table = _table(project, users.profile)
    found = connection.execute(
        f"select {ident(ROW_ID)}::text from {verbatim(ident(table.schema, table.name))}"
        f" where {verbatim(ident(users.account))}::text = %s".encode(),
        [user.lower()],
    ).fetchone()
    if found is not None:
        return str(found[0])
    made = _insert(connection, project, table, {users.account: user}, {}, user, "a profile for the account")
    return made[ROW_ID] or ""


def _tenant(connection: psycopg.Connection[Any], project: Project, tenant: str | None) -> str:
    table = _table(project, project.manifest.tenant.table)
    if tenant is None:
        return _insert(connection, project, table, {}, {}, "", "a tenant; name one with tenant=…")[ROW_ID] or ""
    row = connection.execute(
        f"select {ident(ROW_ID)}::text from {verbatim(ident(table.schema, table.name))} where {ident(ROW_ID)}::text = %s".encode(),
        [tenant.lower()],
    ).fetchone()
    if row is None:
        raise SettingsError(
            f"There is no tenant {tenant} in {table.schema}.{table.name}.",
            hint="Pass the id of one that exists, or leave tenant out: then one is created and removed with the block.",
        )
    return str(row[0])


def _membership(
    connection: psycopg.Connection[Any], project: Project, profile: str, user: str, tenant: str, role: str
) -> str:
    """Give the caller a role in a tenant, and return the tenant."""
    manifest = project.manifest
    names, table = manifest.membership, _table(project, manifest.membership.table)
    held = connection.execute(
        f"select {verbatim(ident(names.role))}::text from {verbatim(ident(table.schema, table.name))}"
        f" where {verbatim(ident(manifest.tenant.column))}::text = %s and {verbatim(ident(names.profile))}::text = %s".encode(),
        [tenant, profile],
    ).fetchall()
    if not held:
        given: Values = {manifest.tenant.column: tenant, names.profile: profile, names.role: role}
        known = {manifest.tenant.table: tenant}
        if manifest.users is not None:
            known[manifest.users.profile] = profile
        _insert(connection, project, table, given, known, user, "a membership")
    elif (role,) not in held:
        raise SettingsError(
            f"The account {user} is already {held[0][0]} of tenant {tenant}, not {role}.",
            hint="Leave role and tenant out to act with the memberships that the account has, or leave user out.",
        )
    return tenant


def _table(project: Project, name: str) -> Table:
    found = project.target.table(name)
    if found is None:
        raise SettingsError(
            f"There is no table {name} in schema {project.target.schema}.",
            hint="Fix the manifest, or create the table.",
        )
    return found


def _insert(
    connection: psycopg.Connection[Any],
    project: Project,
    table: Table,
    given: Values,
    known: Mapping[str, str],
    user: str,
    what: str,
) -> Values:
    """Insert a row with the given values and whatever else the table requires.

    Args:
        known: ids of rows to reference, by table; in other tables it may reference any row.
    """
    manifest = project.manifest
    rows = {
        key.ref_table: _rows(connection, project, key.ref_table, known.get(key.ref_table), given)
        for key in table.foreign_keys
        if key.ref_schema == project.target.schema and key.ref_table is not None
    }
    conditions = {manifest.tenant.table: manifest.tenant.active, manifest.membership.table: manifest.membership.active}
    maker = RowFactory(
        connection, project.target, rows, [user] if user else [], {name: sql for name, sql in conditions.items() if sql}
    )
    try:
        return maker.insert(table, given)
    except CannotMake as error:
        raise SettingsError(
            f"No row of {table.schema}.{table.name} could be created for {what}: {error}.",
            hint="Insert it yourself over a connection, and pass that connection and the ids to the block.",
        ) from None


def _rows(
    connection: psycopg.Connection[Any], project: Project, name: str, known: str | None, given: Values
) -> list[Values]:
    table = _table(project, name)
    columns = ", ".join(f"{ident(column.name)}::text" for column in table.columns)
    tenant = project.manifest.tenant.column
    where, values = "true", list[str | None]()
    if known is not None:
        where, values = f"{ident(ROW_ID)}::text = %s", [known]
    elif project.scoped(name) and tenant in given:
        where, values = f"{ident(tenant)}::text = %s", [given[tenant]]
    query = f"select {columns} from {ident(table.schema, name)} where {where} limit 5"
    found = connection.execute(query.encode(), values).fetchall()
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in found]


# -- an asynchronous connection for code that is not ----------------------------------------------------------------------


class _Bridge:
    """The part of Connection that creating a caller needs, for a worker thread, over an AsyncConnection of the event loop."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._connection, self._loop = connection, loop

    def wait(self, work: Awaitable[T]) -> T:
        async def done() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result()

    @property
    def info(self) -> psycopg.ConnectionInfo:
        return self._connection.info

    @property
    def row_factory(self) -> Any:
        return self._connection.row_factory

    @row_factory.setter
    def row_factory(self, factory: Any) -> None:
        self._connection.row_factory = factory

    def execute(self, query: Query, params: Params | None = None) -> _BridgeCursor:
        return _BridgeCursor(self, self.wait(self._connection.execute(query, params)))

    @contextmanager
    def cursor(self, **options: Any) -> Iterator[_BridgeCursor]:
        cursor = self._connection.cursor(**options)
        try:
            yield _BridgeCursor(self, cursor)
        finally:
            self.wait(cursor.close())

    @contextmanager
    def transaction(self, **options: Any) -> Iterator[None]:
        block = self._connection.transaction(**options)
        self.wait(block.__aenter__())
        try:
            yield
        except BaseException as error:
            if not self.wait(block.__aexit__(type(error), error, error.__traceback__)):
                raise
        else:
            self.wait(block.__aexit__(None, None, None))


class _BridgeCursor:
    def __init__(self, bridge: _Bridge, cursor: psycopg.AsyncCursor[Any]) -> None:
        self._bridge, self._cursor = bridge, cursor

    def execute(self, query: Query, params: Params | None = None, **options: Any) -> _BridgeCursor:
        self._bridge.wait(self._cursor.execute(query, params, **options))
        return self

    def fetchone(self) -> Any:
        return self._bridge.wait(self._cursor.fetchone())

    def fetchall(self) -> list[Any]:
        return self._bridge.wait(self._cursor.fetchall())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())


# -- the whole -----------------------------------------------------------------------------------------------------------


def assert_isolated(
    dsn: str,
    manifest: Manifest | Path | str,
    *,
    tables: Collection[str] | None = None,
) -> None:
    """Fail unless the database obeys its access matrix: lint, every cell of the matrix, and the rights that attacks need.

    The database stays unchanged: everything is read-only or rolled back. As for `tenantry prove`, the exceptions of
    `tenantry-lint.toml` next to the manifest apply.

    Args:
        dsn: as for as_user().
        tables: try the cells of these tables only; lint and rights cover all.

    Raises:
        AssertionError: lists everything that failed.
        TenantryError: nothing could be tried.
    """
    loaded = manifest if isinstance(manifest, Manifest) else load_manifest(Path(manifest))
    with connect(dsn, name="tenantry testing") as connection:
        project = read_project(connection, loaded)
        exceptions = find_exceptions(loaded.folder)
        lint = run_lint(connection, manifest=loaded, exceptions=lint_exceptions(exceptions))
        rights = ask_rights(connection, project, accepted={**INHERENT, **accepted_attacks(exceptions)})
        writes = has_writes(connection)
    proof = prove(project, owner_dsn=dsn, login_dsn=None, writes=writes, tables=tables)
    cells = of_matrix(proof, loaded.tables if tables is None else tables, accepted_cells(proof, exceptions))
    verdicts = [of_lint(lint), cells, of_rights(rights)]
    failed = [verdict.message for each in verdicts for verdict in each.values() if verdict.outcome == "failed"]
    if failed:
        raise AssertionError("\n\n".join(["The database does not keep its tenants apart.", *failed]))


__all__ = [
    "AsyncClient",
    "Client",
    "as_anon",
    "as_nobody",
    "as_service",
    "as_super_admin",
    "as_user",
    "assert_isolated",
    "async_as_anon",
    "async_as_nobody",
    "async_as_service",
    "async_as_super_admin",
    "async_as_user",
    "read_project",
]
