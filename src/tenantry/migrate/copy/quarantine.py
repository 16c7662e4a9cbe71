"""The quarantine: list its entries, correct values, and retry rows.

`retry` derives rows from their current source row (or from the stored original if the row no longer exists), with the given
corrections. Rows that now fit are written to the target (or merged), and rows that depend on them follow. The
others stay in quarantine, with their newest reasons. Everything happens in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from tenantry.accounts.decide import link_statement, profile_mapping
from tenantry.derivation.keys import mapping_key
from tenantry.derivation.rows import merge_keys, qualified_order
from tenantry.errors import NoRun, QuarantineEntryUnknown, nearest
from tenantry.journal.journal import Connection, Run, journal_exists
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.mapping.reasons import explain_reason, read
from tenantry.migrate.copy.ranges import run_python
from tenantry.plan.operations.accounts import make_accounts
from tenantry.postgres import explain, ident, idents, literal, load_blocks
from tenantry.statements.copy import copy_statement, identity_clause

_SECRET = "(secret)"  # noqa: S105 - the placeholder of a secret


@dataclass(frozen=True, slots=True)
class Entry:
    """A row in quarantine. In `original` the manifest's secrets are masked."""

    id: int
    mapping: str
    source_table: str
    source_key: str
    reason: str
    column: str
    source_column: str
    """The column of the source row that caused the problem, if known."""
    problems: tuple[str, ...]
    detail: str
    parent: str
    state: str
    created_at: datetime
    what: str
    fix: str
    original: MappingType[str, Any]
    patch: MappingType[str, Any]

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "created_at": self.created_at.isoformat()}


@dataclass(frozen=True, slots=True)
class Retried:
    """The result of a retry."""

    tried: int
    readmitted: int
    merged: int
    still: int


def check_ready(run: Run | None) -> Run:
    """Return the run, if its target is complete, so that rows can be retried.

    Raises:
        NoRun: there is no run, or it is still copying.
    """
    if run is None or run.status not in ("ready", "cut over"):
        raise NoRun(
            "There is no finished run in this database" + (f": run {run.id} is in phase {run.phase}." if run else "."),
            hint="Run `tenantry migrate`: it begins a run or resumes it.",
        )
    return run


def entries(
    connection: Connection,
    project: Project | None,
    *,
    table: str | None = None,
    reason: str | None = None,
    ids: Sequence[int] | None = None,
    limit: int | None = None,
) -> list[Entry]:
    """Return the open entries, oldest first; `table` is the name of a source or target table.

    Raises:
        NoRun: there is no journal.
        QuarantineEntryUnknown: one of `ids` does not exist.
    """
    if not journal_exists(connection):
        raise NoRun(
            "There is no run of Tenantry in this database, so there is no quarantine.",
            hint="Run `tenantry migrate` first, or name the right database with --dsn.",
        )
    rows = connection.execute(
        load_blocks("tenantry.migrate.copy", "quarantine")["entries"],
        {"table": table, "reason": reason, "ids": list(ids) if ids is not None else None, "limit": limit},
    ).fetchall()
    found = [_entry(row, project) for row in rows]
    if ids is not None:
        missing = set(ids) - {entry.id for entry in found}
        if missing:
            raise QuarantineEntryUnknown(
                f"The quarantine has no entry {', '.join(str(each) for each in sorted(missing))}. Nothing was retried.",
                hint="`tenantry quarantine list` shows the numbers.",
            )
    return found


def _entry(row: Sequence[Any], project: Project | None) -> Entry:
    mapping = None
    if project is not None:
        mapping = next((each for each in project if each.name == row[1]), None)
    secrets = mapping.secrets if mapping is not None else tuple(row[9])
    said = explain_reason(row[4], row[5], mapping)
    masked = {key: _SECRET if key in secrets and value is not None else value for key, value in row[9].items()}
    patch = {key: _SECRET if key in secrets else value for key, value in row[10].items()}
    parent = f"{row[7]} {row[8]}" if row[7] else ""
    return Entry(
        row[0], row[1], row[2], row[3], row[4], row[5] or "", _source_column(mapping, row[5]),
        tuple(read(each) for each in row[6].split(";")), row[12] or "", parent,
        row[11], row[13], said.what, said.fix, masked, patch,
    )  # fmt: skip


def _source_column(mapping: Mapping | None, column: str | None) -> str:
    if mapping is None or column is None:
        return ""
    return next((each.source for each in mapping.columns if each.name == column and each.source), "")


def fix(connection: Connection, project: Project, entry: Entry, values: MappingType[str, str]) -> None:
    """Record corrected values for columns of the source row; they are used when the row is retried.

    Raises:
        QuarantineEntryUnknown: the source table has no such column.
    """
    table = project.source.table(entry.source_table)
    assert table is not None
    patch: dict[str, Any] = {}
    for name, value in values.items():
        column = table.column(name)
        if column is None:
            known = [each.name for each in table.columns]
            near = nearest(name, known)
            raise QuarantineEntryUnknown(
                f"{entry.source_table} has no column {name!r}" + (f"; did you mean {near!r}?" if near else "."),
                hint=f"Its columns: {', '.join(known)}. Give new values as --set column=value.",
            )
        patch[name] = json.loads(value) if column.type in ("json", "jsonb") else value
    connection.execute(
        f"update {JOURNAL}.quarantine set patch = patch || %s where source_table = %s and source_key = %s and state = 'open'",
        [Jsonb(patch), entry.source_table, entry.source_key],
    )


def retry(connection: Connection, project: Project, ids: Sequence[int] | None) -> Retried:
    """Retry the entries of `ids` (None: all), and the rows that depend on them.

    Raises:
        TenantryError: the server refused a row; nothing was changed.
    """
    tried = readmitted = merged = 0
    try:
        with connection.transaction():
            connection.execute("set local lock_timeout = '5s'")
            connection.execute("set constraints all deferred")
            wanted = set(ids) if ids is not None else None
            back: set[tuple[str, str]] = set()
            for mapping in project:
                open_rows = connection.execute(
                    f"select id, source_table, source_key, parent_table, parent_key from {JOURNAL}.quarantine"
                    " where mapping = %s and state = 'open' order by id",
                    [mapping.name],
                ).fetchall()
                chosen = [row for row in open_rows if wanted is None or row[0] in wanted or (row[3], row[4]) in back]
                # One source row may be in the quarantine of several mappings: a correction applies to all of them.
                chosen += [row for row in open_rows if row not in chosen and (row[1], row[2]) in back]
                if not chosen:
                    continue
                tried += len(chosen)
                if mapping == profile_mapping(project):
                    ids_of = ", ".join(str(row[0]) for row in chosen)
                    keys = f"select q.source_key from {JOURNAL}.quarantine q where q.id in ({ids_of})"
                    entries = f"(q.state = 'readmitted' or q.id in ({ids_of}))"
                    connection.execute(link_statement(project, only=keys, entries=entries))
                came, went = _retry_mapping(connection, project, mapping, [row[0] for row in chosen])
                still = {
                    row[0]
                    for row in connection.execute(
                        f"select source_key from {JOURNAL}.quarantine where mapping = %s and state = 'open'",
                        [mapping.name],
                    )
                }
                back |= {(row[1], row[2]) for row in chosen if row[2] not in still}
                readmitted += came
                merged += went
            # Make accounts for the retried people; the statements skip people who have one.
            for step in make_accounts(project, {mapping.target.name: "" for mapping in project}):
                for statement in step.sql:
                    connection.execute(statement)
    except psycopg.Error as error:
        raise explain(error, "re-admitting rows from the quarantine; nothing was changed") from error
    return Retried(tried, readmitted, merged, tried - readmitted - merged)


def _retry_mapping(connection: Connection, project: Project, mapping: Mapping, ids: Sequence[int]) -> tuple[int, int]:
    """Retry the chosen entries; return the numbers of migrated and of merged rows."""
    source = ident(project.source.schema, mapping.source.name)
    target = ident(project.target.schema, mapping.target.name)
    names = idents([column.name for column in mapping.columns])
    chosen = ", ".join(str(each) for each in ids)
    # The entries are closed first, so that rows that fail again can be entered under the same key.
    connection.execute(
        f"update {JOURNAL}.quarantine set state = 'readmitted', closed_at = clock_timestamp() where id in ({chosen})"
    )
    relation = (
        f"(select r.* from {JOURNAL}.quarantine q left join {source} o on {mapping_key(mapping, 'o')} = q.source_key"
        f" cross join lateral jsonb_populate_record("
        f"case when o.{ident(mapping.key[0])} is null then json_populate_record(null::{source}, q.original) else o.* end, q.patch) r"
        f" where q.id in ({chosen}))"
    )
    if mapping.python_columns:
        run_python(connection, project, mapping, "true", relation=relation)
    statement = copy_statement(project, mapping, rows=relation)
    if mapping.merge is None:
        row = connection.execute(statement).fetchone()
        assert row is not None
        carried, merged = int(row[1]), 0
    else:
        # Through a temporary table, since a row may have to be merged with one that is in the target already.
        fields = ", ".join(f"{ident(column.name)} {column.type}" for column in mapping.columns)
        connection.execute("drop table if exists pg_temp.tenantry_readmit")
        connection.execute(f"create temporary table tenantry_readmit ({fields}) on commit drop")
        connection.execute(statement.replace(f"insert into {target} ", "insert into pg_temp.tenantry_readmit ", 1))
        by = dict(enumerate(mapping.merge.by))
        same = " and ".join(f"t.{ident(name)} is not distinct from m.by{i}" for i, name in by.items())
        same += f" and num_nonnulls({', '.join(f'm.by{i}' for i in by)}) > 0"
        alike = ", ".join(f"n.{ident(name)} as by{i}" for i, name in by.items())
        keys = merge_keys(mapping, "n")
        merged = connection.execute(
            f"with ranked as (select n.legacy_id, {alike}, to_json(n.*) as derived, first_value(n.legacy_id) over w as first,"
            " row_number() over w as place"
            f" from pg_temp.tenantry_readmit n window w as (partition by {keys} order by {qualified_order(mapping, 'n')})),\n"
            f"gone as (select m.legacy_id, coalesce(t.legacy_id, m.first) as into_key, m.derived from ranked m"
            f" left join {target} t on {same} where t.legacy_id is not null or m.place > 1),\n"
            "out as (delete from pg_temp.tenantry_readmit r using gone g where r.legacy_id = g.legacy_id)\n"
            f"insert into {JOURNAL}.merged (mapping, source_table, source_key, into_key, reason, original, derived)\n"
            f"select {literal(mapping.name)}, {literal(mapping.source.name)}, g.legacy_id, g.into_key, {literal(mapping.merge.reason)},"
            f" to_json(jsonb_populate_record(json_populate_record(null::{source}, q.original), q.patch)), g.derived"
            f" from gone g join {JOURNAL}.quarantine q on q.id in ({chosen})"
            " and q.source_key = g.legacy_id"
        ).rowcount
        carried = connection.execute(
            f"insert into {target} ({names}) {identity_clause(mapping)}select {names} from pg_temp.tenantry_readmit"
        ).rowcount
    # Rows that failed again keep their corrections and their number.
    connection.execute(
        load_blocks("tenantry.migrate.copy", "quarantine")["keep_refused"],
        {"mapping": mapping.name, "ids": list(ids)},
    )
    return carried, merged
