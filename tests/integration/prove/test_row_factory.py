"""Rows that a proof makes in tables of shapes that foreign applications have."""

from __future__ import annotations

from tenantry.catalog import read_catalog
from tenantry.prove.fixtures.row_factory import RowFactory, Values
from tests.conftest import Database

TABLES = """
create domain address as text not null check (value like '%@%');
create table users (id uuid primary key default gen_random_uuid(), email text not null default '' unique, mail address,
    inviter uuid not null references users);
"""


def test_rows_are_made_over_domains_without_nulls_unique_defaults_and_a_reference_to_themselves(
    database: Database,
) -> None:
    with database.connect(autocommit=False) as connection:
        connection.execute(TABLES)
        catalog = read_catalog(connection, "public")
        table = catalog.table("users")
        assert table is not None
        rows: dict[str, list[Values]] = {}
        factory = RowFactory(connection, catalog, rows, ())
        first = factory.insert(table, {})
        assert first["inviter"] == first["id"]
        rows["users"] = [first]
        second = factory.insert(table, {})
        assert second["inviter"] == first["id"]
        assert second["email"] != first["email"]
        assert "@" in str(second["mail"])
