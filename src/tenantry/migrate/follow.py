"""Keeps both sides synchronized while it runs: source to target before the cut-over, target to source after it, both ways
in the dual-write window. On request it hands the run to another command (cutover, rollback, verify), and resumes afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tenantry.errors import CutOverFailed, NoRun, SourceAltered
from tenantry.manifest import Manifest
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.observer import Observer
from tenantry.migrate.session.run_lock import is_awaited
from tenantry.migrate.session.sampler import Sampler
from tenantry.migrate.switch.cutover import end_grace
from tenantry.migrate.switch.switchover import Bounds

_LOOK_EVERY = 0.5
_CLEAN_AFTER = 200_000
"""Entries after which the change queue is vacuumed, so that rounds need not skip dead entries."""


@dataclass
class Followed:
    """The total numbers of replayed changes."""

    rounds: int = 0
    entries: int = 0
    from_source: int = 0
    from_target: int = 0
    rows: int = 0
    refused: int = 0
    conflicts: int = 0
    direction: str = ""


@dataclass(frozen=True, slots=True)
class FollowHooks:
    """What happens between rounds.

    Attributes:
        wait: called before each round; returns when the round may start (throttle).
        report: called after each check, with the lag in entries and the age of the oldest in seconds.
        prometheus: a file that is rewritten with the current metrics.
    """

    wait: Callable[[], None] = lambda: None
    report: Callable[[Followed, int, float], None] = lambda _total, _lag, _age: None
    prometheus: Path | None = None


def follow(
    dsn: str,
    manifest: Manifest,
    *,
    until_idle: bool = False,
    observer: Observer | None = None,
    stopped: Callable[[], bool] = lambda: False,
    hooks: FollowHooks | None = None,
) -> Followed:
    """Replay rounds until stopped, or, with `until_idle`, until the queue is empty.

    Args:
        hooks: what is called, and written, between rounds.

    Raises:
        NoRun, NotReady, SourceAltered: the source cannot be followed as it is now.
    """
    total, hooks = Followed(), hooks or FollowHooks()
    while True:
        with RunHandle(dsn, manifest, observer, patience=300.0) as live:
            live.need_copied()
            live.check()
            with Sampler(dsn, live.journal, lambda: _facts(total)):
                try:
                    if not _follow(live, total, until_idle, stopped, hooks):
                        return total
                except SourceAltered as error:
                    # Harmless changes, e.g. an attached or dropped partition, are accepted as at the start of any command.
                    if error.detail.get("side") != "source":
                        raise
        # Another process asked for the run: give it time to take the lock.
        time.sleep(_LOOK_EVERY)
        if stopped():
            return total


def _facts(total: Followed) -> dict[str, object]:
    return {
        "rows": total.rows,
        "replayed": total.rows,
        "following": True,
        "from_source": total.from_source,
        "from_target": total.from_target,
    }


def _follow(
    live: RunHandle,
    total: Followed,
    until_idle: bool,
    stopped: Callable[[], bool],
    hooks: FollowHooks,
) -> bool:
    """Replay rounds until another process asks for the run (True), or the work is done (False)."""
    looked = 0.0
    since_clean = 0
    while not stopped():
        hooks.wait()
        last = live.round()
        entries = last.entries + last.reversed_entries
        total.rounds += bool(entries)
        total.entries += entries
        total.from_source += last.entries
        total.from_target += last.reversed_entries
        total.rows += last.rows
        total.refused += last.refused
        total.conflicts += last.conflicts
        total.direction = live.run.direction
        since_clean += entries
        if since_clean > _CLEAN_AFTER:
            since_clean = 0
            live.main.execute("vacuum (skip_locked, truncate off) tenantry.source_log, tenantry.target_log")
        if time.monotonic() - looked > _LOOK_EVERY:
            looked = time.monotonic()
            # Rows can appear or disappear without any write: a partition can be attached or dropped.
            live.watch.check(live.main)
            hooks.report(total, live.pending(), last.oldest)
            if hooks.prometheus is not None:
                from tenantry.migrate.observe.prometheus import write_metrics  # noqa: PLC0415

                write_metrics(live.main, hooks.prometheus)
            live.refresh()
            if live.run.status == "contracted":
                raise NoRun("The run was contracted: only the target is left.", hint="Nothing is left to do.")
            if live.run.direction == "both" and live.run.grace_until and live.run.grace_until < datetime.now(UTC):
                try:
                    end_grace(live, Bounds())
                    live.observer.notice("The dual-write window is over: the source refuses writes from now on.")
                    live.refresh()
                except CutOverFailed as error:
                    live.observer.notice(
                        f"The dual-write window is over, but the source could not be closed yet: {error.message}"
                    )
            if is_awaited(live.main):
                live.observer.notice("Another command asks for the run. Replay lets it go, and continues afterwards.")
                return True
        if entries == 0:
            if until_idle:
                return False
            time.sleep(0.1)
    return False


__all__ = ["Followed", "follow"]
