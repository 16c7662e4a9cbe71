"""A resolved manifest: every mapping of a source table onto a target table, checked against both catalogs.

A mapping holds ready SQL expressions over fixed aliases: `s` the source row, `r_<column>` a reference's (old, new,
tenant), `tenant` the row of the tenant table. `derive` puts them together into statements. Columns may have any of these
names: every column is written behind its alias, and a whole row as `s.*` inside a function or before a cast, since a bare `s`
would be the column of that name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from tenantry.catalog import Catalog, Table
from tenantry.manifest.model import Manifest, Merge, PythonTransform
from tenantry.postgres import ident

LEGACY_ID = "legacy_id"
ROW_ID = "id"


def plain_name(kind: str, *parts: str) -> str:
    """A name for use within a statement, made of others that may be long, quoted, or alike but for case: never quoted, never
    cut, different for different kinds and parts: two underscores part them, so that none may hold two itself."""
    name = f"{kind}_{'__'.join(parts)}"
    if len(name) <= 63 and all(re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", part) for part in parts):
        return name
    return f"{kind}__{hashlib.sha256(chr(31).join(parts).encode()).hexdigest()[:24]}"


def own_prefix(taken: Iterable[str]) -> str:
    """What names of ours begin with where they stand beside others: none of those begins so."""
    names = tuple(taken)
    prefixes = ("__" if number == 0 else f"__{number}_" for number in count())
    return next(prefix for prefix in prefixes if not any(name.startswith(prefix) for name in names))


ColumnKind = Literal["id", "tenant", "legacy", "reference", "account", "value", "json_ids", "python"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A source column (or several) that names a row of another source table."""

    alias: str
    columns: tuple[str, ...]
    """Source columns that hold the reference."""
    parent: str
    """Target table whose row is meant."""
    by: tuple[str, ...]
    """Columns of the parent's source table that are named; its row key, or another unique key."""
    late: bool = False
    """The parent is copied after, or with, this table (a cycle): its ids are computed from the source."""
    source: str | None = None
    """The source table that is meant, where several feed the parent: their ids may look alike."""
    column: str = ""
    """Of several columns the one that is null where no row is named, since the others may have a meaning of their own; the last,
    where this is empty."""

    @property
    def named_by(self) -> str:
        return self.column or self.columns[-1]


def orphan_alias(ref: Reference) -> str:
    """The alias of the row that stands in where a reference names none that exists."""
    return f"o{ref.alias}"


@dataclass(frozen=True, slots=True)
class DocumentIds:
    """Ids of another table inside a JSON document.

    Attributes:
        path: keys with dots, `[*]` for every element of a list, `*` for every member of an object; a `*` at the end means its keys.
    """

    path: str
    parent: str

    @property
    def jsonpath(self) -> str:
        """The same as SQL's jsonpath, which finds the ids."""
        made = "$"
        steps = re.findall(r"\[\*\]|[^.\[\]]+", self.path)
        for place, step in enumerate(steps):
            if step != "*":
                made += step if step == "[*]" else f".{step}"
            else:
                # Anything else than an object has neither members nor keys.
                made += ' ? (@.type() == "object")' + (".keyvalue().key" if place == len(steps) - 1 else ".*")
        return made


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """How one target column is filled. SQL expressions are over `s`, references and `tenant`."""

    name: str
    type: str
    nullable: bool
    kind: ColumnKind
    source: str | None
    """The source column that it is made from, for messages; None where there is not just one."""
    value: str
    present: str | None = None
    """Condition under which a value is there; present and null means that it is invalid."""
    fallback: str | None = None
    """Stands in for an invalid value."""
    missing: str | None = None
    """Condition under which the row is quarantined for a null or an empty value."""
    noted: str | None = None
    """Condition under which the change log keeps the original."""
    rule: str = ""
    """What happened to a noted value, in a word."""
    zoned: bool = False
    """Needs the tenant's time zone: without a tenant it cannot be judged."""
    down: str | None = None
    reference: Reference | None = None
    orphan: str | None = None
    """SQL of the old id that stands in for a reference to a row that does not exist; null leaves it empty; None: quarantine."""
    ids: tuple[DocumentIds, ...] = ()
    drop_stale: bool = False
    python: PythonTransform | None = None

    @property
    def is_array(self) -> bool:
        """Whether the ids are the elements of an array, which is derived as a document that is a list."""
        return self.kind == "json_ids" and self.type.endswith("[]")


@dataclass(frozen=True, slots=True)
class Mapping:
    """One source table onto one target table."""

    name: str
    """The target's name, with the part's behind a dot where several sources feed it; unique, used in the journal."""
    target: Table
    source: Table
    namespace: str
    """What stands for the table in derived ids: the source's name, and the part's behind a slash."""
    key: tuple[str, ...]
    scoped: bool
    """The target has the tenant column."""
    is_root: bool
    tenant_paths: tuple[Reference, ...]
    references: tuple[Reference, ...]
    columns: tuple[MappedColumn, ...]
    where: str | None = None
    merge: Merge | None = None
    legacy_prefix: str = ""
    secrets: tuple[str, ...] = ()
    profile: bool = False
    reads: tuple[str, ...] = ()
    """Source tables that its expressions read: a change of one has all of its rows derived again."""
    tenants_from: tuple[str, ...] = ()
    """Further target tables that must be complete before: in them the tenants of parents that come late are looked up."""
    _prefix: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns = (column.name for table in (self.source, self.target) for column in table.columns)
        object.__setattr__(self, "_prefix", own_prefix(columns))

    def __str__(self) -> str:
        where = f" {self.source.schema}.{self.source.name} to {self.target.schema}.{self.target.name}"
        return f"the mapping {self.name},{where}"

    def ours(self, name: str) -> str:
        """A name of a column of ours that stands beside columns of the source or the target, which no column of these has."""
        return self._prefix + name

    def is_secret(self, column: MappedColumn) -> bool:
        """Whether a target column is made from a source column that nobody may show."""
        named = (f"s.{ident(secret)}" for secret in self.secrets)
        return (column.source or column.name) in self.secrets or any(name in column.value for name in named)

    @property
    def python_columns(self) -> tuple[MappedColumn, ...]:
        return tuple(column for column in self.columns if column.kind == "python")

    def column(self, name: str) -> MappedColumn:
        return next(column for column in self.columns if column.name == name)

    def parents(self) -> tuple[str, ...]:
        """Target tables that must be complete before this one is copied."""
        found = {ref.parent: None for ref in (*self.references, *self.tenant_paths) if not ref.late}
        return tuple({**found, **dict.fromkeys(self.tenants_from)})


@dataclass(frozen=True, slots=True)
class Subset:
    """The tenants with which a run begins.

    Attributes:
        condition: as it was given, over the tenants' source table.
        state: trial: only these; rest: all others are carried over too, or have been.
        tenants, of: how many were chosen, of how many.
    """

    condition: str
    state: Literal["trial", "rest"]
    tenants: int
    of: int

    def __str__(self) -> str:
        return f"a pilot of {self.tenants:,} of {self.of:,} tenants"


@dataclass(frozen=True, slots=True)
class Project:
    """A manifest resolved against its source and target: what analysis, plan, migration and proof work from."""

    manifest: Manifest
    digest: str
    source: Catalog
    target: Catalog
    mappings: tuple[Mapping, ...]
    """In an order in which parents come before children."""
    by_target: dict[str, tuple[Mapping, ...]] = field(default_factory=dict)
    subset: Subset | None = None
    """The run takes, or began with, some tenants only."""

    def __iter__(self) -> Iterator[Mapping]:
        return iter(self.mappings)

    def mapping(self, name: str) -> Mapping:
        return next(mapping for mapping in self.mappings if mapping.name == name)

    def of_source(self, table: str) -> tuple[Mapping, ...]:
        return tuple(mapping for mapping in self.mappings if mapping.source.name == table)

    def feeding(self, ref: Reference) -> tuple[Mapping, ...]:
        """The mappings whose rows a reference can mean."""
        parents = self.by_target[ref.parent]
        if ref.source is not None:
            return tuple(parent for parent in parents if parent.source.name == ref.source)
        return tuple(parent for parent in parents if parent.key == ref.by) or parents[:1]

    @property
    def trial(self) -> str:
        """Where only some tenants are carried over: how many, in words; else empty."""
        return str(self.subset) if self.subset is not None and self.subset.state == "trial" else ""

    @property
    def root(self) -> Mapping:
        return next(mapping for mapping in self.mappings if mapping.is_root)

    @property
    def source_tables(self) -> tuple[Table, ...]:
        """The source tables that are read, each once, in the mappings' order."""
        return tuple({mapping.source.name: mapping.source for mapping in self.mappings}.values())

    @property
    def new_tables(self) -> tuple[Table, ...]:
        """Target tables that no source feeds."""
        return tuple(table for table in self.target.tables if table.name not in self.by_target)

    def scoped(self, table: str) -> bool:
        """Whether a target table belongs to tenants by its tenant column."""
        found = self.target.table(table)
        return found is not None and found.column(self.manifest.tenant.column) is not None
