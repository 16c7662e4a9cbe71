"""Runs the whole migration on a copy of the database, before the original is changed: forward, back, and forward again.

The copy goes through every step of the real migration, while synthetic writes over another login simulate
an application. The results (durations, locks, sizes, problems) are values; nothing is printed here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import psycopg

from tenantry.analyze import analyze, gather, look_around
from tenantry.catalog import read_catalog
from tenantry.dbcopy.duplicate import duplicated
from tenantry.dbcopy.original import Copy, Original, reading
from tenantry.errors import (
    JournalMismatch,
    LoginShared,
    RightsMissing,
    RunInterrupted,
    TargetNotOurs,
    TenantryError,
    VerificationFailed,
)
from tenantry.journal.journal import Connection, journal_exists, last_run
from tenantry.journal.names import JOURNAL
from tenantry.manifest import Manifest
from tenantry.migrate.follow import follow
from tenantry.migrate.run.engine import Migration
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.backups import look_for_backups
from tenantry.migrate.session.guard import check_login
from tenantry.migrate.session.prepare import Prepared, prepare
from tenantry.migrate.switch.contract import contract as make_final
from tenantry.migrate.switch.cutover import cut_over
from tenantry.migrate.switch.rollback import roll_back
from tenantry.migrate.switch.switchover import Bounds, Switchover
from tenantry.plan import Plan
from tenantry.postgres import connect, explain, load_blocks
from tenantry.prove import prove
from tenantry.prove.fixtures.login import UnfitLogin
from tenantry.rehearse.contexts import client_contexts
from tenantry.rehearse.fingerprint import compare_states, state_of
from tenantry.rehearse.model import Carried, Lock, Rehearsal, RehearsalProblem, RehearsalStage, RehearsedSwitch, Wishes
from tenantry.rehearse.synthetic_writes import (
    CannotWrite,
    Writer,
    allowed,
    chosen_keys,
    login_address,
    opened,
    source_places,
    stamped_columns,
    target_places,
    triggered_tables,
)
from tenantry.rehearse.watching import Meter, RehearsalListener, RehearsalWatcher, Unwatched

_SQL = "tenantry.rehearse"


def rehearse(
    dsn: str,
    manifest: Manifest,
    wishes: Wishes | None = None,
    watcher: RehearsalWatcher | None = None,
    *,
    prefix: str = "tenantry",
) -> Rehearsal:
    """Rehearse the migration of a database on a copy, which is dropped at the end, also after errors.

    Args:
        prefix: the program's name in commands of the report.

    Raises:
        TenantryError: no copy could be made; nothing was left behind. A failure on the copy is no error, but a problem.
        RunInterrupted: it was stopped; the copy was dropped.
    """
    wishes, watcher = wishes or Wishes(), watcher or Unwatched()
    begun = time.monotonic()
    left: list[str] = []
    watcher.stage("copy")
    try:
        with reading(dsn, manifest) as (connection, original):
            _check(connection, original, manifest)
            result = Rehearsal(
                manifest.name,
                original.database,
                original.size,
                original.version,
                datetime.now(UTC).isoformat(timespec="seconds"),
                look_for_backups(connection),
                kept=wishes.keep,
            )
            result.problems += _rights(connection, original)
            if result.backups.severity == "blocker":
                result.problems.append(RehearsalProblem("backups", result.backups.title, result.backups.advice))
            with duplicated(
                connection, original, manifest, copy_dsn=wishes.copy_dsn, embedded=wishes.embedded, keep=wishes.keep,
                jobs=wishes.jobs, scratch=wishes.scratch, notice=watcher.notice, count=watcher.count, left=left,
            ) as copy:  # fmt: skip
                result.copy = copy
                result.notes += copy.notes
                _Rehearsing(copy, manifest, wishes, watcher, result, prefix).run()
            if left:
                result.left = tuple(left)
                result.notes.append(_left_over(left))
            result.seconds = time.monotonic() - begun
            return result
    except psycopg.Error as error:
        raise explain(error, "making the copy to rehearse on") from error
    except (KeyboardInterrupt, RunInterrupted):
        state = f". {_left_over(left)}" if left else "." if wishes.keep else ", and the copy was dropped."
        raise RunInterrupted(
            f"Interrupted. The original was only read{state}",
            hint="Run the same command again to rehearse from the beginning.",
        ) from None


def _left_over(left: Sequence[str]) -> str:
    return f"The copy could not be removed: {'; '.join(left)}. It is marked, and the next rehearsal removes it."


def _check(connection: Connection, original: Original, manifest: Manifest) -> None:
    """Check that the original is in the state in which the migration will begin.

    Raises:
        JournalMismatch, TargetNotOurs
    """
    if journal_exists(connection):
        run = last_run(connection)
        state = f" ({run.status}, phase {run.phase})" if run is not None else ""
        raise JournalMismatch(
            f"A run of Tenantry is already in progress in {original.database}{state}. A rehearsal needs a database without a run.",
            hint="`tenantry status` shows the run. After `tenantry rollback --everything` a rehearsal is possible.",
        )
    schema = manifest.target.schema_name
    if connection.execute("select from pg_namespace where nspname = %s", [schema]).fetchone() is not None:
        raise TargetNotOurs(
            f"The target schema {schema!r} exists in database {original.database!r}, and no run of Tenantry created it.",
            hint=f"Give another name in [target] schema, or drop it if it is a leftover (drop schema {schema} cascade).",
        )


def _rights(connection: Connection, original: Original) -> list[RehearsalProblem]:
    """Return missing rights on the original, which the copy does not show since the login owns it."""
    found = [
        RehearsalProblem(
            "original",
            f"The login {original.login} lacks a right in the original: {lacking}.",
            "ALTER TABLE … OWNER TO …, or membership in the owner; GRANT CREATE ON DATABASE … TO ….",
            RightsMissing.code,
        )
        for lacking in original.lacking
    ]
    try:
        check_login(connection, None, original.login)
    except LoginShared as error:
        found.append(RehearsalProblem("original", error.message, error.hint, error.code))
    return found


class _Stopped(Exception):
    """A part failed; its problem is recorded."""


class _Rehearsing:
    """One rehearsal, on its copy."""

    def __init__(
        self, copy: Copy, manifest: Manifest, wishes: Wishes, watcher: RehearsalWatcher, result: Rehearsal, prefix: str
    ) -> None:
        self.copy, self.manifest, self.wishes, self.watcher = copy, manifest, wishes, watcher
        self.result, self.prefix = result, prefix
        self.also: dict[str, set[str]] = {}
        self.writers: list[Writer] = []
        self.bounds = Bounds(wishes.max_stall, max(30.0, 20 * wishes.max_stall))

    def run(self) -> None:
        with ExitStack() as stack:
            self.connection: Connection = stack.enter_context(connect(self.copy.dsn, name="tenantry: rehearsal"))
            self.meter = Meter(self.copy.dsn)
            stack.callback(self.meter.close)
            self.result.start_bytes = self.meter.look()[0]
            self.result.stages.append(RehearsalStage("copy", self.copy.seconds, 0, self.result.start_bytes))
            try:
                self._run(stack)
                self.result.complete = True
            except _Stopped:
                pass
            finally:
                self.result.peak_bytes = self.meter.peak

    def _run(self, stack: ExitStack) -> None:
        prepared = self._analyze()
        writing = stack.enter_context(ExitStack())
        writer = self._source_writer(writing, prepared)
        self._forward(writing, writer, prepared.plan)
        if self.wishes.prove:
            with self._stage("prove"):
                self._prove(prepared)
        with self._stage("writes in the target"):
            self._write_target(prepared)
        with self._stage("compare"), RunHandle(self.copy.dsn, self.manifest, self.watcher) as live:
            live.check()
            found = [difference for check in live.compare_all() for difference in check.differences]
            self._differences("compare", [str(difference) for difference in found])
        self._collect(prepared)
        with self._stage("roll back"):
            rolled = roll_back(self.copy.dsn, self.manifest, bounds=self.bounds, observer=self.watcher)
            if rolled.turned is not None:
                self._turn("roll back", rolled.turned)
            if writer is not None and self.wishes.load:
                writer.back()
            self._follow()
            self._judge_source("roll back", prepared)
        # Rights for the synthetic writes are revoked before schemas are compared.
        writing.close()
        with self._stage("cut over again"):
            again = cut_over(
                self.copy.dsn, self.manifest, bounds=self.bounds, accept_quarantined=True, observer=self.watcher
            )
            self._turn("cut over again", again)
        if self.wishes.contract:
            with self._stage("contract"):
                final = make_final(self.copy.dsn, self.manifest, look=0.5, observer=self.watcher)
                self.result.notes.append(f"The contract dropped {len(final.dropped)} source tables of the copy.")
        else:
            with self._stage("undo"):
                self._undo(prepared)

    def _analyze(self) -> Prepared:
        """Record the findings, and the source's content before the migration."""
        with self._stage("analyze"):
            prepared = prepare(self.connection, self.manifest)
            self.result.findings = analyze(
                prepared.project,
                gather(self.connection, prepared.project),
                look_around(self.connection, prepared.project),
            )
            for finding in self.result.findings:
                if finding.severity == "blocker":
                    self._problem("analyze", f"{finding.table}: {finding.title}", finding.advice, finding.code)
        with self._stage("remember"):
            self.keys = chosen_keys(self.connection, prepared.project)
            self.before = state_of(self.connection, prepared.project, self.keys)
            self.digest = read_catalog(self.connection, prepared.project.source.schema).digest()
        return prepared

    def _forward(self, stack: ExitStack, writer: Writer | None, plan: Plan) -> None:
        """Migrate during synthetic writes, and cut over."""
        if writer is not None and self.wishes.load:
            writer.start()
            stack.callback(writer.stop)
        until = time.monotonic() + self.wishes.load
        listener = RehearsalListener(self.watcher, self.meter)
        with self._stage("migrate"):
            try:
                self.result.outcome = Migration(self.copy.dsn, self.manifest, self.wishes.options, listener).run()
            finally:
                listener.close()
                self.result.phases = listener.phases
        self.result.locks = self._locks(plan)
        with self._stage("writes in the source"):
            self._write(writer, until)
        with self._stage("cut over"):
            self._turn(
                "cut over",
                cut_over(
                    self.copy.dsn, self.manifest, bounds=self.bounds, accept_quarantined=True, observer=self.watcher
                ),
            )
            if writer is not None and writer.places and not writer.is_fenced():
                self._problem("cut over", "The source still accepts writes after the cut-over.")

    # -- parts -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        begun, (_, wal) = time.monotonic(), self.meter.look()
        self.watcher.stage(name)
        error: TenantryError | None = None
        try:
            yield
        except TenantryError as found:
            error = found
        except psycopg.Error as found:
            error = explain(found, f"rehearsing ({name})")
        if isinstance(error, RunInterrupted):
            raise error
        try:
            size, now = self.meter.look()
        except psycopg.Error:
            size, now = 0, wal
        self.result.stages.append(RehearsalStage(name, time.monotonic() - begun, now - wal, size))
        if error is not None:
            if isinstance(error, VerificationFailed):
                listed = error.detail.get("differences")
                self.result.differences += [str(each) for each in listed] if isinstance(listed, list) else []
            self._problem(name, error.message, error.hint, error.code)
            raise _Stopped

    def _problem(self, stage: str, what: str, mend: str = "", code: str = "") -> None:
        self.result.problems.append(RehearsalProblem(stage, what, mend, code))

    def _differences(self, stage: str, found: Sequence[str]) -> None:
        self.result.differences += found
        if found:
            self._problem(
                stage,
                f"Source and target differ in {len(found)} places: {'; '.join(found[:3])}",
                "The cause is a transform of the manifest, its reverse, or a defect of Tenantry.",
            )

    def _source_writer(self, stack: ExitStack, prepared: Prepared) -> Writer | None:
        """Open the writer of the source, with rights until the end."""
        project = prepared.project
        try:
            connection = stack.enter_context(opened(self.copy.dsn, self.manifest, self.wishes.login_dsn))
            row = connection.execute("select session_user::text").fetchone()
            assert row is not None
            stack.enter_context(allowed(self.connection, project.source.schema, str(row[0])))
            places, left = source_places(connection, project, self.keys)
        except CannotWrite as error:
            self._not_written(str(error))
            return None
        self.result.notes += [f"not written in the source: {each}" for each in left]
        self._stamp(stamped_columns(project, places, target=False))
        writer = Writer(connection, places, "source")
        self.writers.append(writer)
        self.result.written.append(writer.done)
        return writer

    def _not_written(self, why: str) -> None:
        self.result.notes.append(
            f"NOT rehearsed: changes of an application, because no login could make them: {why}. Give the API's login with --login, or a"
            " password in PGPASSWORD or ~/.pgpass."
        )

    def _stamp(self, more: dict[str, set[str]]) -> None:
        for table, columns in more.items():
            self.also.setdefault(table, set()).update(columns)

    def _write(self, writer: Writer | None, until: float) -> None:
        """Write the source, and replay its changes to the target: back and forth, or continuously under load."""
        if writer is None:
            self._follow()
            return
        if self.wishes.load:
            self._follow(until)
            return
        for write in (writer.forth, writer.back):
            write()
            self._follow()

    def _write_target(self, prepared: Prepared) -> None:
        """Do the same in the target, as members of the tenants; at the end every value is restored."""
        project, client = prepared.project, self.manifest.database_roles.authenticated
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(
                    opened(self.copy.dsn, self.manifest, self.wishes.login_dsn, role=client)
                )
                stack.enter_context(allowed(self.connection, project.target.schema, client))
                contexts = stack.enter_context(client_contexts(self.connection, project))
                places, left = target_places(connection, project, self.keys, contexts)
            except CannotWrite as error:
                if not any("NOT rehearsed" in note for note in self.result.notes):
                    self._not_written(str(error))
                return
            self.result.notes += [f"not written in the target: {each}" for each in left]
            self._stamp(stamped_columns(project, places, target=True))
            writer = Writer(connection, places, "target", contexts)
            self.writers.append(writer)
            self.result.written.append(writer.done)
            if self.wishes.load:
                writer.start()
                stack.callback(writer.stop)
                self._follow(time.monotonic() + self.wishes.load)
                writer.stop()
            else:
                writer.forth()
                self._follow()
            writer.back()
        self._follow()

    def _follow(self, until: float | None = None) -> None:
        """Replay the writes: until none is left, or, under load, until the given time."""
        if until is not None:
            stopped: Callable[[], bool] = lambda: time.monotonic() > until  # noqa: E731
            done = follow(self.copy.dsn, self.manifest, observer=self.watcher, stopped=stopped)
        else:
            done = follow(self.copy.dsn, self.manifest, until_idle=True, observer=self.watcher)
        if done.entries:
            self.result.carried.append(Carried(done.direction, done.entries, done.rows, done.refused, done.conflicts))

    def _turn(self, name: str, done: Switchover) -> None:
        self.result.turns.append(RehearsedSwitch(name, done.stall, done.longest_stall, done.attempts, done.entries))

    def _prove(self, prepared: Prepared) -> None:
        address = login_address(self.copy.dsn, self.manifest, self.wishes.login_dsn)
        try:
            with psycopg.connect(address, connect_timeout=10):
                pass
        except psycopg.Error as error:
            reason = (str(error).strip().splitlines() or ["?"])[-1]
            self.result.notes.append(
                f"NOT rehearsed: the proof of the access matrix; its login cannot connect ({reason}). Give it with --login."
            )
            return
        try:
            proof = prove(prepared.project, owner_dsn=self.copy.dsn, login_dsn=address, progress=self.watcher.count)
        except UnfitLogin as error:
            self.result.notes.append(f"NOT rehearsed: the proof of the access matrix. {error.message}")
            return
        self.result.proof = proof
        if not proof.passed:
            counts = proof.counts
            self._problem(
                "prove",
                f"The database does not obey the access matrix: {counts['failed']} cells and {counts['checks_failed']} checks"
                " fail.",
                "Rehearse with --keep and run `tenantry prove` on the copy: it names every cell.",
            )

    def _locks(self, plan: Plan) -> list[Lock]:
        """Return the duration of each step that sets triggers: they start in order, on the available workers."""
        rows = self.connection.execute(load_blocks(_SQL, "run")["capture_steps"]).fetchall()
        free: list[datetime] = []
        found = []
        tables = {step.id: step.table for step in plan}
        for step, begun, ended in rows:
            start = begun
            if len(free) >= self.wishes.options.workers:
                start = max(begun, sorted(free)[len(free) - self.wishes.options.workers])
            free.append(ended)
            found.append(Lock(tables[step] or "", max(0.0, (ended - start).total_seconds())))
        return found

    def _collect(self, prepared: Prepared) -> None:
        """Read the journal's lists, before the journal is dropped."""
        from tenantry.report.collect import Duration, build_report  # noqa: PLC0415 - the report knows the engine

        blocks = load_blocks(_SQL, "run")
        result = self.result
        report = build_report(
            self.connection, prepared.project, plan=prepared.plan, findings=result.findings, outcome=result.outcome,
            proof=result.proof.to_json() if result.proof is not None else None,
            durations=[Duration(stage.name, round(stage.seconds, 2)) for stage in result.stages],
            command_prefix=self.prefix,
        )  # fmt: skip
        result.report = report
        result.quarantine, result.merged = report["quarantine"], report["merged"]
        for block, into in (("conflicts", result.conflicts), ("kept", result.kept_cells)):
            cursor = self.connection.execute(blocks[block])
            names = [column.name for column in cursor.description or ()]
            into += [dict(zip(names, row, strict=True)) for row in cursor]
        if result.conflicts:
            number = sum(int(entry["count"]) for entry in result.conflicts)
            self._problem(
                "writes in the target",
                f"{number} changes of the target were refused by the source, or made on both sides:"
                f" {result.conflicts[0]['table_name']}: {result.conflicts[0]['reason']}",
                "Give the column a reverse expression that the source accepts (down = …). Otherwise such changes stay in the target"
                " after a rollback.",
            )
        for written in result.written:
            if written.refused:
                what, number = written.refused.most_common(1)[0]
                result.notes.append(
                    f"{sum(written.refused.values())} synthetic writes in the {written.side} were refused"
                    f" (most often, {number} times: {what})"
                )

    def _judge_source(self, stage: str, prepared: Prepared) -> None:
        now = state_of(self.connection, prepared.project, self.keys)
        triggered = {table for writer in self.writers for table in triggered_tables(prepared.project, writer)}
        found = self.result.source[stage] = compare_states(self.before, now, self.also, triggered)
        if found.differences:
            self._problem(
                stage,
                f"The source has changed: {'; '.join(found.differences[:3])}",
                "Changes by the application's triggers to the rehearsal's own rows are already left out. If something else writes"
                " this database, rehearse where nothing does. Otherwise do not migrate, and report it.",
            )

    def _undo(self, prepared: Prepared) -> None:
        rolled = roll_back(self.copy.dsn, self.manifest, bounds=self.bounds, everything=True, observer=self.watcher)
        if rolled.turned is not None:
            self._turn("undo", rolled.turned)
        for table, number in rolled.kept:
            self.result.notes.append(
                f"{number} rows of {table} have no source form: a rollback keeps them in schema {rolled.archive}."
            )
        left = [
            schema
            for schema in (JOURNAL, self.manifest.target.schema_name)
            if self.connection.execute("select to_regnamespace(quote_ident(%s))", [schema]).fetchone() != (None,)
        ]
        if left:
            self._problem("undo", f"Schema {' and '.join(left)} is still there after everything was undone.")
        self._judge_source("undo", prepared)
        if read_catalog(self.connection, self.manifest.source.schema_name).digest() != self.digest:
            self._problem("undo", "After everything was undone, the source schema differs from before.")


__all__ = ["Rehearsal", "RehearsalProblem", "RehearsalStage", "Wishes", "rehearse"]
