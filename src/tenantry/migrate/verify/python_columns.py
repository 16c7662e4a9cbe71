"""Compares columns that Python functions made: stored values are converted back, and compared with the source's values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenantry.derivation.keys import mapping_key
from tenantry.derivation.rows import effective_source
from tenantry.errors import TransformFailed
from tenantry.journal.journal import Connection
from tenantry.mapping import Mapping, Project
from tenantry.mapping.legacy_ids import from_part, source_key
from tenantry.migrate.copy.ranges import PYTHON_BATCH, apply_function
from tenantry.migrate.verify.results import MOST_CANDIDATES, Difference
from tenantry.migrate.verify.sums import target_rows
from tenantry.postgres import ident

_REFUSED = object()


def python_candidates(connection: Connection, project: Project, mapping: Mapping) -> list[str]:
    if not mapping.python_columns:
        return []
    return [difference.key for difference in verify_python(connection, project, mapping)]


def verify_python(
    connection: Connection, project: Project, mapping: Mapping, *, only: str | None = None
) -> list[Difference]:
    """Convert values that Python made back by `down`, in batches, and compare them with the source; values are never shown.

    Args:
        only: a relation of some source rows.
    """
    columns = mapping.python_columns
    pairs = ", ".join(f"s.{ident(column.source or '')}, t.{ident(column.name)}" for column in columns)
    query = (
        f"select {mapping_key(mapping)}, {pairs} from {target_rows(project, mapping)} t"
        f" join {only or effective_source(project, mapping)} s on {mapping_key(mapping)} = {source_key(mapping, 't')}{from_part(mapping, ' where')}"
    )
    differences: list[Difference] = []
    with connection.transaction(), connection.cursor(name="tenantry_verify") as cursor:
        cursor.itersize = PYTHON_BATCH
        cursor.execute(query)
        while batch := cursor.fetchmany(PYTHON_BATCH):
            for position, column in enumerate(columns):
                assert column.python is not None
                given = [row[1 + 2 * position] for row in batch]
                stored = [row[2 + 2 * position] for row in batch]
                back = _taken_back(column.python.down, stored, f"{mapping.name}.{column.name}", few=only is not None)
                differences += [
                    Difference("rows", mapping.name, row[0], column.name, "the source's value", "another")
                    for row, expected, found in zip(batch, given, back, strict=True)
                    if expected != found
                ][: MOST_CANDIDATES - len(differences)]
    return differences


def _taken_back(function: str, stored: Sequence[Any], where: str, *, few: bool) -> list[Any]:
    """Pass each value through `down`; a refused value, e.g. a tampered one, differs from a `down` that cannot run."""
    try:
        return apply_function(function, stored, where)
    except TransformFailed:
        back: list[Any] = []
        refused = 0
        for value in stored:
            try:
                back += apply_function(function, [value], where)
            except TransformFailed:
                back.append(_REFUSED)
                refused += 1
        if not few and refused == sum(value is not None for value in stored):
            raise
        return back


__all__ = ["python_candidates", "verify_python"]
