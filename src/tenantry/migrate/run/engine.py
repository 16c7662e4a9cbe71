"""Runs a plan up to the cut-over: independent steps in parallel, each marked in the journal by the transaction
that does it. The application keeps reading and writing throughout.

A run can be killed at any moment and resumed: completed steps are marked as done, others have left no trace, and triggers
capture changes of the source at all times.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

import psycopg

from tenantry import __version__
from tenantry.analyze.probes.surroundings import is_unprepared
from tenantry.analyze.surroundings import UNPREPARED_HINT
from tenantry.errors import (
    JournalMismatch,
    NoRun,
    RunFinished,
    RunInterrupted,
    StatementRefused,
    StepFailed,
    TenantryError,
)
from tenantry.journal.journal import Connection, Journal, last_run, this_process
from tenantry.manifest import Manifest
from tenantry.migrate.replay import strays
from tenantry.migrate.replay.queue import Round
from tenantry.migrate.replay.round import Replayer, Rounds
from tenantry.migrate.replay.triggered import trigger_of
from tenantry.migrate.run.context import Options, RunContext
from tenantry.migrate.run.scheduler import Scheduler
from tenantry.migrate.session import pilot as subset
from tenantry.migrate.session import trigger_states
from tenantry.migrate.session.connections import Session
from tenantry.migrate.session.guard import Watch, check_login, check_owner, check_server, refuse_standby
from tenantry.migrate.session.observer import Observer, Silent
from tenantry.migrate.session.prepare import Prepared, prepare
from tenantry.migrate.session.run_lock import one_makes_the_journal, release_run_lock, take_run_lock
from tenantry.migrate.session.sampler import Sampler
from tenantry.migrate.session.schema_drift import absorb
from tenantry.migrate.session.visibility import need_every_row, need_room
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.migrate.verify import compare as verify
from tenantry.migrate.verify.likely_causes import verification_failed
from tenantry.migrate.verify.not_compared import nobodys_rows
from tenantry.migrate.verify.results import Account, Verification
from tenantry.plan import Phase, Step, prerequisites
from tenantry.postgres import explain

BEFORE_CUT_OVER: tuple[Phase, ...] = ("expand", "capture", "copy", "replay", "verify", "secure")


@dataclass(frozen=True, slots=True)
class Timing:
    phase: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run."""

    run: int
    resumed: bool
    timings: tuple[Timing, ...]
    verifications: tuple[Verification, ...]
    accounts: tuple[Account, ...]
    rows: int
    seconds: float


class Migration:
    """One run of one manifest against one database, until it is ready for the cut-over."""

    def __init__(
        self,
        dsn: str,
        manifest: Manifest,
        options: Options | None = None,
        observer: Observer | None = None,
        *,
        only: str | None = None,
        rest: bool = False,
        approve: Callable[[Prepared], None] | None = None,
    ) -> None:
        """
        Args:
            only: a condition over the tenants' source table: the run migrates these tenants first, as a pilot.
            rest: continue a ready pilot with all other tenants.
            approve: called before a new run begins, with what will run; it raises an error to refuse.
        """
        self._dsn = dsn
        self._only, self._rest, self._approve = only, rest, approve
        self._manifest = manifest
        self._options = options or Options()
        self._observer: Observer = observer or Silent()
        self._session = Session(
            dsn, work_mem=self._options.work_mem, maintenance_work_mem=self._options.maintenance_work_mem
        )
        self._throttle = Throttle(
            dsn, manifest.throttle, notice=self._observer.notice, stopped=self._session.stop.is_set
        )
        self._done: set[str] = set()

    def run(self) -> Outcome:
        """Begin or resume the migration, up to but not including the cut-over.

        Raises:
            TenantryError: typed, with a hint; the journal records the progress, and the run can be resumed.
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
                if self._approve is not None:
                    self._approve(prepared)
                need_room(main, prepared.project)
                if is_unprepared(main):
                    self._observer.notice(f"The script of the roles was not run in this database. {UNPREPARED_HINT}")
            if prepared.run is not None and prepared.run.is_over:
                raise RunFinished(
                    f"This database was cut over on {prepared.run.finished_at:%Y-%m-%d %H:%M} UTC.",
                    hint="Nothing is left to copy. `tenantry replay` keeps the source synchronized, `tenantry rollback` goes back,"
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
            release_run_lock(main)
            self._session.close()
            self._throttle.close()

    def _begin_rest(self, main: Connection, prepared: Prepared) -> Prepared:
        run = prepared.run
        if run is None:
            raise NoRun(
                "There is no pilot in this database that could be extended.",
                hint="Run `tenantry migrate` for all tenants, or `tenantry migrate --only …` for some of them first.",
            )
        journal = Journal(run.id)
        absorb(main, journal, prepared, self._observer.notice)
        subset.begin_rest(main, journal, prepared.project, prepared.plan, run)
        return prepare(main, self._manifest)

    # -- the run -----------------------------------------------------------------------------------------------------

    def _run(self, main: Connection, prepared: Prepared, started: float) -> Outcome:
        journal, prepared = self._open_journal(main, prepared)
        plan, project = prepared.plan, prepared.project
        watch = Watch(project)
        rounds = Rounds(project, lambda: self._session.open("tenantry: replay"), self._checked)
        context = RunContext(
            main, journal, project, self._session, self._throttle, self._options, self._observer, watch, rounds
        )
        self._context = context
        scheduler = Scheduler(context, self._done, lambda step, error: _explained(context, step, error))
        timings: list[Timing] = []
        try:
            with Sampler(self._dsn, journal, self._facts):
                for phase in BEFORE_CUT_OVER:
                    begun = time.monotonic()
                    steps = [step for step in plan.phase(phase) if step.id not in self._done]
                    self._observer.phase(phase, rows=sum(s.rows for s in steps), steps=len(steps))
                    journal.say(main, "set_phase", phase=phase)
                    need_every_row(main, project, doing=f"the phase {phase}")
                    if phase == "copy":
                        # From here on an altered table is noticed before another row is written.
                        watch.begin(main)
                    scheduler.run(steps)
                    if phase == "verify" and steps:
                        _judge(context)
                    timings.append(Timing(phase, time.monotonic() - begun))
            with main.transaction():
                journal.say(main, "set_status", status="ready")
                journal.say(main, "accept_quarantined")
                journal.event(
                    main,
                    "ready",
                    "the pilot is migrated; you can prove it, continue with all tenants, or undo it"
                    if project.trial
                    else "everything is migrated; the cut-over can be done",
                )
        except BaseException as error:
            self._record_failure(main, journal, error)
            raise
        accounts = tuple(v.account for v in context.results.verifications if v.account is not None)
        return Outcome(
            run=journal.run,
            resumed=prepared.run is not None,
            timings=tuple(timings),
            verifications=tuple(context.results.verifications),
            accounts=accounts,
            rows=sum(account.target for account in accounts),
            seconds=time.monotonic() - started,
        )

    def _facts(self) -> dict[str, object]:
        replayed = self._context.rounds.rows
        return {"rows": self._context.results.rows + replayed, "replayed": replayed}

    def _checked(self, connection: Connection, done: Round) -> None:
        """Check before the commit of a round for foreign writes in the target, and for altered tables."""
        context = self._context
        replayer = context.rounds.replayer
        if strays.note_in_target(connection, context.project, replayer):
            replayer.settle(connection, done)
            listed = strays.list_in_target(connection, context.project)
            self._observer.notice(
                f"Tables of the target were written in the meantime: {listed:,} changes were undone and are listed in"
                " tenantry.conflict; rows that only the target has are listed in tenantry.kept."
            )
        context.watch.check(connection)

    def _open_journal(self, main: Connection, prepared: Prepared) -> tuple[Journal, Prepared]:
        """Return the journal of the resumed run, or a new one, and the preparation for the current tables."""
        plan, run = prepared.plan, prepared.run
        if run is not None:
            journal = Journal(run.id)
            if absorb(main, journal, prepared, self._observer.notice):
                prepared = prepare(main, self._manifest)
                plan = prepared.plan
            known = {row[0] for row in journal.say(main, "steps")}
            if known != {step.id for step in plan}:
                raise JournalMismatch(
                    f"The run was begun by Tenantry {run.tool_version}. Its plan has other steps than that of {__version__}."
                    " Nothing was changed.",
                    hint=f"Resume with Tenantry {run.tool_version}, or undo the run with it: tenantry rollback --everything.",
                )
            journal.say(main, "resume_run", process=process_json())
            self._done = journal.done_steps(main)
            self._find_strays(journal, prepared)
            check_server(main, journal, run, self._observer.notice)
            # Replay and comparison steps run again: they concern the current state.
            again = [step.id for step in plan if step.rerun == "always"]
            journal.say(main, "reopen_steps", steps=again)
            self._done -= set(again)
            journal.event(main, "resumed", "the run was resumed", done=len(self._done))
            return journal, prepared
        first = plan.steps[0]
        with main.transaction():
            # If two runs begin at once, the second waits here for the schema's name, and is refused.
            with one_makes_the_journal():
                for statement in first.sql:
                    main.execute(statement)
            take_run_lock(main)
            journal = Journal.create(
                main,
                prepared.project,
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
        """Look for strays, if others have switched the triggers that protect the target."""
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


def _judge(context: RunContext) -> None:
    """Compare candidate mismatches again in a round of replay, which sees both sides at one moment.

    Raises:
        VerificationFailed: rows still differ, or a check of the target failed.
    """
    found: list[Verification] = []
    project, results = context.project, context.results

    def compare(connection: Connection, _done: Round) -> None:
        found.clear()
        found.extend(
            verify.settle(
                connection,
                project,
                mapping,
                results.candidates.get(mapping.name, ()),
                kept=verify.target_only_in(connection, project, mapping),
                ranges=results.ranges.get(mapping.name, 1),
            )
            for mapping in project
        )
        found.extend(nobodys_rows(connection, project))
        context.watch.check(connection)

    for _ in range(verify.LOOKS):
        context.session.again(lambda: context.rounds.once(before_commit=compare))
        if all(check.passed for check in found):
            break
    results.verifications[:0] = found
    failed = [each for each in results.verifications if not each.passed]
    context.journal.say(context.main, "set_verified", verified=not failed)
    if failed:
        raise verification_failed(failed)


def _explained(context: RunContext, step: Step, error: Exception) -> Exception:
    """Return the error of a step with an explanation, which is also in the journal."""
    if isinstance(error, psycopg.Error):
        if step.mapping is not None and not getattr(error, "__notes__", ()):
            error.add_note(str(context.project.mapping(step.mapping)))
        known = explain(error, f"doing step {step.id} ({step.title})")
        if isinstance(known, StatementRefused):
            where = trigger_of(context.main, error)
            known = StepFailed(
                f"Step {step.id} failed: {known.message.partition(': ')[2]}"
                + (f" It happened{where}." if where else ""),
                hint="The step is undone, and the journal records the progress. "
                + (
                    "Make that trigger ignore what the run writes, or disable it for the duration of the run. Then run the same"
                    " command again: it resumes from the journal."
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
        context.journal.say(context.main, "step_failed", step=step.id, message=known.message)
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
