"""Memberships that ended in the target and are active again in the source, which cannot represent their end.

A membership that ended after the cut-over may come from a source row that still exists: after a rollback people regain the access that
they had lost. Only the owner of the source can decide about them, so they are counted and named.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.mapping.client_columns import columns_in
from tenantry.mapping.legacy_ids import from_part
from tenantry.postgres import ident, literal


@dataclass(frozen=True, slots=True)
class MembershipsAgain:
    """Memberships that ended and are active again.

    Attributes:
        table, source: the membership table, and the source table that fills it.
        ended: memberships that exist in the target and are not active there.
        deleted: memberships that were deleted in the target, while their rows of the source were not.
    """

    table: str
    source: str
    ended: int
    deleted: int

    @property
    def number(self) -> int:
        return self.ended + self.deleted


def memberships_again(connection: Connection, project: Project) -> tuple[MembershipsAgain, ...]:
    """Return what is active again, by source table, as listed by reverse replay; call it before rows are derived from the source
    again."""
    found = []
    for mapping in project.by_target.get(project.manifest.membership.table, ()):
        counted = MembershipsAgain(
            mapping.target.name,
            mapping.source.name,
            _number(connection, _ended(project, mapping)),
            _number(connection, _deleted(project, mapping)),
        )
        if counted.number:
            found.append(counted)
    return tuple(found)


def _ended(project: Project, mapping: Mapping) -> str:
    """Memberships that are not active in the target because of values that the source cannot represent."""
    active = project.manifest.membership.active
    if active is None:
        return ""
    target = ident(project.target.schema, mapping.target.name)
    asked = ", ".join(map(literal, sorted(columns_in(active, mapping.target)))) or "null"
    return (
        f"select count(*) from (select t.legacy_id from {target} t where ({active}) is not true) e where exists (select from {JOURNAL}.kept k"
        f" where k.table_name = {literal(mapping.target.name)} and k.legacy_id = e.legacy_id and k.column_name in ({asked})"
        f"{from_part(mapping, ' and', 'k')})"
    )


def _deleted(project: Project, mapping: Mapping) -> str:
    """Memberships that were deleted in the target and whose rows the source could not delete, or refused to."""
    target, name = ident(project.target.schema, mapping.target.name), literal(mapping.target.name)
    return (
        f"select count(*) from (select k.legacy_id from {JOURNAL}.kept k where k.table_name = {name} and k.column_name = ''"
        f"{from_part(mapping, ' and', 'k')} union select c.legacy_id from {JOURNAL}.conflict c where c.table_name = {name}"
        f" and c.direction = 'reverse'{from_part(mapping, ' and', 'c')}) d"
        f" where not exists (select from {target} t where t.legacy_id = d.legacy_id)"
        # A target-native one that is part of another row has its own id.
        f" and not exists (select from {JOURNAL}.born_part b join {target} t on t.legacy_id = b.legacy_id"
        f" where b.mapping = {literal(mapping.name)} and b.source_key = d.legacy_id)"
    )


def _number(connection: Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone() if query else None
    return 0 if row is None else int(row[0])


__all__ = ["MembershipsAgain", "memberships_again"]
