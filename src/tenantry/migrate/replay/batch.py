"""The work tables of a round, and one batch of one mapping in them.

The modules of replay share temporary tables: `tenantry_dirty` holds the rows that must still be derived, `tenantry_batch` the keys
that are being derived, `tenantry_all` all keys that this derivation has touched, `tenantry_before` and `tenantry_after` their ids and
tenants, `tenantry_moved` the keys whose id or tenant has changed, `tenantry_touched` the rows that a round has derived,
`tenantry_swept` the rows of a cycle that it has taken out of the target, with the parent that is missing there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

from tenantry.derivation.keys import same_key
from tenantry.derivation.reverse.strangers import no_stranger, without_strangers
from tenantry.derivation.rows import effective_source
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.mapping.legacy_ids import legacy_of
from tenantry.migrate.replay.facts import ReplayFacts
from tenantry.migrate.replay.queue import TooLong
from tenantry.migrate.replay.target_only import LeftAlone
from tenantry.postgres import ident, idents, literal
from tenantry.statements.copy import copy_statement

QUEUE_TABLES = """
create temporary table if not exists tenantry_entry (table_name text not null, key text, at timestamptz, stated boolean) on commit delete rows;
create temporary table if not exists tenantry_changed (table_name text not null, legacy_id text, at timestamptz, stated boolean)
    on commit delete rows;
"""
"""The entries that a round takes from the queues of the two sides."""

WORK_TABLES = """
create temporary table if not exists tenantry_dirty (m int not null, key text not null) on commit delete rows;
create temporary table if not exists tenantry_touched (m int not null, key text not null) on commit delete rows;
create temporary table if not exists tenantry_batch (key text primary key) on commit delete rows;
create temporary table if not exists tenantry_all (key text primary key) on commit delete rows;
create temporary table if not exists tenantry_before (key text, id text, tenant uuid, extra text) on commit delete rows;
create temporary table if not exists tenantry_after (key text, id text, tenant uuid, extra text) on commit delete rows;
create temporary table if not exists tenantry_account (key text primary key) on commit delete rows;
create temporary table if not exists tenantry_patch (key text, patch jsonb, since timestamptz) on commit delete rows;
create temporary table if not exists tenantry_known (key text) on commit delete rows;
create temporary table if not exists tenantry_gone (name text, legacy text, tenant text,
    digest text generated always as (md5(legacy)) stored, primary key (name, digest, tenant)) on commit delete rows;
create temporary table if not exists tenantry_was (m int, key text, id text, tenant uuid) on commit delete rows;
create temporary table if not exists tenantry_swept (m int not null, key text not null, parent text, id text) on commit delete rows;
create temporary table if not exists tenantry_moved
    (key text, old_id text, old_tenant uuid, born boolean, moved boolean, extra boolean, named boolean) on commit delete rows;
"""
"""Each of these costs a commit the time to empty it, so a session has them only from its first round with entries on."""

STATES = ("all", "before", "after", "moved", "known")
"""Temporary tables with the state of a mapping's rows while they are derived."""


@dataclass
class Work:
    """The context of one round.

    Attributes:
        corrected: mappings with rows that were corrected in the quarantine.
        loose: the previous round, perhaps of another process, may have left entries in the queue.
        deadline: by time.monotonic(), for a round behind which writers wait.
        strangers: target tables with rows that have the legacy id of another tenant's row and must not be changed.
        statements: (position, corrected mappings) → the statement that derives a batch.
    """

    connection: Connection
    facts: ReplayFacts
    target_only: LeftAlone
    corrected: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    loose: bool = True
    deadline: float | None = None
    statements: dict[tuple[int, frozenset[str], frozenset[str]], str] = field(default_factory=dict)

    def seen(self, name: str) -> str:
        """Return SQL of a relation: the rows of a target table, without strangers."""
        if name in self.strangers:
            return without_strangers(self.facts.project, name)
        return ident(self.facts.project.target.schema, name)

    def visible(self, name: str, alias: str) -> str:
        """Return a condition, beginning with ` and`, that a target row is no stranger."""
        return no_stranger(self.facts.project, name, alias) if name in self.strangers else ""

    def check_time(self) -> None:
        """
        Raises:
            TooLong: writers have waited long enough.
        """
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TooLong

    def copy_statement(self, batch: Batch) -> str:
        """Return the statement that derives the rows of a batch into its temporary table."""
        key = (batch.position, self.corrected, self.strangers)
        if key not in self.statements:
            self.statements[key] = copy_statement(
                batch.project,
                batch.mapping,
                rows=batch.rows,
                into=batch.new,
                few=True,
                corrected=self.corrected,
                strangers=self.strangers,
            )
        return self.statements[key]


@dataclass(frozen=True)
class Batch:
    """Rows of one mapping that are derived together: their keys are in tenantry_batch."""

    work: Work
    position: int
    mapping: Mapping

    @property
    def connection(self) -> Connection:
        return self.work.connection

    @property
    def facts(self) -> ReplayFacts:
        return self.work.facts

    @property
    def project(self) -> Project:
        return self.work.facts.project

    @property
    def new(self) -> str:
        """The temporary table of the derived rows."""
        return new_rows(self.position)

    @property
    def target(self) -> str:
        """The quoted name of the target table."""
        return self.table(self.mapping)

    @property
    def seen(self) -> str:
        """SQL of a relation, for reading: the target's rows, without strangers (rows in the place of another tenant's row)."""
        return self.work.seen(self.mapping.target.name)

    def visible(self, alias: str) -> str:
        """Return a condition, beginning with ` and`, that a target row is no stranger."""
        return self.work.visible(self.mapping.target.name, alias)

    def table(self, mapping: Mapping) -> str:
        """Return the quoted name of the target table of another mapping."""
        return ident(self.project.target.schema, mapping.target.name)

    @property
    def rows(self) -> str:
        """SQL of a relation: the source rows of the batch."""
        mapping = self.mapping
        relation = (
            effective_source(self.project, mapping)
            if mapping.name in self.work.corrected
            else ident(self.project.source.schema, mapping.source.name)
        )
        return (
            f"(select o.* from {relation} o join tenantry_batch b on"
            f" {same_key(self.project.source, mapping, 'o', 'b.key')})"
        )

    def state_sql(self, keys: str, into: str) -> str:
        """Return SQL that records, for some keys, id and tenant of their target rows or of the rows into which they were merged."""
        mapping = self.mapping
        tenant = self.facts.tenant(mapping, "t")
        extra = "null"
        if mapping.is_root and self.facts.tenant_columns:
            extra = f"row({idents(self.facts.tenant_columns, prefix='t')})::text"
        select = (
            f"insert into tenantry_{into} select a.key, t.id::text, {tenant}, {extra} from tenantry_{keys} a"
            f" join {self.seen} t on t.legacy_id = {legacy_of(mapping, 'a.key')}"
        )
        if mapping.merge is not None:
            select += (
                f" union all select a.key, t.id::text, {tenant}, {extra} from tenantry_{keys} a join {JOURNAL}.merged m"
                f" on m.mapping = {literal(mapping.name)} and m.source_key = a.key"
                f" join {self.seen} t on t.legacy_id = {legacy_of(mapping, 'm.into_key')}"
            )
        return select


def new_rows(position: int) -> str:
    """Return the name of the temporary table of a mapping's derived rows."""
    return f"tenantry_new_{position}"


def clear(connection: Connection, *tables: str) -> None:
    """Empty work tables, by their names without the prefix."""
    connection.execute("; ".join(f"delete from tenantry_{table}" for table in tables))


def fill(connection: Connection, keys: Sequence[str]) -> None:
    """Fill tenantry_batch with these keys."""
    clear(connection, "batch")
    connection.execute("insert into tenantry_batch select unnest(%s::text[])", [list(keys)])


def forget(batch: Batch) -> None:
    """Delete the journal's entries about the batch, which are about to be written again. Corrections that wait for a retry, and the
    time since when a row is in quarantine, are kept for restore_corrections()."""
    connection, mapping = batch.connection, batch.mapping
    name = literal(mapping.name)
    clear(connection, "patch")
    connection.execute(
        f"with gone as (delete from {JOURNAL}.quarantine q using tenantry_batch b where q.mapping = {name}"
        " and q.source_key = b.key and q.state = 'open' returning q.source_key, q.patch, q.created_at),"
        " known as (insert into tenantry_known select source_key from gone)"
        " insert into tenantry_patch select source_key, patch, created_at from gone"
    )
    connection.execute(
        f"delete from {JOURNAL}.change c using tenantry_batch b where c.mapping = {name} and c.source_key = b.key"
    )
    if mapping.merge is not None:
        connection.execute(
            f"delete from {JOURNAL}.merged m using tenantry_batch b where m.mapping = {name} and m.source_key = b.key"
        )


def restore_corrections(batch: Batch) -> None:
    """Restore what forget() has kept, for rows that are in quarantine again."""
    batch.connection.execute(
        f"with p as (delete from tenantry_patch returning key, patch, since)"
        f" update {JOURNAL}.quarantine q set patch = p.patch, created_at = p.since"
        f" from p where q.mapping = {literal(batch.mapping.name)} and q.source_key = p.key and q.state = 'open'"
    )


def fed_columns(mapping: Mapping) -> list[str]:
    """Return the target columns that the mapping fills."""
    return [column.name for column in mapping.columns]


def same_values(mapping: Mapping, columns: Sequence[str], one: str, other: str, *, nulls: bool) -> list[str]:
    """Return alternative conditions that two rows of the target have the same values. With `nulls`, where nulls count as equal, there
    is one condition for each set of null columns, since an index cannot serve a condition that leaves this open."""
    nullable = [
        name for name in columns if nulls and (column := mapping.target.column(name)) is not None and column.nullable
    ]
    ways = []
    for empty in product((False, True), repeat=len(nullable)):
        if all(empty) and len(nullable) == len(columns):
            continue  # rows whose columns are all null never match
        null = dict(zip(nullable, empty, strict=True))
        ways.append(
            " and ".join(
                f"{one}.{ident(name)} is null and {other}.{ident(name)} is null"
                if null.get(name)
                else f"{one}.{ident(name)} = {other}.{ident(name)}"
                for name in columns
            )
        )
    return ways
