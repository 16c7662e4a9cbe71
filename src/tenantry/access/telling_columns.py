"""Finds columns that clients may write although their names suggest that only the application writes them. Pure.

A name proves nothing: the manifest decides about each, by a list of the columns that clients may set and change, or by
`reviewed`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from tenantry.access.policy_conditions import decided
from tenantry.catalog import Table
from tenantry.mapping.client_columns import changed_columns, given_columns
from tenantry.mapping.project import ROW_ID, Project

_TELLING = re.compile(
    r"^(is|has|can)_|(^|_)(status|state|role|roles|admin|owner|owner_id|permissions?|scopes?|plan|tier|quota|limit|price|cost|balance|credits?"
    r"|discount|verified|confirmed|approved|accepted|paid|path|file|filename|url|uri|token|secret|hash|password)$"
    r"|(verified|confirmed|approved|accepted|paid|revoked|expires|finished|synced|login)_at$"
)


_TRUSTED = ("service", "super")
"""Cells of roles that may write everything anyway."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Columns of a table that clients may write and that the manifest has not decided on.

    Attributes:
        command: 'insert' or 'update'.
    """

    table: str
    command: str
    columns: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.table}: clients may {self.command} {', '.join(self.columns)}: {self.reason}"

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "columns": list(self.columns)}


NAMES = "their names say that the application should write them"
NO_ID = (
    "clients state no ids, and nothing gives the row one: let the column have a default, or list it in insert_columns"
)


def doubts(project: Project) -> tuple[Doubt, ...]:
    """Return the undecided columns, by table and command."""
    tenant = project.manifest.tenant
    found = []
    for table in project.target.tables:
        access = decided(project, table)
        if access is None:
            continue
        if access.insert not in _TRUSTED and access.insert_columns is None:
            given = given_columns(table, access, tenant)
            names = _telling(given, access.reviewed)
            if names:
                found.append(Doubt(table.name, "insert", names, NAMES))
            column = table.column(ROW_ID)
            if column is not None and column.default is None and column.identity is None and ROW_ID not in given:
                found.append(Doubt(table.name, "insert", (ROW_ID,), NO_ID))
        if access.update not in _TRUSTED and access.update_columns is None:
            names = _telling(changed_columns(table, access, tenant), access.reviewed)
            if names:
                found.append(Doubt(table.name, "update", names, NAMES))
    return tuple(found)


def owned_by_the_service(project: Project) -> Iterator[tuple[Table, str, tuple[str, ...]]]:
    """Yield the columns with such names that the manifest does not open to clients, since the application writes them: by table
    and command ('insert', 'update') that clients have on a table of tenants."""
    tenant = project.manifest.tenant
    for table in project.target.tables:
        access = decided(project, table)
        if access is None or not project.scoped(table.name) or access.insert in _TRUSTED:
            continue
        for command, given in (
            ("insert", given_columns(table, access, tenant)),
            ("update", () if access.update in _TRUSTED else changed_columns(table, access, tenant)),
        ):
            others = [column.name for column in table.columns if column.generated is None and column.name not in given]
            names = _telling(tuple(others), ())
            if names:
                yield table, command, names


def _telling(names: tuple[str, ...], reviewed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in reviewed and _TELLING.search(_plain(name)))


def _plain(name: str) -> str:
    """Return `isActive` as `is_active`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


__all__ = ["NAMES", "NO_ID", "Doubt", "doubts", "owned_by_the_service"]
