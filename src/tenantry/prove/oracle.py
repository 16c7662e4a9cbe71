"""What the access matrix says about one caller, one command and one row: the manifest alone, no policy involved."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.manifest.model import Access, Cell, Colleagues, Command, Manifest, Own
from tenantry.prove.people import Person


@dataclass(frozen=True, slots=True)
class Facts:
    """How a row stands in the world: its tenant, whose it is, and the row that it hangs on."""

    table: str
    tenant: str | None = None
    person: Person | None = None
    parent: Facts | None = None


EXISTING = "existing"
"""The tenant of a row that the application made: none of the invented ones."""

NEW = "new"
"""The tenant of a row of the tenant table that does not exist yet: nobody is a member of it."""


def may(manifest: Manifest, command: Command, person: Person | None, row: Facts) -> bool:
    """Whether the matrix lets a person do this to such a row; `person` is None for those who are nobody.

    An update or a delete looks for its rows, and so needs the right to see them too.
    """
    if person is None or person.is_banned:
        return False
    access = manifest.tables[row.table].access
    if not _reaches(manifest, access.cell(command), person, row):
        return False
    return command not in ("update", "delete") or _reaches(manifest, access.select, person, row)


def _reaches(manifest: Manifest, cell: Cell, person: Person, row: Facts) -> bool:
    if isinstance(cell, Own):
        return _owns(manifest, cell, person, row)
    if isinstance(cell, Colleagues):
        return row.person is person or person.is_super or _is_colleague(manifest, cell.colleagues, person, row.person)
    if cell in ("service", "super"):
        return cell == "super" and person.is_super
    if cell == "signed_in":
        return True
    if person.is_super:
        return row.tenant != NEW
    held = person.memberships.get(row.tenant or "")
    return held is not None and _at_least(manifest, held, cell)


def _owns(manifest: Manifest, cell: Own, person: Person, row: Facts) -> bool:
    if cell.role is not None and not _reaches(manifest, cell.role, person, row):
        return False
    if cell.parent is not None:
        return row.parent is not None and may(manifest, "select", person, row.parent)
    return row.person is person


def _is_colleague(manifest: Manifest, needed: str, person: Person, other: Person | None) -> bool:
    theirs = {} if other is None else other.memberships
    return any(_at_least(manifest, held, needed) for tenant, held in person.memberships.items() if tenant in theirs)


def _at_least(manifest: Manifest, held: str, needed: str) -> bool:
    order = manifest.roles.order
    return order.index(held) >= order.index(needed)


def own_columns(access: Access) -> tuple[str, ...]:
    """The columns that hold the profile whose row it is, by any cell."""
    cells = (access.select, access.insert, access.update, access.delete)
    return tuple(dict.fromkeys(cell.column for cell in cells if isinstance(cell, Own) and cell.parent is None))


def parent_columns(access: Access) -> dict[str, str]:
    """Column → table, for the cells that ask another table whose rows these are."""
    cells = (access.select, access.insert, access.update, access.delete)
    return {cell.column: cell.parent for cell in cells if isinstance(cell, Own) and cell.parent is not None}
