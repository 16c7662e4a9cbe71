"""Contexts over asyncpg, as docs/how-to/open-a-context.md shows them."""

from __future__ import annotations

# [page]
import asyncpg

from tenantry.postgres.seal import claims_text
from tenantry.postgres.stated import AT_START


async def _empty(connection):
    await connection.execute("discard all")


def open_pool(dsn):
    return asyncpg.create_pool(dsn, min_size=1, statement_cache_size=0, server_settings=AT_START, reset=_empty)


async def providers(pool, claims, key):
    said = claims_text(claims)
    async with pool.acquire() as connection, connection.transaction(isolation="read_committed"):
        challenge = await connection.fetchval("select tenantry.challenge()")
        await connection.fetchrow(
            "select tenantry.open($1, $2)::text, set_config('role', $3, true),"
            " set_config('search_path', 'pg_catalog, clinic, pg_temp', true), set_config('statement_timeout', '30s', true)",
            said,
            key.token(said, challenge),
            claims["role"],
        )
        return [row["name"] for row in await connection.fetch("select name from providers order by name")]
