"""Detects tables in which row-level security silently hides rows from a login."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from tenantry.errors import RowsHidden
from tenantry.postgres.sql import ident, load_sql


@dataclass(frozen=True, slots=True)
class Hidden:
    """A table in which the acting role may not see every row."""

    table: str
    """The name with its schema, quoted if PostgreSQL needs it."""
    owner: str
    role: str
    forced: bool

    @property
    def why(self) -> str:
        return (
            f"row-level security hides rows of {self.table} from {ident(self.role)}"
            + (", which owns it: the table has FORCE ROW LEVEL SECURITY" if self.forced and self.owner == self.role else "")
        )  # fmt: skip

    @property
    def fix(self) -> str:
        """Return the statements that make every row visible."""
        role = ident(self.role)
        off = "no force row level security" if self.owner == self.role else "disable row level security"
        return (
            f"a superuser can run: alter role {role} bypassrls; or, for as long as the run lasts, the table's owner can run:"
            f" alter table {self.table} {off}; or: create policy tenantry_migrator on {self.table} to {role} using (true)"
            " with check (true)"
        )


def hidden_tables(connection: psycopg.Connection[Any], names: Iterable[str]) -> tuple[Hidden, ...]:
    """Return those of these tables (quoted names with their schemas) in which the acting role may not see every row. Missing
    tables are ignored."""
    rows = connection.execute(load_sql("tenantry.catalog.sql", "hidden"), {"names": list(names)}).fetchall()
    return tuple(Hidden(str(name), str(owner), str(role), bool(forced)) for name, owner, role, forced in rows)


def need_rows_of(connection: psycopg.Connection[Any], names: Iterable[str], *, doing: str = "") -> None:
    """Check some tables, given by their quoted names.

    Raises:
        RowsHidden: names the tables with hidden rows.
    """
    found = hidden_tables(connection, names)
    if found:
        raise _rows_hidden(found, doing)


def _rows_hidden(found: tuple[Hidden, ...], doing: str) -> RowsHidden:
    tables = ", ".join(each.table for each in found)
    before = f" Before {doing} it was looked at again." if doing else ""
    return RowsHidden(
        f"Row-level security hides rows of {tables} from {found[0].role}. Tenantry must see every row: a row that it does not see"
        f" would count as deleted.{before} No row of these tables was migrated or compared.",
        hint=f"To see every row, {found[0].fix}. Then run the same command again.",
        detail={"tables": [each.table for each in found], "role": found[0].role},
    )


__all__ = ["Hidden", "hidden_tables", "need_rows_of"]
