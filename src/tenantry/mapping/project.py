"""A resolved manifest: every mapping of a source table to a target table, checked against both catalogs.

A mapping holds complete SQL expressions over fixed aliases: `s` is the source row, `r_<column>` a reference's (old, new,
tenant), `tenant` the row of the tenant table. The derivation assembles them into statements. Columns may have the same names
as these aliases: every column is therefore written with its alias, and a whole row as `s.*` inside a function or before a
cast, because a bare `s` would mean the column of that name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from tenantry.catalog import Catalog, Table
from tenantry.manifest.model import Manifest, Merge, PythonTransform, Stale
from tenantry.mapping.shapes import Shape
from tenantry.postgres import ident, literal

LEGACY_ID = "legacy_id"
ROW_ID = "id"


def plain_name(kind: str, *parts: str) -> str:
    """Build a name for use within a statement from names that may be long, quoted, or equal except for case. The result is
    never quoted or truncated, and differs for different kinds and parts: two underscores separate them, so no part may
    contain two."""
    name = f"{kind}_{'__'.join(parts)}"
    if len(name) <= 63 and all(re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", part) for part in parts):
        return name
    return f"{kind}__{hashlib.sha256(chr(31).join(parts).encode()).hexdigest()[:24]}"


def own_prefix(taken: Iterable[str]) -> str:
    """Return a prefix for generated names that none of the given names starts with."""
    names = tuple(taken)
    prefixes = ("__" if number == 0 else f"__{number}_" for number in count())
    return next(prefix for prefix in prefixes if not any(name.startswith(prefix) for name in names))


ColumnKind = Literal["id", "tenant", "legacy", "reference", "account", "value", "json_ids", "python"]


@dataclass(frozen=True, slots=True)
class Reference:
    """Source columns that refer to a row of another source table."""

    alias: str
    columns: tuple[str, ...]
    """The source columns of the reference."""
    parent: str
    """Target table of the referenced row."""
    by: tuple[str, ...]
    """The referenced columns of the parent's source table: its row key or another unique key."""
    late: bool = False
    """The parent is copied later than this table or together with it (a cycle): its ids are computed from the source."""
    source: str | None = None
    """The source table of the parent, if several feed its target table: their ids may look alike."""
    column: str = ""
    """In a reference of several columns: the column that is null if the reference is empty, since the others may have a
    meaning of their own. If this is empty: the last column."""

    backward: bool = False
    """A way to the tenant against the direction of a reference: the rows of the parent's source table name this row by `by`."""
    several: bool = False
    """Several rows of the parent may be meant."""
    fallback: bool = False
    """A path to the tenant that only counts for rows that no earlier path leads to one."""
    onward: Reference | None = None
    """A path whose parent has no tenant itself leads on from the parent's row."""
    by_value: bool = False
    """A path to a tenant that is made from the column's value ([tenant] values): it refers to no row of the source."""

    only: tuple[str, str] | None = None
    """A path of a polymorphic pair: it only counts for rows in which this source column has this value, as text."""

    def holds(self, alias: str) -> str:
        """Return a condition: the path counts for the row `alias`; empty if it always does."""
        return "" if self.only is None else f"{alias}.{ident(self.only[0])}::text = {literal(self.only[1])}"

    def hops(self) -> Iterator[Reference]:
        """Yield the reference and those that lead on from it."""
        hop: Reference | None = self
        while hop is not None:
            yield hop
            hop = hop.onward

    @property
    def torn(self) -> bool:
        """Whether the rows that are meant may belong to different tenants."""
        return any(hop.several for hop in self.hops())

    @property
    def named_by(self) -> str:
        return self.column or self.columns[-1]


def orphan_alias(ref: Reference) -> str:
    """The alias of the row that replaces a reference to a row that does not exist."""
    return f"o{ref.alias}"


@dataclass(frozen=True, slots=True)
class DocumentIds:
    """Ids of another table's rows inside a JSON document.

    Attributes:
        path: `$` for the document itself; or keys separated by dots, `[*]` for every element of a list, `*` for every member of an
            object, `**` for any depth; a final `*` means its keys.
    """

    path: str
    parent: str

    @property
    def jsonpath(self) -> str:
        """Return the path as SQL jsonpath, which finds the ids."""
        made = "$"
        steps = re.findall(r"\[\*\]|[^.\[\]]+", self.path.removeprefix("$"))
        for place, step in enumerate(steps):
            if step == "**":
                made += ".**"
            elif step != "*":
                made += step if step == "[*]" else f".{step}"
            else:
                # Other values have neither members nor keys.
                made += ' ? (@.type() == "object")' + (".keyvalue().key" if place == len(steps) - 1 else ".*")
        return made


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """How one target column is filled. The SQL expressions refer to `s`, references and `tenant`."""

    name: str
    type: str
    nullable: bool
    kind: ColumnKind
    source: str | None
    """The source column it is made from, for messages; None if it is not exactly one."""
    value: str
    present: str | None = None
    """Condition that the source has a value; if it has one and the result is null, the value is invalid."""
    fallback: str | None = None
    """Replaces an invalid value."""
    missing: str | None = None
    """Condition that the row is quarantined because the value is null or empty."""
    noted: str | None = None
    """Condition that the change log records the original."""
    rule: str = ""
    """The kind of change that is recorded, in one word."""
    zoned: bool = False
    """Needs the tenant's time zone: for rows without a tenant its value is not checked."""
    down: str | None = None
    reference: Reference | None = None
    orphan: str | None = None
    """SQL of the old id that replaces a reference to a row that does not exist. A null leaves it empty; None: quarantine."""
    ids: tuple[DocumentIds, ...] = ()
    stale: Stale = "keep"
    """What happens to an id of `ids` that names no row: it stays, goes, or its row is quarantined."""
    shape: Shape | None = None
    """How `value`, a document with ids, becomes the column's value; for columns of the kind `json_ids`."""
    python: PythonTransform | None = None

    @property
    def drop_stale(self) -> bool:
        return self.stale == "drop"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping of one source table to one target table."""

    name: str
    """The target's name and, if several sources feed it, a dot and the part's name; unique, used in the journal."""
    target: Table
    source: Table
    namespace: str
    """The table's namespace in derived ids: the source's name and, if any, a slash and the part's name."""
    key: tuple[str, ...]
    scoped: bool
    """Whether the target has the tenant column."""
    is_root: bool
    tenant_paths: tuple[Reference, ...]
    """Empty if the rows have no tenant, or all have the manifest's constant one."""
    references: tuple[Reference, ...]
    columns: tuple[MappedColumn, ...]
    where: str | None = None
    merge: Merge | None = None
    legacy_prefix: str = ""
    secrets: tuple[str, ...] = ()
    profile: bool = False
    reads: tuple[str, ...] = ()
    """Source tables that its expressions read: after a change of one, all rows of this mapping are derived again."""
    id_type: str = "uuid"
    """The type of the row id; other types than uuid are kept from the source."""
    tenants_from: tuple[str, ...] = ()
    """Other target tables that must be complete before: they give the tenants of parents that are copied later."""
    _prefix: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns = (column.name for table in (self.source, self.target) for column in table.columns)
        object.__setattr__(self, "_prefix", own_prefix(columns))

    def __str__(self) -> str:
        where = f" {self.source.schema}.{self.source.name} to {self.target.schema}.{self.target.name}"
        return f"the mapping {self.name},{where}"

    def ours(self, name: str) -> str:
        """Return a generated column name that no column of the source or the target has."""
        return self._prefix + name

    def is_secret(self, column: MappedColumn) -> bool:
        """Whether a target column is made from a source column that must not be shown."""
        named = (f"s.{ident(secret)}" for secret in self.secrets)
        return (column.source or column.name) in self.secrets or any(name in column.value for name in named)

    @property
    def keeps_ids(self) -> bool:
        """Whether rows keep the ids of the source, which are no uuids."""
        return self.id_type != "uuid"

    @property
    def python_columns(self) -> tuple[MappedColumn, ...]:
        return tuple(column for column in self.columns if column.kind == "python")

    def column(self, name: str) -> MappedColumn:
        return next(column for column in self.columns if column.name == name)

    def parents(self) -> tuple[str, ...]:
        """Return the target tables that must be complete before this one is copied."""
        refs = (hop for ref in (*self.references, *self.tenant_paths) for hop in ref.hops())
        found = {ref.parent: None for ref in refs if not ref.late}
        return tuple({**found, **dict.fromkeys(self.tenants_from)})


@dataclass(frozen=True, slots=True)
class Subset:
    """The tenants that a run begins with.

    Attributes:
        condition: the condition as given, over the tenants' source table.
        state: trial: only these tenants; rest: all others are being migrated too, or have been.
        tenants, of: the number of chosen tenants, and of all tenants.
    """

    condition: str
    state: Literal["trial", "rest"]
    tenants: int
    of: int

    def __str__(self) -> str:
        return f"a pilot of {self.tenants:,} of {self.of:,} tenants"


@dataclass(frozen=True, slots=True)
class Project:
    """A manifest resolved against its source and target: the input of analysis, plan, migration and proof."""

    manifest: Manifest
    digest: str
    source: Catalog
    target: Catalog
    mappings: tuple[Mapping, ...]
    """In an order with parents before children."""
    by_target: dict[str, tuple[Mapping, ...]] = field(default_factory=dict)
    subset: Subset | None = None
    """Whether the run is limited to some tenants, or began with some."""

    def __iter__(self) -> Iterator[Mapping]:
        return iter(self.mappings)

    def mapping(self, name: str) -> Mapping:
        return next(mapping for mapping in self.mappings if mapping.name == name)

    def of_source(self, table: str) -> tuple[Mapping, ...]:
        return tuple(mapping for mapping in self.mappings if mapping.source.name == table)

    def feeding(self, ref: Reference) -> tuple[Mapping, ...]:
        """Return the mappings whose rows a reference can refer to; none if it leads to a tenant by its value."""
        if ref.by_value:
            return ()
        parents = self.by_target[ref.parent]
        if ref.source is not None:
            return tuple(parent for parent in parents if parent.source.name == ref.source)
        return tuple(parent for parent in parents if parent.key == ref.by) or parents[:1]

    @property
    def trial(self) -> str:
        """For a pilot run, describe how many tenants it includes; otherwise empty."""
        return str(self.subset) if self.subset is not None and self.subset.state == "trial" else ""

    @property
    def root(self) -> Mapping:
        return next(mapping for mapping in self.mappings if mapping.is_root)

    @property
    def root_table(self) -> Table:
        """Return the target's table of tenants, whether it has a source or not."""
        found = self.target.table(self.manifest.tenant.table)
        assert found is not None
        return found

    @property
    def constant(self) -> bool:
        """Whether everything in the source belongs to one constant tenant."""
        return self.manifest.tenant.constant is not None

    @property
    def tenants_made(self) -> bool:
        """Whether Tenantry makes the tenants itself, from a constant or from values, so that no source table holds them."""
        return self.constant or self.manifest.tenant.values is not None

    @property
    def source_tables(self) -> tuple[Table, ...]:
        """Return the source tables that are read, each once, in the mappings' order."""
        return tuple({mapping.source.name: mapping.source for mapping in self.mappings}.values())

    @property
    def new_tables(self) -> tuple[Table, ...]:
        """Return the target tables that no source feeds."""
        return tuple(table for table in self.target.tables if table.name not in self.by_target)

    def scoped(self, table: str) -> bool:
        """Whether a target table has the tenant column."""
        found = self.target.table(table)
        return found is not None and found.column(self.manifest.tenant.column) is not None
