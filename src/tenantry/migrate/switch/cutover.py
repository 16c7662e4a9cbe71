"""The cut-over: from then on applications write the target, and Tenantry keeps the source synchronized."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tenantry.errors import NotReady, RulesInTheWay, RunFinished
from tenantry.journal.journal import Connection, Journal
from tenantry.manifest import Manifest
from tenantry.mapping.tables_read import unsteady_expressions
from tenantry.migrate.run.compare_sides import compare_sides
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.locks import look, prepared_transaction
from tenantry.migrate.session.observer import Observer
from tenantry.migrate.session.prepare import Prepared
from tenantry.migrate.session.query_words import first_words
from tenantry.migrate.session.visibility import need_every_row
from tenantry.migrate.switch.dual_write_window import CLOSE, opening
from tenantry.migrate.switch.left_behind import newest, refuse_left_behind
from tenantry.migrate.switch.switchover import (
    Bounds,
    Switch,
    Switchover,
    done_before,
    source_tables,
    turn,
    wait_until,
    wait_until_idle,
)
from tenantry.migrate.verify.likely_causes import verification_failed
from tenantry.migrate.verify.whole_target import verify_rules
from tenantry.statements.capture import source_fence, source_triggers

_IDLE_SECONDS = 3.0
_VOUCHES = 24 * 3600.0
"""Seconds for which a full comparison remains valid for rows that were not changed since."""


@dataclass(frozen=True, slots=True)
class When:
    """When to cut over; by default at once.

    Attributes:
        at: a time, in seconds since the epoch.
        idle: when no application writes.
        stopped: whether to stop waiting, before anything is switched.
    """

    at: float | None = None
    idle: bool = False
    stopped: Callable[[], bool] = lambda: False


def cut_over(
    dsn: str,
    manifest: Manifest,
    *,
    bounds: Bounds | None = None,
    when: When | None = None,
    grace: float | None = None,
    accept_quarantined: bool = False,
    observer: Observer | None = None,
) -> Switchover:
    """Cut a run over.

    Args:
        grace: length of the dual-write window in seconds, for deployments that are not instant.
        accept_quarantined: leave rows behind that went into quarantine since the run was declared ready.

    Raises:
        RowsLeftBehind: such rows exist, and accept_quarantined is false.
        NotReady: steps are pending.
        RunFinished: the run was contracted, or the requested dual-write window is over. A cut-over that is already done is no
        error: a command that was killed after its commit can be run again.
        CutOverFailed, VerificationFailed: nothing was changed.
    """
    bounds, when = bounds or Bounds(), when or When()
    with RunHandle(dsn, manifest, observer) as live:
        run = live.run
        if run.direction == "both":
            if grace is not None:
                return _extend(live, grace)
            return end_grace(live, bounds)
        if run.direction == "reverse":
            if grace is None and run.status != "contracted":
                return done_before(live)
            raise RunFinished(
                f"This database was cut over on {run.finished_at:%Y-%m-%d %H:%M} UTC"
                + (
                    ", and the run was contracted."
                    if run.status == "contracted"
                    else ", and its dual-write window is over."
                ),
                hint="Nothing is left to do: the source no longer exists."
                if run.status == "contracted"
                else "`tenantry rollback` goes back, `tenantry contract` makes it final.",
            )
        live.need_copied()
        if live.project.trial:
            raise NotReady(
                f"Run {run.id} is {live.project.trial}. A pilot cannot be cut over. Nothing was switched.",
                hint="`tenantry migrate --rest` continues with all other tenants. `tenantry rollback --everything` undoes the pilot.",
            )
        live.check()
        live.refresh()
        if not _vouched(live):
            live.observer.notice("Source and target are compared as a whole before the cut-over.")
            failed = [check for check in live.session.again(lambda: compare_sides(live)) if not check.passed]
            if failed:
                raise verification_failed(failed)
        rules = live.session.again(lambda: verify_rules(live.main, live.project))
        if not rules.passed:
            raise verification_failed([rules])
        if when.at is not None:
            live.observer.notice("Both sides are kept synchronized until the given time.")
            wait_until(live, when.at, when.stopped)
        if when.idle:
            live.observer.notice("Both sides are kept synchronized until no application writes the source.")
            wait_until_idle(live, _IDLE_SECONDS, when.stopped)
        if when.stopped():
            raise NotReady("Interrupted before the cut-over. Nothing was switched.", hint="Run the same command again.")
        before = newest(live.main, live.journal)
        if accept_quarantined:
            live.journal.say(live.main, "accept_quarantined")
        else:
            refuse_left_behind(live.main, live.journal)

        def none_left_behind(connection: Connection) -> None:
            # The rows that were replayed last, with the source locked.
            if not accept_quarantined:
                refuse_left_behind(connection, live.journal, after=before)

        step = live.prepared.plan.phase("cut over")[0]
        live.observer.phase("cut over", rows=0, steps=1)
        closing = set(_closing(live))
        statements = [statement for statement in step.sql if grace is None or statement not in closing]
        if grace is not None:
            _refuse_rules(live)
            statements += opening(live.main, live.project, live.prepared.environment.login)
        also = "" if grace is None else ", and may write the source during the dual-write window"
        switch = Switch(
            to="reverse" if grace is None else "both",
            statements=statements,
            tables=source_tables(live),
            phase="cut over",
            status="cut over",
            event=("cut_over", f"clients write the target from now on{also}"),
            step=step,
            grace=grace,
            check=none_left_behind,
        )
        done = turn(live, switch, bounds)
        live.observer.finished(step, seconds=done.stall, rows=done.entries)
        return done


def _vouched(live: RunHandle) -> bool:
    """Return whether a full comparison is still valid for unchanged rows: it is recent, and every later round compared the rows
    that it replayed. Values that depend on the time, or on what a function reads, can change without an entry in the queue."""
    at = live.run.verified_at
    if at is None or live.run.unverified or any(unsteady_expressions(live.project)):
        return False
    return time.time() - at.timestamp() < _VOUCHES


def end_grace(live: RunHandle, bounds: Bounds) -> Switchover:
    """Return the switch after which the source refuses writes; its last changes have been replayed."""
    need_every_row(live.main, live.project)
    switch = Switch(
        to="reverse",
        statements=[CLOSE, *_closing(live)],
        tables=source_tables(live),
        phase="cut over",
        status="cut over",
        event=("grace_ended", "the source refuses writes from now on"),
    )
    return turn(live, switch, bounds)


def _closing(live: RunHandle) -> list[str]:
    """Return the statements that run on the source when applications may no longer write it."""
    return [*source_fence(live.project, on=True), *source_triggers(live.project, on=False)]


def _refuse_rules(live: RunHandle) -> None:
    found = live.main.execute(
        "select c.relname::text, r.rulename::text from pg_rewrite r join pg_class c on c.oid = r.ev_class"
        " where c.relnamespace = to_regnamespace(quote_ident(%s)) and c.relname = any (%s) and r.ev_enabled <> 'D'"
        " and r.ev_type <> '1' order by 1, 2",
        [live.project.source.schema, [table.name for table in live.project.source_tables]],
    ).fetchall()
    if found:
        named = ", ".join(f"{rule} on {table}" for table, rule in found)
        raise RulesInTheWay(
            f"In a dual-write window, rewrite rules of the source would change the rows that Tenantry replays into it: {named}."
            " Nothing was switched.",
            hint="Cut over without --dual-write: then the rules are disabled while the source follows the target. Or drop them, or switch"
            " them off (ALTER TABLE … DISABLE RULE …) for the dual-write window.",
        )


def _extend(live: RunHandle, grace: float) -> Switchover:
    live.journal.say(live.main, "turn", direction="both", status="cut over", phase="cut over", grace=f"{grace} seconds")
    live.journal.event(live.main, "grace_extended", "the dual-write window was extended", seconds=grace)
    return Switchover("both", 0.0, 0.0, 1, 0)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What prevents the cut-over of a run."""

    ready: bool
    verified: bool
    lag_entries: int
    lag_seconds: float
    quarantined: int
    blockers: tuple[str, ...]
    """Transactions on the source's tables that a cut-over has to wait for: pid, application, query."""
    missing: tuple[str, ...]
    """Pending steps."""
    trial: str = ""
    """For a pilot, which is never cut over: its number of tenants, in words."""
    left_behind: int = 0
    """Rows that went into quarantine since the run was declared ready; they stop the cut-over."""


def readiness(connection: Connection, prepared: Prepared) -> Readiness:
    """Return the readiness for people to read, from a few queries."""
    run = prepared.run
    done = Journal(run.id).done_steps(connection) if run is not None else set()
    missing = tuple(
        step.id for step in prepared.plan if step.phase not in ("cut over", "contract") and step.id not in done
    )
    row = look(connection, "readiness").fetchone()
    assert row is not None
    standing = tuple(
        f"pid {pid} ({application or 'no name'}, {state}, {seconds:.0f} s): {first_words(query)}"
        if gid is None
        else prepared_transaction(str(gid), str(owner), seconds)
        for pid, application, state, seconds, query, gid, owner in look(
            connection,
            "in_the_way",
            schema=prepared.project.source.schema,
            tables=[table.name for table in prepared.project.source_tables],
        )
    )
    verified = run is not None and run.verified_at is not None
    trial = prepared.project.trial
    ready = not missing and verified and not trial
    return Readiness(ready, verified, int(row[0]), float(row[1]), int(row[2]), standing, missing, trial)
