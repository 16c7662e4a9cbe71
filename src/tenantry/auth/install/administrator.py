"""The first administrator: an account that may call the admin endpoints, and the token of programs that may."""

from __future__ import annotations

import time
from dataclasses import dataclass
from uuid import UUID

from joserfc import jwt

from tenantry.auth.keys import SigningKey
from tenantry.auth.mail.message import valid_address
from tenantry.auth.users.find import Connection, block
from tenantry.errors import SettingsError

ADMINISTRATOR = "supabase_admin"
"""The role of an account whose access tokens may call the admin endpoints; the other one is service_role, for programs."""


@dataclass(frozen=True, slots=True)
class AdministratorMade:
    """
    Attributes:
        created: False: an account of this address existed, and is an administrator already; it was not changed.
    """

    id: UUID
    created: bool


def create_administrator(connection: Connection, email: str) -> AdministratorMade:
    """Create an account whose tokens may call the admin endpoints, without a password; an invitation lets its owner set one.

    Raises:
        SettingsError: the address is not valid, or an account of it exists that is no administrator: it is not made one silently.
    """
    if not valid_address(email):
        raise SettingsError("--admin-email is not an e-mail address.")
    with connection.transaction():
        found = connection.execute(block("role_of"), {"email": email}).fetchall()
        if any(role != ADMINISTRATOR for _, role in found):
            raise SettingsError(
                f"{email} is the address of an account already, and that account is no administrator.",
                hint="Administer sign-in with an address of its own: its tokens may call every admin endpoint.",
            )
        if found:
            return AdministratorMade(found[0][0], created=False)
        row = connection.execute(block("create"), {"email": email.lower(), "role": ADMINISTRATOR}).fetchone()
        assert row is not None
        connection.execute(block("create_identity"), {"id": row[0], "email": email.lower()})
    return AdministratorMade(row[0], created=True)


def service_token(key: SigningKey, *, issuer: str, seconds: float, now: float | None = None) -> tuple[str, float]:
    """Return a token of the role service_role, with which programs call the admin endpoints, and its expiry.

    Whoever has it may do everything with every account. Note it with note_token(), so that a rotation keeps its key.
    """
    issued = int(time.time() if now is None else now)
    expires = issued + int(seconds)
    claims = {"iss": issuer, "role": "service_role", "iat": issued, "exp": expires}
    header = {"alg": key.algorithm, "typ": "JWT", **({"kid": key.kid} if key.kid else {})}
    return jwt.encode(header, claims, key.key, algorithms=[key.algorithm]), float(expires)
