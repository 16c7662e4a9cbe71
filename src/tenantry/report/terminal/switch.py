"""Prints switchovers: the cut-over, the switch back, the contract step, and replay."""

from __future__ import annotations

from rich.console import Console

from tenantry.migrate.follow import Followed
from tenantry.migrate.switch.contract import Contracted
from tenantry.migrate.switch.rollback import RolledBack
from tenantry.migrate.switch.switchover import Switchover
from tenantry.report.foreign_text import escape
from tenantry.report.formatting import seconds

_SIDES = {
    "reverse": "Applications write the target now. The source refuses writes and is kept synchronized.",
    "both": "Applications may write both the target and the source (dual-write window).",
    "forward": "Applications write the source again. The target is kept synchronized.",
}
_DIRECTIONS = {"forward": "source to target", "reverse": "target to source", "both": "both directions"}


def switched(console: Console, done: Switchover) -> None:
    """Print which side applications write now, and how long writers waited."""
    console.print(f"[green]✓[/] {_SIDES[done.direction]}")
    if done.already:
        console.print("  Already done; nothing was changed.")
        return
    tries = f", attempt {done.attempts}" if done.attempts > 1 else ""
    console.print(f"  Write pause: {done.stall * 1000:.0f} ms, in which {done.entries:,} changes were replayed{tries}.")
    if done.longest_stall > done.stall:
        console.print(f"  Longest write pause of an earlier attempt: {done.longest_stall * 1000:.0f} ms.")


def cut_over(console: Console, done: Switchover) -> None:
    """Print the cut-over, and what follows it."""
    switched(console, done)
    if done.direction == "both":
        console.print(
            "Keep `tenantry replay` running: it replays changes in both directions, and closes the source when the"
        )
        console.print("dual-write window ends (or end it yourself: `tenantry cutover`).")
    else:
        console.print("Keep `tenantry replay` running: it replays changes of the target into the source.")
    console.print("To go back: `tenantry rollback`. To complete the migration: `tenantry contract`.")


def rolled_back(console: Console, done: RolledBack) -> None:
    """Print what was undone, and the rows for which the source has no place."""
    if done.turned is not None:
        switched(console, done.turned)
    if done.undone:
        console.print(f"[green]✓[/] {len(done.undone)} steps were undone: the database is as it was before the run.")
    if done.already:
        console.print("This database has no run of Tenantry: nothing is left to undo.")
    for table, number in done.kept:
        there = f"schema {done.archive}" if done.archive else "the target"
        console.print(
            f"  {number:,} target-only rows of {escape(table)} have no source form: they are kept in {there}."
        )
    if done.conflicts:
        console.print(
            f"  {done.conflicts:,} changes could not be replayed; they are listed in"
            f" {escape(done.archive)}.{escape(done.conflicts_table)}."
        )
    for each in done.again:
        console.print(
            f"  [yellow]![/] {each.number:,} memberships that ended in {escape(each.table)} count again: the rows of"
            f" {escape(each.source)} that they are made from are still there. End them in {escape(each.source)} too."
        )
    if done.turned is not None and not done.undone:
        console.print("To cut over again: `tenantry cutover`. To undo the whole run: `tenantry rollback --everything`.")


def contracted(console: Console, done: Contracted) -> None:
    """Print that the migration is complete, and where the archive is."""
    if done.already:
        console.print("Already contracted; nothing was changed.")
        return
    console.print(
        f"[green]✓[/] {len(done.dropped)} source tables dropped; the migration is complete ({seconds(done.seconds)})."
    )
    if done.archive is not None:
        console.print(f"  The source is archived in {escape(str(done.archive))}; restore it with pg_restore.")


def following_line(total: Followed, lag: int, age: float) -> str:
    """Return one line of progress."""
    sides = (
        f" ({total.from_source:,} from the source, {total.from_target:,} from the target)"
        if total.direction == "both"
        else ""
    )
    return f"{_DIRECTIONS.get(total.direction, '')}: {total.entries:,} changes replayed{sides}, lag {lag:,} entries, {age:.1f} s"


def followed(console: Console, done: Followed) -> None:
    """Print the totals of a replay."""
    console.print(
        f"{done.entries:,} changes replayed in {done.rounds:,} rounds: {done.rows:,} rows written, {done.refused:,} into quarantine,"
        f" {done.conflicts:,} conflicts."
    )
    if done.conflicts:
        console.print("  tenantry.conflict lists each change that was not applied, with the row that won.")


__all__ = ["contracted", "cut_over", "followed", "following_line", "rolled_back", "switched"]
