"""Rounds of replay: carry what applications changed in the source over to the target.

A round is one REPEATABLE READ transaction. It takes the entries of the change queue that it sees (and removes exactly these), finds
all rows that derive from them, derives these again from the same snapshot of the source, and brings the target in line. So a round can
be repeated, the order of entries does not matter, and what becomes visible later is the next round's.

What derives from a changed row is found along the mappings: a row whose id or tenant changed in the target, which came or went, takes
along the rows that refer to it. Rows in quarantine wait under the key of the parent that they miss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from psycopg import errors as pg

from tenantry.derivation.keys import mapping_key, reference_text
from tenantry.derivation.reverse.strangers import TABLES as CLAIM_TABLES
from tenantry.derivation.reverse.strangers import strangers_in
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project, Reference
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.mapping.reasons import written
from tenantry.migrate.replay.batch import (
    STATES,
    TABLES,
    Batch,
    Work,
    clear,
    forget,
    new_rows,
    restore_corrections,
)
from tenantry.migrate.replay.both_sides import TABLES as BOTH_TABLES
from tenantry.migrate.replay.dependents import spread
from tenantry.migrate.replay.facts import ReplayFacts
from tenantry.migrate.replay.pilot import bring_along
from tenantry.migrate.replay.queue import EVERYTHING, Round, RoundPace, take_log
from tenantry.migrate.replay.refuse import one_by_one
from tenantry.migrate.replay.remove import take_out
from tenantry.migrate.replay.row_errors import ROW_ERRORS
from tenantry.migrate.replay.target_only import LEFT_TABLES, LeftAlone
from tenantry.migrate.replay.write import derive
from tenantry.postgres import about, ident, literal
from tenantry.statements.copy import RUN

BeforeCommit = Callable[[Connection, Round], None]


class Replayer:
    """Applies changes of one project's source to its target, over one connection.

    Every method must be called within the round's transaction, but for `begin` and `made`.

    Attributes:
        deadline: by time.monotonic(), of a round behind which writers wait.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.deadline: float | None = None
        self._facts = ReplayFacts(project)
        self._target_only = LeftAlone(project)
        self._statements: dict[tuple[int, frozenset[str], frozenset[str]], str] = {}
        self._made: set[int] = set()
        self._making: set[int] = set()
        # Whether entries may have been left out by the round before this one, which may have been another process's.
        self._loose = True
        self._still_loose = True

    @staticmethod
    def begin(connection: Connection) -> None:
        """The session's temporary tables; once for a connection, outside of a round."""
        for tables in (TABLES, BOTH_TABLES, LEFT_TABLES, *CLAIM_TABLES):
            connection.execute(tables)

    def made(self) -> None:
        """The round has been committed, and with it the temporary tables that it made."""
        self._made |= self._making

    def take(self, connection: Connection, limit: int = EVERYTHING, *, also: str | None = None) -> Round:
        """Take entries from the queue: the first statement of a round, whose snapshot all others share.

        Args:
            also: a condition over further entries, while both sides are written.
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
            thorough: what was copied was read at different moments, so that a row counts as moved even if it already
                stands in the target as it should: others may have seen it otherwise.
        """
        self._mark(connection)
        return self.settle(connection, done, thorough=thorough)

    def settle(self, connection: Connection, done: Round, *, thorough: bool = False) -> Round:
        """Derive everything that is marked as dirty, and what follows from it, until nothing is left."""
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
        """Have these source rows derived again, whatever the queue says."""
        connection.execute(
            "insert into tenantry_dirty select %s, k from unnest(%s::text[]) k",
            [self._facts.positions[mapping.name], list(keys)],
        )

    def mark_all(self, connection: Connection, mapping: Mapping) -> None:
        """Look at a whole table again, also at what is no longer there."""
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
        """Everything of one mapping that is dirty."""
        connection = batch.connection
        batch.work.check_time()
        clear(connection, "batch")
        connection.execute(
            "with gone as (delete from tenantry_dirty where m = %s returning key)"
            " insert into tenantry_batch select distinct key from gone",
            [batch.position],
        )
        if batch.facts.pilot and bring_along(batch):
            # First those who came along: parents come before their children in the next turn.
            connection.execute(f"insert into tenantry_dirty select {batch.position}, key from tenantry_batch")
            return
        # Outside of what is taken back when a row is refused.
        self._make_table(batch)
        for evict in (False, True):
            try:
                with connection.transaction():
                    done.rows += derive(batch, thorough=thorough, evict=evict)
                    return
            except pg.UniqueViolation:
                continue  # perhaps of rows that pass a value on to each other, also to some whose entries wait in the queue
            except ROW_ERRORS:
                break  # some row of many: looked for below
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


def _corrected(connection: Connection) -> frozenset[str]:
    return frozenset(
        str(row[0])
        for row in connection.execute(
            f"select distinct mapping from {JOURNAL}.quarantine where state = 'readmitted' and patch <> '{{}}'"
        )
    )


def _sweep(work: Work) -> bool:
    """Rows within a cycle of references whose parent did not arrive follow it into the quarantine; True where there were any."""
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
    """The transaction of a round, in whatever direction: one snapshot for everything that `work` reads.

    Args:
        settings: statements of SET LOCAL that come with the transaction's beginning, in one message with it.
        before_commit: is called when the work is done; what it raises takes the round back.
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
    """One round from the source to the target."""

    def once(limit: int) -> Round:
        def work() -> Round:
            done = replayer.take(connection, limit)
            if done.entries or before_commit is not None:
                replayer.apply(connection, done, thorough=thorough)
            return done

        return run_round(connection, replayer, work, before_commit=before_commit)

    return or_everything(once, limit)


def or_everything(once: Callable[[int], Round], limit: int) -> Round:
    """A round that a foreign key refuses, since what it left in the queue belonged to what it took, takes everything instead."""
    try:
        return once(limit)
    except pg.IntegrityError:
        if limit >= EVERYTHING:
            raise
        return once(EVERYTHING)


class Rounds:
    """Rounds from the source to the target over a connection that is opened when the first is done.

    Attributes:
        pace: how many entries a round takes.
        rows: target rows that all rounds have written.
    """

    def __init__(self, project: Project, open_connection: Callable[[], Connection], check: BeforeCommit) -> None:
        """
        Args:
            check: is called before each round is committed that is given nothing else to do then.
        """
        self.replayer = Replayer(project)
        self.pace = RoundPace()
        self.rows = 0
        self._open, self._check = open_connection, check
        self._connection: Connection | None = None

    def once(
        self, *, limit: int = EVERYTHING, thorough: bool = False, before_commit: BeforeCommit | None = None
    ) -> Round:
        """One round."""
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
