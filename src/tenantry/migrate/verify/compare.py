"""Compares source and target: counts, a checksum of every row by key range, ids, references, keys and rules.

While applications write, the two sides are never visible at one moment. So several connections first compare key ranges without
locks, and differing rows are only candidate mismatches. Within a round of replay, which brings the target exactly to the snapshot that
it reads from the source, the candidates are rechecked row by row, and everything is counted.

The expected rows are computed from the source again, with parents and ids from the source as well and nothing from the
target; only the journal's lists (quarantined, merged, linked) are trusted, and are included in the counts. A row's
checksum is PostgreSQL's own 64-bit record hash over typed values, so that 1.5 and 1.50, or two spellings of one instant, are
equal, and a swapped id is not. If ranges differ, the differing rows and columns are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from tenantry.derivation.derived import Reading
from tenantry.derivation.forward import Deriver
from tenantry.derivation.keys import same_key
from tenantry.derivation.pilot import Inside
from tenantry.derivation.rows import effective_source
from tenantry.journal.journal import Chunk, Connection, Journal
from tenantry.journal.names import JOURNAL
from tenantry.mapping import MappedColumn, Mapping, Project
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.migrate.verify.python_columns import python_candidates, verify_python
from tenantry.migrate.verify.results import (
    MOST_CANDIDATES,
    SAMPLES,
    Account,
    Difference,
    TargetOnly,
    Verification,
    show,
)
from tenantry.migrate.verify.sums import (
    NO_KEY,
    Sum,
    compared_columns,
    corrected_mappings,
    expected_sum,
    found_sums,
    key_range,
    key_ranges,
    row_hash,
    target_rows,
)
from tenantry.postgres import about, ident, idents, literal, verbatim
from tenantry.postgres.json_text import read_json

LOOKS = 3
"""Number of comparisons before a difference is accepted while applications write: a TRUNCATE is visible in snapshots that were
taken before it."""
_AT_ONCE = 2_000
"""Number of rows whose differences are read at once; more rows are read in pieces."""


def candidates(
    connection: Connection, project: Project, mapping: Mapping, chunks: Sequence[Chunk], expected: Sequence[Sum]
) -> tuple[int, list[str]]:
    """Return the number of target rows, and the keys of rows that differ, or did a moment ago, from the source.

    Args:
        chunks: the key ranges in the order of the key.
        expected: the expected checksum of each range.
    """
    bounds = [chunk.high for chunk in chunks if chunk.high is not None]
    compared = compared_columns(mapping)
    found = found_sums(connection, project, mapping, bounds)
    differing = [bucket for bucket, wanted in enumerate(expected) if found.get(bucket, (0, None)) != wanted]
    if NO_KEY in found:
        differing.append(NO_KEY)
    keys: list[str] = []
    if differing:
        derivation = Deriver(project, Reading.VERIFY, corrected=corrected_mappings(connection)).derive(mapping)
        buckets = ", ".join(str(bucket) for bucket in differing)
        legacy, key = source_key(mapping, "t"), f"d.{mapping.ours('key')}"
        tail = (
            "select coalesce(e.k, f.k)\n"
            f"  from (select {key} as k, {row_hash(mapping.target, compared, 'd')} as h from derived d"
            f" where {key_range(project, mapping, key, bounds)} in ({buckets})) e\n"
            f"  full join (select {legacy} as k, {row_hash(mapping.target, compared, 't')} as h"
            f" from {target_rows(project, mapping)} t where {key_range(project, mapping, legacy, bounds)} in ({buckets})"
            f"{from_part(mapping, ' where').replace(' where', ' and')}) f on e.k = f.k\n"
            f" where e.h is distinct from f.h limit {MOST_CANDIDATES}"
        )
        keys = [str(row[0]) for row in connection.execute(derivation.statement(tail))]
    keys += python_candidates(connection, project, mapping)
    return sum(count for count, _ in found.values()), list(dict.fromkeys(keys))


def target_only_in(connection: Connection, project: Project, mapping: Mapping) -> dict[str, set[str]]:
    """Return a mapping's target-only data, as listed in the journal: values, rows, and target-native rows
    that are part of a source row, with the row that the source would make instead."""
    found: dict[str, set[str]] = {}
    for legacy, column in connection.execute(
        f"select legacy_id, column_name from {JOURNAL}.kept where table_name = %s"
        f" union all select legacy_id, '' from {JOURNAL}.born_part where mapping = %s",
        [mapping.target.name, mapping.name],
    ):
        if not column and not str(legacy).startswith(mapping.legacy_prefix):
            continue  # a row of another mapping of the table
        found.setdefault(str(legacy), set()).add(str(column))
    for column in mapping.columns:
        if column.kind == "account":
            # A target-native person has the account that was made there, or none.
            born = f"select legacy_id from {target_rows(project, mapping)} where legacy_id = id::text"
            for (legacy,) in connection.execute(born):
                found.setdefault(str(legacy), set()).add(column.name)
    return found


def settle(
    connection: Connection,
    project: Project,
    mapping: Mapping,
    keys: Sequence[str],
    *,
    kept: TargetOnly | None = None,
    ranges: int = 0,
) -> Verification:
    """Recheck some rows one by one, and count all rows; call it with both sides visible at the same moment.

    Args:
        keys: source keys.
        kept: target-only data, which is no difference.
    """
    with about(str(mapping)):
        differences, more = compare_rows(connection, project, mapping, keys, kept)
    if len(keys) >= MOST_CANDIDATES:
        differences.append(
            Difference("rows", mapping.name, "all rows", "", "the source's", f"{MOST_CANDIDATES:,} or more that differ")
        )
    # In a table with several sources each row belongs to one of them, or is target-native.
    whole = [
        legacy for legacy, columns in (kept or {}).items() if "" in columns and legacy.startswith(mapping.legacy_prefix)
    ]
    row = connection.execute(
        f"select count(*), count(*) filter (where t.legacy_id = any (%s))"
        f" from {verbatim(target_rows(project, mapping))} t{verbatim(from_part(mapping, ' where'))}",
        [whole],
    ).fetchone()
    assert row is not None
    # Existing ones have no source row; missing ones are represented by a target-native row.
    here = int(row[1])
    account = _account(connection, project, mapping, int(row[0]) - here + (len(whole) - here))
    if not account.balanced:
        differences.append(_unbalanced(mapping, account))
    return Verification("rows", mapping.name, account.target, tuple(differences), more, account, ranges)


def compare_rows(
    connection: Connection, project: Project, mapping: Mapping, keys: Sequence[str], kept: TargetOnly | None = None
) -> tuple[list[Difference], int]:
    """Compare the rows of these source keys: expected rows with the target's, including missing and surplus rows.

    Returns:
        The differences of the first rows that differ, and the number of further rows.
    """
    if not keys:
        return [], 0
    source = (
        effective_source(project, mapping)
        if mapping.name in (corrected := corrected_mappings(connection))
        else ident(project.source.schema, mapping.source.name)
    )
    connection.execute("create temporary table if not exists tenantry_suspect (key text) on commit delete rows")
    connection.execute("delete from tenantry_suspect")
    connection.execute("insert into tenantry_suspect select distinct unnest(%s::text[])", [list(keys)])
    connection.execute("analyze tenantry_suspect")
    rows = f"(select o.* from {source} o join tenantry_suspect b on {same_key(project.source, mapping, 'o', 'b.key')})"
    derivation = Deriver(project, Reading.VERIFY, corrected=corrected).derive(mapping, rows=rows)
    columns, key = compared_columns(mapping), mapping.ours("key")
    legacy = legacy_of(mapping, "b.key")
    tail = (
        "select coalesce(e.k, f.k), e.h is null, f.h is null, e.r::text, f.r::text\n"
        f"  from (select d.{key} as k, {row_hash(mapping.target, columns, 'd')} as h, {JOURNAL}.row_json(d.*) as r"
        " from derived d) e\n"
        f"  full join (select b.key as k, {row_hash(mapping.target, columns, 't')} as h,"
        f" (select {JOURNAL}.row_json(x.*) from (select {idents([c.name for c in columns], prefix='t')}) x) as r"
        f" from tenantry_suspect b join {target_rows(project, mapping)} t on t.legacy_id = {legacy}) f on e.k = f.k\n"
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
        # The limit applies after kept rows are removed: these are no differences, and must not hide any.
        found = [
            each
            for each in verify_python(connection, project, mapping, only=rows)
            if not _is_target_only(mapping, each, kept or {})
        ]
        differences += found[:SAMPLES]
        more += max(0, len(found) - SAMPLES)
    return differences, more


def _unbalanced(mapping: Mapping, account: Account) -> Difference:
    return Difference(
        "accounting", mapping.name, "all rows", "", f"{account.source} in {mapping.source.name}",
        f"{account.target} carried over, {account.quarantined} in quarantine, {account.merged} merged"
        + (f", {account.outside} outside of the pilot" if account.outside else ""),
    )  # fmt: skip


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
    """Return the number of source rows that belong to the pilot."""
    corrected = corrected_mappings(connection)
    inside = Inside(
        project,
        lambda each: (
            effective_source(project, each)
            if each.name in corrected
            else ident(project.source.schema, each.source.name)
        ),
    )
    condition = inside.condition(mapping)
    where = f" where {condition}" if condition is not None else ""
    row = connection.execute(f"select count(*) from {inside.rows(mapping)} s{where}").fetchone()
    assert row is not None
    return int(row[0])


def _named(
    mapping: Mapping, columns: Sequence[MappedColumn], found: Iterable[Sequence[Any]], kept: TargetOnly
) -> tuple[list[Difference], int]:
    """Return differences from rows (key, not expected, not found, expected row, found row)."""
    differences: list[Difference] = []
    rows = 0
    for key, not_expected, not_found, expected, got in found:
        named: list[Difference] = []
        if not_found:
            named.append(Difference("rows", mapping.name, key, "", "a row", "none"))
        elif not_expected:
            named.append(Difference("rows", mapping.name, key, "", "no row", "one"))
        else:
            # Decimals: as floats, numbers with many digits could look equal.
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
                            "(secret)" if hidden else show(wanted.get(column.name)),
                            "(another secret)" if hidden else show(there.get(column.name)),
                        )
                    )
            if not named:
                named.append(Difference("rows", mapping.name, key, "", "the source's row", "another"))
        named = [each for each in named if not _is_target_only(mapping, each, kept)]
        if named:
            rows += 1
            if rows <= SAMPLES:
                differences += named
    return differences, max(0, rows - SAMPLES)


def _is_target_only(mapping: Mapping, difference: Difference, kept: TargetOnly) -> bool:
    columns = kept.get(f"{mapping.legacy_prefix}{difference.key}", set())
    return "" in columns or difference.column in columns


def find_candidates(connection: Connection, project: Project, journal: Journal) -> dict[str, list[str]]:
    """Return mapping → keys of candidate mismatches, which differ or did a moment ago; compares one mapping at a time."""
    found = {}
    for mapping in project:
        chunks = key_ranges(connection, journal, mapping)
        expected = [expected_sum(connection, project, mapping, chunk) for chunk in chunks]
        found[mapping.name] = candidates(connection, project, mapping, chunks, expected)[1]
    return found


__all__ = ["candidates", "compare_rows", "find_candidates", "settle"]
