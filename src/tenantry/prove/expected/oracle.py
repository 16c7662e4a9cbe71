"""What the access matrix says about one caller, one command and one row: derived from the manifest alone, without any policy."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.manifest.model import Access, Cell, Colleagues, Command, Manifest, Own
from tenantry.mapping.project import ROW_ID
from tenantry.prove.expected.callers import ABOVE, OTHER, OWN, ProofPerson


@dataclass(frozen=True, slots=True)
class RowFacts:
    """The facts about a row that decide access: its tenant, its person, and its parent row.

    Attributes:
        tenant: None in a table for all, and if the row belongs to no tenant.
        person: the owner of the row, by the column that holds a profile.
        parent: the row that decides about it: the one it references, or the one that gives it an owner.
        public: it fulfils the condition under which everybody reads it.
        shared_with: the tenants whose members may read it, by the share that the table names.
        named: column → row of another tenant, for the columns that name such a row.
        seen: other rows that a new row names, and that who inserts it must see.
    """

    table: str
    tenant: str | None = None
    person: ProofPerson | None = None
    parent: RowFacts | None = None
    public: bool = False
    shared_with: frozenset[str] = frozenset()
    named: tuple[tuple[str, RowFacts], ...] = ()
    seen: tuple[RowFacts, ...] = ()


EXISTING = "existing"
"""The tenant of an existing row of the application: none of the synthetic ones."""

NEW = "new"
"""The tenant of a new row of the tenant table: it has no members yet."""


def may(manifest: Manifest, command: Command, person: ProofPerson | None, row: RowFacts) -> bool:
    """Whether the matrix lets a person do this to such a row; `person` is None for anonymous callers.

    An update or a delete has to find its rows, so it also needs the right to see them.
    """
    access = manifest.tables[row.table].access
    sees = _sees_as_anybody(access, row)
    if person is None or person.is_out:
        return command == "select" and sees
    if command == "select":
        return sees or _reads(manifest, access, person, row)
    if not all(may(manifest, "select", person, named) for named in _named(access, command, row)):
        return False
    return _writes(manifest, access, command, person, row) and (
        command == "insert" or sees or _reads(manifest, access, person, row)
    )


def _named(access: Access, command: Command, row: RowFacts) -> list[RowFacts]:
    """The rows that the caller would name by writing the row; a change names a tenant only where the manifest lists the column."""
    listed = access.update_columns or ()
    if command == "insert":
        return [*(tenant for column, tenant in row.named if column not in access.unseen), *row.seen]
    open_columns = set(listed) - set(access.unseen) if command == "update" else set()
    return [tenant for column, tenant in row.named if column in open_columns]


def _sees_as_anybody(access: Access, row: RowFacts) -> bool:
    return access.select == "public" or row.public


def _reads(manifest: Manifest, access: Access, person: ProofPerson, row: RowFacts) -> bool:
    if access.select == "service":
        return False
    if access.system is not None and row.tenant is None:
        return person.is_super or access.system == "signed_in"
    return _reaches(manifest, access.select, person, row) or _shares(manifest, access, person, row)


def _writes(manifest: Manifest, access: Access, command: Command, person: ProofPerson, row: RowFacts) -> bool:
    cell = access.cell(command)
    if cell == "service":
        return False
    if access.system is not None and row.tenant is None:
        return person.is_super
    return _reaches(manifest, cell, person, row)


def _shares(manifest: Manifest, access: Access, person: ProofPerson, row: RowFacts) -> bool:
    if access.shared is None:
        return False
    needed = manifest.shares[access.shared].role or manifest.roles.order[0]
    return any(
        person.is_super or any(_at_least(manifest, held, needed) for held in _roles(manifest, person, tenant))
        for tenant in row.shared_with
    )


def _reaches(manifest: Manifest, cell: Cell, person: ProofPerson, row: RowFacts) -> bool:
    if isinstance(cell, Own):
        return _owns(manifest, cell, person, row)
    if isinstance(cell, Colleagues):
        return (
            is_same(row.person, person)
            or person.is_super
            or _is_colleague(manifest, cell.colleagues, person, row.person)
        )
    if cell in ("service", "super"):
        return cell == "super" and person.is_super
    if cell == "signed_in":
        return True
    if person.is_super:
        return row.tenant not in (None, NEW)
    return any(_at_least(manifest, held, cell) for held in _roles(manifest, person, row.tenant or ""))


def _roles(manifest: Manifest, person: ProofPerson, tenant: str) -> tuple[str, ...]:
    """Return the roles that a person has in a tenant: by a membership of it, and by one of the tenant above."""
    found = [person.memberships.get(tenant)]
    if manifest.tenant.parent is not None and tenant in (OWN, OTHER) and tenant not in person.cut_off:
        found.append(person.memberships.get(ABOVE))
    return tuple(role for role in found if role is not None)


def _owns(manifest: Manifest, cell: Own, person: ProofPerson, row: RowFacts) -> bool:
    if cell.role is not None and not _reaches(manifest, cell.role, person, row):
        return False
    other = row.parent
    if cell.through is not None:
        mine = other is not None and other.table == cell.through.table and is_same(other.person, person)
        return mine and other is not None and may(manifest, "select", person, other)
    if cell.parent is not None:
        return other is not None and other.table == cell.parent and may(manifest, "select", person, other)
    return is_same(row.person, person)


def _is_colleague(manifest: Manifest, needed: str, person: ProofPerson, other: ProofPerson | None) -> bool:
    """Whether both are, or were, members of one tenant."""
    theirs = set() if other is None else {*other.memberships, *other.former}
    return any(_at_least(manifest, held, needed) for tenant in theirs for held in _roles(manifest, person, tenant))


def is_same(one: ProofPerson | None, other: ProofPerson | None) -> bool:
    """Whether both are the same account, whatever happened to its memberships."""
    return one is not None and other is not None and one.uid == other.uid


def _at_least(manifest: Manifest, held: str, needed: str) -> bool:
    order = manifest.roles.order
    return order.index(held) >= order.index(needed)


def own_columns(access: Access) -> tuple[str, ...]:
    """Return the columns that hold the owner's profile, over all cells."""
    return tuple(
        dict.fromkeys(cell.column for cell in _own_cells(access) if cell.parent is None and cell.through is None)
    )


def parent_columns(access: Access) -> dict[str, str]:
    """Return column → table, for the cells that find the owner through another table."""
    found = {cell.column: cell.parent for cell in _own_cells(access) if cell.parent is not None}
    return {**found, **{cell.column: cell.through.table for cell in _own_cells(access) if cell.through is not None}}


def parent_values(access: Access) -> dict[str, str]:
    """Return column → referenced column of that table, for the same columns."""
    return {
        cell.column: ROW_ID if cell.through is None else cell.through.match
        for cell in _own_cells(access)
        if cell.parent is not None or cell.through is not None
    }


def _own_cells(access: Access) -> list[Own]:
    return [cell for cell in (access.select, access.insert, access.update, access.delete) if isinstance(cell, Own)]
