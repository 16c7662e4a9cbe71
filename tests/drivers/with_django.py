"""Contexts over Django, as docs/how-to/open-a-context.md shows them."""

from __future__ import annotations

# [page]
from django.db import connection, transaction
from psycopg import IsolationLevel

from tenantry.postgres.seal import claims_text
from tenantry.postgres.stated import start_options


def database(dsn, **more):
    return {
        "ENGINE": "django.db.backends.postgresql",
        **more,  # NAME, USER, HOST, …
        "CONN_MAX_AGE": 0,  # a connection for each request: nobody comes next
        "OPTIONS": {
            "server_side_binding": True,
            "isolation_level": IsolationLevel.READ_COMMITTED,
            "options": start_options(dsn),
        },
    }


def providers(claims, key):
    said = claims_text(claims)
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("select tenantry.challenge()")
        (challenge,) = cursor.fetchone()
        cursor.execute(
            "select tenantry.open(%s, %s), set_config('role', %s, true),"
            " set_config('search_path', 'pg_catalog, clinic, pg_temp', true), set_config('statement_timeout', '30s', true)",
            [said, key.token(said, challenge), claims["role"]],
        )
        cursor.execute("select name from providers order by name")
        return [name for (name,) in cursor.fetchall()]
