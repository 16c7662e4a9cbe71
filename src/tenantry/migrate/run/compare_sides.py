"""Compares both sides while applications write."""

from __future__ import annotations

from tenantry.journal.journal import Connection
from tenantry.migrate.replay.queue import EVERYTHING, Round
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session import trigger_states
from tenantry.migrate.verify import compare as verify
from tenantry.migrate.verify.not_compared import nobodys_rows
from tenantry.migrate.verify.results import Difference, Verification
from tenantry.migrate.verify.whole_target import verify_target


def touched_differences(live: RunHandle, connection: Connection) -> list[Difference]:
    """Return the differences among the rows that this round replayed into the target."""
    found: list[Difference] = []
    for position, mapping in enumerate(live.project.mappings):
        keys = [
            str(row[0])
            for row in connection.execute("select distinct key from tenantry_touched where m = %s", [position])
        ]
        if keys:
            kept = verify.target_only_in(connection, live.project, mapping)
            found += verify.compare_rows(connection, live.project, mapping, keys, kept)[0]
    return found


def compare_sides(live: RunHandle, *, target: bool = True) -> list[Verification]:
    """Compare everything while applications write: first without locks, then the candidate mismatches within a round.

    Target-only rows and values that the journal lists are no differences.
    """
    candidates = verify.find_candidates(live.main, live.project, live.journal)
    found: list[Verification] = []

    def compare(connection: Connection, _done: Round) -> None:
        found.clear()
        found.extend(
            verify.settle(
                connection,
                live.project,
                mapping,
                candidates[mapping.name],
                kept=verify.target_only_in(connection, live.project, mapping),
            )
            for mapping in live.project
        )
        found.extend(nobodys_rows(connection, live.project))

    for _ in range(verify.LOOKS):
        live.round(limit=EVERYTHING, before_commit=compare)
        if all(check.passed for check in found):
            break
    if target:
        found += verify_target(live.main, live.project)
    passed = all(check.passed for check in found)
    live.journal.say(live.main, "set_verified", verified=passed)
    if passed:
        trigger_states.trust_guards(live.main, live.project)
    return found
