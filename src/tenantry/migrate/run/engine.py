"""Runs a plan up to the cut-over: steps side by side where nothing forbids it, each marked in the journal by the transaction
that does it. The application reads and writes on all the time.

A run can die at any moment and be started again: what is done is marked as done, what is not has left no trace, and changes of
the source are noted by its triggers whether a run is under way or not.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import islice

import psycopg

from tenantry import __version__
from tenantry.analyze.surroundings import UNPREPARED_HINT, is_unprepared
from tenantry.errors import (
    JournalMismatch,
    NoRun,
    RunFinished,
    RunInterrupted,
    StatementRefused,
    StepFailed,
    TenantryError,
)
from tenantry.journal.journal import Chunk, Connection, Journal, last_run, this_process
from tenantry.manifest import Manifest
from tenantry.mapping import Mapping, Project
from tenantry.migrate.copy import ranges as chunked
from tenantry.migrate.replay import strays
from tenantry.migrate.replay.replay import EVERYTHING, ROW_ERRORS, Pace, Replayer, Round, pending, replay_round
from tenantry.migrate.replay.triggered import trigger_of
from tenantry.migrate.session import pilot as subset
from tenantry.migrate.session import trigger_states
from tenantry.migrate.session.connections import Session
from tenantry.migrate.session.guard import Watch, check_login, check_owner, check_server, refuse_standby
from tenantry.migrate.session.locks import capture_tables
from tenantry.migrate.session.observer import Observer, Silent
from tenantry.migrate.session.prepare import Prepared, prepare
from tenantry.migrate.session.run_lock import one_makes_the_journal, take_run_lock
from tenantry.migrate.session.sampler import Sampler
from tenantry.migrate.session.schema_drift import absorb
from tenantry.migrate.session.visibility import need_every_row, need_room
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.migrate.verify import compare as verify
from tenantry.migrate.verify.likely_causes import verification_failed
from tenantry.migrate.verify.not_compared import nobodys_rows
from tenantry.plan import Phase, Step, prerequisites
from tenantry.plan.operations.indexes_and_keys import CATCH_UP
from tenantry.postgres import explain, ident

BEFORE_CUT_OVER: tuple[Phase, ...] = ("expand", "capture", "copy", "replay", "verify", "secure")

_NEARLY_EMPTY = 2_000
"""Entries of a round after which replay counts as having caught up."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a migration is run.

    Attributes:
        workers: connections that copy, index and verify side by side.
        chunk_rows: source rows of the smallest key range; as many are carried over as one as take that long.
        chunk_seconds: how long one statement of the copy shall take, about; None: as [throttle] says, chunk_target.
        lock_patience: seconds for which a table's lock is tried for, to set triggers.
        work_mem, maintenance_work_mem: what each worker may use in the server for hashing, and for building indexes.
    """

    workers: int = 2
    chunk_rows: int = chunked.CHUNK_ROWS
    chunk_seconds: float | None = None
    lock_patience: float = 60.0
    work_mem: str = "128MB"
    maintenance_work_mem: str = "256MB"


@dataclass(frozen=True, slots=True)
class Timing:
    phase: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did."""

    run: int
    resumed: bool
    timings: tuple[Timing, ...]
    verifications: tuple[verify.Verification, ...]
    accounts: tuple[verify.Account, ...]
    rows: int
    seconds: float


@dataclass
class _Copy:
    """The copy of one mapping: pieces that nobody has taken up, and how fast it goes."""

    waiting: deque[Chunk]
    running: int = 0
    rate: float = 0.0
    alone: set[int] = field(default_factory=set)
    """Positions of pieces that are tried by themselves, since a row among them was refused."""


@dataclass
class _Work:
    """What is under way in one phase."""

    waiting: dict[str, Step]
    running: dict[Future[object], tuple[Step, tuple[Chunk, ...]]] = field(default_factory=dict)
    copies: dict[str, _Copy] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    expected: dict[str, dict[int, verify.Sum]] = field(default_factory=dict)
    """By verification step, what its key ranges must hold."""
    ranges: dict[str, list[Chunk]] = field(default_factory=dict)


class Migration:
    """One run of one manifest against one database, up to the moment in which it is ready to be cut over."""

    def __init__(
        self,
        dsn: str,
        manifest: Manifest,
        options: Options | None = None,
        observer: Observer | None = None,
        *,
        only: str | None = None,
        rest: bool = False,
    ) -> None:
        """
        Args:
            only: a condition over the tenants' source table: the run takes these tenants first, as a trial.
            rest: a trial that is ready goes on with all other tenants.
        """
        self._dsn = dsn
        self._only, self._rest = only, rest
        self._manifest = manifest
        self._options = options or Options()
        self._observer: Observer = observer or Silent()
        self._session = Session(
            dsn, work_mem=self._options.work_mem, maintenance_work_mem=self._options.maintenance_work_mem
        )
        self._verifications: list[verify.Verification] = []
        self._throttle = Throttle(
            dsn, manifest.throttle, notice=self._observer.notice, stopped=self._session.stop.is_set
        )
        self._suspects: dict[str, list[str]] = {}
        self._ranges: dict[str, int] = {}
        self._done: set[str] = set()
        self._rows = 0
        self._replayed = 0
        self._pace = Pace()

    def run(self) -> Outcome:
        """Begin, or go on with, the migration, up to but not including the cut-over.

        Raises:
            TenantryError: typed, with what to do; the journal says how far the run came, and it can be gone on with.
        """
        started = time.monotonic()
        main = self._session.open("tenantry: run")
        try:
            refuse_standby(main)
            take_run_lock(main)
            prepared = prepare(main, self._manifest, only=self._only)
            check_login(main, prepared.run, prepared.environment.login)
            check_owner(main, prepared.project)
            need_every_row(main, prepared.project)
            if prepared.run is None:
                need_room(main, prepared.project)
                if is_unprepared(main):
                    self._observer.notice(f"The script of the roles was not run in this database. {UNPREPARED_HINT}")
            if prepared.run is not None and prepared.run.is_over:
                raise RunFinished(
                    f"This database was cut over on {prepared.run.finished_at:%Y-%m-%d %H:%M} UTC.",
                    hint="Nothing is left to copy. `tenantry replay` keeps the source in step, `tenantry rollback` goes back,"
                    " `tenantry contract` makes it final.",
                )
            if prepared.chosen is not None:
                self._observer.notice(subset.describe(main, prepared.project, prepared.chosen))
            if self._rest:
                prepared = self._begin_rest(main, prepared)
            return self._run(main, prepared, started)
        except psycopg.Error as error:
            raise explain(error, "running the migration") from error
        finally:
            self._session.close()
            self._throttle.close()

    def _begin_rest(self, main: Connection, prepared: Prepared) -> Prepared:
        run = prepared.run
        if run is None:
            raise NoRun(
                "There is no trial in this database to go on with.",
                hint="`tenantry migrate` carries all tenants over; with --only some of them first.",
            )
        journal = Journal(run.id)
        absorb(main, journal, prepared, self._observer.notice)
        subset.begin_rest(main, journal, prepared.project, prepared.plan, run)
        return prepare(main, self._manifest)

    # -- the run -----------------------------------------------------------------------------------------------------

    def _run(self, main: Connection, prepared: Prepared, started: float) -> Outcome:
        journal, prepared = self._open_journal(main, prepared)
        plan = prepared.plan
        self._watch = Watch(prepared.project)
        self._replayer = Replayer(prepared.project)
        timings: list[Timing] = []
        try:
            with Sampler(self._dsn, journal, self._facts):
                for phase in BEFORE_CUT_OVER:
                    begun = time.monotonic()
                    steps = [step for step in plan.phase(phase) if step.id not in self._done]
                    self._observer.phase(phase, rows=sum(s.rows for s in steps), steps=len(steps))
                    journal.say(main, "set_phase", phase=phase)
                    need_every_row(main, prepared.project, doing=f"the phase {phase}")
                    if phase == "copy":
                        # What is altered from here on is noticed before another row is written.
                        self._watch.begin(main)
                    self._phase(main, journal, prepared, steps)
                    timings.append(Timing(phase, time.monotonic() - begun))
            with main.transaction():
                journal.say(main, "set_status", status="ready")
                journal.say(main, "accept_quarantined")
                journal.event(
                    main,
                    "ready",
                    "the trial is carried over; it can be proved, gone on with, or taken back"
                    if prepared.project.trial
                    else "everything is carried over; the cut-over can be done",
                )
        except BaseException as error:
            self._record_failure(main, journal, error)
            raise
        accounts = tuple(v.account for v in self._verifications if v.account is not None)
        return Outcome(
            run=journal.run,
            resumed=prepared.run is not None,
            timings=tuple(timings),
            verifications=tuple(self._verifications),
            accounts=accounts,
            rows=sum(account.target for account in accounts),
            seconds=time.monotonic() - started,
        )

    def _facts(self) -> dict[str, object]:
        return {"rows": self._rows + self._replayed, "replayed": self._replayed}

    def _open_journal(self, main: Connection, prepared: Prepared) -> tuple[Journal, Prepared]:
        """The journal of the run that is gone on with, or a new one; and what was prepared, over the tables as they are."""
        plan, run = prepared.plan, prepared.run
        if run is not None:
            journal = Journal(run.id)
            if absorb(main, journal, prepared, self._observer.notice):
                prepared = prepare(main, self._manifest)
                plan = prepared.plan
            known = {row[0] for row in journal.say(main, "steps")}
            if known != {step.id for step in plan}:
                raise JournalMismatch(
                    f"The run was begun by Tenantry {run.tool_version}, whose plan has other steps than {__version__}'s.",
                    hint=f"Go on with Tenantry {run.tool_version}, or undo the run with it: tenantry rollback --everything.",
                )
            journal.say(main, "resume_run", process=process_json())
            self._done = journal.done_steps(main)
            self._find_strays(journal, prepared)
            check_server(main, journal, run, self._observer.notice)
            # Carrying over and comparing say how things stand now.
            again = [step.id for phase in ("replay", "verify") for step in plan.phase(phase)]
            journal.say(main, "reopen_steps", steps=again)
            self._done -= set(again)
            journal.event(main, "resumed", "the run was gone on with", done=len(self._done))
            return journal, prepared
        first = plan.steps[0]
        with main.transaction():
            # Of two that begin at once the second waits here for the name of the schema, and is refused.
            with one_makes_the_journal():
                for statement in first.sql:
                    main.execute(statement)
            take_run_lock(main)
            journal = Journal.create(
                main,
                name=plan.name,
                manifest_digest=plan.manifest_digest,
                manifest_path=str(self._manifest.path),
                source=prepared.project.source,
                target=prepared.project.target,
                tool_version=__version__,
                subset=None if prepared.chosen is None else asdict(prepared.chosen.subset),
            )
            if prepared.chosen is not None:
                subset.begin(main, prepared.chosen)
            journal.add_steps(main, plan.steps)
            journal.say(main, "step_started", step=first.id)
            journal.say(main, "step_done", step=first.id, rows=None, message=None)
        self._done = {first.id}
        run = last_run(main)
        assert run is not None
        check_server(main, journal, run, self._observer.notice)
        return journal, prepared

    def _find_strays(self, journal: Journal, prepared: Prepared) -> None:
        """Where somebody has switched the triggers that keep others from writing the target."""
        copied = all(step.id in self._done for step in prepared.plan.phase("copy"))
        if not copied or not trigger_states.were_switched(
            main := self._session.open("tenantry: replay"), prepared.project
        ):
            return
        replayer = Replayer(prepared.project)
        replayer.begin(main)
        listed = strays.look_for_strays(main, prepared.project, replayer, journal)
        journal.event(
            main, "strays", "rows of the target were written while applications wrote the source", listed=listed
        )

    def _record_failure(self, main: Connection, journal: Journal, error: BaseException) -> None:
        interrupted = isinstance(error, KeyboardInterrupt | RunInterrupted)
        with suppress(psycopg.Error):
            if not main.closed:
                main.rollback()
                journal.say(main, "set_status", status="interrupted" if interrupted else "failed")
                message = error.message if isinstance(error, TenantryError) else type(error).__name__
                journal.event(main, "interrupted" if interrupted else "failed", message)

    # -- phases ------------------------------------------------------------------------------------------------------

    def _phase(self, main: Connection, journal: Journal, prepared: Prepared, steps: list[Step]) -> None:
        """Run steps as their predecessors are done; the first failure lets what runs end, and is raised."""
        work = _Work({step.id: step for step in steps})
        failure: BaseException | None = None
        pool = ThreadPoolExecutor(self._options.workers, thread_name_prefix="tenantry")
        try:
            while work.waiting or work.running:
                if failure is None:
                    for step in self._ready(work):
                        self._submit_step(pool, work, main, journal, prepared, step)
                if not work.running:
                    if failure is not None:
                        break
                    raise AssertionError(f"steps wait for each other: {sorted(work.waiting)}")
                # A short wait, so that Ctrl-C is seen.
                finished, _ = wait(work.running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in finished:
                    step, chunks = work.running.pop(future)
                    try:
                        self._collect(pool, work, main, journal, prepared, step, chunks, future.result())
                    except Exception as error:  # noqa: BLE001 - kept, and raised when what still runs has ended
                        failure = failure or self._explain(main, journal, prepared.project, step, error)
                        work.waiting.clear()
        except KeyboardInterrupt:
            self._session.cancel()
            raise RunInterrupted(
                "Stopped. What was finished is in the journal and nothing is half done; changes of the source go on being noted.",
                hint="Run `tenantry migrate` again to go on, or look with `tenantry status`.",
            ) from None
        finally:
            self._session.stop.set() if failure is not None else None
            pool.shutdown(wait=True, cancel_futures=True)
        if failure is not None:
            raise failure
        if steps and steps[0].phase == "verify":
            self._judge(main, journal, prepared)

    def _judge(self, main: Connection, journal: Journal, prepared: Prepared) -> None:
        """What differed while it was looked at is compared again in a round of replay, which sees both sides at one moment."""
        found: list[verify.Verification] = []

        def compare(connection: Connection, _done: Round) -> None:
            found.clear()
            found.extend(
                verify.settle(
                    connection,
                    prepared.project,
                    mapping,
                    self._suspects.get(mapping.name, ()),
                    kept=verify.kept_in_target(connection, prepared.project, mapping),
                    ranges=self._ranges.get(mapping.name, 1),
                )
                for mapping in prepared.project
            )
            found.extend(nobodys_rows(connection, prepared.project))
            self._watch.check(connection)

        def once() -> Round:
            return self._round(before_commit=compare)

        for _ in range(verify.LOOKS):
            self._session.again(once)
            if all(check.passed for check in found):
                break
        self._verifications = [*found, *self._verifications]
        failed = [v for v in self._verifications if not v.passed]
        journal.say(main, "set_verified", verified=not failed)
        if failed:
            raise verification_failed(failed)

    def _ready(self, work: _Work) -> list[Step]:
        ready = [step for step in work.waiting.values() if set(step.after) <= self._done]
        for step in ready:
            del work.waiting[step.id]
        # The longest first, so that it does not stand alone at the end.
        return sorted(ready, key=lambda step: -step.seconds)

    def _submit_step(
        self,
        pool: ThreadPoolExecutor,
        work: _Work,
        main: Connection,
        journal: Journal,
        prepared: Prepared,
        step: Step,
    ) -> None:
        journal.say(main, "step_started", step=step.id)
        work.begun[step.id] = time.monotonic()
        action: Callable[[Connection], object]
        if step.kind == "copy":
            mapping = prepared.project.mapping(step.mapping or "")
            action = lambda c: self._plan_copy(c, journal, prepared, mapping, step)  # noqa: E731
        else:
            self._observer.started(step, rows=step.rows, done_rows=0)
            if step.kind == "verify" and step.mapping is not None:
                mapping = prepared.project.mapping(step.mapping)
                action = lambda c: verify.key_ranges(c, journal, mapping)  # noqa: E731
            elif step.kind == "verify":
                action = lambda c: self._verify(c, prepared, step)  # noqa: E731
            elif step.kind == "replay":
                action = lambda c: self._replay(c, journal, step)  # noqa: E731
            elif step.kind == "capture":
                action = lambda c: self._capture(c, journal, prepared, step)  # noqa: E731
            else:
                action = lambda c: self._sql(c, journal, step)  # noqa: E731
        work.running[self._start(pool, action)] = (step, ())

    def _collect(
        self,
        pool: ThreadPoolExecutor,
        work: _Work,
        main: Connection,
        journal: Journal,
        prepared: Prepared,
        step: Step,
        chunks: tuple[Chunk, ...],
        result: object,
    ) -> None:
        if step.kind == "verify" and step.mapping is not None:
            self._collect_sums(pool, work, main, journal, prepared, step, chunks, result)
            return
        if step.kind != "copy":
            rows = None
            if isinstance(result, verify.Verification):
                self._verifications.append(result)
                rows = result.compared
                journal.say(main, "step_done", step=step.id, rows=rows, message=None)
            self._finish(work, step, rows)
            return
        mapping = prepared.project.mapping(step.mapping or "")
        assert isinstance(result, tuple)
        if not chunks:
            found, total = result
            copy = work.copies[step.id] = _Copy(deque(each for each in found if not each.done))
            work.rows[step.id] = sum(each.target_rows for each in found if each.done)
            self._rows += work.rows[step.id]
            self._observer.started(step, rows=total, done_rows=sum(each.source_rows for each in found if each.done))
        else:
            copied, again, seconds = result
            copy = work.copies[step.id]
            copy.running -= 1
            if copied is not None:
                work.rows[step.id] += copied.target
                self._rows += copied.target
                copy.rate = len(chunks) / max(seconds, 1e-3)
                self._observer.progress(step, copied.source)
            for each in reversed(again):
                copy.waiting.appendleft(each)
                copy.alone.add(each.position)
        while copy.waiting and copy.running < self._options.workers:
            taken = self._neighbours(copy)
            copy.running += 1
            future = self._start(
                pool,
                lambda c, taken=taken: self._copy_chunks(c, journal, prepared, mapping, step, taken),  # type: ignore[misc]
            )
            work.running[future] = (step, taken)
        if not copy.waiting and not copy.running:
            journal.say(main, "step_done", step=step.id, rows=work.rows[step.id], message=None)
            self._finish(work, step, work.rows[step.id])

    def _neighbours(self, copy: _Copy) -> tuple[Chunk, ...]:
        """As many pieces in a row as shall take the time that is wanted, going by how long the last ones took."""
        first = copy.waiting.popleft()
        taken = [first]
        if first.position in copy.alone:
            return (first,)
        wanted = self._options.chunk_seconds or self._throttle.limits().chunk_target
        # Not all that is left, so that every worker has something.
        most = max(1, min(round(copy.rate * wanted), len(copy.waiting) // self._options.workers + 1))
        for following in list(islice(copy.waiting, most - 1)):
            if following.low != taken[-1].high or following.position in copy.alone:
                break
            taken.append(copy.waiting.popleft())
        return tuple(taken)

    def _collect_sums(
        self,
        pool: ThreadPoolExecutor,
        work: _Work,
        main: Connection,
        journal: Journal,
        prepared: Prepared,
        step: Step,
        chunks: tuple[Chunk, ...],
        result: object,
    ) -> None:
        """The comparison of a mapping: first its key ranges, then what each must hold, at last the target's side."""
        project = prepared.project
        mapping = project.mapping(step.mapping or "")
        if isinstance(result, list):
            work.ranges[step.id], work.expected[step.id] = result, {}
            for each in result:
                work.running[self._start(pool, lambda c, each=each: verify.expected_sum(c, project, mapping, each))] = (  # type: ignore[misc]
                    step,
                    (each,),
                )
        elif chunks:
            assert isinstance(result, tuple)
            work.expected[step.id][chunks[0].position] = result
            self._observer.progress(step, result[0])
        else:
            assert isinstance(result, tuple)
            rows, self._suspects[mapping.name] = result
            self._ranges[mapping.name] = len(work.ranges[step.id])
            journal.say(main, "step_done", step=step.id, rows=rows, message=None)
            self._finish(work, step, rows)
            return
        ranges, expected = work.ranges[step.id], work.expected[step.id]
        if len(expected) == len(ranges):
            sums = [expected[each.position] for each in ranges]
            work.running[self._start(pool, lambda c: verify.suspects(c, project, mapping, ranges, sums))] = (step, ())

    def _finish(self, work: _Work, step: Step, rows: int | None) -> None:
        self._done.add(step.id)
        self._observer.finished(step, seconds=time.monotonic() - work.begun[step.id], rows=rows)

    # -- what workers do ---------------------------------------------------------------------------------------------

    def _sql(self, connection: Connection, journal: Journal, step: Step) -> None:
        if step.id.startswith("copy.foreign:"):

            def mark() -> None:
                journal.say(connection, "step_done", step=step.id, rows=None, message=None)

            # It may lock auth.users, which applications write: bounded tries, as with triggers.
            capture_tables(
                connection, "auth", ["users"], step.sql,
                mark,
                patience=self._options.lock_patience, notice=self._observer.notice, stopped=self._session.stop.is_set,
            )  # fmt: skip
            return

        def once() -> None:
            with connection.transaction():
                # The target is ours alone, and a parent's index may be under construction: wait for it.
                connection.execute("set local lock_timeout = 0")
                for statement in step.sql:
                    connection.execute(statement)
                journal.say(connection, "step_done", step=step.id, rows=None, message=None)

        self._session.again(once)

    def _capture(self, connection: Connection, journal: Journal, prepared: Prepared, step: Step) -> None:
        """On a table that applications write: each try lets them pass again after less than a second."""

        def mark() -> None:
            journal.say(connection, "step_done", step=step.id, rows=None, message=None)

        capture_tables(
            connection,
            prepared.plan.source_schema,
            [step.table or ""],
            step.sql,
            mark,
            patience=self._options.lock_patience,
            notice=self._observer.notice,
            stopped=self._session.stop.is_set,
        )

    def _replay(self, connection: Connection, journal: Journal, step: Step) -> None:
        """Rounds until one took all that it saw (to catch up with the copy), or next to nothing was left."""
        catching_up = step.id == CATCH_UP
        while not self._session.stop.is_set():
            self._throttle.wait("replay")
            limit, begun = self._pace.limit, time.monotonic()
            last = self._session.again(lambda limit=limit: self._round(limit=limit, thorough=catching_up, check=True))  # type: ignore[misc]
            self._pace.tell(last.entries, time.monotonic() - begun)
            self._observer.progress(step, last.entries)
            if last.entries < limit and (catching_up or pending(connection)[0] < _NEARLY_EMPTY):
                break
        journal.say(connection, "step_done", step=step.id, rows=None, message=None)

    def _round(
        self,
        *,
        limit: int = EVERYTHING,
        thorough: bool = False,
        check: bool = False,
        before_commit: Callable[[Connection, Round], None] | None = None,
    ) -> Round:
        if self._replaying is None or self._replaying.closed:
            self._replaying = self._session.open("tenantry: replay")
            self._replayer.begin(self._replaying)
        if check:
            before_commit = self._checked
        done = replay_round(
            self._replaying, self._replayer, limit=limit, thorough=thorough, before_commit=before_commit
        )
        self._replayed += done.rows
        return done

    def _checked(self, connection: Connection, done: Round) -> None:
        if strays.note_in_target(connection, self._replayer.project, self._replayer):
            self._replayer.settle(connection, done)
            listed = strays.list_in_target(connection, self._replayer.project)
            self._observer.notice(
                f"Tables of the target were written meanwhile: {listed:,} changes were taken back and are listed in"
                " tenantry.conflict; rows that only the target has are listed in tenantry.kept."
            )
        self._watch.check(connection)

    _replaying: Connection | None = None

    def _plan_copy(
        self, connection: Connection, journal: Journal, prepared: Prepared, mapping: Mapping, step: Step
    ) -> tuple[list[Chunk], int]:
        found = journal.chunks(connection, mapping.name)
        if found:
            return found, step.rows
        planned, total = chunked.plan_chunks(connection, prepared.project, mapping, self._options.chunk_rows)
        content = [{"position": chunk.position, "low": chunk.low, "high": chunk.high} for chunk in planned]
        journal.say(connection, "add_chunks", mapping=mapping.name, chunks=psycopg.types.json.Jsonb(content))
        return planned, total

    def _copy_chunks(
        self,
        connection: Connection,
        journal: Journal,
        prepared: Prepared,
        mapping: Mapping,
        step: Step,
        chunks: tuple[Chunk, ...],
    ) -> tuple[chunked.Copied | None, list[Chunk], float]:
        """Neighbouring ranges; or, where a row of them is refused by the server, what to try instead; and how long it took."""
        self._throttle.wait("copy", ident(prepared.project.source.schema, mapping.source.name))
        started = time.monotonic()
        try:
            copied = self._session.again(
                lambda: chunked.copy_chunks(
                    connection, journal, prepared.project, mapping, step.sql[0], chunks, self._watch.check
                )
            )
        except ROW_ERRORS as error:
            if len(chunks) > 1:
                return None, list(chunks), 0.0
            halves = chunked.split_chunk(connection, journal, prepared.project, mapping, chunks[0])
            if halves:
                return None, halves, 0.0
            return chunked.refuse_row(connection, journal, prepared.project, mapping, chunks[0], error), [], 0.0
        return copied, [], time.monotonic() - started

    def _verify(self, connection: Connection, prepared: Prepared, step: Step) -> verify.Verification:
        project = prepared.project
        checks: dict[str, Callable[[], verify.Verification]] = {
            "verify.catalog": lambda: verify.verify_catalog(connection, project),
            "verify.ids": lambda: verify.verify_ids(connection, project),
            "verify.references": lambda: verify.verify_references(connection, project),
            "verify.rules": lambda: verify.verify_rules(connection, project),
        }
        return checks[step.id]()

    # -- connections and errors --------------------------------------------------------------------------------------

    def _start(self, pool: ThreadPoolExecutor, action: Callable[[Connection], object]) -> Future[object]:
        def work() -> object:
            with self._session.worker() as connection:
                return action(connection)

        return pool.submit(work)

    def _explain(self, main: Connection, journal: Journal, project: Project, step: Step, error: Exception) -> Exception:
        if isinstance(error, psycopg.Error):
            if step.mapping is not None and not getattr(error, "__notes__", ()):
                error.add_note(str(project.mapping(step.mapping)))
            known = explain(error, f"doing step {step.id} ({step.title})")
            if isinstance(known, StatementRefused):
                where = trigger_of(main, error)
                known = StepFailed(
                    f"Step {step.id} failed: {known.message.partition(': ')[2]}"
                    + (f" It happened{where}." if where else ""),
                    hint="What the step did is undone, and the journal knows how far the run came. "
                    + (
                        "Let that trigger leave out what the run writes, or disable it for as long as the run lasts; then run the same"
                        " command: it goes on from its journal."
                        if where
                        else known.hint
                    ),
                    detail={"step": step.id, **known.detail},
                )
        elif isinstance(error, TenantryError):
            known = error
        else:
            return error
        with suppress(psycopg.Error):
            journal.say(main, "step_failed", step=step.id, message=known.message)
        return known


def process_json() -> psycopg.types.json.Jsonb:
    return psycopg.types.json.Jsonb(this_process())


__all__ = [
    "Migration",
    "Options",
    "Outcome",
    "Timing",
    "prerequisites",
    "process_json",
]
