"""Runs a plan: steps side by side where nothing forbids it, each marked in the journal by the transaction that does it.

A run can die at any moment and be started again: what is done is marked as done, what is not has left no trace. Only the
write lock on the source goes with the process; a run that goes on first looks whether the source has changed since.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg
from psycopg import errors as pg

from tenantry import __version__
from tenantry.catalog import read_catalog
from tenantry.errors import (
    JournalMismatch,
    RunFinished,
    RunInterrupted,
    StepFailed,
    TenantryError,
    VerificationFailed,
)
from tenantry.manifest import Manifest, Mapping
from tenantry.migrate import chunks as chunked
from tenantry.migrate import verify
from tenantry.migrate.fresh import changed_tables, watch
from tenantry.migrate.journal import Chunk, Connection, Journal, journal_exists, last_run, this_process
from tenantry.migrate.lock import lock_source, run_lock_holder, take_run_lock
from tenantry.migrate.observer import Observer, Silent
from tenantry.migrate.prepare import Prepared, prepare
from tenantry.plan import PHASES, Step, prerequisites
from tenantry.postgres import connect, explain, ident

T = TypeVar("T")

_TRANSIENT = (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable)
_ROW_ERRORS = (pg.DataError, pg.IntegrityError)
_TRIES = 8


@dataclass(frozen=True, slots=True)
class Options:
    """How a migration is run.

    Attributes:
        workers: connections that copy, index and verify side by side.
        chunk_rows: source rows of one key range.
        lock_patience: seconds for which the write lock is tried for.
        work_mem, maintenance_work_mem: what each worker may use in the server for hashing, and for building indexes.
    """

    workers: int = 2
    chunk_rows: int = chunked.CHUNK_ROWS
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
class _Work:
    """What is under way in one phase."""

    waiting: dict[str, Step]
    running: dict[Future[object], tuple[Step, Chunk | None]] = field(default_factory=dict)
    open_chunks: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    expected: dict[str, dict[int, verify.Sum]] = field(default_factory=dict)
    """By verification step, what its key ranges must hold."""
    ranges: dict[str, list[Chunk]] = field(default_factory=dict)


class Migration:
    """One run of one manifest against one database."""

    def __init__(
        self, dsn: str, manifest: Manifest, options: Options | None = None, observer: Observer | None = None
    ) -> None:
        self._dsn = dsn
        self._manifest = manifest
        self._options = options or Options()
        self._observer: Observer = observer or Silent()
        self._stop = threading.Event()
        self._workers: list[Connection] = []
        self._free: list[Connection] = []
        self._guard = threading.Lock()
        self._verifications: list[verify.Verification] = []
        self._done: set[str] = set()

    def run(self) -> Outcome:
        """Begin, or go on with, the migration, up to and including the cut-over.

        Raises:
            TenantryError: typed, with what to do; the journal says how far the run came, and it can be gone on with.
        """
        started = time.monotonic()
        main = connect(self._dsn, name="tenantry: run")
        guard = connect(self._dsn, name="tenantry: write lock on the source")
        try:
            take_run_lock(main, lambda: _describe_holder(main))
            prepared = prepare(main, self._manifest)
            if prepared.run is not None and prepared.run.status == "cut over":
                raise RunFinished(
                    f"This database was cut over on {prepared.run.finished_at:%Y-%m-%d %H:%M} UTC.",
                    hint="Nothing is left to do: `tenantry status`, `tenantry quarantine list` and `tenantry prove` go on working.",
                )
            return self._run(main, guard, prepared, started)
        except psycopg.Error as error:
            raise explain(error, "running the migration") from error
        finally:
            self._close(main, guard)

    # -- the run -----------------------------------------------------------------------------------------------------

    def _run(self, main: Connection, guard: Connection, prepared: Prepared, started: float) -> Outcome:
        plan = prepared.plan
        tables = [table.name for table in prepared.project.source_tables]
        lock_source(
            guard,
            plan.source_schema,
            tables,
            patience=self._options.lock_patience,
            notice=self._observer.notice,
            stopped=self._stop.is_set,
        )
        self._observer.notice(
            f"Writes to {len(tables)} tables of schema {plan.source_schema} wait from now on, until this run ends"
            f" (lock SHARE, pid {guard.info.backend_pid}); reading goes on."
        )
        journal = self._open_journal(main, prepared)
        timings: list[Timing] = []
        try:
            for phase in PHASES:
                begun = time.monotonic()
                steps = [step for step in plan.phase(phase) if step.id not in self._done]
                self._observer.phase(phase, rows=sum(s.rows for s in steps), steps=len(steps))
                journal.say(main, "set_phase", phase=phase)
                if phase == "cut over":
                    self._cut_over(main, guard, journal, steps)
                else:
                    self._phase(main, journal, prepared, steps)
                timings.append(Timing(phase, time.monotonic() - begun))
        except BaseException as error:
            self._record_failure(main, journal, error)
            guard.close()
            self._observer.notice(f"The write lock is released: {plan.source_schema} can be written again.")
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

    def _open_journal(self, main: Connection, prepared: Prepared) -> Journal:
        """The journal of the run that is gone on with, or a new one; with the write lock held."""
        plan, run = prepared.plan, prepared.run
        if run is not None:
            journal = Journal(run.id)
            source = read_catalog(main, plan.source_schema)
            if source.digest() != run.source_catalog.digest():
                raise JournalMismatch(
                    f"The tables of schema {plan.source_schema} have been altered since the run was begun.",
                    hint="Undo the change and go on, or start over: drop schema"
                    f" {plan.target_schema} cascade; drop schema tenantry cascade; and run again.",
                )
            known = {row[0] for row in journal.say(main, "steps")}
            if known != {step.id for step in plan}:
                raise JournalMismatch(
                    f"The run was begun by Tenantry {run.tool_version}, whose plan has other steps than {__version__}'s.",
                    hint=f"Go on with Tenantry {run.tool_version}, or start over: drop schema {plan.target_schema} cascade;"
                    " drop schema tenantry cascade;",
                )
            journal.say(main, "resume_run", process=_process())
            self._done = journal.done_steps(main)
            changed = changed_tables(main, journal, prepared.project)
            if changed:
                self._start_over(main, journal, prepared, changed)
            else:
                # Comparing costs little and says how things stand now.
                again = [step.id for step in plan.phase("verify")]
                journal.say(main, "reopen_steps", steps=again)
                self._done -= set(again)
            journal.event(main, "resumed", "the run was gone on with", done=len(self._done))
            return journal
        first = plan.steps[0]
        with main.transaction():
            for statement in first.sql:
                main.execute(statement)
            journal = Journal.create(
                main,
                name=plan.name,
                manifest_digest=plan.manifest_digest,
                manifest_path=str(self._manifest.path),
                source=prepared.project.source,
                target=prepared.project.target,
                tool_version=__version__,
            )
            journal.add_steps(main, plan.steps)
            journal.say(main, "step_started", step=first.id)
            journal.say(main, "step_done", step=first.id, rows=None, message=None)
            watch(main, journal, prepared.project)
        self._done = {first.id}
        return journal

    def _start_over(self, main: Connection, journal: Journal, prepared: Prepared, changed: list[str]) -> None:
        """The source was written to while nobody held its lock: what was copied of it cannot be trusted any more."""
        self._observer.notice(
            f"The source has changed since the run stopped ({', '.join(changed)}): its rows are copied anew."
        )
        plan = prepared.plan
        keep = {"expand.journal", "expand.auth", "expand.context"}
        again = [step.id for step in plan if step.id not in keep]
        # Foreign keys go before the accounts that they point to.
        undo = [
            step
            for step in reversed(plan.steps)
            if step.id in self._done and (step.id == "copy.accounts" or step.id.endswith(".foreign"))
        ]

        def once() -> None:
            with main.transaction():
                for step in undo:
                    for statement in step.undo:
                        main.execute(statement)
                main.execute(f"drop schema if exists {ident(plan.target_schema)} cascade")
                for statement in _forget(journal.run):
                    main.execute(statement)
                journal.say(main, "reopen_steps", steps=again)
                journal.event(main, "started_over", "the source had changed while no run held its lock", tables=changed)
                watch(main, journal, prepared.project)

        # A worker of the process that died may still be at its last statement, and hold locks on the target.
        self._again(once)
        self._done -= set(again)

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
                    step, chunk = work.running.pop(future)
                    try:
                        self._collect(pool, work, main, journal, prepared, step, chunk, future.result())
                    except Exception as error:  # noqa: BLE001 - kept, and raised when what still runs has ended
                        failure = failure or self._explain(main, journal, step, error)
                        work.waiting.clear()
        except KeyboardInterrupt:
            self._cancel()
            raise RunInterrupted(
                "Stopped. What was finished is in the journal; nothing is half done, and the source's lock is released.",
                hint="Run `tenantry migrate` again to go on, or look with `tenantry status`.",
            ) from None
        finally:
            self._stop.set() if failure is not None else None
            pool.shutdown(wait=True, cancel_futures=True)
        if failure is not None:
            raise failure
        failed = [v for v in self._verifications if not v.passed]
        if failed and steps and steps[0].phase == "verify":
            raise _verification_failed(failed)

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
        if step.kind == "copy":
            mapping = prepared.project.mapping(step.mapping or "")
            action: Callable[[Connection], object] = lambda c: self._plan_copy(c, journal, prepared, mapping)  # noqa: E731
        elif step.kind == "verify" and step.mapping is not None:
            mapping = prepared.project.mapping(step.mapping)
            self._observer.started(step, rows=step.rows, done_rows=0)
            action = lambda c: verify.key_ranges(c, journal, mapping)  # noqa: E731
        elif step.kind == "verify":
            self._observer.started(step, rows=step.rows, done_rows=0)
            action = lambda c: self._verify(c, prepared, step)  # noqa: E731
        else:
            self._observer.started(step, rows=step.rows, done_rows=0)
            action = lambda c: self._sql(c, journal, step)  # noqa: E731
        work.running[self._start(pool, action)] = (step, None)

    def _collect(
        self,
        pool: ThreadPoolExecutor,
        work: _Work,
        main: Connection,
        journal: Journal,
        prepared: Prepared,
        step: Step,
        chunk: Chunk | None,
        result: object,
    ) -> None:
        if step.kind == "verify" and step.mapping is not None and not isinstance(result, verify.Verification):
            self._collect_sums(pool, work, prepared, step, chunk, result)
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
        if chunk is None:
            assert isinstance(result, tuple)
            found, total = result
            todo = [each for each in found if not each.done]
            done_rows = sum(each.source_rows for each in found if each.done)
            work.open_chunks[step.id] = len(todo)
            work.rows[step.id] = sum(each.target_rows for each in found if each.done)
            self._observer.started(step, rows=total, done_rows=done_rows)
        else:
            assert isinstance(result, tuple)
            copied, todo = result
            work.open_chunks[step.id] += len(todo) - 1
            if copied is not None:
                work.rows[step.id] += copied.target
                self._observer.progress(step, copied.source)
        for each in todo:
            self._submit_chunk(pool, work, journal, prepared, mapping, step, each)
        if work.open_chunks[step.id] == 0:
            journal.say(main, "step_done", step=step.id, rows=work.rows[step.id], message=None)
            self._finish(work, step, work.rows[step.id])

    def _collect_sums(
        self, pool: ThreadPoolExecutor, work: _Work, prepared: Prepared, step: Step, chunk: Chunk | None, result: object
    ) -> None:
        """The comparison of a mapping: first its key ranges, then what each must hold, at last the target's side."""
        project = prepared.project
        mapping = project.mapping(step.mapping or "")
        if chunk is None:
            assert isinstance(result, list)
            work.ranges[step.id], work.expected[step.id] = result, {}
            for each in result:
                work.running[self._start(pool, lambda c, each=each: verify.expected_sum(c, project, mapping, each))] = (  # type: ignore[misc]
                    step,
                    each,
                )
        else:
            assert isinstance(result, tuple)
            work.expected[step.id][chunk.position] = result
            self._observer.progress(step, result[0])
        ranges, expected = work.ranges[step.id], work.expected[step.id]
        if len(expected) == len(ranges):
            sums = [expected[each.position] for each in ranges]
            work.running[self._start(pool, lambda c: verify.verify_mapping(c, project, mapping, ranges, sums))] = (
                step,
                None,
            )

    def _submit_chunk(
        self,
        pool: ThreadPoolExecutor,
        work: _Work,
        journal: Journal,
        prepared: Prepared,
        mapping: Mapping,
        step: Step,
        chunk: Chunk,
    ) -> None:
        future = self._start(pool, lambda c: self._copy_chunk(c, journal, prepared, mapping, step, chunk))
        work.running[future] = (step, chunk)

    def _finish(self, work: _Work, step: Step, rows: int | None) -> None:
        self._done.add(step.id)
        self._observer.finished(step, seconds=time.monotonic() - work.begun[step.id], rows=rows)

    # -- what workers do ---------------------------------------------------------------------------------------------

    def _sql(self, connection: Connection, journal: Journal, step: Step) -> None:
        def once() -> None:
            with connection.transaction():
                # The target is ours alone, and a parent's index may be under construction: wait for it.
                connection.execute("set local lock_timeout = 0")
                for statement in step.sql:
                    connection.execute(statement)
                journal.say(connection, "step_done", step=step.id, rows=None, message=None)

        self._again(once)

    def _plan_copy(
        self, connection: Connection, journal: Journal, prepared: Prepared, mapping: Mapping
    ) -> tuple[list[Chunk], int]:
        found = journal.chunks(connection, mapping.name)
        if found:
            return found, max(prepared.project.source.table(mapping.source.name).row_estimate, 0)  # type: ignore[union-attr]
        planned, total = chunked.plan_chunks(connection, prepared.project, mapping, self._options.chunk_rows)
        content = [{"position": chunk.position, "low": chunk.low, "high": chunk.high} for chunk in planned]
        journal.say(connection, "add_chunks", mapping=mapping.name, chunks=psycopg.types.json.Jsonb(content))
        return planned, total

    def _copy_chunk(
        self,
        connection: Connection,
        journal: Journal,
        prepared: Prepared,
        mapping: Mapping,
        step: Step,
        chunk: Chunk,
    ) -> tuple[chunked.Copied | None, list[Chunk]]:
        """A chunk, or where a row of it is refused by the server, its halves."""
        try:
            return (
                self._again(
                    lambda: chunked.copy_chunk(connection, journal, prepared.project, mapping, step.sql[0], chunk)
                ),
                [],
            )
        except _ROW_ERRORS as error:
            halves = chunked.split_chunk(connection, journal, prepared.project, mapping, chunk)
            if halves:
                return None, halves
            return chunked.refuse_row(connection, journal, prepared.project, mapping, chunk, error), []

    def _verify(self, connection: Connection, prepared: Prepared, step: Step) -> verify.Verification:
        project = prepared.project
        checks: dict[str, Callable[[], verify.Verification]] = {
            "verify.catalog": lambda: verify.verify_catalog(connection, project),
            "verify.ids": lambda: verify.verify_ids(connection, project),
            "verify.references": lambda: verify.verify_references(connection, project),
            "verify.rules": lambda: verify.verify_rules(connection, project),
        }
        return checks[step.id]()

    def _cut_over(self, main: Connection, guard: Connection, journal: Journal, steps: list[Step]) -> None:
        """In the transaction that has held the source's lock all along: there is no moment in which a write could slip by."""
        for step in steps:
            self._observer.started(step, rows=0, done_rows=0)
            begun = time.monotonic()
            try:
                guard.execute("set local lock_timeout = '5s'")
                guard.execute("set local synchronous_commit = on")
                journal.say(guard, "step_started", step=step.id)
                for statement in step.sql:
                    guard.execute(statement)
                journal.say(guard, "step_done", step=step.id, rows=None, message=None)
                journal.say(guard, "set_status", status="cut over")
                journal.event(guard, "cut_over", "clients write the target from now on; the source refuses writes")
                guard.execute("commit")
            except psycopg.Error as error:
                if _is_cut_over(main):
                    break  # the commit arrived, only its answer did not
                raise StepFailed(
                    f"The cut-over failed and was taken back: {error.diag.message_primary or type(error).__name__}.",
                    hint="The source is as it was and can be written again. Mend the cause and run the same command:"
                    " it goes on from its journal.",
                    detail={"step": step.id, "sqlstate": error.sqlstate},
                ) from error
            self._done.add(step.id)
            self._observer.finished(step, seconds=time.monotonic() - begun, rows=None)

    # -- connections and errors --------------------------------------------------------------------------------------

    def _start(self, pool: ThreadPoolExecutor, action: Callable[[Connection], object]) -> Future[object]:
        def work() -> object:
            with self._worker() as connection:
                return action(connection)

        return pool.submit(work)

    @contextmanager
    def _worker(self) -> Iterator[Connection]:
        with self._guard:
            connection = self._free.pop() if self._free else None
        if connection is None:
            connection = connect(self._dsn, name="tenantry: worker")
            for name, value in (
                ("work_mem", self._options.work_mem),
                ("maintenance_work_mem", self._options.maintenance_work_mem),
                ("synchronous_commit", "off"),  # the journal is in the same commit: what is lost is lost together
                ("hash_mem_multiplier", "2"),
            ):
                connection.execute("select set_config(%s, %s, false)", [name, value])
            with self._guard:
                self._workers.append(connection)
        try:
            yield connection
        finally:
            with self._guard:
                self._free.append(connection)

    def _again(self, action: Callable[[], T]) -> T:
        """Try again, with jitter, what fails for reasons that pass."""
        for attempt in range(_TRIES):
            try:
                return action()
            except _TRANSIENT:
                if attempt + 1 == _TRIES or self._stop.is_set():
                    raise
                time.sleep(random.uniform(0.05, 0.2) * 2**attempt)  # noqa: S311 - jitter
        raise AssertionError

    def _explain(self, main: Connection, journal: Journal, step: Step, error: Exception) -> Exception:
        if isinstance(error, psycopg.Error):
            known = explain(error, f"doing step {step.id} ({step.title})")
            if type(known) is TenantryError:
                known = StepFailed(
                    f"Step {step.id} failed: {known.message.partition(': ')[2]}",
                    hint="What the step did is undone. Mend the cause and run the same command: it goes on from its journal.",
                    detail={"step": step.id, **known.detail},
                )
        elif isinstance(error, TenantryError):
            known = error
        else:
            return error
        with suppress(psycopg.Error):
            journal.say(main, "step_failed", step=step.id, message=known.message)
        return known

    def _cancel(self) -> None:
        self._stop.set()
        with self._guard:
            for connection in self._workers:
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=5)

    def _close(self, *connections: Connection) -> None:
        for connection in (*self._workers, *connections):
            with suppress(psycopg.Error):
                connection.close()
        self._workers.clear()
        self._free.clear()


def _is_cut_over(connection: Connection) -> bool:
    with suppress(psycopg.Error):
        run = last_run(connection)
        return run is not None and run.status == "cut over"
    return False


def _process() -> psycopg.types.json.Jsonb:
    return psycopg.types.json.Jsonb(this_process())


def _forget(run: int) -> list[str]:
    from tenantry.migrate.journal import statement  # noqa: PLC0415

    return [part.replace("%(run)s", str(run)) for part in statement("forget_copy").split(";")]


def _describe_holder(connection: Connection) -> str:
    pid = run_lock_holder(connection)
    said = f"server process {pid}"
    if journal_exists(connection):
        run = last_run(connection)
        if run is not None and run.process:
            said = (
                f"process {run.process.get('pid')} of {run.process.get('user')} on {run.process.get('host')},"
                f" run {run.id}, in phase {run.phase} ({said})"
            )
    return said


def _verification_failed(failed: list[verify.Verification]) -> VerificationFailed:
    listed = [str(difference) for check in failed for difference in check.differences]
    more = sum(check.more for check in failed)
    total = len(listed) + more
    shown = "\n  ".join(listed[:20])
    rest = f"\n  … and {total - 20} more" if total > 20 else ""
    return VerificationFailed(
        f"Source and target do not agree; the cut-over was not done. {total} differences:\n  {shown}{rest}",
        hint="The source is as it was. If something else wrote into the target, drop it and run again; if not, this is a"
        " defect in the manifest's transforms or in Tenantry.",
        detail={"checks": [check.to_json() for check in failed]},
    )


__all__ = ["Migration", "Options", "Outcome", "Timing", "prerequisites"]
