"""The manifest: `tenantry.toml` as frozen records. It describes the wanted result; nothing here knows a database.

The target's tables are plain SQL files next to the manifest. The manifest says where each table comes from, how its rows
reach their tenant, how columns change, and who may do what.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from tenantry.manifest.access_rules import COMMANDS, Access, Cell, Colleagues, Command, Own, Share, TableKind, Through
from tenantry.manifest.people import (
    Invitations,
    Link,
    LinkColumn,
    LinkFile,
    Membership,
    Roles,
    TenantSection,
    Users,
    ValueTenants,
)
from tenantry.manifest.presets import with_cells
from tenantry.manifest.scalars import ManifestRecord, Name, Scalar, Sql, Way, listed
from tenantry.manifest.tables import (
    ColumnRule,
    Correct,
    Default,
    Merge,
    Orphan,
    Part,
    PythonTransform,
    SourceRule,
    Stale,
    TableRule,
    Treatment,
)
from tenantry.manifest.throttle import Throttle

LeftAccess = Literal["public", "signed_in", "service"]
"""Who reads all rows of a table that is left where it is: every client, clients of the signed-in role, or none."""


class Source(ManifestRecord):
    schema_name: Annotated[Name, Field(alias="schema")] = "public"
    secrets: Mapping[str, tuple[str, ...]] = {}
    """Columns by source table that no report, log or listing may show."""
    ignore: tuple[str, ...] = ()
    """Source tables that are deliberately not migrated, such as `_prisma_migrations`."""
    left: tuple[str, ...] = ()
    """Source tables that stay where they are, for good; tables of the target may refer to them."""
    access: Mapping[str, LeftAccess] = {}
    """Who of the clients may read a table of `left`; nobody, if it is not listed."""
    down: Mapping[str, Mapping[str, Sql]] = {}
    """By source table and column: SQL of the reverse value, over the row `t` of the target table without a part, and over the
    rows of other parts by their tables' names."""


class Target(ManifestRecord):
    schema_name: Annotated[Name, Field(alias="schema")]
    files: tuple[str, ...]
    """Globs of SQL files next to the manifest, run in the order of their names."""


class Ids(ManifestRecord):
    """Old and new ids.

    Attributes:
        both: target tables that accept old ids as well as new ones, while clients still use them.
    """

    namespace: Name
    both: tuple[Name, ...] = ()

    @field_validator("namespace")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError(
                "must consist of printable characters: a control character separates it from the table's name"
            )
        return value


class DatabaseRoles(ManifestRecord):
    """Names of the roles of the cluster; the defaults are Supabase's."""

    anon: Name = "anon"
    authenticated: Name = "authenticated"
    service: Name = "service_role"
    definer: Name = "tenantry_definer"
    backup: Name = "tenantry_backup"
    login: Name = "tenantry_login"
    """The API's login: member of anon and authenticated only, without inheritance, owner of nothing."""


class Context(ManifestRecord):
    """How the database identifies the caller.

    Attributes:
        sealed: claims count only if the application sealed them for this transaction (tenantry.postgres.tenant). False if
            another component sets them, such as PostgREST on a hosted Supabase; then every statement on a connection is trusted.
            lifetime: maximum age of a token on arrival, in seconds.
            tolerance: allowed difference between the clocks of application and server, in seconds.
    """

    sealed: bool = True
    lifetime: Annotated[int, Field(ge=1, le=30)] = 30
    tolerance: Annotated[int, Field(ge=0, le=30)] = 5


class Rule(ManifestRecord):
    """A business rule: a query that returns rows that violate it (first column: what to look at)."""

    name: Name
    sql: Sql


class PlanSection(ManifestRecord):
    """What `tenantry migrate` demands of the plan."""

    signed: bool = False
    """A new run needs a plan that was signed with `tenantry plan sign`."""


class Manifest(ManifestRecord):
    name: Name
    source: Source
    target: Target
    tenant: TenantSection
    membership: Membership
    roles: Roles
    users: Users | None = None
    invitations: Invitations | None = None
    ids: Ids
    database_roles: DatabaseRoles = DatabaseRoles()
    context: Context = Context()
    shares: Mapping[str, Share] = {}
    tables: Mapping[str, TableRule]
    rules: tuple[Rule, ...] = ()
    throttle: Throttle = Throttle()
    plan: PlanSection = PlanSection()

    path: Annotated[Path, Field(exclude=True)] = Path("tenantry.toml")
    text: Annotated[str, Field(exclude=True)] = ""
    """The file's text, so that later checks can name lines."""

    @model_validator(mode="before")
    @classmethod
    def _kinds_of_tables(cls, value: object) -> object:
        return with_cells(value)

    @property
    def folder(self) -> Path:
        return self.path.parent


__all__ = [
    "COMMANDS",
    "Access",
    "Cell",
    "Colleagues",
    "ColumnRule",
    "Command",
    "Correct",
    "Default",
    "Invitations",
    "Link",
    "LinkColumn",
    "LinkFile",
    "Membership",
    "Merge",
    "Name",
    "Orphan",
    "Own",
    "Part",
    "PlanSection",
    "PythonTransform",
    "Roles",
    "Scalar",
    "Share",
    "SourceRule",
    "Sql",
    "Stale",
    "TableKind",
    "TableRule",
    "TenantSection",
    "Throttle",
    "Through",
    "Treatment",
    "Users",
    "ValueTenants",
    "Way",
    "listed",
]
