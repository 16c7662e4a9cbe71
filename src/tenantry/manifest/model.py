"""The manifest: `tenantry.toml` as frozen records. It describes the wanted result; nothing here knows a database.

The target's tables are plain SQL files next to the manifest. The manifest says where each table comes from, how its rows
reach their tenant, how columns change, and who may do what.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from tenantry.manifest.presets import with_cells

Command = Literal["select", "insert", "update", "delete"]
COMMANDS: tuple[Command, ...] = ("select", "insert", "update", "delete")


def _scalar(value: object) -> object:
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("must be a text, a number, true or false")
    return value


def _one_or_two_names(value: str) -> str:
    column, arrow, table = (piece.strip() for piece in value.partition("->"))
    if not column or (arrow and not table) or "->" in table:
        raise ValueError('must be "column", or "column -> target table"')
    return value


def _table_or_none(value: object) -> object:
    if value is not False and not (isinstance(value, str) and value):
        raise ValueError("must be a target table, or false if the column is no reference")
    return value


Scalar = Annotated[str | int | float | bool, BeforeValidator(_scalar)]
Name = Annotated[str, Field(min_length=1)]
Sql = Annotated[str, Field(min_length=1)]
"""A SQL expression; docs/reference/manifest.md says over which rows."""
Way = Annotated[str, AfterValidator(_one_or_two_names)]
"""A column, or "column -> target table" if no foreign key names the table."""

_PATH = re.compile(r"[^\W\d]\w*(\[\*\])*(\.[^\W\d]\w*(\[\*\])*)*")
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def listed(names: Sequence[str]) -> str:
    """Return names as part of a sentence: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Default(_Record):
    """Replace the value with a constant; the transform audit lists the cell."""

    default: Scalar


class Correct(_Record):
    """Replace the value with that of a SQL expression over the source row `s`; the transform audit lists the cell."""

    correct: Sql


def _kind_of_treatment(value: object) -> str:
    if isinstance(value, Default | Correct):
        return f"<{type(value).__name__.lower()}>"
    if isinstance(value, Mapping):
        return "<correct>" if "correct" in value and "default" not in value else "<default>"
    return "<word>"


# The alternative is chosen before it is validated, so that errors are about the one that was meant.
Treatment = Annotated[
    Annotated[Literal["carry", "quarantine"], Tag("<word>")]
    | Annotated[Default, Tag("<default>")]
    | Annotated[Correct, Tag("<correct>")],
    Discriminator(_kind_of_treatment),
]
"""What to do with a null, empty or invalid value: migrate it as null (or as the empty text), quarantine the row, or
replace it."""


Orphan = Annotated[
    Annotated[Literal["quarantine", "null"], Tag("<word>")] | Annotated[Correct, Tag("<correct>")],
    Discriminator(lambda value: "<word>" if isinstance(value, str) else "<correct>"),
]
"""What to do with a reference to a row that does not exist: quarantine its row, set the reference to null, or replace it with
the old id that a SQL expression over `s` returns. The transform audit keeps the original."""


class PythonTransform(_Record):
    """Python functions over batches, for transforms that SQL cannot express: `module:function`, list of values → list of values."""

    up: str
    down: str

    @field_validator("up", "down")
    @classmethod
    def _is_function(cls, value: str) -> str:
        if not _FUNCTION.fullmatch(value):
            raise ValueError('name a function as "package.module:function"')
        return value


class ColumnRule(_Record):
    """How one target column gets its value. Without a rule it is the source column of the same name, cast."""

    source: Annotated[Name | None, Field(alias="from")] = None
    ref: Annotated[str | Literal[False] | None, BeforeValidator(_table_or_none)] = None
    """The target table that the column references; False: none, whatever foreign keys exist."""
    transform: Annotated[str | None, Field(alias="as")] = None
    """The name of a transform. mapping/check_transforms.py knows the existing names and which other columns each reads."""
    zone: Name | None = None
    map: Mapping[str, Scalar] | None = None
    up: Sql | None = None
    down: Sql | None = None
    python: PythonTransform | None = None
    orphan: Orphan | None = None
    ids: Mapping[str, Name] | None = None
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
                ("ref", self.ref or None),
                ("as", self.transform),
                ("map", self.map),
                ("up", self.up),
                ("python", self.python),
            )
            if given is not None
        ]
        if len(ways) > 1:
            raise ValueError(
                f"{listed(ways)} exclude each other: a column gets its value in one way only; take the others out"
            )
        if self.orphan is not None and not self.ref:
            raise ValueError("orphan needs ref: it says what becomes of a reference to a row that does not exist")
        if self.down is not None and self.up is None and self.map is None:
            raise ValueError("down needs up or map: Tenantry reverses all other rules by itself; take it out")
        self._nothing_unread(ways[0] if ways else "")
        return self

    def _nothing_unread(self, way: str) -> None:
        """Refuse keys that this kind of rule would silently ignore."""
        if self.map is not None and not self.map:
            raise ValueError('map is empty; give it entries: { "old" = "new" }')
        for path in self.ids or {}:
            if not _PATH.fullmatch(path):
                raise ValueError(
                    f'ids: {path!r} is not a path; write keys with dots and [*] for lists, such as "rows[*].id"'
                )
        if way in ("ref", "up", "python"):
            given = [name for name in ("missing", "null", "empty", "invalid") if name in self.model_fields_set]
            if given:
                verb = "has" if len(given) == 1 else "have"
                raise ValueError(f"{listed(given)} {verb} no effect together with {way}; take it out")


class Merge(_Record):
    """Duplicate rows: of the rows equal in `by` (target columns), the first in the order `keep` survives."""

    by: tuple[Name, ...]
    keep: Sql
    reason: Name

    @field_validator("by")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one target column")
        return value


class Through(_Record):
    """Ownership through another table: the caller owns the values of `match` in rows where `profile` is the caller. Use the
    membership table for things attached to a membership, such as a provider."""

    table: Name
    match: Name = "id"
    profile: Name


class Own(_Record):
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


class Colleagues(_Record):
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


class Access(_Record):
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
            raise ValueError('select = "public" already shows every row to everybody; take public out')
        if self.public is not None and self.select == "service":
            raise ValueError(
                'public shows rows to everybody, but select is "service"; say who else reads them, such as "super"'
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


class Share(_Record):
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


def _part(value: str) -> str:
    if not re.fullmatch(r"\w+", value):
        raise ValueError("must be a word of letters, digits and underscores")
    if value == "account":
        raise ValueError("'account' already means the ids of accounts; choose another word")
    return value


Part = Annotated[str, AfterValidator(_part)]
"""A word that is part of the derived ids, so that two tables from one source have different ids."""


class SourceRule(_Record):
    """One source table of a target table that several fill."""

    source: Annotated[Name, Field(alias="from")]
    part: Part | None = None
    where: Sql | None = None
    tenant: tuple[Way, ...] = ()
    columns: Mapping[str, ColumnRule] = {}


class TableRule(_Record):
    """One target table: where it comes from, how its rows reach their tenant, and who may do what."""

    source: Annotated[Name | None, Field(alias="from")] = None
    part: Part | None = None
    where: Sql | None = None
    tenant: tuple[Way, ...] = ()
    columns: Mapping[str, ColumnRule] = {}
    sources: Mapping[str, SourceRule] = {}
    merge: Merge | None = None
    access: Access

    @model_validator(mode="after")
    def _one_form(self) -> TableRule:
        if self.sources and (self.source or self.columns or self.tenant or self.where or self.part):
            raise ValueError("with [sources], write the keys from, part, where, tenant and columns into each source")
        said = [
            name
            for name, given in (
                ("part", self.part),
                ("where", self.where),
                ("tenant", self.tenant),
                ("columns", self.columns),
                ("merge", self.merge),
            )
            if given
        ]
        if said and not self.sources and not self.source:
            verb = "says" if len(said) == 1 else "say"
            raise ValueError(f"{listed(said)} {verb} how rows are carried over, but there is no from")
        return self

    def parts(self) -> Mapping[str, SourceRule]:
        """The source tables by name; empty for a new table."""
        if self.sources:
            return self.sources
        if self.source is None:
            return {}
        return {
            "": SourceRule.model_construct(
                **{"from": self.source},  # type: ignore[arg-type]  # the alias is a keyword of Python
                part=self.part,
                where=self.where,
                tenant=self.tenant,
                columns=self.columns,
            )
        }


class Source(_Record):
    schema_name: Annotated[Name, Field(alias="schema")] = "public"
    secrets: Mapping[str, tuple[str, ...]] = {}
    """Columns by source table that no report, log or listing may show."""
    ignore: tuple[str, ...] = ()
    """Source tables that are deliberately not migrated, such as `_prisma_migrations`."""
    down: Mapping[str, Mapping[str, Sql]] = {}
    """By source table and column: SQL of the reverse value, over the row `t` of the target table without a part, and over the
    rows of other parts by their tables' names."""


class Target(_Record):
    schema_name: Annotated[Name, Field(alias="schema")]
    files: tuple[str, ...]
    """Globs of SQL files next to the manifest, run in the order of their names."""


class TenantSection(_Record):
    table: Name
    column: Name
    active: Sql | None = None
    """SQL expression over a row of the tenant table; members get no access while it is not true."""


class Membership(_Record):
    """Who belongs to which tenant, and with which role.

    Attributes:
        active: SQL condition over the membership; by default every membership is active.
        end: SQL expression by column that ends a membership; by default its row is deleted.
        clients_write: why clients below the highest role may write memberships, if that is intended.
    """

    table: Name
    profile: Name
    role: Name
    active: Sql | None = None
    end: Mapping[Name, Sql] = Field(default_factory=dict)
    clients_write: str | None = None


class Roles(_Record):
    order: tuple[str, ...]
    """The tenant roles, least first; each includes the rights of those before it."""

    @field_validator("order")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("name at least one role, each once")
        taken = {"super", "signed_in", "service", "public", "anyone"} & set(value)
        if taken:
            raise ValueError(f"{sorted(taken)[0]!r} is a reserved word of the access matrix; choose another name")
        return value


class LinkColumn(_Record):
    """Link by a source column that already holds the id of the account."""

    column: Name


class LinkFile(_Record):
    """Link by a CSV file next to the manifest: the user's old id and the account's id."""

    file: Name


def _kind_of_link(value: object) -> str:
    if isinstance(value, LinkColumn | LinkFile):
        return "<column>" if isinstance(value, LinkColumn) else "<file>"
    if isinstance(value, Mapping):
        return "<file>" if "file" in value else "<column>"
    return "<word>"


Link = Annotated[
    Annotated[Literal["email"], Tag("<word>")]
    | Annotated[LinkColumn, Tag("<column>")]
    | Annotated[LinkFile, Tag("<file>")],
    Discriminator(_kind_of_link),
]
"""A way to find the account that a user already has."""


class Users(_Record):
    """The application's users table and the profile table that replaces it.

    Attributes:
        super: SQL condition over the source row `s`: who becomes super admin (in app_metadata, which no user can edit).
        link: ways to find an existing account, in order; the first match counts.
        otherwise: what to do with a user without an account: create one, invite the user, or leave them without one until
        they sign up and confirm their e-mail.
        password: source column with the password hash. Users with bcrypt, argon2 or Firebase scrypt hashes keep their password.
        unusable: what to do with a user whose hash is missing or of another kind: create an account without a password, which
        the user resets; send an invitation; or create no account.
        verified: SQL condition over `s`: the old application verified the e-mail, so the new account counts as confirmed.
        deleted, if_deleted: SQL condition over `s` for soft-deleted users, who get no account or a banned one.
        system: SQL condition over `s` for users that are not people and never get an account.
        if_unconfirmed: an unconfirmed account has the user's e-mail: leave the user unlinked until it is confirmed, or refuse.
        if_banned: the user's account is banned: link it (it stays banned), leave the user unlinked, or refuse the run.
        if_taken: the user's account belongs to another person: leave the user without one, or refuse the run.
        metadata: SQL expression of type jsonb over `s`: user_metadata of the new account; it grants nothing.
        in_step: triggers on auth.users synchronize profiles from the cut-over on.
        new: SQL expression over the account `u` by column of the profile table, for profiles that sign-ups create.
        gone: column of the profile table (timestamptz): when the person's account was deleted.
    """

    source: Annotated[Name, Field(alias="from")]
    profile: Name
    account: Name
    email: Name
    super: Sql | None = None
    link: tuple[Link, ...] = ("email",)
    otherwise: Literal["create", "invite", "leave"] = "create"
    password: Name | None = None
    unusable: Literal["reset", "invite", "leave"] = "reset"
    verified: Sql | None = None
    deleted: Sql | None = None
    if_deleted: Literal["leave", "ban"] = "leave"
    system: Sql | None = None
    if_unconfirmed: Literal["leave", "refuse"] = "leave"
    if_banned: Literal["link", "leave", "refuse"] = "link"
    if_taken: Literal["leave", "refuse"] = "leave"
    metadata: Sql | None = None
    in_step: bool = False
    new: Mapping[Name, Sql] = Field(default_factory=dict)
    gone: Name | None = None


class Invitations(_Record):
    """The table of invitations: a person who confirms the invited e-mail becomes a member with the invited role.

    Attributes:
        open: SQL condition over the invitation `i`: it may still be accepted.
        accepted: column (timestamptz): when it was accepted.
        by: column that names the profile of the person who accepted it.
        inviter: column that names the profile of the inviter; the invitation is valid while they have that role there.
        clients_write: why clients below the highest role may write invitations, if that is intended.
    """

    table: Name
    email: Name
    role: Name
    open: Sql
    accepted: Name
    by: Name | None = None
    inviter: Name | None = None
    clients_write: str | None = None


class Ids(_Record):
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


class DatabaseRoles(_Record):
    """Names of the roles of the cluster; the defaults are Supabase's."""

    anon: Name = "anon"
    authenticated: Name = "authenticated"
    service: Name = "service_role"
    definer: Name = "tenantry_definer"
    backup: Name = "tenantry_backup"
    login: Name = "tenantry_login"
    """The API's login: member of anon and authenticated only, without inheritance, owner of nothing."""


class Context(_Record):
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


class Rule(_Record):
    """A business rule: a query that returns rows that violate it (first column: what to look at)."""

    name: Name
    sql: Sql


class Throttle(_Record):
    """When a run backs off. Times and sizes are texts with a unit; "off" disables a limit.

    docs/how-to/throttle.md describes what each limit slows down. `tenantry throttle set` overrides them during a run.
    """

    sleep: str = "off"
    chunk_target: str = "500ms"
    max_lock_wait: str = "1s"
    max_replication_lag: str = "10s"
    max_slot_lag: str = "8GB"
    max_transaction_age: str = "5min"
    max_wal_per_second: str = "64MB"
    max_wal_directory: str = "off"
    max_database_growth: str = "off"
    min_free_disk: str = "1GB"
    yield_to_autovacuum: bool = True

    @field_validator("sleep", mode="before")
    @classmethod
    def _is_rest(cls, value: object) -> str:
        none = isinstance(value, str) and re.fullmatch(r"\s*0+(\.0+)?\s*(ms|s|min|h|d)\s*", value)
        return "off" if none else cls._is_time(value)

    @field_validator("max_lock_wait", "max_replication_lag", "max_transaction_age", mode="before")
    @classmethod
    def _is_time(cls, value: object) -> str:
        return cls._amount(value, cls._TIMES, "time", '"500ms", "10s", "5min", "2h" or "off"')

    @field_validator("chunk_target", mode="before")
    @classmethod
    def _is_time_of_a_chunk(cls, value: object) -> str:
        text = cls._amount(value, cls._TIMES, "time", '"500ms", "2s" or "1min"')
        if not 0.01 <= cls.amount(text) <= 3600:
            raise ValueError("must be between 10ms and 1h")
        return text

    @field_validator(
        "max_slot_lag",
        "max_wal_per_second",
        "max_wal_directory",
        "max_database_growth",
        "min_free_disk",
        mode="before",
    )
    @classmethod
    def _is_size(cls, value: object) -> str:
        return cls._amount(value, cls._SIZES, "size", '"512kB", "64MB", "8GB", "1TB" or "off"')

    @field_validator("yield_to_autovacuum", mode="before")
    @classmethod
    def _is_said(cls, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value

    _TIMES: ClassVar[Mapping[str, float]] = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
    # In PostgreSQL's units and spelling.
    _SIZES: ClassVar[Mapping[str, float]] = {"kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}

    @classmethod
    def _amount(cls, value: object, units: Mapping[str, float], what: str, examples: str) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be a {what} with its unit: {examples}")
        text = "".join(value.split())
        if text == "off":
            return text
        # The case of a unit does not matter as long as it is unambiguous: mb is MB.
        found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([A-Za-z]+)", text, re.ASCII)
        unit = next((unit for unit in units if found and unit.lower() == found[2].lower()), None)
        if found is None or unit is None:
            raise ValueError(f"{value!r} is not a {what}; write {examples}")
        if float(found[1]) == 0:
            raise ValueError(
                f'a limit of 0 would stop the run for ever; write "off" to switch the limit off, or {examples}'
            )
        return found[1] + unit

    @classmethod
    def amount(cls, text: str) -> float:
        """A checked text in seconds or bytes; "off" is 0."""
        number = text.rstrip("abcdefghijklmnopqrstuvwxyzBGKMT")
        return float(number) * {**cls._TIMES, **cls._SIZES}[text[len(number) :]] if number else 0.0


class Manifest(_Record):
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
