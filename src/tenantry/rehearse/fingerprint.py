"""Checks that the source is unchanged: checksums of all rows that must stay, and the written rows column by column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

from tenantry.derivation.keys import mapping_key
from tenantry.journal.journal import Connection
from tenantry.mapping import Project
from tenantry.postgres import ident, verbatim
from tenantry.rehearse.choose_places import first_mapping


@dataclass
class State:
    """The content of the source at one moment.

    Attributes:
        others: table → number and combined checksum of the rows that are not written.
        rows: (table, key) → written row.
    """

    others: dict[str, tuple[int, str]] = field(default_factory=dict)
    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


def state_of(connection: Connection, project: Project, keys: dict[str, tuple[str, ...]]) -> State:
    """Read checksums of all rows of the source tables, and the written rows."""
    state = State()
    for table in project.source_tables:
        mapping = first_mapping(project, table)
        source, key = ident(project.source.schema, table.name), mapping_key(mapping)
        chosen = list(keys[table.name])
        row = connection.execute(
            "select count(*), coalesce(sum(hashtextextended((s.*)::text, 0)::numeric), 0)::text"
            f" from {verbatim(source)} s where not {verbatim(key)} = any (%s)",
            [chosen],
        ).fetchone()
        assert row is not None
        state.others[table.name] = (int(row[0]), str(row[1]))
        state.rows[table.name] = dict(
            connection.execute(
                f"select {verbatim(key)}, to_json(s.*) from {verbatim(source)} s where {verbatim(key)} = any (%s)",
                [chosen],
            ).fetchall()
        )
    return state


@dataclass(frozen=True)
class Compared:
    """The differences of the source between two moments.

    Attributes:
        differences: unexplained differences.
        stamped: `table.column` → written rows in which a trigger changed the column because of synthetic writes.
        triggered: tables with rows that triggers changed because of synthetic writes: their expected values are unknown.
    """

    tables: int
    rows: int
    written: int
    differences: tuple[str, ...]
    stamped: dict[str, int]
    triggered: tuple[str, ...] = ()


def compare_states(
    before: State, now: State, also: dict[str, set[str]], triggered: Set[str] = frozenset(), most: int = 20
) -> Compared:
    """Compare two moments.

    Args:
        also: source table → columns that triggers change with a write.
        triggered: source tables in which triggers change other rows than the written one.
    """
    differences: list[str] = []
    changed: set[str] = set()
    stamped: Counter[str] = Counter()
    for table, (count, checksum) in before.others.items():
        found = now.others[table]
        if found != (count, checksum) and table in triggered:
            changed.add(table)
        elif found != (count, checksum):
            what = f"{count:,} rows, now {found[0]:,}" if count != found[0] else "some rows hold other values"
            differences.append(f"{table}: rows that the rehearsal did not write have changed ({what})")
        for key, row in before.rows[table].items():
            after = now.rows[table].get(key)
            if after is None and table in triggered:
                changed.add(table)
                continue
            if after is None:
                differences.append(f"{table} {key}: the row is gone")
                continue
            for column, value in row.items():
                if after.get(column) == value:
                    continue
                if column in also.get(table, set()):
                    stamped[f"{table}.{column}"] += 1
                elif table in triggered:
                    changed.add(table)
                else:
                    differences.append(f"{table} {key}: column {column} has changed")
    shown = [*differences[:most], *([f"and {len(differences) - most:,} more"] if len(differences) > most else [])]
    return Compared(
        len(before.others),
        sum(count for count, _ in before.others.values()) + sum(len(rows) for rows in before.rows.values()),
        sum(len(rows) for rows in before.rows.values()),
        tuple(shown),
        dict(stamped),
        tuple(sorted(changed)),
    )


__all__ = ["Compared", "State", "compare_states", "state_of"]
