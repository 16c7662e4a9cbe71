"""The access matrix for people: role × table × command, in Markdown. Pure and deterministic."""

from __future__ import annotations

from tenantry.access.columns import updatable
from tenantry.manifest.mapping import Project
from tenantry.manifest.model import COMMANDS, Cell, Colleagues, Command, Own

_LETTERS: dict[Command, str] = {"select": "S", "insert": "I", "update": "U", "delete": "D"}


def matrix_markdown(project: Project) -> str:
    """Two tables: what each command needs at least, and what each role may do with the rows of its tenant."""
    manifest = project.manifest
    roles = [*manifest.roles.order, "super admin", "signed in"]
    tables = sorted(manifest.tables)
    least = ["| Table | Select | Insert | Update | Delete | Never read | Never changed |", "| --- " * 7 + "|"]
    may = [f"| Table | {' | '.join(_title(role) for role in roles)} |", "| --- " * (len(roles) + 1) + "|"]
    for name in tables:
        access = manifest.tables[name].access
        needs = " | ".join(_need(access.cell(command)) for command in COMMANDS)
        least.append(f"| {_code(name)} | {needs} | {_codes(access.hidden)} | {_codes(access.fixed)} |")
        may.append(f"| {_code(name)} | {' | '.join(_marks(project, name, role) for role in roles)} |")
    order = " < ".join(manifest.roles.order)
    return "\n".join(
        [
            "# Access matrix",
            "",
            f"Who may do what in `{manifest.target.schema_name}`. Roles hold within one tenant: {order}; each may do"
            " all that the ones before it may. Super admins are in every tenant. Who is not signed in sees nothing.",
            "",
            "## What each command needs at least",
            "",
            *least,
            "",
            "## What each role may do",
            "",
            "S select, I insert, U update, D delete; small letters: own rows only. An update or a delete that looks for"
            " its rows also needs the right to see them.",
            "",
            *may,
            "",
        ]
    )


def _title(role: str) -> str:
    return role.replace("_", " ")


def _code(name: str) -> str:
    return "`" + name.replace("|", "\\|") + "`"


def _codes(names: tuple[str, ...]) -> str:
    return ", ".join(_code(name) for name in names)


def _need(cell: Cell) -> str:
    if isinstance(cell, Colleagues):
        return f"own row; {_title(cell.colleagues)} for colleagues"
    if isinstance(cell, Own):
        rows = "own rows" if cell.parent is None else f"rows of visible {_code(cell.parent)}"
        return rows if cell.role is None else f"{_title(cell.role)}, {rows}"
    return {"super": "super admin", "signed_in": "signed in", "service": "—"}.get(cell, _title(cell))


def _marks(project: Project, table: str, role: str) -> str:
    access = project.manifest.tables[table].access
    found = []
    for command in COMMANDS:
        cell = access.cell(command)
        target = project.target.table(table)
        if command == "update" and target is not None and not updatable(project, target):
            continue
        whole = _whole(project, cell, role)
        if whole is not None:
            found.append(_LETTERS[command] if whole else _LETTERS[command].lower())
    return "".join(found) or "—"


def _whole(project: Project, cell: Cell, role: str) -> bool | None:
    """Whether a role may use all rows (of its tenant), its own only (False), or none (None)."""
    order = project.manifest.roles.order
    if isinstance(cell, Colleagues):
        return _whole(project, cell.colleagues, role) or False
    if isinstance(cell, Own):
        return None if cell.role is not None and _whole(project, cell.role, role) is None else False
    if cell == "service":
        return None
    if role == "super admin" or cell == "signed_in":
        return True
    return True if cell in order and role in order and order.index(role) >= order.index(cell) else None
