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

from tenantry.testing.blocks import (
    as_anon,
    as_nobody,
    as_service,
    as_super_admin,
    as_user,
    async_as_anon,
    async_as_nobody,
    async_as_service,
    async_as_super_admin,
    async_as_user,
)
from tenantry.testing.callers import AsyncClient, Client
from tenantry.testing.isolation import assert_isolated
from tenantry.testing.read import read_project

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
