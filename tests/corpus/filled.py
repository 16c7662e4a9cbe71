"""Schemas of the corpus with all their rows, each in a database that is made once for a server: its tests only read it, or roll back."""

from __future__ import annotations

from tenantry.postgres import EmbeddedServer
from tests.conftest import Database
from tests.corpus.load import load
from tests.migrate_support import shared_template


def filled(server: EmbeddedServer, name: str) -> Database:
    """The database of a schema, filled by the first who asks, whatever worker that is."""

    def fill(database: Database) -> None:
        corpus = load(name)
        with database.connect() as connection:
            corpus.create(connection)
            corpus.fill(connection)

    return Database(server, shared_template(server, f"corpus_{name}", fill))
