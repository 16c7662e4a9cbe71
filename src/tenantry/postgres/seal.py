"""The application's side of the sealed context: keys, and tokens over claims.

A token is `kid.issued.mac`: the key's name, milliseconds since the epoch, and the HMAC-SHA-256 (RFC 2104) in hex, over
`kid.issued.challenge.claims`, under a key that is derived from the secret for this use only. The challenge is the result of
`tenantry.challenge()` in the transaction that is to be opened: the token opens only that transaction of that session,
even if it leaks. The database stores what it needs to check the token, and another derived key for the seal of the transaction,
which the application never uses.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from tenantry.errors import SettingsError

_BLOCK = 64
_OPEN, _CONTEXT = b"tenantry open v1", b"tenantry context v1"


@dataclass(frozen=True, slots=True)
class SealKey:
    """A secret of 32 bytes or more and its name; its text form is `kid:base64url`. Never shown by repr()."""

    kid: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9A-Za-z_-]{1,32}", self.kid):
            raise SettingsError("The name of a seal key must consist of 1 to 32 letters, digits, - and _.")
        if len(self.secret) < 32:
            raise SettingsError("A seal key must have at least 32 bytes.", hint="Create one with `tenantry seal new`.")

    @classmethod
    def new(cls, kid: str | None = None) -> SealKey:
        """Make a random key, by default named after today's date."""
        return cls(kid or time.strftime("k%Y%m%d-") + secrets.token_hex(3), secrets.token_bytes(32))

    @classmethod
    def parse(cls, text: str) -> SealKey:
        """
        Raises:
            SettingsError: it is not `kid:base64url`; the message omits the text.
        """
        kid, _, encoded = text.strip().partition(":")
        try:
            secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if not secret:
            raise SettingsError(
                "This is not a seal key.",
                hint="A seal key has the form kid:base64url, as `tenantry seal new` prints it.",
            )
        return cls(kid, secret)

    def text(self) -> str:
        """Return the form that parse() reads. A secret: for a file or a secret store, never for a log."""
        return f"{self.kid}:{base64.urlsafe_b64encode(self.secret).rstrip(b'=').decode()}"

    def token(self, claims: str, challenge: str, *, now: float | None = None) -> str:
        """Return the token with which the database opens these claims (JSON); it is valid for some seconds.

        Args:
            challenge: the result of `select tenantry.challenge()` in the transaction that is to be opened.
            now: seconds since the epoch.
        """
        issued = f"{int((time.time() if now is None else now) * 1000):013d}"
        message = f"{self.kid}.{issued}.{challenge}.{claims}".encode()
        return f"{self.kid}.{issued}.{hmac.new(self._derived(_OPEN), message, hashlib.sha256).hexdigest()}"

    def blocks(self) -> dict[str, bytes]:
        """Return the row of tenantry.seal_key: column → block of 64 bytes."""
        return {
            f"{use}_{part}": bytes(byte ^ pad for byte in self._derived(label).ljust(_BLOCK, b"\0"))
            for use, label in (("open", _OPEN), ("context", _CONTEXT))
            for part, pad in (("inner", 0x36), ("outer", 0x5C))
        }

    def register(self, connection: psycopg.Connection[Any]) -> None:
        """Register the key in the connection's transaction: its tokens open contexts from the commit on.

        For keys of tests and proofs; the server draws permanent keys (tenantry.access.seal_keys.draw_key). The key is sent as
        binary COPY data, which a server never logs with statements, parameters or errors.

        Raises:
            psycopg.errors.UniqueViolation: a key of this name exists.
        """
        blocks = self.blocks()
        # A separate cursor: the connection's cursor class may behave differently.
        with psycopg.Cursor(connection).copy(
            f"copy tenantry.seal_key (kid, {', '.join(blocks)}) from stdin with (format binary)".encode()
        ) as copy:
            copy.set_types(["text", *["bytea"] * len(blocks)])
            copy.write_row((self.kid, *blocks.values()))

    def _derived(self, label: bytes) -> bytes:
        return hmac.new(self.secret, label, hashlib.sha256).digest()


def claims_text(claims: Mapping[str, Any]) -> str:
    """Return claims as the JSON text that is both sealed and sent."""
    return json.dumps(claims, separators=(",", ":"), ensure_ascii=True)


def open_context(connection: psycopg.Connection[Any], key: SealKey, claims: str) -> None:
    """Open a context in the connection's transaction; the caller sets role, search path and timeouts.

    Raises:
        psycopg.errors.InvalidAuthorizationSpecification: the database refused the token.
    """
    cursor = psycopg.Cursor(connection, row_factory=tuple_row)
    challenge = cursor.execute("select tenantry.challenge()").fetchone()
    assert challenge is not None
    cursor.execute("select tenantry.open(%s, %s)", [claims, key.token(claims, challenge[0])])


__all__ = ["SealKey", "claims_text", "open_context"]
