"""Renders the access matrix in Markdown: role × table × command, then role by role and table by table. Pure and
deterministic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenantry.access.explain import PREMISE, AccessDocument, Branch, RoleAccess, TableAccess, describe, title
from tenantry.manifest.model import COMMANDS, Command
from tenantry.mapping.project import Project

LETTERS: dict[Command, str] = {"select": "S", "insert": "I", "update": "U", "delete": "D"}
VERBS: dict[Command, str] = {"select": "read", "insert": "add", "update": "change", "delete": "delete"}


def matrix_markdown(project: Project) -> str:
    """Return what each command requires, what each role may do, and how each table's access is decided."""
    return "\n".join(_lines(describe(project)))


def marks(role: RoleAccess, table: str) -> str:
    """Return a role's commands on a table as letters; lower case means some rows only."""
    may = role.tables.get(table, {})
    found = [
        LETTERS[command] if may[command] == "all" else LETTERS[command].lower()
        for command in COMMANDS
        if command in may
    ]
    return "".join(found) or "—"


def _lines(document: AccessDocument) -> Iterator[str]:
    order = " < ".join(document.order)
    yield from (
        "# Access matrix",
        "",
        f"Who may do what in `{document.schema}`. Roles hold within one {document.tenant}: {order}; each includes the rights of the ones"
        f" before it. A membership counts while it and its {document.tenant} are active. Super admins are in every"
        f" {document.tenant}. Anonymous clients see only public rows.",
        "",
        "## What each command needs at least",
        "",
        "| Table | Select | Insert | Update | Delete | Never read | Never changed |",
        "| --- " * 7 + "|",
    )
    for table in document.tables:
        needs = " | ".join(_cell(table.least[command]) for command in COMMANDS)
        yield f"| {_code(table.name)} | {needs} | {_codes(table.hidden)} | {_codes(table.fixed)} |"
    yield from (
        "",
        "## What each role may do",
        "",
        "S select, I insert, U update, D delete; small letters: some rows only, as one's own. An update or a delete that looks for"
        " its rows also needs the right to see them.",
        "",
        f"| Table | {' | '.join(title(role.name) for role in document.roles)} |",
        "| --- " * (len(document.roles) + 1) + "|",
    )
    for table in document.tables:
        yield f"| {_code(table.name)} | {' | '.join(marks(role, table.name) for role in document.roles)} |"
    yield from ("", "## By role", "")
    for role in document.roles:
        yield from _role(role)
    yield from ("## By table", "", PREMISE, "")
    for table in document.tables:
        yield from _table(table)


def _role(role: RoleAccess) -> Iterator[str]:
    yield from (f"### {title(role.name)[:1].upper()}{title(role.name)[1:]}", "")
    if not role.tables:
        yield from ("- nothing", "")
        return
    for command in COMMANDS:
        whole, part = role.of(command, "all"), role.of(command, "some")
        said = [_codes(whole)] if whole else []
        said += [f"some rows of {_codes(part)}"] if part else []
        if said:
            yield f"- may {VERBS[command]}: {'; '.join(said)}"
    yield ""


def _table(table: TableAccess) -> Iterator[str]:
    yield from (f"### `{table.name}`", "")
    yield from ((table.comment, "") if table.comment else ())
    for name, value in columns(table):
        yield f"- {name}: {_codes(value)}"
    for decision in table.decisions:
        yield f"- **{', '.join(VERBS[command] for command in decision.commands)}**"
        yield from _branches(decision.tree, 1)
    yield ""


def columns(table: TableAccess) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield a table's limits of columns, in words."""
    for name, value in (
        ("clients never read", table.hidden),
        ("clients never change", table.fixed),
        ("clients may give only", table.given),
        ("clients may change only", table.changed),
        ("people not signed in may read only", table.public),
    ):
        if value:
            yield name, value


def _branches(tree: Sequence[Branch], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for branch in tree:
        if isinstance(branch.then, bool):
            yield f"{indent}- {branch.when} → {'**yes**' if branch.then else 'no'}"
        else:
            yield f"{indent}- {branch.when}:"
            yield from _branches(branch.then, depth + 1)


def _code(name: str) -> str:
    return "`" + name.replace("|", "\\|") + "`"


def _codes(names: Sequence[str]) -> str:
    return ", ".join(_code(name) for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
