"""A hosted Supabase that is only accessible through its admin API: its accounts are mirrored here, and created there.

fetch()  before the run: copies every account of the project to our own auth.users, so that the same plan links users to them
push()   after it: creates the run's accounts there, with the same ids, and sets the super flag of linked ones
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import psycopg

from tenantry.accounts.auth_schema import AuthSchema, complete_auth_schema
from tenantry.auth_admin.actions import AccountAction
from tenantry.auth_admin.client import AdminClient
from tenantry.auth_admin.values import AccountFields
from tenantry.errors import SettingsError
from tenantry.postgres import load_blocks

Connection = psycopg.Connection[tuple[Any, ...]]

_BATCH = 500
_BANNED = "876000h"
"""A hundred years: Supabase Auth takes durations, not times."""


def fetch(
    connection: Connection, client: AdminClient, progress: Callable[[int, int], None] = lambda _a, _b: None
) -> int:
    """Mirror the accounts of the project; return their number. Repeating it updates the mirror.

    Raises:
        SettingsError: this database has a schema auth that Tenantry did not create, and that one is used.
        AuthUnreachable, AuthKeyRefused: see there; what was already read stays.
    """
    if complete_auth_schema(connection) is AuthSchema.FOREIGN:
        raise SettingsError(
            "This database has Supabase's own schema auth. Users are linked there, and there is nothing to fetch.",
            hint="Run `tenantry migrate`. The admin API is for databases without that schema.",
        )
    statement = load_blocks("tenantry.auth_admin", "mirror")["mirror_user"]
    total = client.count() or 0
    read = 0
    users = client.users()
    while some := list(islice(users, _BATCH)):
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(statement, [{"user": json.dumps(user)} for user in some])
        read += len(some)
        progress(read, max(total, read))
    return read


def actions(connection: Connection) -> Iterator[AccountAction]:
    """Yield the actions for the project after a run, streamed."""
    with connection.transaction(), connection.cursor(name="tenantry_push") as cursor:
        cursor.execute(load_blocks("tenantry.auth_admin", "mirror")["pushed"])
        for key, situation, account, email, password, confirmed, theirs, ours, banned, made in cursor:
            if not made:
                flag = {"super_admin": (ours or {}).get("super_admin", False)}
                yield AccountAction("update", key, AccountFields(id=account, app_metadata=flag))
                continue
            app = {name: value for name, value in (ours or {}).items() if name not in ("provider", "providers")}
            yield AccountAction(
                "invite" if situation == "to_invite" else "create",
                key,
                AccountFields(
                    id=account,
                    email=email,
                    password_hash=password,
                    email_confirm=True if confirmed else None,
                    user_metadata=theirs or None,
                    app_metadata=app or None,
                    ban_duration=_BANNED if banned else None,
                ),
            )


def count_actions(connection: Connection) -> int:
    """Return the maximum number of actions(), for a progress bar."""
    row = connection.execute(load_blocks("tenantry.auth_admin", "mirror")["pushed_count"]).fetchone()
    return 0 if row is None else int(row[0])


__all__ = ["actions", "count_actions", "fetch"]
