"""The manifest: what is wanted, and only that. `tenantry.toml` read into frozen records; nothing here knows a database.

The target's tables are plain SQL files beside the manifest. The manifest says where each of them comes from, how its
rows reach their tenant, how columns change, and who may do what.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Transform = Literal["text", "trim", "number", "money", "percent", "integer", "boolean", "utc", "local_time", "local_day",
                    "email", "json_ids"]  # fmt: skip
"""Built-in column transforms; docs/reference/transforms.md says what each accepts."""

Command = Literal["select", "insert", "update", "delete"]
COMMANDS: tuple[Command, ...] = ("select", "insert", "update", "delete")

Scalar = str | int | float | bool


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Default(_Record):
    """Put a constant in place; the cell is listed in the change log."""

    default: Scalar


class Correct(_Record):
    """Put the value of a SQL expression over the source row `s` in place; the cell is listed in the change log."""

    correct: str


Treatment = Literal["carry", "quarantine"] | Default | Correct
"""What a null, an empty or an invalid value means: carry it over as null (or as the empty text), quarantine the row, or
put something in its place."""


class PythonTransform(_Record):
    """Functions over batches, for what SQL cannot do: `module:function`, (list of values) → list of values."""

    up: str
    down: str


class ColumnRule(_Record):
    """How one target column gets its value. Without a rule: the source column of the same name, cast."""

    source: Annotated[str | None, Field(alias="from")] = None
    ref: str | None = None
    transform: Annotated[Transform | None, Field(alias="as")] = None
    zone: str | None = None
    map: Mapping[str, Scalar] | None = None
    up: str | None = None
    down: str | None = None
    python: PythonTransform | None = None
    ids: Mapping[str, str] | None = None
    stale: Literal["keep", "drop"] = "keep"
    missing: tuple[str, ...] = ()
    null: Treatment | None = None
    empty: Treatment | None = None
    invalid: Treatment | None = None

    @model_validator(mode="after")
    def _one_way(self) -> ColumnRule:
        ways = [
            name
            for name, given in (
                ("ref", self.ref),
                ("as", self.transform),
                ("map", self.map),
                ("up", self.up),
                ("python", self.python),
            )
            if given is not None
        ]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} exclude each other: a column gets its value in one way")
        if self.ids is not None and self.transform != "json_ids":
            raise ValueError('ids belongs to as = "json_ids"')
        if self.transform == "json_ids" and not self.ids:
            raise ValueError('as = "json_ids" needs ids = { "path[*].to.id" = "target table" }')
        if self.transform in ("local_day", "local_time") and self.zone is None:
            raise ValueError(f'as = "{self.transform}" needs zone = "tenant.<column>" or a time zone\'s name')
        if self.down is not None and self.up is None:
            raise ValueError("down without up: give both, or neither")
        return self


class Merge(_Record):
    """Rows that mean the same thing: of those equal in `by` (target columns) the first in the order `keep` stays."""

    by: tuple[str, ...]
    keep: str
    reason: str

    @field_validator("by")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one target column")
        return value


class Own(_Record):
    """Own rows only: those whose column holds the caller's profile id, and at least `role` where the table has a tenant.

    "column -> table" means the rows whose column names a row of that other table which the caller may see.
    """

    own: str
    role: str | None = None

    @property
    def column(self) -> str:
        return self.own.partition("->")[0].strip()

    @property
    def parent(self) -> str | None:
        """The target table whose visible rows decide; None where the column holds the profile itself."""
        return self.own.partition("->")[2].strip() or None


class Colleagues(_Record):
    """People's rows: one's own, and those who share a tenant in which the caller has at least `role`."""

    colleagues: str
    own: str


Cell = str | Own | Colleagues
"""A role's name, 'super', 'signed_in', 'service' (no client at all), or one of the records above."""


class Access(_Record):
    """The least that each command needs. Every table is decided; none is open by silence."""

    select: Cell
    insert: Cell
    update: Cell
    delete: Cell
    hidden: tuple[str, ...] = ()
    """Columns that clients never read: the service role alone does."""
    fixed: tuple[str, ...] = ()
    """Columns that clients never write, besides ids, tenant and audit columns."""

    def cell(self, command: Command) -> Cell:
        return {"select": self.select, "insert": self.insert, "update": self.update, "delete": self.delete}[command]


class SourceRule(_Record):
    """One source table of a target table that several feed."""

    source: Annotated[str, Field(alias="from")]
    part: str | None = None
    where: str | None = None
    tenant: tuple[str, ...] = ()
    columns: Mapping[str, ColumnRule] = {}


class TableRule(_Record):
    """One target table: where it comes from, how its rows reach their tenant, and who may do what."""

    source: Annotated[str | None, Field(alias="from")] = None
    part: str | None = None
    where: str | None = None
    tenant: tuple[str, ...] = ()
    columns: Mapping[str, ColumnRule] = {}
    sources: Mapping[str, SourceRule] = {}
    merge: Merge | None = None
    access: Access

    @model_validator(mode="after")
    def _one_form(self) -> TableRule:
        if self.sources and (self.source or self.columns or self.tenant or self.where or self.part):
            raise ValueError("with [sources] the keys from, part, where, tenant and columns belong into each of them")
        if not self.sources and not self.source and (self.columns or self.tenant or self.merge or self.where):
            raise ValueError("columns, tenant, where and merge say how rows are carried over, but there is no from")
        return self

    def parts(self) -> Mapping[str, SourceRule]:
        """The feeding source tables by name; empty for a new table."""
        if self.sources:
            return self.sources
        if self.source is None:
            return {}
        return {
            "": SourceRule.model_construct(
                source=self.source, part=self.part, where=self.where, tenant=self.tenant, columns=self.columns
            )
        }


class Source(_Record):
    schema_name: Annotated[str, Field(alias="schema")] = "public"
    secrets: Mapping[str, tuple[str, ...]] = {}
    """Columns by source table that no report, log or listing may show."""
    ignore: tuple[str, ...] = ()
    """Source tables that are deliberately left behind, as `_prisma_migrations`."""


class Target(_Record):
    schema_name: Annotated[str, Field(alias="schema")]
    files: tuple[str, ...]
    """Globs of SQL files beside the manifest, run in name order."""


class Tenant(_Record):
    table: str
    column: str
    active: str | None = None
    """SQL expression over a row of the tenant table; members of a tenant for which it is not true get no access."""


class Membership(_Record):
    table: str
    profile: str
    role: str
    active: str | None = None


class Roles(_Record):
    order: tuple[str, ...]
    """The tenant roles, least first; each may do all that the ones before it may."""

    @field_validator("order")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("name at least one role, each once")
        taken = {"super", "signed_in", "service", "anyone"} & set(value)
        if taken:
            raise ValueError(f"{sorted(taken)[0]!r} has a meaning of its own in the access matrix; choose another name")
        return value


class Users(_Record):
    """The home-made users table and the profile table that takes its place."""

    source: Annotated[str, Field(alias="from")]
    profile: str
    account: str
    email: str
    super: str | None = None
    """SQL condition over the source row `s`: who becomes super admin (in app_metadata, which no user can edit)."""


class Ids(_Record):
    namespace: str


class DatabaseRoles(_Record):
    """Names of the roles of the cluster; the defaults are Supabase's."""

    anon: str = "anon"
    authenticated: str = "authenticated"
    service: str = "service_role"
    definer: str = "tenantry_definer"
    backup: str = "tenantry_backup"
    login: str = "tenantry_login"
    """The API's login: member of anon and authenticated only, without inheritance, owner of nothing."""


class Rule(_Record):
    """A business rule: a query that returns the rows that break it (first column: what to look at)."""

    name: str
    sql: str


class Manifest(_Record):
    name: str
    source: Source
    target: Target
    tenant: Tenant
    membership: Membership
    roles: Roles
    users: Users | None = None
    ids: Ids
    database_roles: DatabaseRoles = DatabaseRoles()
    tables: Mapping[str, TableRule]
    rules: tuple[Rule, ...] = ()

    path: Annotated[Path, Field(exclude=True)] = Path("tenantry.toml")
    text: Annotated[str, Field(exclude=True)] = ""
    """The file's text, so that later checks can name lines."""

    @property
    def folder(self) -> Path:
        return self.path.parent
