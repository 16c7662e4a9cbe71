"""Whether a login sees every row of a table, or only those that row-level security lets it see, without a word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from tenantry.postgres.sql import ident, load_sql


@dataclass(frozen=True, slots=True)
class Hidden:
    """A table of which the acting role may not see every row."""

    table: str
    """With its schema, quoted where PostgreSQL needs it."""
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
    def mend(self) -> str:
        """What makes every row visible, as statements."""
        role = ident(self.role)
        off = "no force row level security" if self.owner == self.role else "disable row level security"
        return (
            f"a superuser can run: alter role {role} bypassrls; or, for as long as the run lasts, the table's owner can run:"
            f" alter table {self.table} {off}; or: create policy tenantry_migrator on {self.table} to {role} using (true)"
            " with check (true)"
        )


def hidden_tables(connection: psycopg.Connection[Any], names: Iterable[str]) -> tuple[Hidden, ...]:
    """Those of these tables (quoted names with their schemas) in which the acting role may not see every row. Tables that are
    not there are left out."""
    rows = connection.execute(load_sql("tenantry.catalog.sql", "hidden"), {"names": list(names)}).fetchall()
    return tuple(Hidden(str(name), str(owner), str(role), bool(forced)) for name, owner, role, forced in rows)


__all__ = ["Hidden", "hidden_tables"]
