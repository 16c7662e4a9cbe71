"""The rights on the target's objects that the access matrix requires, as data: grants are generated from it, and a
live database is compared with it. Pure.

Policies decide about rows, rights about commands and columns. Rights to write are granted at the cut-over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tenantry.access.columns import insertable, selectable, updatable, visible
from tenantry.access.policies import definer_columns
from tenantry.access.policy_conditions import decided
from tenantry.catalog import Function, Sequence, Table, View
from tenantry.mapping.project import Project
from tenantry.postgres import ident, idents


@dataclass(frozen=True, slots=True)
class Right:
    """One or several rights of some roles on one object.

    Attributes:
        on: 'schema', 'table' (also a view), 'sequence', or 'function'.
        name: as SQL, with the schema; for a function also with its argument types.
        privileges: in lower case.
        columns: of a table; empty for the whole table.
        writes: whether it is granted at the cut-over.
    """

    on: Literal["schema", "table", "sequence", "function", "procedure"]
    name: str
    privileges: tuple[str, ...]
    roles: tuple[str, ...]
    columns: tuple[str, ...] = ()
    writes: bool = False

    def grant(self) -> str:
        return f"grant {self._right()} to {idents(self.roles)};"

    def revoke(self) -> str:
        return f"revoke {self._right()} from {idents(self.roles)};"

    def _right(self) -> str:
        on = self.name if self.on == "table" else f"{self.on} {self.name}"
        if self.columns:
            return f"{column_list(self.privileges[0], self.columns)}\n    on {on}"
        return f"{', '.join(self.privileges)} on {on}"


def column_list(privilege: str, columns: tuple[str, ...]) -> str:
    """Return a right on some columns, e.g. `select (a, b, c)`, wrapped into readable lines."""
    lines, line = [], f"{privilege} ("
    for position, column in enumerate(columns):
        piece = ident(column) + (", " if position < len(columns) - 1 else ")")
        if len(line) + len(piece) > 112:
            lines.append(line.rstrip())
            line = "    "
        line += piece
    return "\n".join([*lines, line])


def everybody(project: Project) -> tuple[str, ...]:
    """Return the roles with rights on tables, besides their owner."""
    roles = project.manifest.database_roles
    return roles.anon, roles.authenticated, roles.service, roles.definer, roles.backup


def has_visitors(project: Project) -> bool:
    """Whether anonymous clients may read any row."""
    return any(
        (access := decided(project, table)) is not None and access.for_visitors for table in project.target.tables
    )


def schema_right(project: Project) -> Right:
    """Return the USAGE right on the schema."""
    roles = project.manifest.database_roles
    visitors = (roles.anon,) if has_visitors(project) else ()
    readers = (*visitors, roles.authenticated, roles.service, roles.definer, roles.backup)
    return Right("schema", ident(project.target.schema), ("usage",), readers)


def table_reads(project: Project, table: Table) -> Iterator[Right]:
    """Yield the rights to read a table, in the order in which they are granted."""
    roles = project.manifest.database_roles
    name = ident(table.schema, table.name)
    access = decided(project, table)
    if access is not None and access.select != "service":
        yield Right("table", name, ("select",), (roles.authenticated,), selectable(table, access))
    if access is not None and access.for_visitors:
        yield Right("table", name, ("select",), (roles.anon,), visible(table, access))
    yield Right("table", name, ("select",), (roles.service, roles.backup))
    columns = definer_columns(project, table)
    if columns:
        yield Right("table", name, ("select",), (roles.definer,), columns)


def table_writes(project: Project, table: Table) -> Iterator[Right]:
    """Yield the rights to write a table, which are granted at the cut-over."""
    roles = project.manifest.database_roles
    name = ident(table.schema, table.name)
    access = decided(project, table)
    grows = access is not None and access.kind == "append_only"
    yield Right("table", name, ("insert",) if grows else ("insert", "update", "delete"), (roles.service,), writes=True)
    if access is None:
        return
    client = (roles.authenticated,)
    columns = insertable(project, table)
    if access.insert != "service" and columns:
        yield Right("table", name, ("insert",), client, columns, writes=True)
    columns = updatable(project, table)
    if access.update != "service" and columns:
        yield Right("table", name, ("update",), client, columns, writes=True)
    if access.delete != "service":
        yield Right("table", name, ("delete",), client, writes=True)


def sequence_right(project: Project, sequence: Sequence) -> Right:
    """Return the right to draw numbers for new rows, for roles that may insert them. Identity columns need none."""
    roles = project.manifest.database_roles
    table = None if sequence.owned_by is None else project.target.table(sequence.owned_by[0])
    access = None if table is None else decided(project, table)
    column = None if table is None or sequence.owned_by is None else table.column(sequence.owned_by[1])
    drawn = column is None or column.identity is None
    born = (
        drawn and table is not None and access is not None and access.insert != "service" and insertable(project, table)
    )
    callers = (roles.service, roles.authenticated) if born else (roles.service,)
    return Right("sequence", ident(sequence.schema, sequence.name), ("usage",), callers, writes=True)


def view_right(project: Project, view: View) -> Right:
    """Return the right to read a view; never for materialized views, which hold rows of all tenants without policies."""
    roles = project.manifest.database_roles
    readers: tuple[str, ...] = (roles.service, roles.backup)
    if not view.materialized:
        readers = (roles.authenticated, *readers)
    return Right("table", ident(view.schema, view.name), ("select",), readers)


def function_right(project: Project, function: Function) -> Right | None:
    """Return who may call a function of the target, or None for nobody. Callers need no right on trigger functions, but on
    functions in defaults, checks and views. People must grant definer functions explicitly."""
    if function.kind not in ("function", "procedure"):
        return None
    if function.returns in ("trigger", "event_trigger") or function.security_definer:
        return None
    roles = project.manifest.database_roles
    on: Literal["function", "procedure"] = "procedure" if function.kind == "procedure" else "function"
    return Right(on, function_name(function), ("execute",), (roles.authenticated, roles.service))


def function_name(function: Function) -> str:
    """Return the SQL name of a function, with its argument types."""
    return f"{ident(function.schema, function.name)}({function.arguments})"


def write_rights(project: Project) -> Iterator[Right]:
    """Yield all rights that clients and the service get at the cut-over."""
    for table in project.target.tables:
        yield from table_writes(project, table)
    for sequence in project.target.sequences:
        yield sequence_right(project, sequence)
