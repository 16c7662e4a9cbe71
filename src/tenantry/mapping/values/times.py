"""Times: instants, local times of a zone, and the fractional digits that a type holds."""

from __future__ import annotations

from tenantry.catalog import Column as CatalogColumn
from tenantry.mapping.values.type_names import has_zone, precision


def instant(raw: str, source: CatalogColumn, zone: str, type_name: str) -> str:
    """Convert a timestamp without time zone, or midnight of a date, from the local time of a zone.

    A local time that the clock skips is moved forward by the gap; one that occurs twice means the second (standard time).
    """
    if has_zone(source):
        return f"{raw}::{type_name}"
    wall = f"{raw}::timestamp" if source.type == "date" else raw
    return f"({wall} at time zone {zone})::{type_name}"


def wall_clock(value: str, source: CatalogColumn, zone: str) -> str:
    """Invert `instant`: return the local time of a zone at an instant, as the source's type.

    Fractional digits that the source does not hold are cut off. Null if the local time would be read as another instant (the
    first of two occurrences), and for a date if it is not midnight.
    """
    to = source.type
    if has_zone(source):
        return f"{within_precision(value, to)}::{to}"
    clock = f"({within_precision(value, to)} at time zone {zone})"
    if to == "date":
        return f"(select case when v.wall = date_trunc('day', v.wall) then v.wall::date end from (select {clock} offset 0) as v (wall))"
    if zone == "'UTC'":
        return f"{clock}::{to}"
    return (
        f"(select case when v.wall at time zone {zone} = {within_precision(value, to)} then v.wall end"
        f" from (select {clock}::{to} offset 0) as v (wall))"
    )


def within_precision(value: str, type_name: str) -> str:
    """Cut off fractional digits that a type does not hold; a cast would round up."""
    match precision(type_name) if "(" in type_name else 6:
        case 6:
            return value
        case 3:
            return f"date_trunc('milliseconds', {value})"
        case 0:
            return f"date_trunc('second', {value})"
        case digits:
            return f"date_bin('{10 ** (6 - digits)} microseconds', {value}, '2000-01-01')"


def fewer_digits(source: CatalogColumn, target: CatalogColumn) -> str | None:
    """Explain the problem if the target holds fewer fractional digits of a second than the source."""
    if precision(source.type) <= precision(target.type):
        return None
    return f"{source.name} is {source.type} and {target.name} is {target.type}: digits of the second would be lost"
