"""Who may read and write: the access of a table, and shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    Discriminator,
    Tag,
    model_validator,
)

from tenantry.manifest.scalars import ManifestRecord, Name, Sql, Way

Command = Literal["select", "insert", "update", "delete"]
COMMANDS: tuple[Command, ...] = ("select", "insert", "update", "delete")


class Through(ManifestRecord):
    """Ownership through another table: the caller owns the values of `match` in rows where `profile` is the caller. Use the
    membership table for things attached to a membership, such as a provider."""

    table: Name
    match: Name = "id"
    profile: Name


class Own(ManifestRecord):
    """Own rows only: the column holds the caller's profile id, and the caller has at least `role` if the table has a tenant.

    "column -> table" means that the column references a row of that table which the caller may see; with `through`, that it
    references something the caller owns there.
    """

    own: Way
    role: Name | None = None
    through: Through | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Own:
        if self.through is not None and self.parent is not None:
            raise ValueError('through replaces "-> table"; write own = "column" with it')
        return self

    @property
    def column(self) -> str:
        return self.own.partition("->")[0].strip()

    @property
    def parent(self) -> str | None:
        """The target table whose visible rows decide; None if the column holds the profile itself."""
        return self.own.partition("->")[2].strip() or None


class Colleagues(ManifestRecord):
    """Rows of people: the caller's own, and those of people who share a tenant in which the caller has at least `role`."""

    colleagues: Name
    own: Name


def _kind_of_cell(value: object) -> str:
    if isinstance(value, Own | Colleagues):
        return f"<{type(value).__name__.lower()}>"
    if isinstance(value, Mapping):
        return "<colleagues>" if "colleagues" in value else "<own>"
    return "<role>"


Cell = Annotated[
    Annotated[str, Tag("<role>")] | Annotated[Own, Tag("<own>")] | Annotated[Colleagues, Tag("<colleagues>")],
    Discriminator(_kind_of_cell),
]
"""A role's name, 'super', 'signed_in', 'service' (no client at all), for select also 'public', or one of the records above."""

TableKind = Literal["tenant", "managed", "own", "shared", "system", "append_only", "service"]
"""Kinds of tables with default cells; see presets.py."""


class Access(ManifestRecord):
    """The least that each command requires. Every table must have a decision; no table is open by default."""

    kind: TableKind | None = None
    """The source of cells that are not given. `access = "tenant"` is short for `access = { kind = "tenant" }`."""
    by: Name | None = None
    """For the kind 'own': the column that holds the profile; by default named as in the membership table."""
    select: Cell
    insert: Cell
    update: Cell
    delete: Cell
    hidden: tuple[Name, ...] = ()
    """Columns that clients never read; only the service role does."""
    fixed: tuple[Name, ...] = ()
    """Columns that clients never change, in addition to ids, tenant and audit columns."""
    insert_columns: tuple[Name, ...] | None = None
    """The columns that clients may set in a new row, and the tenant; by default all but the id, legacy and audit columns."""
    update_columns: tuple[Name, ...] | None = None
    """The columns that clients may change; by default all but legacy, audit, id, tenant and fixed columns."""
    reviewed: tuple[Name, ...] = ()
    """Columns that clients may write although their names suggest that only the application should; silences the warning."""
    unseen: tuple[Name, ...] = ()
    """Columns by which clients may name rows that they do not see, such as the person that an administrator adds by their id. For all
    other references a hidden row and one that does not exist are refused alike."""
    system: Literal["signed_in", "super"] | None = None
    """Who reads rows without a tenant; only super admins write them."""
    shared: Name | None = None
    """The share by which members of other tenants read rows."""
    public: Sql | None = None
    """SQL condition over the row: if it is true, everyone may read the row, signed in or not."""
    public_columns: tuple[Name, ...] | None = None
    """The columns of public rows that anonymous clients read; by default all that are not hidden."""

    def cell(self, command: Command) -> Cell:
        return {"select": self.select, "insert": self.insert, "update": self.update, "delete": self.delete}[command]

    @property
    def for_visitors(self) -> bool:
        """Whether anonymous clients may read some rows."""
        return self.select == "public" or self.public is not None

    @model_validator(mode="after")
    def _consistent(self) -> Access:
        if self.kind == "append_only" and (self.update, self.delete) != ("service", "service"):
            raise ValueError(
                "clients neither change nor delete rows of an append_only table; take update and delete out"
            )
        if self.by is not None and self.kind != "own":
            raise ValueError('by needs kind = "own"')
        if self.public is not None and self.select == "public":
            raise ValueError('select = "public" already shows every row to everyone; remove public')
        if self.public is not None and self.select == "service":
            raise ValueError(
                'public shows rows to everyone, but select is "service"; say who else reads them, such as "super"'
            )
        if self.public_columns is not None and not self.for_visitors:
            raise ValueError("public_columns needs public: without it no row is public")
        if self.shared is not None and self.select in ("service", "public", "signed_in", "super"):
            raise ValueError(
                f'shared extends what members may read, but select is "{self.select}"; give a role of a tenant'
            )
        for columns, cell, command in (
            (self.insert_columns, self.insert, "insert"),
            (self.update_columns, self.update, "update"),
        ):
            if columns is not None and (cell == "service" or not columns):
                raise ValueError(
                    f'{command}_columns: no client may {command} anything; write only {command} = "service"'
                )
        if self.fixed and self.update_columns is not None and set(self.fixed) & set(self.update_columns):
            raise ValueError("a column cannot be both in fixed and in update_columns")
        return self


class Share(ManifestRecord):
    """A table whose rows let members of another tenant read: the tenant of the row shares its data.

    A share holds while its row fulfils `active` and `accepted` and the sharing tenant is active. It grants reading only.
    """

    table: Name
    to: Name
    """The column that names the tenant whose members may read."""
    role: Name | None = None
    """The least role in that tenant; by default any role."""
    active: Sql | None = None
    """SQL condition over the share's row."""
    accepted: Sql
    """SQL condition over the share's row: the reading tenant has accepted. 'true': no acceptance is needed."""
    clients_change: str | None = None
    """What withdraws the acceptance when clients change columns of `active`, such as a trigger of the table."""

    @property
    def holds(self) -> str:
        """The condition under which a row of the table is a share."""
        return f"({self.active}) and ({self.accepted})" if self.active else self.accepted


__all__ = ["COMMANDS", "Access", "Cell", "Colleagues", "Command", "Own", "Share", "TableKind", "Through"]
