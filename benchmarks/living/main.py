"""Plays the scenes, and says what was measured."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from statistics import median

from cryptography.fernet import Fernet
from rich.console import Console
from rich.table import Table

from benchmarks.copying import hand
from benchmarks.copying.ground import Ground, ground, say
from benchmarks.copying.main import Figure
from benchmarks.copying.others import row_by_row
from benchmarks.living import scenes, tool, writers
from benchmarks.living.scenes import Capture, Drained, Followed, Migrated, Turns, told
from benchmarks.living.tool import Ran
from benchmarks.living.writers import Speed
from clinic.platform import tokens

_SMALLER = 10
"""Part of the values with which growth is measured: once with all of them, once with a tenth."""
_LARGEST = 5_000_000


@dataclass(frozen=True)
class Small:
    """A tenth of the values: a migration while nobody writes, and one under writers in a closed loop."""

    values: int
    offline: Migrated
    before: Speed
    busy: Migrated
    after: Speed


@dataclass(frozen=True)
class Taken:
    """All that was measured."""

    small: Small
    offline: Migrated
    by_hand: float
    row_by_row: float
    closed: Capture
    paced: Capture
    live: Migrated
    drained: Drained
    following: Followed
    following_closed: Followed
    turns: list[Turns]
    turning: Speed
    turn_ran: Ran
    last: Speed
    largest: Migrated | None


def main() -> int:
    """Run the command: 0 whatever the figures."""
    parser = argparse.ArgumentParser(prog="python benchmarks/live.py", description=__doc__)
    parser.add_argument("--values", type=int, help="metric values (default 2000000; with --quick 200000)")
    parser.add_argument("--version", type=int, default=18, choices=(15, 16, 18), help="PostgreSQL (default 18)")
    parser.add_argument("--workers", type=int, default=2, help="Tenantry's workers (default 2)")
    parser.add_argument("--writers", type=int, default=3, help="connections of the application (default 3)")
    parser.add_argument("--cutovers", type=int, help="cut-overs, each taken back (default 20; with --quick 5)")
    parser.add_argument("--quick", action="store_true", help="fewer values, shorter scenes")
    parser.add_argument("--full", action="store_true", help=f"also {_LARGEST:,} values, to measure growth further")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    for hidden in ("--writer", "--tool"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault(tokens.VARIABLE, Fernet.generate_key().decode())
    if options.writer:
        writers.child(writers.Orders(**json.loads(options.writer)))
        return 0
    if options.tool:
        tool.child(tool.Task(**json.loads(options.tool)))
        return 0
    options.values = options.values or (200_000 if options.quick else 2_000_000)
    options.cutovers = options.cutovers or (5 if options.quick else 20)
    # So that servers and writers are stopped as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    taken = measure(options)
    found = figures(taken, options)
    if options.json:
        print(json.dumps({"figures": [asdict(figure) for figure in found]}, ensure_ascii=False))
    else:
        show(taken, found, options)
    return 0


def measure(options: argparse.Namespace) -> Taken:
    small = _small(options)
    with ground(options.version, options.values) as field:
        taken = _large(field, small, options)
    if not options.full:
        return taken
    with ground(options.version, _LARGEST) as field:
        largest = _offline(field, options, _LARGEST)
    return Taken(**{**vars(taken), "largest": largest})


def _small(options: argparse.Namespace) -> Small:
    values = max(10_000, options.values // _SMALLER)
    seconds = 1.5 if options.quick else 4.0
    with ground(options.version, values) as field:
        offline = _offline(field, options, values)
        say("live, under writers in a closed loop")
        dsn = scenes.fresh(field, "busy")
        before = scenes.plain(dsn, options.writers, rate=0, seconds=seconds)
        told("without Tenantry", before)
        busy = scenes.migrate(dsn, options.workers, writers=options.writers)
        told("during copy", busy.speeds["copy"])
        say(f"  took {busy.total:.1f} s")
        field.drop("busy")
        after = scenes.plain(scenes.fresh(field, "after"), options.writers, rate=0, seconds=seconds)
        told("without Tenantry", after)
    return Small(values, offline, before, busy, after)


def _offline(field: Ground, options: argparse.Namespace, values: int) -> Migrated:
    say(f"offline, {values:,} values")
    done = scenes.migrate(scenes.fresh(field, "offline"), options.workers)
    field.drop("offline")
    phases = ", ".join(f"{name} {done.ran.took(name):.1f}" for name, _ in done.ran.phases)
    say(f"  took {done.total:.1f} s ({phases}), peak memory {done.ran.memory:.0f} MB")
    return done


def _large(field: Ground, small: Small, options: argparse.Namespace) -> Taken:
    number, quick = options.writers, options.quick
    offline = _offline(field, options, options.values)
    dsn = field.fresh("by_hand")
    by_hand = hand.run(field, dsn)
    say(f"by hand took {by_hand:.1f} s")
    each = row_by_row(dsn, 1_000 if quick else 5_000, cached=True)
    field.drop("by_hand")

    say("writers with and without capture, in turns")
    dsn = scenes.fresh(field, "live")
    scenes.begin(dsn)
    turns, seconds = (2, 1.0) if quick else (4, 2.0)
    closed = scenes.capture(dsn, number, rate=0, turns=turns, seconds=seconds)
    told("closed loop, without", closed.plain)
    told("closed loop, with", closed.noted)
    rate = closed.plain.rate / 2
    paced = scenes.capture(dsn, number, rate=rate, turns=turns, seconds=seconds)
    told("half of that, without", paced.plain)
    told("half of that, with", paced.noted)

    say("live, under writers at that pace")
    live = scenes.migrate(dsn, options.workers, writers=number, rate=rate)
    for name in ("copy", "replay", "verify"):
        told(f"during {name}, {live.ran.took(name):.1f} s", live.speeds[name])
    say(f"  took {live.total:.1f} s, peak memory {live.ran.memory:.0f} MB")

    say("replay")
    drained = scenes.drain(dsn, number, 20_000 if quick else 100_000)
    say(f"  {drained.entries:,} entries: noted {drained.noted:,.0f} /s, carried over {drained.carried:,.0f} /s")
    seconds = 3.0 if quick else 8.0
    following = scenes.follow(dsn, number, rate=rate, seconds=seconds)
    told("writers at their pace", following.speed)
    following_closed = scenes.follow(dsn, number, rate=0, seconds=seconds)
    told("writers in a closed loop", following_closed.speed)
    tool.run(tool.Task("drain", dsn))

    say(f"{options.cutovers} cut-overs, each taken back, under writers at that pace")
    found, turning, ran = scenes.turn(dsn, number, rate=rate, times=options.cutovers)
    for turn in found:
        if not turn.held:
            continue
        say(
            f"  {turn.name}: kept out {median(turn.held):.0f} ms, at most {max(turn.held):.0f}; writers waited"
            f" {median(turn.waited):.0f} ms, at most {max(turn.waited):.0f}; {turn.attempts} attempts, {turn.entries:.0f} entries"
        )
    field.drop("live")
    last = scenes.plain(scenes.fresh(field, "last"), number, rate=0, seconds=2 * seconds / 3)
    told("closed loop, at the end", last)
    return Taken(
        small, offline, by_hand, each, closed, paced, live, drained, following, following_closed,
        found, turning, ran, last, None,
    )  # fmt: skip


def figures(taken: Taken, options: argparse.Namespace) -> list[Figure]:
    """The numbers, with units and promises."""
    values, small = options.values, taken.small
    base = taken.paced.plain
    busy_base = (small.before.rate + small.after.rate) / 2
    memory = max(taken.live.ran.memory, taken.offline.ran.memory, small.busy.ran.memory, taken.turn_ran.memory)
    growth = (taken.offline.total / values) / (small.offline.total / small.values)
    found = [
        Figure("writers without Tenantry, closed loop", round(taken.closed.plain.rate), "/s"),
        _at_least("throughput with capture / without", taken.closed.noted.rate / taken.closed.plain.rate, 0.9),
        Figure(f"throughput during copy / without, {small.values:,} values", _ratio(small.busy.speeds["copy"].rate, busy_base), "×"),
        Figure("throughput during replay / without", _ratio(taken.following_closed.speed.rate, taken.closed.plain.rate), "×"),
        Figure("throughput at the end / at the beginning, without Tenantry", _ratio(taken.last.rate, taken.closed.plain.rate), "×"),
        Figure("pace of the writers for all that follows", round(taken.closed.plain.rate / 2), "/s"),
        Figure("p50 without Tenantry", round(base.p50, 2), "ms"),
        Figure("p99 without Tenantry", round(base.p99, 2), "ms"),
        Figure("p99 with capture / without", _ratio(taken.paced.noted.p99, base.p99), "×"),
        Figure("p50 during copy", round(taken.live.speeds["copy"].p50, 2), "ms"),
        Figure("p99 during copy", round(taken.live.speeds["copy"].p99, 2), "ms"),
        _at_most("p99 during copy / without", taken.live.speeds["copy"].p99 / base.p99, 2),
        Figure("p99 from when due, without Tenantry", round(base.due_p99, 2), "ms"),
        Figure("p99 from when due, with capture", round(taken.paced.noted.due_p99, 2), "ms"),
        Figure("p99 from when due, during copy", round(taken.live.speeds["copy"].due_p99, 2), "ms"),
        Figure("p99 during verification / without", _ratio(taken.live.speeds["verify"].p99, base.p99), "×"),
        Figure("p99 during replay / without", _ratio(taken.following.speed.p99, base.p99), "×"),
        Figure("p99 while turned again and again / without", _ratio(taken.turning.p99, base.p99), "×"),
        Figure("longest stall of a writer during the migration", round(taken.live.stall), "ms"),
        Figure("longest stall of a writer without Tenantry", round(max(base.stall, taken.closed.plain.stall)), "ms"),
        Figure("migration while nobody writes", round(taken.offline.total, 1), "s"),
        Figure("live migration", round(taken.live.total, 1), "s"),
        _at_most("live / while nobody writes", taken.live.total / taken.offline.total, 1.5),
        Figure("live, its copy alone / while nobody writes", _ratio(taken.live.ran.took("copy"), taken.offline.ran.took("copy")), "×"),
        Figure("live / by hand, which verifies nothing", _ratio(taken.live.total, taken.by_hand), "×"),
        Figure("row by row / live", _ratio(taken.row_by_row * values, taken.live.total), "×"),
        Figure("WAL of the migration for each metric value, nobody writes", round(taken.offline.wal / values), "B"),
        Figure("WAL of the live migration and its writers", round(taken.live.wal / 1e6), "MB"),
        Figure("WAL of a transaction without capture", round(taken.closed.plain_wal), "B"),
        Figure("WAL of a transaction with capture", round(taken.closed.noted_wal), "B"),
        Figure("log entries of writers in a closed loop", round(taken.drained.noted), "/s"),
        Figure("log entries carried over", round(taken.drained.carried), "/s"),
        _at_least("replay / writers in a closed loop", taken.drained.carried / taken.drained.noted, 2),
        Figure("replay beside writers in a closed loop", round(taken.following_closed.carried), "/s"),
        _at_most("peak memory of Tenantry's process", memory, 150, "MB"),
        _at_most(f"peak memory, {values:,} values / {small.values:,}", taken.offline.ran.memory / small.offline.ran.memory, 1.1),
        *_turn_figures(taken),
        _at_most(f"time for each metric value, {values:,} / {small.values:,}", growth, 1.15),
    ]  # fmt: skip
    if taken.largest is not None:
        further = (taken.largest.total / _LARGEST) / (small.offline.total / small.values)
        found.append(_at_most(f"time for each metric value, {_LARGEST:,} / {small.values:,}", further, 1.15))
    return found


def _turn_figures(taken: Taken) -> list[Figure]:
    cut, back = taken.turns
    tried = len(cut.held) + len(back.held) + taken.turn_ran.given_up
    found = [
        Figure(f"turns that were given up, of {tried}", taken.turn_ran.given_up, "", "≤ 0", not taken.turn_ran.given_up)
    ]
    if cut.held:
        found += [
            _at_most("cut-over, writers kept out, median", median(cut.held), 200, "ms"),
            _at_most("cut-over, writers kept out, maximum", max(cut.held), 1000, "ms"),
            _at_most("cut-over, longest wait of a writer, median", median(cut.waited), 200, "ms"),
            _at_most("cut-over, longest wait of a writer, maximum", max(cut.waited), 1000, "ms"),
            Figure(f"attempts of {len(cut.held)} cut-overs", cut.attempts, ""),
        ]
    if back.held:
        found += [
            Figure("rollback, writers kept out, median", round(median(back.held)), "ms"),
            Figure("rollback, writers kept out, maximum", round(max(back.held)), "ms"),
            Figure(f"attempts of {len(back.held)} rollbacks", back.attempts, ""),
        ]
    return found


def _ratio(one: float, other: float) -> float:
    return round(one / other, 3)


def _at_most(name: str, value: float, goal: float, unit: str = "×") -> Figure:
    return Figure(name, round(value, 3 if unit == "×" else 0), unit, f"≤ {goal:g}", value <= goal)


def _at_least(name: str, value: float, goal: float, unit: str = "×") -> Figure:
    return Figure(name, round(value, 3), unit, f"≥ {goal:g}", value >= goal)


def show(taken: Taken, found: list[Figure], options: argparse.Namespace) -> None:
    """The tables for people."""
    console = Console(width=110)
    table = Table(
        title=f"{options.values:,} metric values, PostgreSQL {options.version}, {os.cpu_count()} cores, {options.writers} writers"
    )
    table.add_column("while")
    for name in ("closed loop, /s", "paced, /s", "p50 ms", "p99 ms", "longest ms"):
        table.add_column(name, justify="right")
    small = f"[dim]{taken.small.busy.speeds['copy'].rate:,.0f} of {taken.small.before.rate:,.0f} *[/dim]"
    rows: list[tuple[str, str, Speed]] = [
        ("there is no Tenantry", f"{taken.closed.plain.rate:,.0f}", taken.paced.plain),
        ("changes are noted", f"{taken.closed.noted.rate:,.0f}", taken.paced.noted),
        ("tables are copied", small, taken.live.speeds["copy"]),
        ("both sides are compared", "", taken.live.speeds["verify"]),
        ("replay keeps in step", f"{taken.following_closed.speed.rate:,.0f}", taken.following.speed),
        ("cut over and back, again and again", "", taken.turning),
    ]
    for name, closed, speed in rows:
        table.add_row(name, closed, f"{speed.rate:,.0f}", f"{speed.p50:.2f}", f"{speed.p99:.2f}", f"{speed.stall:.0f}")
    console.print(table)
    console.print(f"* with {taken.small.values:,} values")
    listed = Table()
    for name, justify in (("figure", "left"), ("value", "right"), ("unit", "left"), ("goal", "left"), ("", "left")):
        listed.add_column(name, justify="right" if justify == "right" else "left")
    for figure in found:
        verdict = "" if figure.met is None else ("kept" if figure.met else "missed")
        listed.add_row(figure.name, f"{figure.value:,g}", figure.unit, figure.goal or "", verdict)
    console.print(listed)
