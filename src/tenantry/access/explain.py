"""The access matrix in words: how each table's access is decided, and what each role can do. Pure and deterministic.

The value that describe() returns is rendered as Markdown (matrix.py), as HTML (page.py) and as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tenantry.access.columns import insertable, updatable, visible
from tenantry.access.grants import has_visitors
from tenantry.access.helper_functions import words
from tenantry.access.policy_conditions import named_columns
from tenantry.catalog import Table
from tenantry.manifest.model import COMMANDS, Access, Cell, Colleagues, Command, Own
from tenantry.mapping.named_rows import named_keys
from tenantry.mapping.project import Project

PREMISE = (
    "For each command the first line that is true for caller and row decides. Callers who are not signed in, are banned, or have no account any"
    " more may only read public rows. Changing or deleting a row also requires the right to read it."
)
SUPER, SIGNED_IN, VISITOR = "super admin", "signed in", "not signed in"

Extent = Literal["all", "some"]
"""All rows (of the caller's tenant), or some: own rows, public rows, rows without a tenant."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A question of a decision tree, and the result if the answer is yes; otherwise the next branch applies."""

    when: str
    then: tuple[Branch, ...] | bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one command, or about several with the same rule."""

    commands: tuple[Command, ...]
    tree: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class TableAccess:
    """One table. `least` says by command, in words, what the command requires; columns are listed if they are limited."""

    name: str
    comment: str
    kind: str
    least: dict[str, str]
    decisions: tuple[Decision, ...]
    hidden: tuple[str, ...]
    fixed: tuple[str, ...]
    given: tuple[str, ...] | None
    changed: tuple[str, ...] | None
    public: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class RoleAccess:
    """The access of a role: by table and command, all rows or some."""

    name: str
    tables: dict[str, dict[str, Extent]]

    def of(self, command: Command, extent: Extent) -> tuple[str, ...]:
        """Return the tables on which the role may run the command on all rows, or on some."""
        return tuple(name for name, may in self.tables.items() if may.get(command) == extent)


@dataclass(frozen=True, slots=True)
class AccessDocument:
    """The whole matrix. `tenant` is the application's word for one tenant."""

    schema: str
    tenant: str
    order: tuple[str, ...]
    tables: tuple[TableAccess, ...]
    roles: tuple[RoleAccess, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def describe(project: Project) -> AccessDocument:
    """Describe the matrix of the target's tables, by name."""
    manifest = project.manifest
    names = [name for name in sorted(manifest.tables) if project.target.table(name) is not None]
    roles = [*manifest.roles.order, SUPER, SIGNED_IN, *([VISITOR] if has_visitors(project) else [])]
    return AccessDocument(
        manifest.target.schema_name,
        words(manifest.tenant.table)[0],
        manifest.roles.order,
        tuple(_table(project, name) for name in names),
        tuple(
            RoleAccess(role, {name: may for name in names if (may := dict(_may(project, name, role)))})
            for role in roles
        ),
    )


def title(role: str) -> str:
    return role.replace("_", " ")


# -- one table ----------------------------------------------------------------------------------------------------------


def _table(project: Project, name: str) -> TableAccess:
    table = project.target.table(name)
    assert table is not None
    access = project.manifest.tables[name].access
    return TableAccess(
        name,
        (table.comment or "").partition("\n")[0],
        _kind(project, table, access),
        {command: _least(access, command) for command in COMMANDS},
        tuple(_decisions(project, table, access)),
        access.hidden,
        access.fixed,
        None if access.insert_columns is None else insertable(project, table),
        None if access.update_columns is None else updatable(project, table),
        visible(table, access) if access.public_columns is not None else None,
    )


def _kind(project: Project, table: Table, access: Access) -> str:
    tenant = project.manifest.tenant
    one, many = words(tenant.table)
    if table.name == tenant.table:
        return f"the {many} themselves"
    if not project.scoped(table.name):
        return f"one table for all {many}"
    if access.system is not None:
        return f"rows of one {one}, and rows for all {many}"
    return f"rows of one {one}"


def _least(access: Access, command: Command) -> str:
    said = _need(access.cell(command))
    if access.cell(command) in ("service", "public"):
        return said
    if command == "select" and access.shared is not None:
        said += f"; others by the share {access.shared}"
    if access.system is not None:
        who = "signed in" if command == "select" and access.system == "signed_in" else "super admin"
        said += f"; {who} where there is no tenant"
    if command == "select" and access.public is not None:
        said += "; everyone where public"
    return said


def _need(cell: Cell) -> str:
    if isinstance(cell, Colleagues):
        return f"own row; {title(cell.colleagues)} for colleagues"
    if isinstance(cell, Own):
        rows = "own rows"
        if cell.parent is not None:
            rows = f"rows of visible `{cell.parent}`"
        elif cell.through is not None:
            rows = f"own rows through `{cell.through.table}`"
        return rows if cell.role is None else f"{title(cell.role)}, {rows}"
    return {"super": SUPER, "signed_in": SIGNED_IN, "public": "everyone", "service": "—"}.get(cell, title(cell))


def _decisions(project: Project, table: Table, access: Access) -> Iterator[Decision]:
    """Yield decisions, grouping commands with the same rule, in the order of commands."""
    trees: dict[tuple[Branch, ...], list[Command]] = {}
    for command in COMMANDS:
        trees.setdefault(_tree(project, table, access, command), []).append(command)
    for tree, commands in trees.items():
        yield Decision(tuple(commands), tree)


def _tree(project: Project, table: Table, access: Access, command: Command) -> tuple[Branch, ...]:
    cell = access.cell(command)
    if cell == "service" or (command == "update" and not updatable(project, table)):
        return (Branch("any client", False),)
    if cell == "public":
        return (Branch("anyone, signed in or not", True),)
    one = words(project.manifest.tenant.table)[0]
    branches = [
        Branch(f"`{column}` names {_a(one)} that the caller does not see", False)
        for column in named_columns(project, table, access, command)
    ]
    branches += [
        Branch(
            f"{', '.join(f'`{name}`' for name in key.columns)} names a row of `{key.ref_table}` that the caller does not see",
            False,
        )
        for key in named_keys(project, table, access, command)
    ]
    if command == "select" and access.public is not None:
        branches.append(Branch(f"the row is public: `{access.public}`", True))
    if access.system is not None:
        everybody = command == "select" and access.system == "signed_in"
        inside = (Branch("anyone", True),) if everybody else (Branch("super admin", True), Branch("anyone else", False))
        branches.append(Branch(f"the row belongs to no {one}", inside))
    branches += _by_cell(cell, one)
    if command == "select" and access.shared is not None:
        share = project.manifest.shares[access.shared]
        role = title(share.role or project.manifest.roles.order[0])
        branches.append(
            Branch(
                f"{role} or higher in {_a(one)} that the row's {one} lets read it by the share `{access.shared}`", True
            )
        )
    if cell != "signed_in":
        branches.append(Branch("anyone else", False))
    return tuple(branches)


def _by_cell(cell: Cell, one: str) -> Sequence[Branch]:
    if isinstance(cell, Colleagues):
        return (
            Branch(f"`{cell.own}` is the caller's own profile", True),
            Branch(f"a member of {_a(one)} in which the caller is {title(cell.colleagues)} or higher", True),
            Branch("super admin", True),
        )
    if isinstance(cell, Own):
        mine = Branch(_owned(cell), True)
        if cell.role is None:
            return (mine,)
        return (Branch(_rank(cell.role, one), (mine, Branch("anyone else's", False))),)
    return (Branch(_rank(cell, one), True),)


def _rank(role: str, one: str) -> str:
    if role == "super":
        return "super admin"
    if role == "signed_in":
        return "anyone else who is signed in"
    return f"{title(role)} or higher in the row's {one}, or super admin"


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _owned(cell: Own) -> str:
    if cell.parent is not None:
        return f"`{cell.column}` names a row of `{cell.parent}` that the caller may read"
    if cell.through is not None:
        link = cell.through
        return f"`{cell.column}` is `{link.match}` of a row of `{link.table}` whose `{link.profile}` is the caller's profile"
    return f"`{cell.column}` is the caller's own profile"


# -- one role -----------------------------------------------------------------------------------------------------------


def _may(project: Project, name: str, role: str) -> Iterator[tuple[str, Extent]]:
    table = project.target.table(name)
    access = project.manifest.tables[name].access
    for command in COMMANDS:
        if command == "update" and table is not None and not updatable(project, table):
            continue
        extent = _extent(project, access, command, role)
        if extent is not None:
            yield command, extent


def _extent(project: Project, access: Access, command: Command, role: str) -> Extent | None:
    cell = access.cell(command)
    reading = command == "select"
    if cell == "public":
        return "all"
    whole = None if role == VISITOR else _whole(project, cell, role)
    if whole is not None:
        return "all" if whole else "some"
    if cell == "service":
        return None
    if reading and access.public is not None:
        return "some"
    if access.system is not None and role != VISITOR and (role == SUPER or (reading and access.system == "signed_in")):
        return "some"
    return None


def _whole(project: Project, cell: Cell, role: str) -> bool | None:
    """Return True if a role may use all rows (of its tenant), False for own rows only, None for none."""
    order = project.manifest.roles.order
    if isinstance(cell, Colleagues):
        return _whole(project, cell.colleagues, role) or False
    if isinstance(cell, Own):
        return None if cell.role is not None and _whole(project, cell.role, role) is None else False
    if cell == "service":
        return None
    if role == SUPER or cell == "signed_in":
        return True
    return True if cell in order and role in order and order.index(role) >= order.index(cell) else None
