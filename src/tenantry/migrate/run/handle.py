"""A run that has copied everything: the checks that every command on such a run needs first, and the rounds that keep both
sides synchronized."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from types import TracebackType

import psycopg
from psycopg import errors as pg
from psycopg.types.json import Jsonb

from tenantry import __version__
from tenantry.errors import JournalDamaged, JournalMismatch, NoRun, NotReady
from tenantry.journal.journal import Connection, Journal, Run, last_run, this_process
from tenantry.manifest import Manifest
from tenantry.migrate.replay import strays
from tenantry.migrate.replay.both_sides import Both
from tenantry.migrate.replay.queue import BOTH_LEAST, EVERYTHING, Round, RoundPace, TooLong, pending
from tenantry.migrate.replay.reverse import Reverser
from tenantry.migrate.replay.round import BeforeCommit, Replayer, or_everything, run_round
from tenantry.migrate.run.carry import carry_changes, report_strays
from tenantry.migrate.run.trigger_errors import explain_run_error
from tenantry.migrate.session import trigger_states
from tenantry.migrate.session.connections import TRANSIENT, Session
from tenantry.migrate.session.guard import Watch, check_login, check_server, refuse_standby
from tenantry.migrate.session.lock_waits import LockWaits
from tenantry.migrate.session.observer import Observer, Silent
from tenantry.migrate.session.prepare import Prepared, prepare
from tenantry.migrate.session.run_lock import release_run_lock, wait_for_run_lock
from tenantry.migrate.session.schema_drift import absorb
from tenantry.migrate.session.visibility import need_every_row
from tenantry.migrate.session.write_pause import Guard
from tenantry.postgres import explain

_BOTH_SECONDS = 0.5
"""The longest duration of a round in the dual-write window: writers of the same rows wait for it."""
_LOCK_TABLES = 12
"""Number of attempts after which such a round locks tables rather than rows."""
_BOTH_TRIES = 40
_STILL, _STILL_BOTH = 60.0, 2.0
"""Seconds without a statement after which the server ends a round and releases its locked rows, for which applications wait in the
dual-write window. Doubled after each time: the process may only be slow."""
_STILL_TRIES = 5


def _nothing(_connection: Connection) -> None:
    """Lock nothing in advance of a round."""


class RunHandle:
    """A context in which this process holds the run.

    Attributes:
        main: the connection that holds the run lock.
        run: the run's row, as last read.
    """

    def __init__(
        self, dsn: str, manifest: Manifest, observer: Observer | None = None, *, patience: float = 30.0
    ) -> None:
        """
        Args:
            patience: seconds to wait until another process releases the run; `tenantry replay` does so on request.
        """
        self._dsn, self._manifest, self._patience = dsn, manifest, patience
        self.observer: Observer = observer or Silent()
        self.session = Session(dsn)

    def __enter__(self) -> RunHandle:
        try:
            self.main: Connection = self.session.open("tenantry: run")
            refuse_standby(self.main)
            wait_for_run_lock(self.main, self._patience, self.observer.notice)
            self.prepared: Prepared = prepare(self.main, self._manifest)
            self.load()
        except psycopg.Error as error:
            self.session.close()
            raise explain(error, "looking at the run") from error
        except BaseException:
            self.session.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        release_run_lock(self.main)
        self.session.close()
        if isinstance(error, pg.LockNotAvailable) and self.waits.found:
            raise self.waits.error() from error
        if isinstance(error, psycopg.Error):
            raise explain_run_error(self._dsn, error) from error

    def load(self) -> None:
        """Check the run, the login, the tables and the server, as each command does at its start."""
        run = self.prepared.run
        if run is None:
            raise NoRun(
                "There is no run of Tenantry in this database yet.",
                hint="Run `tenantry plan` to see what a run would do, and `tenantry migrate` to start it.",
            )
        self.run: Run = run
        self.journal = Journal(run.id)
        self.project = self.prepared.project
        check_login(self.main, run, self.prepared.environment.login)
        self.replayer = Replayer(self.project)
        self.reverser = Reverser(self.project)
        self.watch = Watch(self.project)
        self.guard = Guard(self.session, run.id)
        self.waits = LockWaits((self.project.source.schema, self.project.target.schema), self.observer.notice)
        self._rounds: Connection | None = None
        self._slow = 1
        self.both = Both(self.project)
        self._pace = RoundPace()
        self._both_pace = RoundPace(seconds=_BOTH_SECONDS / 2, least=BOTH_LEAST, first=2_000)
        self.done = self.journal.done_steps(self.main)
        self.journal.say(self.main, "set_process", process=Jsonb(this_process()))

    def check_journal(self) -> None:
        """Check that the journal has the steps of this version's plan.

        Raises:
            JournalMismatch: another version of Tenantry began the run.
            JournalDamaged: steps are missing.
        """
        known = {str(row[0]) for row in self.journal.say(self.main, "steps")}
        wanted = {step.id for step in self.prepared.plan}
        if known == wanted:
            return
        if known < wanted and self.run.tool_version == __version__:
            missing = sorted(wanted - known)
            raise JournalDamaged(
                f"The journal of run {self.run.id} lacks {len(missing)} steps of its plan, among them {missing[0]}.",
                hint="Run `tenantry verify --journal`: it rebuilds the journal from both sides.",
                detail={"missing": missing},
            )
        raise JournalMismatch(
            f"The run was begun by Tenantry {self.run.tool_version}. Its plan has other steps than that of {__version__}."
            " Nothing was changed.",
            hint=f"Resume with Tenantry {self.run.tool_version}.",
        )

    def check(self) -> None:
        """Check that journal, tables and server are unchanged.

        Raises:
            SourceAltered: they are altered, and the run cannot be resumed this way.
            JournalMismatch, JournalDamaged: the journal is not that of this plan.
            RowsHidden: row-level security hides rows of one of the sides.
        """
        # Others may hold locks on the objects that are only read.
        self.session.again(self._check)

    def _check(self) -> None:
        self.check_journal()
        need_every_row(self.main, self.project)
        if absorb(self.main, self.journal, self.prepared, self.observer.notice):
            self.prepared = prepare(self.main, self._manifest)
            self.load()
        if self.run.direction == "forward" and self.is_copied and trigger_states.were_switched(self.main, self.project):
            report_strays(self, strays.look_for_strays(self.rounds, self.project, self.replayer, self.journal))
        check_server(self.main, self.journal, self.run, self.observer.notice)
        self.watch.begin(self.main)
        self.refresh()

    @property
    def is_copied(self) -> bool:
        """Whether every row has been migrated once, so that both sides can be compared."""
        return all(step.id in self.done for step in self.prepared.plan if step.phase == "copy")

    def refresh(self) -> None:
        """Read the run's row again."""
        run = last_run(self.main)
        assert run is not None
        self.run = run

    def need_copied(self, *, secured: bool = True) -> None:
        """
        Args:
            secured: require the policies as well.

        Raises:
            NotReady: steps before the cut-over are not done.
            JournalMismatch, JournalDamaged: the journal is not that of this plan.
        """
        if self.run.status == "contracted":
            raise NotReady(
                f"Run {self.run.id} was contracted: the source no longer exists, so there is nothing to compare or replay.",
                hint="The migration is final. `tenantry status` and `tenantry prove` still work.",
            )
        self.check_journal()
        plan = self.prepared.plan
        phases = ("expand", "capture", "copy", *(["secure"] if secured else []))
        missing = [step.id for step in plan if step.phase in phases and step.id not in self.done]
        if missing:
            raise NotReady(
                f"Run {self.run.id} is not ready: it is in phase {self.run.phase}, and {len(missing)} steps are not done"
                f" (the next: {missing[0]}).",
                hint="Run `tenantry migrate`: it resumes the run and ends when everything is ready for the cut-over.",
            )

    # -- rounds ------------------------------------------------------------------------------------------------------

    @property
    def rounds(self) -> Connection:
        """The connection of the rounds."""
        if self._rounds is None or self._rounds.closed:
            self._rounds = self.session.open("tenantry: replay")
            self.replayer = Replayer(self.project)
            self.replayer.begin(self._rounds)
            self._rounds.execute("set synchronous_commit = off")
        return self._rounds

    def round(
        self, *, limit: int | None = None, check: bool = True, before_commit: BeforeCommit | None = None
    ) -> Round:
        """Run one round in the run's direction, retried after transient errors.

        Args:
            limit: the largest number of queue entries; None: as many as it can replay in about ROUND_SECONDS.
        """

        pace = self._both_pace if self.run.direction == "both" else self._pace

        def once(limit: int, first: Callable[[Connection], None] = _nothing, deadline: float | None = None) -> Round:
            connection = self.rounds
            self.replayer.deadline = deadline
            begun = time.monotonic()
            still = (_STILL_BOTH if self.run.direction == "both" else _STILL) * self._slow

            def work() -> Round:
                first(connection)
                return carry_changes(self, connection, self.run.direction, limit)

            def finish(connection: Connection, done: Round) -> None:
                if before_commit is not None:
                    before_commit(connection, done)
                if done.entries or done.reversed_entries:
                    if check:
                        self.watch.check(connection)
                    if before_commit is None:
                        self.journal.say(connection, "set_unverified")

            with self.waits.watched(connection, self.main):
                done = run_round(
                    connection,
                    self.replayer,
                    work,
                    settings=[f"set local idle_in_transaction_session_timeout = '{round(still * 1000)}ms'"],
                    before_commit=finish,
                )
            pace.tell(done.entries, time.monotonic() - begun)
            return done

        if self.run.direction == "both":
            return self._awake(lambda: self._contended(once, limit, bounded=before_commit is None))
        return self._awake(
            lambda: self.session.again(lambda: or_everything(once, self._pace.limit if limit is None else limit))
        )

    def _awake(self, action: Callable[[], Round]) -> Round:
        """Repeat an action that the server ended because this process was idle."""
        for _ in range(_STILL_TRIES):
            try:
                return action()
            except pg.IdleInTransactionSessionTimeout:
                if self.session.stop.is_set():
                    raise
                self._slow *= 2
                self.observer.notice(
                    "The server ended a round because this process was idle in it. The round was rolled back, and is repeated."
                )
        return action()

    def _contended(
        self,
        once: Callable[[int, Callable[[Connection], None], float | None], Round],
        given: int | None,
        *,
        bounded: bool,
    ) -> Round:
        """Run a round in the dual-write window. Applications may change the rows that it writes, and wait for rows that it has written: it
        is retried at once with fewer entries; then it locks the most written rows in advance, then their tables.

        Args:
            bounded: give the round up if writers would wait too long, as long as it can be made smaller.
        """
        pace, everything = self._both_pace, False
        attempt = failed = 0
        while True:
            attempt += 1
            limit = EVERYTHING if everything else pace.limit if given is None else given
            tables = failed >= _LOCK_TABLES
            first = self._lock_tables if tables else self.both.lock if failed else _nothing
            least = everything or given is not None or pace.limit <= BOTH_LEAST
            try:
                return once(limit, first, None if least or not bounded else time.monotonic() + _BOTH_SECONDS)
            except TooLong:
                pace.less()
            except TRANSIENT:
                failed += 1
                if failed >= _BOTH_TRIES or self.session.stop.is_set():
                    raise
                pace.less()
                time.sleep(random.uniform(0.002, 0.02) * (10 if tables else 1))  # noqa: S311 - jitter
            except pg.IntegrityError:
                # The left entries belonged to the taken ones.
                if limit >= EVERYTHING:
                    raise
                everything = True
            finally:
                self.replayer.deadline = None

    def _lock_tables(self, connection: Connection) -> None:
        self.both.lock_tables(connection, self.main)

    def pending(self) -> int:
        """Return the number of pending entries in the run's direction; 100,000 if there are more."""
        logs = {"forward": ["source_log"], "reverse": ["target_log"], "both": ["source_log", "target_log"]}
        return sum(pending(self.main, log)[0] for log in logs[self.run.direction])

    def catch_up(
        self,
        *,
        small: int = 500,
        quick: float = 0.3,
        stopped: Callable[[], bool] = lambda: False,
        before_commit: BeforeCommit | None = None,
    ) -> Round:
        """Replay rounds until one is small and quick, or they get no smaller: then only entries are left that arrive
        during a round."""
        before = None
        while True:
            begun = time.monotonic()
            last = self.round(before_commit=before_commit)
            spent = time.monotonic() - begun
            entries = last.entries + last.reversed_entries
            settled = last.complete and before is not None and entries >= 0.8 * before
            if stopped() or entries == 0 or (last.complete and entries <= small and spent <= quick) or settled:
                return last
            before = entries

    # -- comparing ---------------------------------------------------------------------------------------------------


__all__ = ["RunHandle"]
