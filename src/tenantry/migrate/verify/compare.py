"""Compare source and target: counts, a checksum of every row by key range, ids, references, keys and rules.

While applications write, the two sides are never seen at one moment. So key ranges are compared as they are found, by several
connections, and what differs is only a suspect: within a round of replay, which brings the target to exactly the snapshot that
it reads the source from, the suspects are compared again, row by row, and everything is counted.

The expected rows are computed from the source again, with parents and ids from the source as well and nothing from the
target; only the journal's lists (quarantined, merged, linked) are taken as given, and are accounted for by count. A row's
checksum is PostgreSQL's own 64-bit record hash over typed values, so that 1.5 and 1.50, or two spellings of one instant, are
the same, and a swapped id is not. Where ranges differ, the rows and columns that do are named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table, Trigger, read_catalog
from tenantry.derivation.forward import Deriver, Reading, effective_source, within
from tenantry.derivation.ids import key_parts
from tenantry.derivation.keys import key_parts_sql, mapping_key, operator, same_key
from tenantry.derivation.pilot import Inside
from tenantry.derivation.reverse.strangers import without_strangers
from tenantry.errors import TransformFailed
from tenantry.journal.journal import Chunk, Connection, Journal
from tenantry.journal.names import JOURNAL
from tenantry.journal.window import own_definitions
from tenantry.mapping import MappedColumn, Mapping, Project
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.mapping.values.type_names import base_type
from tenantry.migrate.copy.ranges import PYTHON_BATCH, apply_function, range_condition
from tenantry.migrate.session.reserved_names import TRIGGERS
from tenantry.postgres import about, ident, idents, literal, verbatim
from tenantry.postgres.json_text import read_json
from tenantry.statements.keys import in_transition, legacy_index

LOOKS = 3
"""How often a comparison is made while applications write before a difference is believed: a TRUNCATE shows in snapshots that were
taken before it."""
SAMPLES = 20
_AT_ONCE = 2_000
"""Rows of which the differences are read at once; of more, piece by piece."""
MOST_RANGES = 64
MOST_SUSPECTS = 1_000_000
"""Keys that are compared again at most; more of them mean that the target is not what it should be."""
_REFUSED = object()
_HASHED_AS_THEY_ARE = {
    "bigint", "boolean", "bytea", "character", "character varying", "date", "integer", "smallint",
    "text", "time without time zone", "timestamp with time zone", "timestamp without time zone", "uuid",
}  # fmt: skip
"""Types whose own hash tells any two values apart; enums too. Others are hashed as text: PostgreSQL's hash of a number leaves
its sign out, that of jsonb and of arrays, ranges and domains of numbers with it, and 30 days are a month to that of intervals."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be."""

    check: str
    table: str
    key: str
    column: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = f"{self.table} {self.key}" + (f", column {self.column}" if self.column else "")
        return f"{where}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the rows of one mapping: source = target + quarantined + merged + outside of the trial, always."""

    mapping: str
    source_table: str
    source: int
    target: int
    quarantined: int
    merged: int
    outside: int = 0
    """Rows that a trial leaves where they are: those of other tenants, and those that reach no tenant."""

    @property
    def balanced(self) -> bool:
        return self.source == self.target + self.quarantined + self.merged + self.outside


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of one check of one table, or of all tables."""

    check: str
    table: str
    compared: int
    """What was looked at: rows, or objects."""
    differences: tuple[Difference, ...] = ()
    more: int = 0
    """Differences beyond those listed."""
    account: Account | None = None
    ranges: int = 0

    @property
    def passed(self) -> bool:
        return not self.differences and (self.account is None or self.account.balanced)

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "passed": self.passed}


_ROW = 1_000
NO_KEY = -1
"""Stands in place of the number of a key range for rows whose old id is no key of the source table."""

Kept = MappingType[str, set[str]]
"""By legacy id the columns that stand in the target only; '' for whole rows."""

Sum = tuple[int, int | None]
"""Number of rows, and the checksums of all of them combined."""


def key_ranges(connection: Connection, journal: Journal, mapping: Mapping) -> list[Chunk]:
    """The copy's key ranges in the order of the key, which halving has disturbed; neighbours together, where there are many."""
    chunks = {chunk.position: chunk for chunk in journal.chunks(connection, mapping.name)}
    held = [column for name in mapping.key if (column := mapping.source.column(name)) is not None]
    texts = [f"(high::jsonb ->> {i})" for i in range(len(held))] if len(held) > 1 else ["high"]
    order = ", ".join(
        f"{text}::{column.type}{_collate(column)} using {operator(column, '<')}"
        for text, column in zip(texts, held, strict=True)
    )
    rows = connection.execute(
        f"select position from {JOURNAL}.chunk where run_id = %s and mapping = %s order by high is null, {verbatim(order)}",
        [journal.run, mapping.name],
    )
    # A journal without ranges says nothing: then all rows are one.
    ordered = [chunks[row[0]] for row in rows] or [Chunk(0, None, None)]
    size = -(-len(ordered) // MOST_RANGES) or 1
    return [
        Chunk(position, ordered[first].low, ordered[min(first + size, len(ordered)) - 1].high)
        for position, first in enumerate(range(0, len(ordered), size))
    ]


def expected_sum(connection: Connection, project: Project, mapping: Mapping, chunk: Chunk) -> Sum:
    """What a key range must hold, computed from the source."""
    derivation = Deriver(project, Reading.VERIFY, mended=mended_mappings(connection)).derive(mapping)
    statement = derivation.statement(
        f"select count(*), bit_xor({_hash(mapping.target, _compared(mapping), 'd')}) from derived d"
    )
    row = connection.execute(within(statement, range_condition(mapping, chunk.low, chunk.high))).fetchone()
    assert row is not None
    return int(row[0]), row[1]


def suspects(
    connection: Connection, project: Project, mapping: Mapping, chunks: Sequence[Chunk], expected: Sequence[Sum]
) -> tuple[int, list[str]]:
    """Rows of the target, and the keys of those that differ from the source, or did a moment ago.

    Args:
        chunks: the key ranges in the order of the key.
        expected: what each of them held when it was looked at.
    """
    bounds = [chunk.high for chunk in chunks if chunk.high is not None]
    compared = _compared(mapping)
    found = _found_sums(connection, project, mapping, bounds)
    differing = [bucket for bucket, wanted in enumerate(expected) if found.get(bucket, (0, None)) != wanted]
    if NO_KEY in found:
        differing.append(NO_KEY)
    keys: list[str] = []
    if differing:
        derivation = Deriver(project, Reading.VERIFY, mended=mended_mappings(connection)).derive(mapping)
        buckets = ", ".join(str(bucket) for bucket in differing)
        legacy, key = source_key(mapping, "t"), f"d.{mapping.ours('key')}"
        tail = (
            "select coalesce(e.k, f.k)\n"
            f"  from (select {key} as k, {_hash(mapping.target, compared, 'd')} as h from derived d"
            f" where {_bucket(project, mapping, key, bounds)} in ({buckets})) e\n"
            f"  full join (select {legacy} as k, {_hash(mapping.target, compared, 't')} as h"
            f" from {_target(project, mapping)} t where {_bucket(project, mapping, legacy, bounds)} in ({buckets})"
            f"{from_part(mapping, ' where').replace(' where', ' and')}) f on e.k = f.k\n"
            f" where e.h is distinct from f.h limit {MOST_SUSPECTS}"
        )
        keys = [str(row[0]) for row in connection.execute(derivation.statement(tail))]
    keys += _python_suspects(connection, project, mapping)
    return sum(count for count, _ in found.values()), list(dict.fromkeys(keys))


def kept_in_target(connection: Connection, project: Project, mapping: Mapping) -> dict[str, set[str]]:
    """What of a mapping's rows stands in the target only, as the journal lists it: cells, rows, and rows that were born there
    as part of a source row, with the row that the source would make in their place."""
    found: dict[str, set[str]] = {}
    for legacy, column in connection.execute(
        f"select legacy_id, column_name from {JOURNAL}.kept where table_name = %s"
        f" union all select legacy_id, '' from {JOURNAL}.born_part where mapping = %s",
        [mapping.target.name, mapping.name],
    ):
        if not column and not str(legacy).startswith(mapping.legacy_prefix):
            continue  # a row of another part of the table
        found.setdefault(str(legacy), set()).add(str(column))
    for column in mapping.columns:
        if column.kind == "account":
            # A person who was born in the target has the account that was made for them there, or none.
            born = f"select legacy_id from {_target(project, mapping)} where legacy_id = id::text"
            for (legacy,) in connection.execute(born):
                found.setdefault(str(legacy), set()).add(column.name)
    return found


def settle(
    connection: Connection,
    project: Project,
    mapping: Mapping,
    keys: Sequence[str],
    *,
    kept: Kept | None = None,
    ranges: int = 0,
) -> Verification:
    """Compare some rows one by one, and count all of them; call it where both sides are seen at the same moment.

    Args:
        keys: source keys.
        kept: what stands in the target only, and is no difference.
    """
    with about(str(mapping)):
        differences, more = compare_rows(connection, project, mapping, keys, kept)
    if len(keys) >= MOST_SUSPECTS:
        differences.append(
            Difference("rows", mapping.name, "all rows", "", "the source's", f"{MOST_SUSPECTS:,} or more that differ")
        )
    # Of a table with several sources each has its own: rows that are none's were born there.
    whole = [
        legacy for legacy, columns in (kept or {}).items() if "" in columns and legacy.startswith(mapping.legacy_prefix)
    ]
    row = connection.execute(
        f"select count(*), count(*) filter (where t.legacy_id = any (%s))"
        f" from {verbatim(_target(project, mapping))} t{verbatim(from_part(mapping, ' where'))}",
        [whole],
    ).fetchone()
    assert row is not None
    # Those that are there have no source row; those that are not are rows which another one, born there, stands for.
    here = int(row[1])
    account = _account(connection, project, mapping, int(row[0]) - here + (len(whole) - here))
    if not account.balanced:
        differences.append(_unbalanced(mapping, account))
    return Verification("rows", mapping.name, account.target, tuple(differences), more, account, ranges)


def compare_rows(
    connection: Connection, project: Project, mapping: Mapping, keys: Sequence[str], kept: Kept | None = None
) -> tuple[list[Difference], int]:
    """What differs in the rows of these source keys: expected rows against the target's, and no row where there is none.

    Returns:
        The differences of the first rows that differ, and the number of further rows.
    """
    if not keys:
        return [], 0
    source = (
        effective_source(project, mapping)
        if mapping.name in (mended := mended_mappings(connection))
        else ident(project.source.schema, mapping.source.name)
    )
    connection.execute("create temporary table if not exists tenantry_suspect (key text) on commit delete rows")
    connection.execute("delete from tenantry_suspect")
    connection.execute("insert into tenantry_suspect select distinct unnest(%s::text[])", [list(keys)])
    connection.execute("analyze tenantry_suspect")
    rows = f"(select o.* from {source} o join tenantry_suspect b on {same_key(project.source, mapping, 'o', 'b.key')})"
    derivation = Deriver(project, Reading.VERIFY, mended=mended).derive(mapping, rows=rows)
    columns, key = _compared(mapping), mapping.ours("key")
    legacy = legacy_of(mapping, "b.key")
    tail = (
        "select coalesce(e.k, f.k), e.h is null, f.h is null, e.r::text, f.r::text\n"
        f"  from (select d.{key} as k, {_hash(mapping.target, columns, 'd')} as h, {JOURNAL}.row_json(d.*) as r"
        " from derived d) e\n"
        f"  full join (select b.key as k, {_hash(mapping.target, columns, 't')} as h,"
        f" (select {JOURNAL}.row_json(x.*) from (select {idents([c.name for c in columns], prefix='t')}) x) as r"
        f" from tenantry_suspect b join {_target(project, mapping)} t on t.legacy_id = {legacy}) f on e.k = f.k\n"
        " where e.h is distinct from f.h order by 1"
    )
    statement = derivation.statement(tail, few=True)
    if len(keys) <= _AT_ONCE:
        differences, more = _named(mapping, columns, connection.execute(statement), kept or {})
    else:
        with connection.cursor(name="tenantry_differences") as cursor:
            cursor.itersize = 500
            cursor.execute(statement)
            differences, more = _named(mapping, columns, cursor, kept or {})
    if mapping.python_columns:
        # Limited behind the kept ones: these are no differences, and must not hide any.
        found = [
            each
            for each in _verify_python(connection, project, mapping, only=rows)
            if not _is_kept(mapping, each, kept or {})
        ]
        differences += found[:SAMPLES]
        more += max(0, len(found) - SAMPLES)
    return differences, more


def _python_suspects(connection: Connection, project: Project, mapping: Mapping) -> list[str]:
    if not mapping.python_columns:
        return []
    return [difference.key for difference in _verify_python(connection, project, mapping)]


def _found_sums(connection: Connection, project: Project, mapping: Mapping, bounds: Sequence[str]) -> dict[int, Sum]:
    """What each key range of the target holds."""
    sql = (
        f"select {_bucket(project, mapping, source_key(mapping, 't'), bounds)}, count(*),"
        f" bit_xor({_hash(mapping.target, _compared(mapping), 't')})"
        f" from {_target(project, mapping)} t{from_part(mapping, ' where')} group by 1"
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(sql)}


def _unbalanced(mapping: Mapping, account: Account) -> Difference:
    return Difference(
        "accounting", mapping.name, "all rows", "", f"{account.source} in {mapping.source.name}",
        f"{account.target} carried over, {account.quarantined} in quarantine, {account.merged} merged"
        + (f", {account.outside} outside of the pilot" if account.outside else ""),
    )  # fmt: skip


def _compared(mapping: Mapping) -> list[MappedColumn]:
    """What Python made is not compared by checksum: encryption gives another text each time."""
    return [column for column in mapping.columns if column.kind != "python"]


def _collate(column: CatalogColumn) -> str:
    return f" collate {column.collation}" if column.collation else ""


def _account(connection: Connection, project: Project, mapping: Mapping, target: int) -> Account:
    where = f" where {mapping.where}" if mapping.where else ""
    row = connection.execute(
        f"select (select count(*) from {ident(project.source.schema, mapping.source.name)} s{where}),"
        f" (select count(*) from {JOURNAL}.quarantine where mapping = {literal(mapping.name)} and state = 'open'),"
        f" (select count(*) from {JOURNAL}.merged where mapping = {literal(mapping.name)})"
    ).fetchone()
    assert row is not None
    outside = row[0] - _inside(connection, project, mapping) if project.trial else 0
    return Account(mapping.name, mapping.source.name, row[0], target, row[1], row[2], outside)


def _inside(connection: Connection, project: Project, mapping: Mapping) -> int:
    """Source rows that belong to the trial."""
    mended = mended_mappings(connection)
    inside = Inside(
        project,
        lambda each: (
            effective_source(project, each) if each.name in mended else ident(project.source.schema, each.source.name)
        ),
    )
    condition = inside.condition(mapping)
    where = f" where {condition}" if condition is not None else ""
    row = connection.execute(f"select count(*) from {inside.rows(mapping)} s{where}").fetchone()
    assert row is not None
    return int(row[0])


def mended_mappings(connection: Connection) -> frozenset[str]:
    """Mappings with rows that were taken up again with mended values: those count, not what the fenced source has."""
    return frozenset(
        row[0]
        for row in connection.execute(
            f"select distinct mapping from {JOURNAL}.quarantine where state = 'readmitted' and patch <> '{{}}'"
        )
    )


# -- rows ----------------------------------------------------------------------------------------------------------------


def _target(project: Project, mapping: Mapping) -> str:
    """The target's table, without rows that the way back lists: their place in the source is another tenant's."""
    return without_strangers(project, mapping.target.name)


def _hash(table: Table, columns: Sequence[MappedColumn], alias: str) -> str:
    values = []
    for column in columns:
        value = f"{alias}.{ident(column.name)}"
        there = table.column(column.name)
        kind = base_type(column.type)
        if kind in ("character varying", "text") and there is not None and there.collation:
            # By its own collation text may be equal that is written in another way.
            values.append(f'{value} collate "C"')
        elif kind in _HASHED_AS_THEY_ARE or (there is not None and there.type_kind == "enum"):
            values.append(value)
        elif kind == "numeric" and kind == column.type:
            # The hash of a numeric leaves out its sign, and takes NaN and infinity for one.
            values += [value, f"{value} < 0", f"{value} = 'NaN'"]
        else:
            values.append(f"{value}::text")
    if len(values) > _ROW:
        # A row has 1,664 entries at most; rows in a row have no hash, so that theirs is taken.
        parts = (values[first : first + _ROW] for first in range(0, len(values), _ROW))
        values = [f"hash_record_extended(row({', '.join(part)}), 0)" for part in parts]
    return f"hash_record_extended(row({', '.join(values)}), 0)"


def _bucket(project: Project, mapping: Mapping, key: str, bounds: Sequence[str]) -> str:
    """The number of a row's key range, found by binary search among the ranges' upper ends (which belong to them); NO_KEY for a
    text that is no key of the source table, as the old id of a row that was born in the target."""
    parts = key_parts_sql(project.source, mapping, key)
    held = [column for name in mapping.key if (column := mapping.source.column(name)) is not None]
    if len(held) == 1:
        value = f"({parts[0]}){_collate(held[0])}"
        if operator(held[0], "<") == "<":
            ends = ", ".join(f"{literal(bound)}::{held[0].type}" for bound in bounds)
            # width_bucket counts ends <= key; a range holds its upper end, so ends < key are wanted: ends equal are taken off.
            found = f"width_bucket({value}, array[{ends}]) - (({value}) = any (array[{ends}]))::int" if bounds else "0"
        else:
            found = _counted(f"({value} {operator(held[0], '>')} {literal(bound)}::{held[0].type})" for bound in bounds)
        known = f"({parts[0]}) is not null"
    else:
        found = _counted(
            "(row({}) > row({}))".format(
                ", ".join(parts),
                ", ".join(
                    f"{literal(text)}::{column.type}"
                    for text, column in zip(key_parts(mapping.key, bound), held, strict=True)
                ),
            )
            for bound in bounds
        )
        known = f"num_nulls({', '.join(parts)}) = 0"
    if parts[0] == key:  # any text is a key
        return found
    return f"case when {known} then {found} else {NO_KEY} end"


def _counted(conditions: Iterable[str]) -> str:
    return " + ".join(f"{condition}::int" for condition in conditions) or "0"


def _named(
    mapping: Mapping, columns: Sequence[MappedColumn], found: Iterable[Sequence[Any]], kept: Kept
) -> tuple[list[Difference], int]:
    """Differences from (key, not expected, not found, expected row, found row)."""
    differences: list[Difference] = []
    rows = 0
    for key, not_expected, not_found, expected, got in found:
        named: list[Difference] = []
        if not_found:
            named.append(Difference("rows", mapping.name, key, "", "a row", "none"))
        elif not_expected:
            named.append(Difference("rows", mapping.name, key, "", "no row", "one"))
        else:
            # Decimals: as floats, numbers of many digits would look alike.
            wanted, there = (read_json(text, parse_float=Decimal) for text in (expected, got))
            for column in columns:
                if wanted.get(column.name) != there.get(column.name):
                    hidden = mapping.is_secret(column)
                    named.append(
                        Difference(
                            "rows",
                            mapping.name,
                            key,
                            column.name,
                            "(secret)" if hidden else _show(wanted.get(column.name)),
                            "(another secret)" if hidden else _show(there.get(column.name)),
                        )
                    )
            if not named:
                named.append(Difference("rows", mapping.name, key, "", "the source's row", "another"))
        named = [each for each in named if not _is_kept(mapping, each, kept)]
        if named:
            rows += 1
            if rows <= SAMPLES:
                differences += named
    return differences, max(0, rows - SAMPLES)


def _is_kept(mapping: Mapping, difference: Difference, kept: Kept) -> bool:
    columns = kept.get(f"{mapping.legacy_prefix}{difference.key}", set())
    return "" in columns or difference.column in columns


def _show(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _verify_python(
    connection: Connection, project: Project, mapping: Mapping, *, only: str | None = None
) -> list[Difference]:
    """What Python made is taken back by its `down`, in batches, and compared with the source; values are never shown.

    Args:
        only: a relation of some source rows.
    """
    columns = mapping.python_columns
    pairs = ", ".join(f"s.{ident(column.source or '')}, t.{ident(column.name)}" for column in columns)
    query = (
        f"select {mapping_key(mapping)}, {pairs} from {_target(project, mapping)} t"
        f" join {only or effective_source(project, mapping)} s on {mapping_key(mapping)} = {source_key(mapping, 't')}{from_part(mapping, ' where')}"
    )
    differences: list[Difference] = []
    with connection.transaction(), connection.cursor(name="tenantry_verify") as cursor:
        cursor.itersize = PYTHON_BATCH
        cursor.execute(query)
        while batch := cursor.fetchmany(PYTHON_BATCH):
            for position, column in enumerate(columns):
                assert column.python is not None
                given = [row[1 + 2 * position] for row in batch]
                stored = [row[2 + 2 * position] for row in batch]
                back = _taken_back(column.python.down, stored, f"{mapping.name}.{column.name}", few=only is not None)
                differences += [
                    Difference("rows", mapping.name, row[0], column.name, "the source's value", "another")
                    for row, expected, found in zip(batch, given, back, strict=True)
                    if expected != found
                ][: MOST_SUSPECTS - len(differences)]
    return differences


def _taken_back(function: str, stored: Sequence[Any], where: str, *, few: bool) -> list[Any]:
    """Each value through `down`; one that it refuses, as a tampered one, is told from a `down` that cannot run at all."""
    try:
        return apply_function(function, stored, where)
    except TransformFailed:
        back: list[Any] = []
        refused = 0
        for value in stored:
            try:
                back += apply_function(function, [value], where)
            except TransformFailed:
                back.append(_REFUSED)
                refused += 1
        if not few and refused == sum(value is not None for value in stored):
            raise
        return back


def verify_ids(connection: Connection, project: Project) -> Verification:
    """Old and new ids are one to one: none of either stands for two rows that were carried over, in whatever tenant, nor for two of
    one tenant. A row that is born in the target may have the id of another tenant's row, if somebody states it. That each new id is
    the one of its old id, the comparison of rows shows."""
    differences: list[Difference] = []
    compared = 0
    for name in project.by_target:
        table = without_strangers(project, name)
        twice = "count(*) > 1"
        if project.scoped(name):
            tenant = ident(project.manifest.tenant.column)
            twice += (
                f" and (count(*) > count(distinct t.{tenant}) or count(*) filter (where t.legacy_id <> t.id::text) > 1)"
            )
        for column in ("id", "legacy_id"):
            compared += 1
            with connection.transaction():
                # The planner takes ids for less distinct than they are: sorting them takes a third of hashing them.
                connection.execute("set local enable_hashagg = off")
                rows = connection.execute(
                    f"select t.{column}::text, count(*) from {table} t group by t.{column} having {twice}"
                    f" limit {SAMPLES}"
                ).fetchall()
            differences += [
                Difference("ids", name, str(value), column, "one row", f"{count} rows") for value, count in rows
            ]
    return Verification("ids", "all tables", compared, tuple(differences))


# -- the whole target ----------------------------------------------------------------------------------------------------


def verify_references(connection: Connection, project: Project) -> Verification:
    """Each foreign key of the target by an anti-join of its own, whatever the constraints say."""
    differences: list[Difference] = []
    compared = 0
    fed = {mapping.target.name for mapping in project}
    for table in project.target.tables:
        if table.name not in fed:
            continue
        for fk in table.foreign_keys:
            compared += 1
            parent = ident(fk.ref_schema or "", fk.ref_table or "")
            given = " and ".join(f"t.{ident(column)} is not null" for column in fk.columns)
            same = " and ".join(
                f"p.{ident(there)} = t.{ident(here)}" for here, there in zip(fk.columns, fk.ref_columns, strict=True)
            )
            rows = connection.execute(
                f"select t.legacy_id, {idents(fk.columns, prefix='t')} from {ident(table.schema, table.name)} t"
                f" where {given} and not exists (select from {parent} p where {same}) limit {SAMPLES}"
            )
            differences += [
                Difference(
                    "references", table.name, str(row[0]), ", ".join(fk.columns), f"a row of {fk.ref_table}",
                    "none: " + ", ".join(str(value) for value in row[1:]),
                )
                for row in rows
            ]  # fmt: skip
    return Verification("references", "all tables", compared, tuple(differences))


def verify_catalog(connection: Connection, project: Project) -> Verification:
    """The target has every column, key, check, index and trigger of its files, valid and as they stand there."""
    differences: list[Difference] = []
    compared = 0
    now = read_catalog(connection, project.target.schema)
    row = connection.execute(f"select direction <> 'forward' from {JOURNAL}.run order by id desc limit 1").fetchone()
    over = row is not None and bool(row[0])
    fed = project.by_target.keys()
    own = own_definitions(connection)
    for table in project.target.tables:
        there = now.table(table.name)
        if there is None:
            differences.append(Difference("catalog", table.name, "table", "", "a table", "none"))
            continue
        # Without what Tenantry adds for the time of the transition.
        for kind, wanted, got in (
            ("column", _facts(table.columns), _facts(there.columns)),
            (
                "constraint",
                _facts(in_transition(project, table, each) for each in table.constraints),
                _facts(there.constraints),
            ),
            (
                "index",
                _facts(table.indexes),
                _facts(each for each in there.indexes if each.name != legacy_index(table)),
            ),
            ("trigger", _facts(_asleep(table, over, fed)), _facts(_themselves(there, own))),
            ("comment", {"table": table.comment}, {"table": there.comment}),
        ):
            compared += len(wanted)
            differences += [
                Difference("catalog", table.name, f"{kind} {name}", "", _show(wanted.get(name)), _show(got.get(name)))
                for name in sorted(wanted.keys() | got.keys())
                if wanted.get(name) != got.get(name)
            ]
        differences += _invalid(there)
    return Verification("catalog", "all tables", compared, tuple(differences))


def _themselves(table: Table, own: MappingType[tuple[str, str], str]) -> Iterable[Trigger]:
    """The application's triggers, without what the dual-write window has added to them."""
    where = ident(table.schema, table.name)
    return (
        replace(trigger, definition=own.get((where, trigger.name), trigger.definition))
        for trigger in table.triggers
        if trigger.name not in TRIGGERS
    )


def _asleep(table: Table, over: bool, fed: Collection[str]) -> Iterable[Trigger]:
    """The triggers of tables that a source feeds sleep until applications write the target."""
    if over or table.name not in fed:
        return table.triggers
    return (replace(trigger, enabled="disabled") for trigger in table.triggers)


def _facts(items: Iterable[Any]) -> dict[str, Any]:
    """What counts of catalog records: everything but sizes."""
    facts: dict[str, Any] = {}
    for item in items:
        record = asdict(item)
        record.pop("size_bytes", None)
        facts[record["name"]] = record
    return facts


def _invalid(table: Table) -> list[Difference]:
    return [
        Difference("catalog", table.name, f"index {index.name}", "", "valid", "invalid")
        for index in table.indexes
        if not index.valid
    ]


def verify_rules(connection: Connection, project: Project) -> Verification:
    """The manifest's business rules: queries that return the rows which break them."""
    differences: list[Difference] = []
    with connection.transaction(force_rollback=True):
        connection.execute("set transaction read only")
        connection.execute(f"set local search_path = {ident(project.target.schema)}, pg_catalog")
        for rule in project.manifest.rules:
            cursor = connection.execute(rule.sql)
            names = [column.name for column in cursor.description or ()]
            found = cursor.pgresult
            # As the server writes them: a date may be infinite, and a number have more digits than Python reads.
            rows = [
                [None if (value := found.get_value(row, place)) is None else value.decode(errors="replace")
                 for place in range(len(names))]
                for row in range(min(found.ntuples, SAMPLES))
            ] if found is not None else []  # fmt: skip
            differences += [
                Difference(
                    "rules", rule.name, ", ".join(f"{n}={v}" for n, v in zip(names, row, strict=True)), "",
                    "no such row", "one",
                )
                for row in rows
            ]  # fmt: skip
    return Verification("rules", "all tables", len(project.manifest.rules), tuple(differences))


def look_for_suspects(connection: Connection, project: Project, journal: Journal) -> dict[str, list[str]]:
    """By mapping, the keys of rows that differ, or did a moment ago: one mapping after the other."""
    found = {}
    for mapping in project:
        chunks = key_ranges(connection, journal, mapping)
        expected = [expected_sum(connection, project, mapping, chunk) for chunk in chunks]
        found[mapping.name] = suspects(connection, project, mapping, chunks, expected)[1]
    return found


def verify_target(connection: Connection, project: Project) -> list[Verification]:
    """What the target says of itself: ids, references, keys, rules."""
    return [
        verify_ids(connection, project),
        verify_references(connection, project),
        verify_catalog(connection, project),
        verify_rules(connection, project),
    ]


__all__ = [
    "Account",
    "Difference",
    "Sum",
    "Verification",
    "compare_rows",
    "expected_sum",
    "key_ranges",
    "look_for_suspects",
    "settle",
    "suspects",
    "verify_catalog",
    "verify_ids",
    "verify_references",
    "verify_rules",
    "verify_target",
]
