"""Repairs a target that differs from its source, and rebuilds the journal's lists."""

from __future__ import annotations

from tenantry.errors import JournalDamaged
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.migrate.replay.queue import EVERYTHING, Round
from tenantry.migrate.run.compare_sides import compare_sides
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.visibility import need_every_row
from tenantry.migrate.verify import compare as verify
from tenantry.migrate.verify.results import Verification
from tenantry.postgres import literal


def repair(live: RunHandle) -> list[Verification]:
    """Derive the rows that differ again, key range by key range, and compare everything once more.

    After a cut-over applications write the target; then the source is made to match it.
    """
    candidates = verify.find_candidates(live.main, live.project, live.journal)

    def fix(connection: Connection, done: Round) -> None:
        if live.run.direction == "reverse":
            for mapping in live.project:
                connection.execute(
                    "insert into tenantry_changed select %s, %s || k, clock_timestamp() from unnest(%s::text[]) k",
                    [mapping.target.name, mapping.legacy_prefix, candidates[mapping.name]],
                )
            live.reverser.apply(connection)
            return
        for mapping in live.project:
            live.replayer.mark(connection, mapping, candidates[mapping.name])
        live.replayer.settle(connection, done)

    live.round(limit=EVERYTHING, before_commit=fix)
    counted = {name: len(keys) for name, keys in candidates.items() if keys}
    live.journal.event(live.main, "repaired", "rows that differed were derived again", keys=counted)
    return compare_sides(live)


def rebuild(live: RunHandle) -> None:
    """Rebuild the journal's lists (quarantine, merged rows, changed cells) by deriving every row again.

    All their entries follow from the source and the target. Fixes that wait for a retry are kept.

    Raises:
        JournalDamaged: applications write the target, so the source no longer shows what was migrated.
        RowsHidden: the login does not see every row.
    """
    if live.run.direction != "forward":
        raise JournalDamaged(
            "The journal's lists can be rebuilt only while applications write the source. Nothing was changed.",
            hint="Run `tenantry rollback`, then `tenantry verify --journal`, then `tenantry cutover`.",
        )

    need_every_row(live.main, live.project)
    if live.run.status in ("ready", "cut over"):
        # The run cannot have come this far unless all of them were done.
        later = [step for step in live.prepared.plan if step.phase not in ("cut over", "contract")]
        live.journal.add_steps(live.main, live.prepared.plan.steps)
        for step in later:
            if step.id not in live.done:
                live.journal.say(live.main, "step_started", step=step.id)
                live.journal.say(live.main, "step_done", step=step.id, rows=None, message="rebuilt")
        live.done = live.journal.done_steps(live.main)

    def again(connection: Connection, done: Round) -> None:
        for mapping in live.project:
            live.replayer.mark_all(connection, mapping)
        live.replayer.settle(connection, done)
        for mapping in live.project:
            connection.execute(
                f"delete from {JOURNAL}.change c where c.mapping = {literal(mapping.name)} and not exists"
                f" (select from tenantry_touched t where t.key = c.source_key)"
            )

    live.round(limit=EVERYTHING, before_commit=again)
    live.journal.event(live.main, "rebuilt", "the journal's lists were rebuilt from both sides")
