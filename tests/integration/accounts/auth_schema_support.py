"""What tests of the schema auth share."""

from __future__ import annotations

from typing import Any

import psycopg

from tenantry.accounts.auth_schema import (
    auth_script,
)

Connection = psycopg.Connection[tuple[Any, ...]]


def make(connection: Connection) -> None:
    with connection.transaction():
        connection.execute(auth_script().encode())
