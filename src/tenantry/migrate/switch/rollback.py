"""Rollback. After the cut-over it replays the changes made since into the source, which applications then write again. With
`everything` it undoes each step that the journal marks as done, the last one first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tenantry.derivation.reverse import moved
from tenantry.derivation.reverse.strangers import put_aside
from tenantry.errors import NotReady, SourceAltered
from tenantry.journal.journal import journal_exists, last_run, statement
from tenantry.journal.names import JOURNAL
from tenantry.manifest import Manifest
from tenantry.mapping import Mapping, Project
from tenantry.mapping.legacy_ids import from_part, source_key
from tenantry.migrate.replay.queue import EVERYTHING, pending
from tenantry.migrate.replay.strays import strays_again
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.locks import LockedTables, capture_tables
from tenantry.migrate.session.observer import Observer
from tenantry.migrate.session.trigger_states import were_switched
from tenantry.migrate.switch.dual_write_window import CLOSE
from tenantry.migrate.switch.ended_memberships import MembershipsAgain, memberships_again
from tenantry.migrate.switch.switchover import Bounds, Switch, Switchover, done_before, target_tables, turn
from tenantry.migrate.switch.target_only import kept_rows, put_away
from tenantry.plan import Plan, Step
from tenantry.postgres import comment, connect, ident, literal, load_blocks
from tenantry.postgres.ours import our_tables
from tenantry.statements.sequences import source_sequences

_NAMED = 5
"""How many blocking objects a message names."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a rollback undid.

    Attributes:
        turned: the switchback to the source, if the run was cut over.
        undone: ids of the steps that were undone, in this order.
        kept: number of target-only rows without a source form, by table. After steps were undone they are in schema
        `archive`.
        archive: the schema that keeps rows without a source form, or empty.
        conflicts: number of changes that were not applied; `conflicts_table` lists them.
        again: memberships that ended in the target and are active again, because applications write the source.
    """

    turned: Switchover | None
    undone: tuple[str, ...]
    kept: tuple[tuple[str, int], ...]
    archive: str = ""
    already: bool = False
    """Nothing was left to undo."""
    conflicts: int = 0
    conflicts_table: str = ""
    again: tuple[MembershipsAgain, ...] = ()


def roll_back(
    dsn: str,
    manifest: Manifest,
    *,
    bounds: Bounds | None = None,
    everything: bool = False,
    patience: float = 60.0,
    observer: Observer | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> RolledBack:
    """Roll a run back: to before the cut-over (the target stays synchronized and can be cut over again); with `everything`, to
    the state before the run.

    The arguments alone decide which of the two is done, never the state of the run: a call that was killed after the switchback
    is run again and must not become the other command. Parts that are already done are skipped.

    Raises:
        NotReady: the run was contracted; or it was never cut over and `everything` is false.
        CutOverFailed: writers of the target could not be stopped within the bound; nothing was switched.
    """
    if everything and _is_gone(dsn):
        return RolledBack(None, (), (), already=True)
    with RunHandle(dsn, manifest, observer) as live:
        if live.run.status == "contracted":
            raise NotReady(
                "The run was contracted: the source no longer exists, so the run cannot be rolled back.",
                hint="If you archived the source, you can restore the archive next to the target by hand.",
            )
        turned = None
        again: tuple[MembershipsAgain, ...] = ()
        if live.run.is_over:
            live.check()
            turned = _switch_back(live, bounds or Bounds())
            live.refresh()
            again = _say_again(live)
            live.catch_up(stopped=stopped)
        elif not everything:
            turned = _switched_before(live)
            live.check()
            again = memberships_again(live.main, live.project)
            live.catch_up(stopped=stopped)
        if not everything:
            return RolledBack(turned, (), kept_rows(live.main, live.project), again=again)
        _need_alone(live)
        _find_strays(live)
        kept = put_away(live)
        return RolledBack(
            turned, _undo(live, patience, stopped), kept.rows, kept.schema,
            conflicts=kept.conflicts, conflicts_table=kept.conflicts_table, again=again,
        )  # fmt: skip


def _say_again(live: RunHandle) -> tuple[MembershipsAgain, ...]:
    """Record the memberships that are active again in the journal."""
    found = memberships_again(live.main, live.project)
    for each in found:
        live.journal.event(
            live.main, "memberships_again",
            f"{each.number} memberships that ended in {each.table} are active again: the rows of {each.source} still exist",
            table=each.table, source=each.source, ended=each.ended, deleted=each.deleted,
        )  # fmt: skip
    return found


def _is_gone(dsn: str) -> bool:
    """Return the result if there is no run: everything is already undone, or there never was a run."""
    with connect(dsn, name="tenantry: rollback") as connection:
        return last_run(connection) is None


def _switched_before(live: RunHandle) -> Switchover:
    """Return the switchback that an earlier call did.

    Raises:
        NotReady: there was none; a rollback must not undo more than was requested.
    """
    row = live.journal.say(live.main, "last_turn").fetchone()
    if row is not None and row[0] == "rolled_back":
        return done_before(live)
    source = live.project.source.schema
    if row is not None and row[0] == "undoing":
        raise NotReady(
            f"Run {live.run.id} is being undone. There is no cut-over to go back from: applications write {source}.",
            hint="`tenantry rollback --everything` resumes the undo. `tenantry migrate` repeats the steps that were undone.",
        )
    raise NotReady(
        f"Run {live.run.id} was never cut over: applications write {source}, so there is nothing to go back from."
        " Nothing was changed.",
        hint="`tenantry rollback --everything` undoes the whole run and drops the target.",
    )


def _switch_back(live: RunHandle, bounds: Bounds) -> Switchover:
    step = live.prepared.plan.phase("cut over")[0]
    switch = Switch(
        to="forward",
        statements=[
            CLOSE,
            *source_sequences(live.project),
            *_derived_again(live.project),
            *strays_again(live.project),
            # The next cut-over compares everything first.
            f"update {JOURNAL}.run set unverified = true",
            *step.undo,
            *put_aside(live.project),
            statement("accept_quarantined"),
        ],
        tables=target_tables(live),
        phase="secure",
        status="ready",
        event=("rolled_back", "applications write the source again; changes made meanwhile were replayed"),
        step=step,
        undone=True,
    )
    return turn(live, switch, bounds)


def _derived_again(project: Project) -> list[str]:
    """Return statements that mark rows whose target differs from the source's derivation: rows that are target-native as part of
    another row, or name missing rows; rows in quarantine that a key's action may have changed; and rows deleted in the target whose
    delete the source refused. They are derived again after the switchback."""
    documents = dict.fromkeys(
        mapping.source.name for mapping in project if mapping.reads or any(column.ids for column in mapping.columns)
    )
    return [
        *(
            f"insert into {JOURNAL}.source_log (table_name, old_key, new_key) select {literal(mapping.source.name)}, legacy_id,"
            f" source_key from {JOURNAL}.born_part where mapping = {literal(mapping.name)}"
            for mapping in project
        ),
        *(_stayed(project, mapping) for mapping in project),
        *moved.derived_again(project.mappings),
        *(f"insert into {JOURNAL}.source_log (table_name) values ({literal(table)})" for table in documents),
        f"insert into {JOURNAL}.source_log (table_name, new_key) select distinct source_table, source_key"
        f" from {JOURNAL}.quarantine where state = 'open'",
    ]


def _stayed(project: Project, mapping: Mapping) -> str:
    """Rows that were deleted in the target and that the source refused to delete."""
    return (
        f"insert into {JOURNAL}.source_log (table_name, new_key)"
        f" select distinct {literal(mapping.source.name)}, {source_key(mapping, 'c')} from {JOURNAL}.conflict c"
        f" where c.direction = 'reverse' and c.table_name = {literal(mapping.target.name)}"
        f"{from_part(mapping, ' and', 'c')}"
        f" and not exists (select from {ident(project.target.schema, mapping.target.name)} t where t.legacy_id = c.legacy_id)"
    )


def steps_to_undo(plan: Plan, done: set[str]) -> list[Step]:
    """Return the completed steps, the last one first, without those that dropping the target's schema undoes anyway."""
    return [
        step
        for step in reversed(plan.steps)
        if step.id in done and step.phase not in ("cut over", "contract") and not step.gone_with_target
    ]


def undo_script(plan: Plan, done: set[str], direction: str, *, everything: bool) -> str:
    """Return the SQL of a rollback, for people to read and, in the worst case, to run by hand."""
    parts = []
    if direction == "forward" and not everything:
        return (
            "-- Applications write the source: there is no cut-over to reverse.\n"
            "-- To undo the whole run: tenantry rollback --everything --sql\n"
        )
    if direction != "forward":
        step = plan.phase("cut over")[0]
        parts += [
            "-- 1. Entries of tenantry.target_log are replayed into the source, in rounds; the last one with the target's",
            "--    tables locked. This part is not SQL alone: `tenantry rollback` does it. Then, in the same transaction:",
            *(f"{statement.rstrip(';')};" for statement in (CLOSE, *step.undo)),
            "update tenantry.run set direction = 'forward', status = 'ready' where id = (select max(id) from tenantry.run);",
        ]
    if not everything:
        return "\n".join(parts) + "\n"
    if direction != "forward":
        parts += [
            "",
            "-- 2. Back to the state before the run (tenantry rollback --everything):",
        ]
    for step in steps_to_undo(plan, done):
        if step.undo:
            parts.append(comment(f"{step.id}: {step.title}"))
            parts += [f"{statement.rstrip(';')};" for statement in step.undo]
    return "\n".join(parts) + "\n"


def _undo(live: RunHandle, patience: float, stopped: Callable[[], bool]) -> tuple[str, ...]:
    undone: list[str] = []
    journal, done = live.journal, live.journal.done_steps(live.main)
    journal.say(live.main, "set_status", status="running")
    journal.event(live.main, "undoing", "the run is undone step by step")
    todo = steps_to_undo(live.prepared.plan, done)
    for step in todo:
        if stopped():
            journal.say(live.main, "set_status", status="interrupted")
            raise NotReady(
                f"Interrupted after {len(undone)} of {len(todo)} steps were undone. No step is half undone.",
                hint="`tenantry rollback --everything` resumes the undo. `tenantry migrate` repeats the steps that were undone.",
            )
        live.observer.started(step, rows=0, done_rows=0)

        def mark(step: Step = step) -> None:
            # The first step created the journal: undoing it deletes the record of the run.
            if journal_exists(live.main):
                journal.say(live.main, "reopen_steps", steps=[step.id])

        schema, table = step.locks or (live.project.target.schema, None)
        tables = [] if table is None else [table]
        capture_tables(
            live.main, LockedTables(schema, tables), step.undo, mark,
            patience=patience, notice=live.observer.notice, stopped=stopped,
        )  # fmt: skip
        live.observer.finished(step, seconds=0.0, rows=None)
        undone.append(step.id)
    return tuple(undone)


def _need_alone(live: RunHandle) -> None:
    """Check that dropping the target and the journal (with CASCADE) drops no object of others.

    Raises:
        NotReady: it would; the message names the objects, and nothing was undone.
    """
    schema = live.project.target.schema
    found = [
        str(row[0])
        for row in live.main.execute(
            load_blocks("tenantry.migrate.switch", "target_only")["outside"],
            {"schema": schema, "ours": list(our_tables())},
        )
    ]
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise NotReady(
            f"Objects of others depend on {schema} or the journal and would be dropped: {', '.join(found[:_NAMED])}{more}."
            " No step was undone.",
            hint="Drop them, remove the dependency (give a column another type, let a view read other tables), or move them to another schema"
            " (alter table … set schema …). Then run `tenantry rollback --everything` again.",
        )


def _find_strays(live: RunHandle) -> None:
    """Find and list rows that were written in the target despite its fence, before the target is dropped."""
    if not live.is_copied or not (were_switched(live.main, live.project) or pending(live.main, "target_log")[0]):
        return
    try:
        # If triggers were disabled, this compares both sides.
        live.check()
        live.round(limit=EVERYTHING)
    except SourceAltered as error:
        live.observer.notice(
            f"Writes in the target despite its fence could not be distinguished from migrated rows: {error.message}"
        )


__all__ = ["RolledBack", "roll_back", "steps_to_undo", "undo_script"]
