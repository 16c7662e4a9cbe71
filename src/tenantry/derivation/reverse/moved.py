"""Target rows that the manifest's conditions now assign to another part.

If `where` splits a source table, or selects only some of its rows, a change in the target can move the source row to another
part, or exclude it. While applications write the target, its row keeps its place and its id. It is listed as target-only, and
so is the row of the part that it now belongs to. Once applications write the source again, the row is derived again and
moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.mapping.project import Mapping, Project
from tenantry.postgres import literal

if TYPE_CHECKING:
    from tenantry.derivation.reverse.columns import Part
    from tenantry.derivation.reverse.comparison import Comparison

ELSEWHERE = "the manifest's conditions place it elsewhere by now: it moves when applications write the source again"
PLACED = "the manifest's conditions place it here by now, but it stands in "


def siblings(project: Project, mapping: Mapping) -> tuple[Mapping, ...]:
    """Return the other parts of one source table in the same target table."""
    return tuple(
        each
        for each in project.by_target[mapping.target.name]
        if each is not mapping and each.source.name == mapping.source.name and each.name != mapping.name
    )


def standing(project: Project, mapping: Mapping, key: str) -> str:
    """Return SQL over the source row `s`: the mapping has a row for it in the target; empty if no condition decides that."""
    if mapping.where is None:
        return ""
    mine = (
        f"select from {JOURNAL}.kept e where e.table_name = {literal(mapping.target.name)} and e.column_name = ''"
        f" and e.legacy_id = {legacy_of(mapping, key)}"
    )
    placed = f"({mapping.where})"
    if siblings(project, mapping):
        placed += f" and not exists ({mine} and left(e.reason, {len(PLACED)}) = {literal(PLACED)})"
    return f"({placed} or exists ({mine} and e.reason = {literal(ELSEWHERE)}))"


def held_elsewhere(table: Comparison, position: int) -> str:
    """Return SQL over the comparison: another part of the same target table has the row, so it is not deleted; empty if none
    can."""
    return " or ".join(f"h{other}" for other in _others(table, position))


def left_all(part: Part) -> str:
    """Return SQL over the comparison: the part's row was listed as one that the conditions assign elsewhere."""
    if part.mapping.where is None:
        return "false"
    return (
        f"exists (select from {JOURNAL}.kept e where e.table_name = {literal(part.target)} and e.column_name = ''"
        f" and e.legacy_id = {legacy_of(part.mapping, 'k.key')} and e.reason = {literal(ELSEWHERE)})"
    )


def kept(table: Comparison, position: int) -> Iterator[str]:
    """Return queries of (table, legacy id, column, reason): rows of a part that are stored elsewhere, and the rows they
    replace."""
    part = table.parts[position]
    if part.mapping.where is None or part.link != "same":
        return
    name = literal(part.target)
    yield (
        f"select {name}, w.legacy{position}, '', {literal(ELSEWHERE)} from {table.work} w"
        f" where w.has_s and w.h{position} and not w.cov{position}"
    )
    for other in _others(table, position):
        yield (
            f"select {name}, {legacy_of(part.mapping, 'w.key')}, '', {literal(PLACED)} || w.legacy{other} from {table.work} w"
            f" where w.has_s and w.cov{position} and w.h{other} and not w.h{position}"
        )


def forget(project: Project, mapping: Mapping, keys: str) -> Iterator[str]:
    """Return statements for source keys that are derived again: their rows then go where the conditions assign them."""
    if mapping.where is None:
        return
    legacies = [legacy_of(each, "a.key") for each in (mapping, *siblings(project, mapping))]
    yield (
        f"delete from {JOURNAL}.kept k using {keys} a where k.table_name = {literal(mapping.target.name)} and k.column_name = ''"
        f" and k.legacy_id in ({', '.join(legacies)}) and (k.reason = {literal(ELSEWHERE)} or left(k.reason, {len(PLACED)}) = {literal(PLACED)})"
    )


def derived_again(mappings: Sequence[Mapping]) -> Iterator[str]:
    """Return statements that derive rows again that left their part, once applications write the source."""
    for mapping in mappings:
        if mapping.where is None:
            continue
        yield (
            f"insert into {JOURNAL}.source_log (table_name, new_key) select {literal(mapping.source.name)},"
            f" {source_key(mapping, 'k')} from {JOURNAL}.kept k where k.table_name = {literal(mapping.target.name)}"
            f" and k.column_name = '' and k.reason = {literal(ELSEWHERE)}{from_part(mapping, ' and', 'k')}"
            # Only this row holds what the source has no room for: it stays, and is listed.
            f" and not exists (select from {JOURNAL}.kept c where c.table_name = k.table_name and c.legacy_id = k.legacy_id"
            " and c.column_name <> '')"
        )


def _others(table: Comparison, position: int) -> list[int]:
    target = table.parts[position].target
    return [i for i, part in enumerate(table.parts) if i != position and part.target == target and part.link == "same"]


__all__ = ["ELSEWHERE", "derived_again", "forget", "held_elsewhere", "kept", "left_all", "siblings", "standing"]
