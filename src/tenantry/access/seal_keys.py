"""The keys of the sealed context in a database: add, list, retire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from tenantry.errors import NoRun, SettingsError
from tenantry.postgres import load_blocks
from tenantry.postgres.seal import SealKey

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class KeyState:
    """The public facts about a key.

    Attributes:
        not_after: when it ends; None: never.
        opens: whether it opens contexts now.
    """

    name: str
    created_at: datetime
    not_after: datetime | None
    opens: bool


def need_seal_keys(connection: Connection) -> None:
    """
    Raises:
        NoRun: the database has no sealed contexts.
    """
    if connection.execute(_block("exists")).fetchone() != (True,):
        raise NoRun(
            "This database has no sealed contexts yet (there is no tenantry.seal_key).",
            hint="`tenantry migrate` makes them, unless the manifest says [context] sealed = false.",
        )


def draw_key(
    connection: Connection, name: str | None = None, deliver: Callable[[SealKey], None] = lambda _: None
) -> SealKey:
    """Let the server draw a key and register it. The key reaches no log, even if the server logs statements and parameters.

    Args:
        name: by default made from today's date.
        deliver: stores the key for the application; called before the commit, since a key that was not stored is useless.

    Raises:
        SettingsError: a key of this name exists, or the name is invalid.
    """
    kid = SealKey.new(name).kid
    with connection.transaction():
        # The plan contains no constant of the key: it is drawn while the statement runs.
        try:
            (secret,) = connection.execute(_block("draw"), {"kid": kid}).fetchall()[0]
        except psycopg.errors.UniqueViolation:
            raise SettingsError(f"There is a key of the name {kid}.", hint="Choose another one with --name.") from None
        key = SealKey(kid, bytes(secret))
        deliver(key)
    return key


def list_keys(connection: Connection) -> tuple[KeyState, ...]:
    """Return the keys, the oldest first."""
    return tuple(KeyState(*row) for row in connection.execute(_block("listed")).fetchall())


def retire_key(connection: Connection, name: str, *, after: float = 0.0) -> datetime:
    """End a key `after` seconds from now. It then opens no context, and contexts that it opened become invalid.

    Raises:
        SettingsError: the key does not exist.
    """
    found = connection.execute(_block("retire"), {"kid": name, "seconds": after}).fetchone()
    if found is None:
        raise SettingsError(f"There is no key of the name {name!r}.", hint="`tenantry seal list` shows them.")
    ends: datetime = found[0]
    return ends


def _block(name: str) -> str:
    return load_blocks("tenantry.access.sql", "seal_keys")[name]


__all__ = ["KeyState", "draw_key", "list_keys", "need_seal_keys", "retire_key"]
