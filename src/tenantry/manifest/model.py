"""The manifest: what is wanted, and only that. `tenantry.toml` read into frozen records; nothing here knows a database.

The target's tables are plain SQL files beside the manifest. The manifest says where each of them comes from, how its
rows reach their tenant, how columns change, and who may do what.
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
"""A column, or "column -> target table" where no foreign key says where it leads."""

_PATH = re.compile(r"[^\W\d]\w*(\[\*\])*(\.[^\W\d]\w*(\[\*\])*)*")
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Default(_Record):
    """Put a constant in place; the cell is listed in the change log."""

    default: Scalar


class Correct(_Record):
    """Put the value of a SQL expression over the source row `s` in place; the cell is listed in the change log."""

    correct: Sql


def _kind_of_treatment(value: object) -> str:
    if isinstance(value, Default | Correct):
        return f"<{type(value).__name__.lower()}>"
    if isinstance(value, Mapping):
        return "<correct>" if "correct" in value and "default" not in value else "<default>"
    return "<word>"


# Alternatives are told apart before they are read, so that what is wrong is said of the one that was meant.
Treatment = Annotated[
    Annotated[Literal["carry", "quarantine"], Tag("<word>")]
    | Annotated[Default, Tag("<default>")]
    | Annotated[Correct, Tag("<correct>")],
    Discriminator(_kind_of_treatment),
]
"""What a null, an empty or an invalid value means: carry it over as null (or as the empty text), quarantine the row, or
put something in its place."""


Orphan = Annotated[
    Annotated[Literal["quarantine", "null"], Tag("<word>")] | Annotated[Correct, Tag("<correct>")],
    Discriminator(lambda value: "<word>" if isinstance(value, str) else "<correct>"),
]
"""What becomes of a reference to a row that does not exist: its row goes to the quarantine; the reference is left empty; or the
old id that a SQL expression over `s` gives stands in. The original is kept in the change log."""


class PythonTransform(_Record):
    """Functions over batches, for what SQL cannot do: `module:function`, (list of values) → list of values."""

    up: str
    down: str

    @field_validator("up", "down")
    @classmethod
    def _is_function(cls, value: str) -> str:
        if not _FUNCTION.fullmatch(value):
            raise ValueError('name a function as "package.module:function"')
        return value


class ColumnRule(_Record):
    """How one target column gets its value. Without a rule: the source column of the same name, cast."""

    source: Annotated[Name | None, Field(alias="from")] = None
    ref: Annotated[str | Literal[False] | None, BeforeValidator(_table_or_none)] = None
    """The target table whose row is named; False: none is, whatever foreign keys say."""
    transform: Annotated[str | None, Field(alias="as")] = None
    """The name of a transform; which there are, and what they read beside, is known where they are (mapping/check_transforms.py)."""
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
        """A key that this way to a value would pass over in silence is refused."""
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
    """Rows that mean the same thing: of those equal in `by` (target columns) the first in the order `keep` stays."""

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
    """A table of the target whose rows say what is whose: one's own is what `match` names in the rows whose `profile` is the
    caller's. The table of memberships does for what hangs on a membership, as a provider."""

    table: Name
    match: Name = "id"
    profile: Name


class Own(_Record):
    """Own rows only: those whose column holds the caller's profile id, and at least `role` where the table has a tenant.

    "column -> table" means the rows whose column names a row of that other table which the caller may see; with `through` the
    rows whose column names something that is the caller's own there.
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
        """The target table whose visible rows decide; None where the column holds the profile itself."""
        return self.own.partition("->")[2].strip() or None


class Colleagues(_Record):
    """People's rows: one's own, and those who share a tenant in which the caller has at least `role`."""

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
"""Kinds of tables that have cells of their own; see presets.py."""


class Access(_Record):
    """The least that each command needs. Every table is decided; none is open by silence."""

    kind: TableKind | None = None
    """Where the cells that are not given come from. `access = "tenant"` is short for `access = { kind = "tenant" }`."""
    by: Name | None = None
    """For the kind 'own': the column that holds the profile; without it the column that memberships have for it."""
    select: Cell
    insert: Cell
    update: Cell
    delete: Cell
    hidden: tuple[Name, ...] = ()
    """Columns that clients never read: the service role alone does."""
    fixed: tuple[Name, ...] = ()
    """Columns that clients never change, besides ids, tenant and audit columns."""
    insert_columns: tuple[Name, ...] | None = None
    """The columns that clients may give for a new row, and the tenant; without it all but the id, the past and the authors."""
    update_columns: tuple[Name, ...] | None = None
    """The columns that clients may change; without it all but the past, the authors, ids, tenants and what is fixed."""
    reviewed: tuple[Name, ...] = ()
    """Columns that clients may write although their names sound as if the application should: `tenantry access` does not warn."""
    system: Literal["signed_in", "super"] | None = None
    """Who reads the rows that have no tenant; super admins alone write them."""
    shared: Name | None = None
    """The share by which members of other tenants read rows."""
    public: Sql | None = None
    """SQL condition over the row: those for which it is true are read by everybody, signed in or not."""
    public_columns: tuple[Name, ...] | None = None
    """The columns that visitors read of public rows; without it all that are not hidden."""

    def cell(self, command: Command) -> Cell:
        return {"select": self.select, "insert": self.insert, "update": self.update, "delete": self.delete}[command]

    @property
    def for_visitors(self) -> bool:
        """Whether people who are not signed in may read some rows."""
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
    """A table by whose rows one tenant lets the members of another read: the row's own tenant is the one that shares.

    A share holds while its row fulfils `active` and `accepted` and the tenant that shares is active; it gives nothing but reading.
    """

    table: Name
    to: Name
    """The column that names the tenant whose members may read."""
    role: Name | None = None
    """The least role in that tenant; without it any."""
    active: Sql | None = None
    """SQL condition over the share's row."""
    accepted: Sql
    """SQL condition over the share's row: the tenant that may read has agreed to. 'true': nobody asks it."""
    clients_change: str | None = None
    """What takes the acceptance back when clients change what `active` asks, such as a trigger of the table."""

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
"""A word that goes into the derived ids, so that two tables made of one source have different ones."""


class SourceRule(_Record):
    """One source table of a target table that several feed."""

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
        """The feeding source tables by name; empty for a new table."""
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
    """Source tables that are deliberately left behind, as `_prisma_migrations`."""
    down: Mapping[str, Mapping[str, Sql]] = {}
    """By source table and column: SQL of the value on the way back, over the row `t` of the target table without a part, and
    over the rows of other parts by their tables' names."""


class Target(_Record):
    schema_name: Annotated[Name, Field(alias="schema")]
    files: tuple[str, ...]
    """Globs of SQL files beside the manifest, run in name order."""


class TenantSection(_Record):
    table: Name
    column: Name
    active: Sql | None = None
    """SQL expression over a row of the tenant table; members of a tenant for which it is not true get no access."""


class Membership(_Record):
    """Who belongs to which tenant, and with which role.

    Attributes:
        active: SQL condition over the membership: without it all count.
        end: by column, a SQL expression: how a membership ends; without it its row is deleted.
        clients_write: why clients below the highest role write memberships, where they do and that is meant.
    """

    table: Name
    profile: Name
    role: Name
    active: Sql | None = None
    end: Mapping[Name, Sql] = Field(default_factory=dict)
    clients_write: str | None = None


class Roles(_Record):
    order: tuple[str, ...]
    """The tenant roles, least first; each may do all that the ones before it may."""

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
    """Link by a CSV file beside the manifest: the user's old id, and the account's id."""

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
"""A way to find the account that a user has already."""


class Users(_Record):
    """The home-made users table and the profile table that takes its place.

    Attributes:
        super: SQL condition over the source row `s`: who becomes super admin (in app_metadata, which no user can edit).
        link: ways to find an account that is there already, in order; the first that finds one counts.
        otherwise: what becomes of a user without an account: one is made, he is invited, or he is left without one until he
            signs up and confirms his e-mail.
        password: source column that holds a password's hash; where it is bcrypt, argon2 or Firebase scrypt he keeps his password.
        unusable: what becomes of a user whose hash is of another kind, or missing: an account without a password, which he
            resets; an invitation; or no account.
        verified: SQL condition over `s`: the old application has verified the e-mail, so that the new account counts as confirmed.
        deleted, if_deleted: SQL condition over `s`: who is deleted softly; left without an account, or given one that is banned.
        system: SQL condition over `s`: who is no person and never gets an account.
        if_unconfirmed: an account with his e-mail exists, but never confirmed it: he is left until it does, or the run refuses.
        if_banned: his account is banned: it is linked, and stays banned; or he is left; or the run refuses.
        if_taken: his account is already another person's: he is left without one, or the run refuses.
        metadata: SQL expression over `s`, of jsonb: what the new account's user_metadata shall hold; it grants nothing.
        in_step: triggers on auth.users keep profiles in step from the cut-over on.
        new: by column of the profile table, a SQL expression over the account `u` for profiles that sign-ups make.
        gone: column of the profile table (timestamptz) that says since when a person's account is deleted.
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
    """The table of invitations: whoever confirms the e-mail that one names becomes a member, with the role that it names.

    Attributes:
        open: SQL condition over the invitation `i`: it may still be accepted.
        accepted: column (timestamptz) that says when it was.
        by: column that names the profile of the person who accepted it.
        inviter: column that names the profile of the person who made it; it counts while they have that role there.
        clients_write: why clients below the highest role write invitations, where they do and that is meant.
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
        both: target tables whose old ids are accepted beside the new ones, for as long as clients use them.
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
    """How the database comes to know the caller.

    Attributes:
        sealed: claims count only if the application sealed them for this transaction (tenantry.postgres.tenant). False where
            others set them, as PostgREST does on a hosted Supabase: then every statement on a connection is trusted with them.
        lifetime: seconds between making a token and its arrival.
        tolerance: seconds by which the clocks of application and server may differ.
    """

    sealed: bool = True
    lifetime: Annotated[int, Field(ge=1, le=30)] = 30
    tolerance: Annotated[int, Field(ge=0, le=30)] = 5


class Rule(_Record):
    """A business rule: a query that returns the rows that break it (first column: what to look at)."""

    name: Name
    sql: Sql


class Throttle(_Record):
    """How a run makes way for others. Times and sizes are texts with a unit; "off" switches a limit off.

    docs/how-to/throttle.md says what each limit holds back. While a run goes on, `tenantry throttle set` overrides them.
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
    # As PostgreSQL counts and writes them.
    _SIZES: ClassVar[Mapping[str, float]] = {"kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}

    @classmethod
    def _amount(cls, value: object, units: Mapping[str, float], what: str, examples: str) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be a {what} with its unit: {examples}")
        text = "".join(value.split())
        if text == "off":
            return text
        # Units are found whatever their case, as long as they mean one thing: mb is MB.
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
