"""Tables whose rows a query of a source table includes: partitions, and children by inheritance. They are captured and fenced
like the table itself if PostgreSQL supports that. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tenantry.catalog import Table
from tenantry.postgres import ident


@dataclass(frozen=True, slots=True)
class UnfitTable:
    """Return why some changes of a table's rows would not be recorded, and what to do."""

    table: str
    why: str
    fix: str


def unfit_below(tables: Sequence[Table]) -> Iterator[UnfitTable]:
    """Return the descendants of these source tables that cannot be migrated with them."""
    read = {(table.schema, table.name) for table in tables}
    shown_by: dict[tuple[str, str], str] = {}
    for table in tables:
        for each in table.below:
            name = ident(each.schema, each.name)
            if each.kind == "foreign":
                yield UnfitTable(
                    table.name,
                    f"{name} holds rows of it and is a foreign table: writes on its server cannot be captured",
                    f"Detach it for the duration of the run (alter table {ident(table.schema, table.name)} detach partition {name},"
                    " or no inherit), or move its rows into a table of this database.",
                )
            if (each.schema, each.name) in read:
                yield UnfitTable(
                    table.name,
                    f"{name} holds rows of it and is also a source table itself: its rows would be migrated twice",
                    f"Let the manifest read only {table.name}, or detach {name} from it (alter table {name} no inherit …).",
                )
            other = shown_by.setdefault((each.schema, each.name), table.name)
            if other != table.name:
                yield UnfitTable(
                    table.name,
                    f"{name} holds rows of it and of {other}: they would be migrated twice",
                    f"Let the manifest read only one of the two, or detach {name} from one of them (alter table {name} no inherit …).",
                )


__all__ = ["UnfitTable", "unfit_below"]
