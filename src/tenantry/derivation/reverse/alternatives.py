"""Source columns that become one of several target columns: for example an id that refers to an organization or a person.

Only one of these target columns holds a value; a null in the others does not mean that the source value is null. In reverse,
the column that is not null decides. If two hold different values, the source has room for one: the first wins, and the other
is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tenantry.manifest.model import ColumnRule
from tenantry.mapping.project import MappedColumn
from tenantry.postgres import literal

if TYPE_CHECKING:
    from tenantry.derivation.reverse.comparison import Comparison, Slot


def may_be_null(column: MappedColumn, rule: ColumnRule | None) -> bool:
    """Whether a target column can be null although its source column is not."""
    if column.kind == "reference":
        return column.orphan == "null"
    return rule is not None and column.nullable and (rule.up is not None or rule.invalid == "carry")


Ways = list[tuple[int, list[int]]]
"""Return, for each part in order of preference, the reverse mappings of a slot to consider, also in order of preference."""


def considered(table: Comparison, slot: Slot) -> Ways:
    """Return the reverse mappings of a slot. Once one means that its null is a null in the source, no others of the same row
    are considered. Empty if no part has several."""
    found: dict[int, list[int]] = {}
    for i, n in slot.feeds:
        ways = found.setdefault(i, [])
        if not ways or table.parts[i].feeds[ways[-1]].partial:
            ways.append(n)
    return list(found.items()) if any(len(ways) > 1 for ways in found.values()) else []


def several(ways: Ways) -> str:
    """Return SQL: the columns hold values that differ for the source."""
    whens = " ".join(f"when h{i} then {_several(i, places)}" for i, places in ways)
    return f"case {whens} else false end"


def _several(i: int, places: list[int]) -> str:
    if len(places) == 1:
        return "false"
    values = ", ".join(f"(f{i}_{n}::text)" for n in places)
    return f"(select count(distinct tenantry_z.v) > 1 from (values {values}) tenantry_z (v))"


def chosen(table: Comparison, ways: Ways) -> tuple[str, str, str]:
    """Return SQL of the value, whether it applies, and whether a difference exists that writing it would repair."""
    values, permits, differs = [], [], []
    for i, places in ways:
        flags = {n: table.flag(i, table.parts[i].feeds[n].asked) for n in places}
        value = " ".join(f"when f{i}_{n} is not null then f{i}_{n}" for n in places)
        permit = " ".join(f"when f{i}_{n} is not null then o{i}[{n + 1}]" for n in places)
        differ = " ".join(f"when f{i}_{n} is not null then {flags[n]}" for n in places)
        values.append(f"when h{i} then case {value} end")
        permits.append(f"when h{i} then case {permit} else {' and '.join(f'o{i}[{n + 1}]' for n in places)} end")
        differs.append(
            f"when h{i} then case when {_several(i, places)} then case {differ} end else {' or '.join(flags.values())} end"
        )
    return (
        f"(case {' '.join(values)} end)",
        f"(case {' '.join(permits)} else false end)",
        f"case {' '.join(differs)} else false end",
    )


def kept(table: Comparison, position: int) -> Iterator[str]:
    """Return queries of (table, legacy id, column, reason): values for which the source has no room next to another one."""
    part = table.parts[position]
    for j, slot in enumerate(table.slots):
        places = dict(considered(table, slot)).get(position, [])
        columns = [part.feeds[n].asked for n in places]
        for column in columns:
            others = " and ".join(other for other in columns if other != column)
            reason = f"{table.name}.{slot.column.name} holds one value, and has that of {others}"
            yield (
                f"select {literal(part.target)}, w.legacy{position}, {literal(column)},"
                f" case when w.two[{j + 1}] then {literal(reason)} else {literal(part.why[column])} end from {table.work} w"
                f" where w.has_s and w.h{position} and w.cov{position} and {literal(column)} = any (w.d{position})"
            )


__all__ = ["chosen", "considered", "kept", "may_be_null", "several"]
