"""References to rows whose key has several columns, where the child has all but the last under the same names: the company's
number and the number of its order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tenantry.catalog import Catalog, Table
from tenantry.mapping.values.type_names import INTEGERS
from tenantry.postgres import ident
from tenantry.survey.evidence import NAMED_SHARE, WEAK_SHARE, KeyEvidence
from tenantry.survey.keys import Key
from tenantry.survey.model import FoundReference, Place
from tenantry.survey.names import agrees, names_a_person
from tenantry.survey.sample import MOST_VALUES, Connection, Sample, base_type, read_rows


def composite_references(
    connection: Connection,
    catalog: Catalog,
    table: Table,
    sample: Sample,
    keys: Sequence[Key],
    taken: Collection[str],
    evidence: KeyEvidence,
) -> list[FoundReference]:
    """Find the references of one table to keys of several columns.

    Args:
        taken: columns whose references are known.
    """
    made: list[FoundReference] = []
    for column in table.columns:
        if column.name in taken or column.name not in sample.columns:
            continue
        if (table.row_key or ())[-1:] == (column.name,):
            continue
        best: tuple[float, FoundReference] | None = None
        for key in keys:
            if not key.beside or key.table == table.name or not set(key.beside) <= set(sample.columns):
                continue
            agreement = evidence.agreement(column.name, key.table)
            same = column.name == key.column
            person = names_a_person(column.name) and key.table in evidence.people
            kind = base_type(catalog, column)
            if not (agreement or same or person) or (kind in INTEGERS) != key.numeric:
                continue
            values, there = _looked_up(connection, catalog, key, sample, column.name)
            if not values:
                continue
            share = there / values
            if share >= (NAMED_SHARE if agreement >= 2 or same else WEAK_SHARE) and values >= 3:
                rank = 2 * same + agreement + share
                if best is None or rank > best[0]:
                    best = (rank, _reference(table, column.name, key, values, there))
        if best is not None:
            made.append(best[1])
    return made


def _reference(table: Table, column: str, key: Key, values: int, there: int) -> FoundReference:
    said = f"{there} of {values} sampled values, with {', '.join(key.beside)}, are in {key.table}"
    return FoundReference(
        Place(table.name, column), key.table, (*key.beside, key.column), (*key.beside, column), values=values, found=there,
        reasons=(said, "the names agree" if agrees(column, key.table) else "the column has the name of the key's"),
    )  # fmt: skip


def _looked_up(connection: Connection, catalog: Catalog, key: Key, sample: Sample, column: str) -> tuple[int, int]:
    """Return the distinct values of the sample, and how many of them the key has."""
    names = [*key.beside, column]
    rows = list(dict.fromkeys(zip(*(sample.column(name) for name in names), strict=True)))
    rows = [row for row in rows if all(row)][:MOST_VALUES]
    if not rows:
        return 0, 0
    listed = ", ".join(f"v{at}" for at in range(len(names)))
    unnest = ", ".join("%s::text[]" for _ in names)
    on = " and ".join(f"p.{ident(name)}::text = v{at}" for at, name in enumerate([*key.beside, key.column]))
    read = read_rows(
        connection,
        f"select count(*) from unnest({unnest}) w ({listed}) where exists (select from {ident(catalog.schema, key.table)} p where {on})",
        [[row[at] for row in rows] for at in range(len(names))],
    )
    return (len(rows), 0) if isinstance(read, str) else (len(rows), int(read[0][0]))
