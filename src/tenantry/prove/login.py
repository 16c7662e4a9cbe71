"""A proof must run as what the application runs as: a login without any right of its own."""

from __future__ import annotations

from typing import Any, ClassVar

import psycopg

from tenantry.errors import TenantryError
from tenantry.manifest.model import Manifest
from tenantry.postgres import ident, load_sql


class UnfitLogin(TenantryError):
    """The login that should stand for the application may do more than the application may: it would prove nothing."""

    code: ClassVar[str] = "TN-210"


def check_login(conn: psycopg.Connection[Any], manifest: Manifest) -> str:
    """The login's name.

    Raises:
        UnfitLogin: it is a superuser, bypasses row-level security, owns something, is member of more than the two
            client roles, or of less, or cannot open a context.
    """
    roles = manifest.database_roles
    login = conn.info.user
    parameters = {"login": login, "clients": [roles.anon, roles.authenticated]}
    found = [str(reason) for (reason,) in conn.execute(load_sql("tenantry.prove.sql", "login_powers"), parameters)]
    missing = [
        f"it cannot become {role}"
        for role in (roles.anon, roles.authenticated)
        if conn.execute("select pg_has_role(session_user, %s, 'MEMBER')", [role]).fetchone() != (True,)
    ]
    if manifest.context.sealed and conn.execute(
        "select has_schema_privilege('tenantry', 'USAGE')"
        " and has_function_privilege(to_regprocedure('tenantry.open(text, text)'), 'EXECUTE')"
        " and has_function_privilege(to_regprocedure('tenantry.challenge()'), 'EXECUTE')"
    ).fetchone() != (True,):
        missing.append(
            "it cannot open a context (usage on schema tenantry, execute on tenantry.challenge and tenantry.open)"
        )
    if found or missing:
        raise UnfitLogin(
            f"The login {login} cannot stand for the application: {'; '.join([*found, *missing])}.",
            hint=f"Give the DSN of {ident(roles.login)}, which the roles script makes, or of another login that is"
            f" member of {ident(roles.anon)} and {ident(roles.authenticated)} only and owns nothing.",
            detail={"login": login, "reasons": [*found, *missing]},
        )
    return login
