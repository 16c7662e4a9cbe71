"""The status of a run, read from the journal and the server's views. Any login with the rights can read it, from any terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from psycopg.rows import dict_row

from tenantry.errors import NoRun
from tenantry.journal.journal import Connection
from tenantry.mapping.project import Subset
from tenantry.migrate.observe.process_stats import look_at
from tenantry.migrate.observe.values import (
    Blocker,
    CopyStatus,
    Event,
    Log,
    PhaseStatus,
    Rates,
    Server,
    Standing,
    Status,
    StepStatus,
    Waiter,
)
from tenantry.migrate.session.locks import prepared_transaction
from tenantry.migrate.session.query_words import first_words
from tenantry.migrate.session.run_lock import run_lock_holder
from tenantry.migrate.switch.cutover import Readiness
from tenantry.migrate.throttle.limits import Reason
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.migrate.verify.missing import Missing, missing_rows
from tenantry.plan import PHASES
from tenantry.postgres import ident, load_blocks

MOST_ENTRIES = 100_000
"""The largest number of log entries that is counted; beyond it there are `more`."""

_FRESH = 5.0
"""Seconds after which the newest sample no longer shows the current rate."""
_SIZE_INTERVAL = 5.0
"""Seconds between calls of pg_database_size(), which reads the size of every file."""


def read_status(connection: Connection, *, before: Status | None = None, throttle: Throttle | None = None) -> Status:
    """Read the newest run's status.

    Args:
        before: the previous status, for rates without samples in the journal.
        throttle: returns what slows down the run, and the free disk space.

    Raises:
        NoRun: there is none.
    """
    row, holder = _look(connection, before)
    if row["run"]["status"] == "running" and holder is None and not row["standby"]:
        # The process may have ended between the two queries. Its final state is visible now, since it releases its lock last.
        row, holder = _look(connection, before)
    return _status(row, holder, before, throttle, missing_rows(connection))


def _look(connection: Connection, before: Status | None) -> tuple[dict[str, Any], int | None]:
    blocks = load_blocks("tenantry.migrate.observe", "status")
    known = connection.execute(blocks["known"]).fetchone()
    assert known is not None
    exists, conflict, kept, accepted = known
    row = None
    if exists:
        text = blocks["look"].replace("/* conflicts */", blocks["conflicts" if conflict else "none"])
        text = text.replace("/* kept */", blocks["kept" if kept else "none"])
        text = text.replace("/* left_behind */", blocks["left_behind" if accepted else "none"])
        row = (
            connection.cursor(row_factory=dict_row)
            .execute(text, {"most": MOST_ENTRIES + 1, "size": _size_is_due(before)})
            .fetchone()
        )
    if row is None:
        raise NoRun(
            "There is no run of Tenantry in this database yet.",
            hint="Run `tenantry plan` to see what a run would do, and `tenantry migrate` to start it.",
        )
    return row, run_lock_holder(connection)


def _size_is_due(before: Status | None) -> bool:
    if before is None or before.server.database_bytes_at is None:
        return True
    return (datetime.now(UTC) - before.server.database_bytes_at).total_seconds() >= _SIZE_INTERVAL


def _status(
    row: Mapping[str, Any],
    holder: int | None,
    before: Status | None,
    throttle: Throttle | None,
    missing: tuple[int, Sequence[Missing]],
) -> Status:
    run, at = row["run"], row["at"]
    status = run["status"]
    if status == "running" and holder is None and not row["standby"]:
        status = "died"
    steps = tuple(
        StepStatus(each["id"], each["phase"], each["status"], each["seconds"], each["rows"], each["message"])
        for each in row["steps"]
    )
    phases = tuple(_phase(phase, row["steps"], at) for phase in PHASES)
    copies = tuple(_copy(each) for each in row["copies"])
    logs = tuple(_log(each, at) for each in row["logs"])
    mine = [log for log in logs if run["direction"] in (log.direction, "both")]
    spent = (at - before.at).total_seconds() if before is not None and before.run == run["id"] else 0.0
    rates = _rates(row, before if spent > 0 else None, spent, mine)
    session = next((each for each in row["us"] if each["pid"] == holder), None)
    standing = tuple(
        Standing(
            each["pid"],
            each["application"] or "",
            each["state"] or "busy",
            each["seconds"],
            first_words(each["query"]),
            each["gid"] or "",
            each["owner"] or "",
        )
        for each in row["standing"]
    )
    events = {each["code"]: _event(each) for each in row["turns"]}
    newest = row["samples"][-1] if row["samples"] else None
    lag = sum(log.entries for log in mine)
    return Status(
        at=at,
        run=run["id"],
        name=run["name"],
        source_schema=run["source_schema"],
        target_schema=run["target_schema"],
        status=status,
        phase=run["phase"],
        direction=run["direction"],
        writers=_writers(run),
        working=holder is not None,
        started_at=_moment(run["started_at"]),
        finished_at=_maybe(run["finished_at"]),
        verified_at=_maybe(run["verified_at"]),
        grace_until=_maybe(run["grace_until"]),
        process=look_at(
            run["process"],
            connected_at=_maybe(session["since"]) if session else None,
            before=before.process if before is not None else None,
            seconds=spent,
        ),
        server_process=f"server process {holder}" + (f" ({session['application']})" if session else "")
        if holder is not None
        else "",
        phases=phases,
        steps=steps,
        copies=copies,
        rows_copied=sum(copy.target_rows for copy in copies),
        rows_replayed=0 if newest is None else carried(newest)[1],
        logs=logs,
        lag_entries=lag,
        lag_seconds=max((log.seconds for log in mine), default=0.0),
        rates=rates,
        remaining_seconds=None
        if holder is None or status != "running"
        else _remaining(run["phase"], phases, copies, row["source_rows"], lag, rates),
        quarantined=row["quarantined"],
        merged=row["merged"],
        conflicts=row["conflicts"],
        kept=row["kept"],
        missing=missing[0],
        missing_rows=tuple(missing[1]),
        waiters=tuple(
            Waiter(each["pid"], each["application"] or "", each["seconds"], each["relation"], each["held_by"],
                   first_words(each["query"]))
            for each in row["waiters"]
        ),
        standing=standing,
        held_up=tuple(
            Blocker(each["pid"], each["application"] or "", each["state"], each["seconds"], each["relation"], each["waiting"])
            for each in row["held_up"]
        ),
        hidden_writers=row["hidden_writers"],
        readiness=_readiness(run, steps, mine, standing, row["quarantined"], row["left_behind"]),
        reasons=None if throttle is None else _reasons(throttle, run),
        server=_server(row, before, throttle),
        cut_over=events.get("cut_over"),
        rolled_back=events.get("rolled_back"),
        events=tuple(_event(each) for each in row["events"]),
        trial=_trial(run),
        begun_with=(run["subset"] or {}).get("condition", ""),
    )  # fmt: skip


# -- parts -----------------------------------------------------------------------------------------------------------


def _writers(run: Mapping[str, Any]) -> str:
    source, target = run["source_schema"], run["target_schema"]
    if run["status"] == "contracted":
        return f"Applications write {target} (the target); the run is contracted and cannot be rolled back."
    match run["direction"]:
        case "both":
            until = _maybe(run["grace_until"])
            end = f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
            return (
                f"Applications write {target} (the target), and may still write {source} (the source){end};"
                " changes are replayed both ways."
            )
        case "reverse":
            return f"Applications write {target} (the target); changes are replayed into {source} (the source), which refuses their writes."
    return f"Applications write {source} (the source); changes are replayed into {target} (the target), which they cannot write yet."


def _trial(run: Mapping[str, Any]) -> str:
    said = run["subset"]
    subset = None if said is None else Subset(said["condition"], said["state"], said["tenants"], said["of"])
    return str(subset) if subset is not None and subset.state == "trial" else ""


def _phase(phase: str, steps: Sequence[Mapping[str, Any]], at: datetime) -> PhaseStatus:
    mine = [step for step in steps if step["phase"] == phase]
    done = sum(step["status"] == "done" for step in mine)
    begun = [_moment(step["started_at"]) for step in mine if step["started_at"]]
    ended = [_moment(step["finished_at"]) for step in mine if step["finished_at"]]
    running = any(step["status"] == "running" for step in mine)
    end = at if running else max(ended, default=None)
    seconds = (end - min(begun)).total_seconds() if begun and end is not None else None
    return PhaseStatus(phase, done, len(mine), seconds)


def _copy(said: Mapping[str, Any]) -> CopyStatus:
    span, lately = said["seconds"] or 0.0, said["done_lately"]
    rate = remaining = None
    if span > 0 and lately:
        rate = said["rows_lately"] / span
        remaining = span / lately * (said["chunks"] - said["done"])
    return CopyStatus(
        said["mapping"],
        said["chunks"],
        said["done"],
        said["source_rows"],
        said["target_rows"],
        said["quarantined_rows"],
        rate,
        remaining,
    )


def _log(said: Mapping[str, Any], at: datetime) -> Log:
    oldest = _maybe(said["oldest"])
    return Log(
        said["direction"],
        min(said["entries"], MOST_ENTRIES),
        said["entries"] > MOST_ENTRIES,
        max(0.0, (at - oldest).total_seconds()) if oldest is not None else 0.0,
        said["bytes"],
    )


def carried(sample: Mapping[str, Any]) -> tuple[int, int]:
    """Return rows copied and rows replayed of a sample, both since its process began."""
    rows, data = int(sample["rows"]), sample["data"]
    if data.get("following"):
        return 0, rows
    replayed = int(data.get("replayed", 0))
    return rows - replayed, replayed


def gained(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> tuple[int, int]:
    """Return rows copied and replayed between two samples; 0 if another process began in between, since it counts from 0."""
    if bool(earlier["data"].get("following")) != bool(later["data"].get("following")):
        return 0, 0
    (copied, replayed), (more_copied, more_replayed) = carried(earlier), carried(later)
    return max(0, more_copied - copied), max(0, more_replayed - replayed)


def _rates(row: Mapping[str, Any], before: Status | None, spent: float, mine: Sequence[Log]) -> Rates:
    samples = row["samples"]
    times = [_moment(sample["at"]) for sample in samples]
    if len(samples) > 1 and (row["at"] - times[-1]).total_seconds() < _FRESH:
        span = (times[-1] - times[0]).total_seconds()
        if span > 0:
            steps = [gained(a, b) for a, b in pairwise(samples)]
            return Rates(
                copied=sum(copied for copied, _ in steps) / span,
                replayed=sum(replayed for _, replayed in steps) / span,
                lag=(samples[-1]["lag_entries"] - samples[0]["lag_entries"]) / span,
                wal_bytes=max(0, samples[-1]["wal_bytes"] - samples[0]["wal_bytes"]) / span,
            )
    if before is None:
        return Rates()
    # No process records samples: use two readings of the status.
    return Rates(
        lag=(sum(log.entries for log in mine) - before.lag_entries) / spent,
        wal_bytes=max(0, int(row["wal"]) - before.server.wal_bytes) / spent,
    )


def _remaining(
    phase: str,
    phases: Sequence[PhaseStatus],
    copies: Sequence[CopyStatus],
    source_rows: float | None,
    lag: int,
    rates: Rates,
) -> float | None:
    """Return the seconds until the phase ends, at the rate so far; None if no rate is known yet."""
    if phase == "copy" and any(copy.chunks_done < copy.chunks for copy in copies):
        # For tables that are not copied yet, only the planner's estimate is known.
        guesses = [copy.remaining_seconds for copy in copies if copy.remaining_seconds is not None]
        running = sum(copy.rate or 0.0 for copy in copies if copy.chunks_done < copy.chunks) or rates.copied or 0.0
        left = (source_rows or 0.0) - sum(copy.source_rows for copy in copies)
        if running > 0 and left > 0:
            guesses.append(left / running)
        return max(guesses, default=None)
    if phase == "replay" and lag and rates.lag is not None:
        return lag / -rates.lag if rates.lag < 0 else None
    now = next((each for each in phases if each.phase == phase), None)
    if now is None or now.seconds is None or not 0 < now.done < now.steps:
        return None
    return now.seconds / now.done * (now.steps - now.done)


def _readiness(
    run: Mapping[str, Any],
    steps: Sequence[StepStatus],
    logs: Sequence[Log],
    standing: Sequence[Standing],
    quarantined: int,
    left_behind: int,
) -> Readiness:
    """Return the readiness as the cut-over judges it: by steps, and by whether both sides were compared."""
    missing = tuple(
        step.id for step in steps if step.status != "done" and step.phase in PHASES[: PHASES.index("cut over")]
    )
    verified = run["verified_at"] is not None
    if missing or run["direction"] != "forward" or _trial(run):
        left_behind = 0  # not relevant before or after the cut-over
    return Readiness(
        ready=not missing and verified and run["direction"] == "forward" and not _trial(run) and not left_behind,
        verified=verified,
        lag_entries=sum(log.entries for log in logs),
        lag_seconds=max((log.seconds for log in logs), default=0.0),
        quarantined=quarantined,
        blockers=tuple(
            f"pid {each.pid} ({each.application or 'no name'}, {each.state}, {each.seconds:.0f} s): {each.query}"
            if not each.gid
            else prepared_transaction(each.gid, each.owner, each.seconds)
            for each in standing
        ),
        missing=missing,
        trial=_trial(run),
        left_behind=left_behind,
    )


def _reasons(throttle: Throttle, run: Mapping[str, Any]) -> tuple[Reason, ...]:
    """Return what slows down this run, without autovacuum, which always runs somewhere."""
    schema = f"{ident(run['source_schema'])}."
    return tuple(
        reason
        for reason in throttle.reasons()
        if not reason.tables or any(name.startswith(schema) for name in reason.tables)
    )


def _server(row: Mapping[str, Any], before: Status | None, throttle: Throttle | None) -> Server:
    size, sized_at = row["database_size"], row["at"]
    if size is None and before is not None:
        size, sized_at = before.server.database_bytes, before.server.database_bytes_at
    free, unknown = None, ""
    if throttle is not None:
        disk = next((each for each in throttle.readings() if each.setting == "min_free_disk"), None)
        if disk is not None:
            free, unknown = None if disk.value is None else int(disk.value), disk.unknown
    return Server(int(row["wal"]), size, sized_at, free, unknown, row["standby"])


def _event(said: Mapping[str, Any]) -> Event:
    return Event(_moment(said["at"]), said["code"], said.get("message", ""), said["data"])


def _moment(said: str | datetime) -> datetime:
    """Parse a time, which is text within a document."""
    return said if isinstance(said, datetime) else datetime.fromisoformat(said)


def _maybe(said: str | datetime | None) -> datetime | None:
    return None if said is None else _moment(said)


__all__ = ["MOST_ENTRIES", "carried", "gained", "read_status"]
