"""The stages of a rehearsal, in their order: forward, back, and forward again."""

from __future__ import annotations

import time
from contextlib import ExitStack

from tenantry.analyze import analyze, gather, look_around
from tenantry.catalog import read_catalog
from tenantry.dbcopy.original import Copy
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.manifest import Manifest
from tenantry.migrate.run.compare_sides import compare_sides
from tenantry.migrate.run.engine import Migration
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.prepare import Prepared, prepare
from tenantry.migrate.switch.contract import contract as make_final
from tenantry.migrate.switch.cutover import cut_over
from tenantry.migrate.switch.rollback import roll_back
from tenantry.plan import Plan
from tenantry.postgres import connect
from tenantry.rehearse.choose_places import chosen_keys
from tenantry.rehearse.fingerprint import state_of
from tenantry.rehearse.judge import collect_lists, judge_source, lock_times, prove_copy
from tenantry.rehearse.model import Rehearsal, RehearsalStage, Wishes
from tenantry.rehearse.rehearsing import RehearsalRun, StageFailed
from tenantry.rehearse.synthetic_load import source_writer, write_source, write_target
from tenantry.rehearse.synthetic_writes import Writer
from tenantry.rehearse.watching import Meter, RehearsalListener, RehearsalWatcher


def run_stages(
    copy: Copy, manifest: Manifest, wishes: Wishes, watcher: RehearsalWatcher, result: Rehearsal, prefix: str
) -> None:
    """Run all stages on the copy; a failure ends them, and is a problem of the result."""
    with ExitStack() as stack:
        connection: Connection = stack.enter_context(connect(copy.dsn, name="tenantry: rehearsal"))
        meter = Meter(copy.dsn)
        stack.callback(meter.close)
        result.start_bytes = meter.look()[0]
        result.stages.append(RehearsalStage("copy", copy.seconds, 0, result.start_bytes))
        try:
            _stages(RehearsalRun(copy, manifest, wishes, watcher, result, prefix, connection, meter), stack)
            result.complete = True
        except StageFailed:
            pass
        finally:
            result.peak_bytes = meter.peak


def _stages(run: RehearsalRun, stack: ExitStack) -> None:
    prepared = _analyze(run)
    writing = stack.enter_context(ExitStack())
    writer = source_writer(run, writing, prepared)
    _forward(run, writing, writer, prepared.plan)
    if run.wishes.prove:
        with run.stage("prove"):
            prove_copy(run, prepared)
    with run.stage("writes in the target"):
        write_target(run, prepared)
    with run.stage("compare"), RunHandle(run.copy.dsn, run.manifest, run.watcher) as live:
        live.check()
        found = [difference for check in compare_sides(live) for difference in check.differences]
        run.differ("compare", [str(difference) for difference in found])
    collect_lists(run, prepared)
    with run.stage("roll back"):
        rolled = roll_back(run.copy.dsn, run.manifest, bounds=run.bounds, observer=run.watcher)
        if rolled.turned is not None:
            run.switched("roll back", rolled.turned)
        if writer is not None and run.wishes.load:
            writer.back()
        run.follow()
        judge_source(run, "roll back", prepared)
    # Rights for the synthetic writes are revoked before schemas are compared.
    writing.close()
    with run.stage("cut over again"):
        again = cut_over(run.copy.dsn, run.manifest, bounds=run.bounds, accept_quarantined=True, observer=run.watcher)
        run.switched("cut over again", again)
    if run.wishes.contract:
        with run.stage("contract"):
            final = make_final(run.copy.dsn, run.manifest, look=0.5, observer=run.watcher)
            run.result.notes.append(f"The contract dropped {len(final.dropped)} source tables of the copy.")
    else:
        with run.stage("undo"):
            _undo(run, prepared)


def _analyze(run: RehearsalRun) -> Prepared:
    """Record the findings, and the source's content before the migration."""
    with run.stage("analyze"):
        prepared = prepare(run.connection, run.manifest)
        run.result.findings = analyze(
            prepared.project,
            gather(run.connection, prepared.project),
            look_around(run.connection, prepared.project),
        )
        for finding in run.result.findings:
            if finding.severity == "blocker":
                run.problem("analyze", f"{finding.table}: {finding.title}", finding.advice, finding.code)
    with run.stage("remember"):
        run.keys = chosen_keys(run.connection, prepared.project)
        run.before = state_of(run.connection, prepared.project, run.keys)
        run.digest = read_catalog(run.connection, prepared.project.source.schema).digest()
    return prepared


def _forward(run: RehearsalRun, stack: ExitStack, writer: Writer | None, plan: Plan) -> None:
    """Migrate during synthetic writes, and cut over."""
    if writer is not None and run.wishes.load:
        writer.start()
        stack.callback(writer.stop)
    until = time.monotonic() + run.wishes.load
    listener = RehearsalListener(run.watcher, run.meter)
    with run.stage("migrate"):
        try:
            run.result.outcome = Migration(run.copy.dsn, run.manifest, run.wishes.options, listener).run()
        finally:
            listener.close()
            run.result.phases = listener.phases
    run.result.locks = lock_times(run, plan)
    with run.stage("writes in the source"):
        write_source(run, writer, until)
    with run.stage("cut over"):
        run.switched(
            "cut over",
            cut_over(run.copy.dsn, run.manifest, bounds=run.bounds, accept_quarantined=True, observer=run.watcher),
        )
        if writer is not None and writer.places and not writer.is_fenced():
            run.problem("cut over", "The source still accepts writes after the cut-over.")


def _undo(run: RehearsalRun, prepared: Prepared) -> None:
    rolled = roll_back(run.copy.dsn, run.manifest, bounds=run.bounds, everything=True, observer=run.watcher)
    if rolled.turned is not None:
        run.switched("undo", rolled.turned)
    for table, number in rolled.kept:
        run.result.notes.append(
            f"{number} rows of {table} have no source form: a rollback keeps them in schema {rolled.archive}."
        )
    left = [
        schema
        for schema in (JOURNAL, run.manifest.target.schema_name)
        if run.connection.execute("select to_regnamespace(quote_ident(%s))", [schema]).fetchone() != (None,)
    ]
    if left:
        run.problem("undo", f"Schema {' and '.join(left)} is still there after everything was undone.")
    judge_source(run, "undo", prepared)
    if read_catalog(run.connection, run.manifest.source.schema_name).digest() != run.digest:
        run.problem("undo", "After everything was undone, the source schema differs from before.")
