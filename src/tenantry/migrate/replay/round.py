"""Rounds of replay: apply the applications' changes of the source to the target.

A round is one REPEATABLE READ transaction. It takes the visible entries of the change queue (and removes exactly these), finds
all rows that depend on them, derives these again from the same snapshot of the source, and updates the target. So a round can
be repeated, the order of entries does not matter, and entries that become visible later belong to the next round.

Dependents of a changed row are found along the mappings: if a target row appeared, disappeared, or changed its id or tenant, the
rows that reference it are derived again. Rows in quarantine wait under the key of their missing parent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from psycopg import errors as pg

from tenantry.derivation.keys import mapping_key, reference_text
from tenantry.derivation.reverse.strangers import strangers_in
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project, Reference
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.mapping.reasons import written
from tenantry.migrate.replay.batch import (
    QUEUE_TABLES,
    STATES,
    WORK_TABLES,
    Batch,
    Work,
    clear,
    forget,
    new_rows,
    restore_corrections,
)
from tenantry.migrate.replay.dependents import spread
from tenantry.migrate.replay.facts import ReplayFacts
from tenantry.migrate.replay.pilot import bring_along
from tenantry.migrate.replay.queue import EVERYTHING, Round, RoundPace, take_log
from tenantry.migrate.replay.refuse import one_by_one
from tenantry.migrate.replay.remove import take_out
from tenantry.migrate.replay.row_errors import ROW_ERRORS
from tenantry.migrate.replay.target_only import LeftAlone
from tenantry.migrate.replay.write import derive
from tenantry.postgres import about, ident, literal
from tenantry.statements.copy import RUN

BeforeCommit = Callable[[Connection, Round], None]


class Replayer:
    """Applies changes of one project's source to its target, over one connection.

    Call every method within the round's transaction, except `begin` and `made`.

    Attributes:
        deadline: by time.monotonic(), for a round behind which writers wait.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.deadline: float | None = None
        self._facts = ReplayFacts(project)
        self._target_only = LeftAlone(project)
        self._statements: dict[tuple[int, frozenset[str], frozenset[str]], str] = {}
        self._made: set[int] = set()
        self._making: set[int] = set()
        # Whether the previous round, perhaps of another process, may have left entries in the queue.
        self._loose = True
        self._still_loose = True

    @staticmethod
    def begin(connection: Connection) -> None:
        """Create the temporary tables for entries of the queues; once per connection, outside a round. A round creates the others
        when it needs them."""
        connection.execute(QUEUE_TABLES)

    def made(self) -> None:
        """Record that the round was committed, with the temporary tables that it made."""
        self._made |= self._making

    def take(self, connection: Connection, limit: int = EVERYTHING, *, also: str | None = None) -> Round:
        """Take entries from the queue: the first statement of a round, whose snapshot all others share.

        Args:
            also: a condition over further entries, in the dual-write window.
        """
        entries, oldest = take_log(
            connection,
            "source_log",
            "tenantry_entry (table_name, key, at, stated)",
            limit,
            side="source" if also else None,
            also=also,
        )
        complete = entries < limit
        self._loose, self._still_loose = self._still_loose or not complete, not complete
        return Round(entries=entries, oldest=oldest, complete=complete)

    def apply(self, connection: Connection, done: Round, *, thorough: bool = False) -> Round:
        """Bring the target in line with the source for all entries taken.

        Args:
            thorough: the copy read rows at different moments, so a row counts as moved even if it already
                has its final values in the target: others may have read earlier ones.
        """
        self._mark(connection)
        return self.settle(connection, done, thorough=thorough)

    def settle(self, connection: Connection, done: Round, *, thorough: bool = False) -> Round:
        """Derive all rows that are marked as dirty, and their dependents, until none is left."""
        connection.execute(WORK_TABLES)
        work = Work(
            connection,
            self._facts,
            self._target_only,
            corrected=_corrected(connection),
            strangers=strangers_in(connection, self.project),
            loose=self._loose,
            deadline=self.deadline,
            statements=self._statements,
        )
        self._making.clear()
        self._target_only.begin(connection)
        connection.execute("set constraints all deferred")
        clear(connection, "swept")
        while True:
            todo = {int(row[0]) for row in connection.execute("select distinct m from tenantry_dirty").fetchall()}
            if not todo:
                if not _sweep(work):
                    break
                continue
            for position, mapping in enumerate(self.project.mappings):
                if position in todo or _is_dirty(connection, position):
                    with about(str(mapping)):
                        self._derive(Batch(work, position, mapping), done, thorough=thorough)
        done.conflicts += self._target_only.settle(connection)
        row = connection.execute("select count(*) from tenantry_touched").fetchone()
        assert row is not None
        done.keys = int(row[0])
        return done

    def mark(self, connection: Connection, mapping: Mapping, keys: Sequence[str]) -> None:
        """Mark these source rows for derivation, regardless of the queue."""
        connection.execute(WORK_TABLES)
        connection.execute(
            "insert into tenantry_dirty select %s, k from unnest(%s::text[]) k",
            [self._facts.positions[mapping.name], list(keys)],
        )

    def mark_all(self, connection: Connection, mapping: Mapping) -> None:
        """Mark a whole table for derivation, including rows that no longer exist."""
        connection.execute(WORK_TABLES)
        position = self._facts.positions[mapping.name]
        source, key = ident(self.project.source.schema, mapping.source.name), mapping_key(mapping)
        target = ident(self.project.target.schema, mapping.target.name)
        connection.execute(
            f"insert into tenantry_dirty select {position}, z.k from (select {key} from {source} s"
            f" union select {source_key(mapping)} from {target} t{from_part(mapping, ' where')}"
            f" union select source_key from {JOURNAL}.merged where mapping = {literal(mapping.name)}"
            f" union select source_key from {JOURNAL}.quarantine where mapping = {literal(mapping.name)} and state = 'open'"
            ") z (k)"
        )

    def _mark(self, connection: Connection) -> None:
        connection.execute(WORK_TABLES)
        names = ", ".join(
            f"({position}, {literal(mapping.source.name)})" for position, mapping in enumerate(self.project.mappings)
        )
        connection.execute(
            f"insert into tenantry_dirty select n.m, e.key from tenantry_entry e join (values {names}) n (m, name)"
            " on n.name = e.table_name where e.key is not null"
        )
        truncated = connection.execute("select table_name from tenantry_entry where key is null").fetchall()
        for (table,) in truncated:
            for mapping in self.project.of_source(table):
                self.mark_all(connection, mapping)
        if any(mapping.reads for mapping in self.project):
            changed = {str(row[0]) for row in connection.execute("select distinct table_name from tenantry_entry")}
            for mapping in self.project:
                if changed & set(mapping.reads):
                    self.mark_all(connection, mapping)

    def _derive(self, batch: Batch, done: Round, *, thorough: bool) -> None:
        """Derive all dirty rows of one mapping."""
        connection = batch.connection
        batch.work.check_time()
        clear(connection, "batch")
        connection.execute(
            "with gone as (delete from tenantry_dirty where m = %s returning key)"
            " insert into tenantry_batch select distinct key from gone",
            [batch.position],
        )
        if not _need_derivation(batch):
            return
        if batch.facts.pilot and bring_along(batch):
            # First the rows that were brought along: parents precede their children in the next pass.
            connection.execute(f"insert into tenantry_dirty select {batch.position}, key from tenantry_batch")
            return
        # Outside the savepoint that a refused row rolls back to.
        self._make_table(batch)
        for evict in (False, True):
            try:
                with connection.transaction():
                    done.rows += derive(batch, thorough=thorough, evict=evict)
                    return
            except pg.UniqueViolation:
                continue  # rows may exchange values, also with rows whose entries wait in the queue
            except ROW_ERRORS:
                break  # one of many rows: found below
        keys = [str(row[0]) for row in connection.execute("select key from tenantry_batch order by key").fetchall()]
        one_by_one(batch, keys, done, thorough=thorough)

    def _make_table(self, batch: Batch) -> None:
        if batch.position not in self._made:
            self._making.add(batch.position)
            fields = ", ".join(f"{ident(column.name)} {column.type}" for column in batch.mapping.columns)
            batch.connection.execute(
                f"create temporary table if not exists {new_rows(batch.position)} ({fields}) on commit delete rows"
            )


def _is_dirty(connection: Connection, position: int) -> bool:
    return connection.execute("select from tenantry_dirty where m = %s limit 1", [position]).fetchone() is not None


def _need_derivation(batch: Batch) -> bool:
    """Leave out of the batch the rows that were swept, as long as the parent that they lack is not in the target: the source alone would
    let them in again, and rows that wait for each other would come and go forever. Return False if no row is left."""
    connection = batch.connection
    swept = connection.execute(
        "select distinct w.parent from tenantry_swept w join tenantry_batch b on b.key = w.key where w.m = %s",
        [batch.position],
    ).fetchall()
    for (parent,) in swept:
        connection.execute(
            f"delete from tenantry_batch b using tenantry_swept w where w.m = {batch.position} and w.key = b.key"
            f" and w.parent = {literal(parent)} and not exists"
            f" (select from {ident(batch.project.target.schema, parent)} p where p.id = w.id::{batch.project.by_target[parent][0].id_type})"
        )
    return not swept or connection.execute("select from tenantry_batch limit 1").fetchone() is not None


def _corrected(connection: Connection) -> frozenset[str]:
    return frozenset(
        str(row[0])
        for row in connection.execute(
            f"select distinct mapping from {JOURNAL}.quarantine where state = 'readmitted' and patch <> '{{}}'"
        )
    )


def _sweep(work: Work) -> bool:
    """Quarantine rows within a cycle of references whose parent is quarantined; return True if there are any."""
    found = False
    for position, mapping in enumerate(work.facts.project.mappings):
        for column in mapping.columns:
            if column.reference is not None and column.reference.late:
                found |= _sweep_column(Batch(work, position, mapping), column.name, column.reference)
    return found


def _sweep_column(batch: Batch, column: str, ref: Reference) -> bool:
    connection, mapping, project = batch.connection, batch.mapping, batch.project
    parent = ident(project.target.schema, ref.parent)
    feeding = project.feeding(ref)[0]
    key = reference_text(project, mapping, ref, "s")
    clear(connection, "batch", *STATES)
    connection.execute(
        f"insert into tenantry_batch select distinct x.key from tenantry_touched x join {batch.seen} t"
        f" on t.legacy_id = {legacy_of(mapping, 'x.key')} where x.m = {batch.position} and t.{ident(column)}"
        f" is not null and not exists (select from {parent} p where p.id = t.{ident(column)})"
    )
    connection.execute("insert into tenantry_all select key from tenantry_batch")
    connection.execute(batch.state_sql("batch", "before"))
    forget(batch)
    connection.execute(
        f"insert into tenantry_swept select {batch.position}, b.key, {literal(ref.parent)}, t.{ident(column)}::text from tenantry_batch b"
        f" join {batch.seen} t on t.legacy_id = {legacy_of(mapping, 'b.key')}"
    )
    if not take_out(batch, "tenantry_batch"):
        return False
    connection.execute(
        f"insert into {JOURNAL}.quarantine (run_id, mapping, source_table, source_key, original, problems, reason,"
        " column_name, parent_mapping, parent_table, parent_key)\n"
        f"select {RUN}, {literal(mapping.name)}, {literal(mapping.source.name)}, {mapping_key(mapping)}, {JOURNAL}.row_json(s.*),"
        f" {literal(written(f'reference_missing:{column}'))}, case when exists (select from {JOURNAL}.quarantine q"
        f" where q.source_table = {literal(feeding.source.name)} and q.source_key = {key})"
        f" then 'parent_quarantined' else 'reference_missing' end, {literal(column)},"
        f" {literal(feeding.name)}, {literal(feeding.source.name)}, {key} from {batch.rows} s"
    )
    restore_corrections(batch)
    spread(batch, thorough=False)
    return True


# -- rounds --------------------------------------------------------------------------------------------------------------


def run_round(
    connection: Connection,
    replayer: Replayer,
    work: Callable[[], Round],
    *,
    settings: Sequence[str] = (),
    before_commit: BeforeCommit | None = None,
) -> Round:
    """Run the transaction of a round in any direction: one snapshot for everything that `work` reads.

    Args:
        settings: SET LOCAL statements, sent in one message with the BEGIN.
        before_commit: called when the work is done; an exception rolls back the round.
    """
    with connection.transaction():
        connection.execute("; ".join(["set transaction isolation level repeatable read", *settings]))
        done = work()
        if before_commit is not None:
            before_commit(connection, done)
    replayer.made()
    return done


def replay_round(
    connection: Connection,
    replayer: Replayer,
    *,
    limit: int = EVERYTHING,
    thorough: bool = False,
    before_commit: BeforeCommit | None = None,
) -> Round:
    """Run one round from the source to the target."""

    def once(limit: int) -> Round:
        def work() -> Round:
            done = replayer.take(connection, limit)
            if done.entries or before_commit is not None:
                replayer.apply(connection, done, thorough=thorough)
            return done

        return run_round(connection, replayer, work, before_commit=before_commit)

    return or_everything(once, limit)


def or_everything(once: Callable[[int], Round], limit: int) -> Round:
    """Repeat a round without a limit if a foreign key refuses it: the left entries belonged to the taken ones."""
    try:
        return once(limit)
    except pg.IntegrityError:
        if limit >= EVERYTHING:
            raise
        return once(EVERYTHING)


class Rounds:
    """Rounds from the source to the target, over a connection that the first round opens.

    Attributes:
        pace: the number of entries per round.
        rows: target rows written by all rounds.
    """

    def __init__(self, project: Project, open_connection: Callable[[], Connection], check: BeforeCommit) -> None:
        """
        Args:
            check: called before the commit of each round without its own `before_commit`.
        """
        self.replayer = Replayer(project)
        self.pace = RoundPace()
        self.rows = 0
        self._open, self._check = open_connection, check
        self._connection: Connection | None = None

    def once(
        self, *, limit: int = EVERYTHING, thorough: bool = False, before_commit: BeforeCommit | None = None
    ) -> Round:
        """Run one round."""
        if self._connection is None or self._connection.closed:
            self._connection = self._open()
            self.replayer.begin(self._connection)
        done = replay_round(
            self._connection,
            self.replayer,
            limit=limit,
            thorough=thorough,
            before_commit=before_commit or self._check,
        )
        self.rows += done.rows
        return done
