"""The part of a rehearsal that judges: the proof, lock times, the journal's lists, and whether the source is unchanged."""

from __future__ import annotations

from datetime import datetime

import psycopg

from tenantry.migrate.session.prepare import Prepared
from tenantry.plan import Plan
from tenantry.postgres import load_blocks
from tenantry.prove import prove
from tenantry.prove.fixtures.login import UnfitLogin
from tenantry.rehearse.fingerprint import compare_states, state_of
from tenantry.rehearse.model import Lock
from tenantry.rehearse.rehearsing import RehearsalRun
from tenantry.rehearse.synthetic_writes import triggered_tables
from tenantry.rehearse.write_login import login_address


def prove_copy(run: RehearsalRun, prepared: Prepared) -> None:
    address = login_address(run.copy.dsn, run.manifest, run.wishes.login_dsn)
    try:
        with psycopg.connect(address, connect_timeout=10):
            pass
    except psycopg.Error as error:
        reason = (str(error).strip().splitlines() or ["?"])[-1]
        run.result.notes.append(
            f"NOT rehearsed: the proof of the access matrix; its login cannot connect ({reason}). Give it with --login."
        )
        return
    try:
        proof = prove(prepared.project, owner_dsn=run.copy.dsn, login_dsn=address, progress=run.watcher.count)
    except UnfitLogin as error:
        run.result.notes.append(f"NOT rehearsed: the proof of the access matrix. {error.message}")
        return
    run.result.proof = proof
    if not proof.passed:
        counts = proof.counts
        run.problem(
            "prove",
            f"The database does not obey the access matrix: {counts['failed']} cells and {counts['checks_failed']} checks"
            " fail.",
            "Rehearse with --keep and run `tenantry prove` on the copy: it names every cell.",
        )


def lock_times(run: RehearsalRun, plan: Plan) -> list[Lock]:
    """Return the duration of each step that sets triggers: they start in order, on the available workers."""
    rows = run.connection.execute(load_blocks("tenantry.rehearse", "run")["capture_steps"]).fetchall()
    free: list[datetime] = []
    found = []
    tables = {step.id: step.table for step in plan}
    for step, begun, ended in rows:
        start = begun
        if len(free) >= run.wishes.options.workers:
            start = max(begun, sorted(free)[len(free) - run.wishes.options.workers])
        free.append(ended)
        found.append(Lock(tables[step] or "", max(0.0, (ended - start).total_seconds())))
    return found


def collect_lists(run: RehearsalRun, prepared: Prepared) -> None:
    """Read the journal's lists, before the journal is dropped."""
    from tenantry.report.collect import Duration, RunResults, build_report  # noqa: PLC0415 - the report knows the engine

    blocks = load_blocks("tenantry.rehearse", "run")
    result = run.result
    report = build_report(
        run.connection,
        prepared.project,
        plan=prepared.plan,
        results=RunResults(
            result.findings,
            result.outcome,
            result.proof.to_json() if result.proof is not None else None,
            [Duration(stage.name, round(stage.seconds, 2)) for stage in result.stages],
        ),
        command_prefix=run.prefix,
    )
    result.report = report
    result.quarantine, result.merged = report["quarantine"], report["merged"]
    for block, into in (("conflicts", result.conflicts), ("kept", result.kept_cells)):
        cursor = run.connection.execute(blocks[block])
        names = [column.name for column in cursor.description or ()]
        into += [dict(zip(names, row, strict=True)) for row in cursor]
    if result.conflicts:
        number = sum(int(entry["count"]) for entry in result.conflicts)
        run.problem(
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


def judge_source(run: RehearsalRun, stage: str, prepared: Prepared) -> None:
    now = state_of(run.connection, prepared.project, run.keys)
    triggered = {table for writer in run.writers for table in triggered_tables(prepared.project, writer)}
    found = run.result.source[stage] = compare_states(run.before, now, run.also, triggered)
    if found.differences:
        run.problem(
            stage,
            f"The source has changed: {'; '.join(found.differences[:3])}",
            "Changes by the application's triggers to the rehearsal's own rows are already left out. If something else writes"
            " this database, rehearse where nothing does. Otherwise do not migrate, and report it.",
        )
