"""Contexts over SQLAlchemy, as docs/how-to/open-a-context.md shows them."""

from __future__ import annotations

# [page]
import psycopg
from sqlalchemy import create_engine, event, text

from tenantry.postgres.seal import claims_text
from tenantry.postgres.stated import start_options

OPEN = text(
    "select tenantry.open(:claims, :token), set_config('role', :role, true),"
    " set_config('search_path', 'pg_catalog, clinic, pg_temp', true), set_config('statement_timeout', '30s', true)"
)


def make_engine(dsn):
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(dsn, prepare_threshold=None, options=start_options(dsn)),
        pool_size=1,
        isolation_level="READ COMMITTED",
    )

    @event.listens_for(engine, "checkin")
    def _empty(connection, record):
        if connection is not None:
            connection.rollback()
            connection.autocommit = True
            connection.execute("discard all")
            connection.autocommit = False

    return engine


def providers(engine, claims, key):
    said = claims_text(claims)
    with engine.begin() as connection:
        challenge = connection.scalar(text("select tenantry.challenge()"))
        connection.execute(OPEN, {"claims": said, "token": key.token(said, challenge), "role": claims["role"]})
        return list(connection.scalars(text("select name from providers order by name")))
