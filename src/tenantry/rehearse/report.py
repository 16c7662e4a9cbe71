"""The report of a rehearsal: sections of sentences and tables, for the terminal and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from tenantry.derivation.reverse.columns import FEWER_DIGITS
from tenantry.migrate.session.backups import backup_lines
from tenantry.rehearse.model import Rehearsal
from tenantry.report.foreign_text import escape
from tenantry.report.formatting import count, duration, size
from tenantry.report.html import write_report

_MOST = 30
"""The largest number of shown lines of a list; rehearsal.json has all of them."""


@dataclass(frozen=True, slots=True)
class Section:
    """Sentences, and a table below them. Columns whose names begin with `>` contain numbers."""

    title: str
    said: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def verdict(result: Rehearsal) -> str:
    """Return the result in one sentence."""
    if result.passed:
        return "The rehearsal completed: nothing was found that would stop or spoil the migration."
    reached = "" if result.complete else f"; the rehearsal did not complete (last stage: {_last(result)})"
    return f"{count(len(result.problems), 'problem')} would stop or spoil the migration{reached}."


def _last(result: Rehearsal) -> str:
    return result.stages[-1].name if result.stages else "the copy"


def sections(result: Rehearsal) -> list[Section]:
    """Return all sections, the most important first."""
    made = [
        _problems(result),
        _estimate(result),
        _durations(result),
        _locks(result),
        _writes(result),
        _rows(result),
        _set_aside(result),
        _source(result),
        _proof(result),
        Section("Backups of the original", tuple(line.strip() for line in backup_lines(result.backups))),
        Section("Notes", tuple(result.notes)),
        _copy(result),
    ]
    return [section for section in made if section.said or section.rows]


def _problems(result: Rehearsal) -> Section:
    rows = tuple((problem.stage, problem.code, problem.what, problem.fix) for problem in result.problems)
    return Section("Problems", (), ("stage", "code", "problem", "what to do"), rows)


def _estimate(result: Rehearsal) -> Section:
    found = result.estimate
    said = []
    if found["migrate_seconds"] is not None:
        alike = (
            "It has the same rows on the same server"
            if found["same_server"]
            else "The copy is on another server, so the durations are only a hint"
        )
        said.append(f"`tenantry migrate` takes about {duration(found['migrate_seconds'])}. {alike}.")
        said.append(
            f"It writes about {size(found['wal_bytes'])} of WAL, and needs about {size(found['disk_bytes'])} of disk space"
            f" in addition to the existing {size(result.original_bytes)}, plus what applications write meanwhile."
        )
    if found["stall_seconds"] is not None:
        said.append(f"Writers wait for about {duration(found['stall_seconds'])} at the cut-over.")
    if found["undo_seconds"] is not None:
        said.append(f"Undoing everything after the cut-over takes about {duration(found['undo_seconds'])}.")
    return Section("Estimates for the original", tuple(said))


def _durations(result: Rehearsal) -> Section:
    rows = []
    for stage in result.stages:
        rows.append((stage.name, duration(stage.seconds), size(stage.wal_bytes), size(stage.database_bytes)))
        if stage.name == "migrate":
            rows += [
                (f"· {phase.name}", duration(phase.seconds), size(phase.wal_bytes), size(phase.database_bytes))
                for phase in result.phases
            ]
    peak = f"The copy was {size(result.start_bytes)} at the start and {size(result.peak_bytes)} at most."
    return Section(
        "Durations",
        (peak,) if result.peak_bytes else (),
        ("stage", ">took", ">WAL of the server", ">size at its end"),
        tuple(rows),
    )


def _locks(result: Rehearsal) -> Section:
    said = []
    if result.locks:
        longest = max(result.locks, key=lambda lock: lock.seconds)
        said.append(
            f"Creating triggers took at most {duration(longest.seconds)} for one table ({longest.table}), including the wait for its lock."
        )
    said += [
        f"{written.side.capitalize()}: the slowest synthetic write took {duration(written.longest)}."
        for written in result.written
        if written.writes
    ]
    rows = [(f"triggers on {lock.table}", duration(lock.seconds), "", "") for lock in result.locks[:_MOST]]
    rows += [(turn.name, duration(turn.longest_stall), str(turn.attempts), str(turn.entries)) for turn in result.turns]
    return Section(
        "Locks", tuple(said), ("step", ">writers wait at most", ">attempts", ">changes replayed"), tuple(rows)
    )


def _writes(result: Rehearsal) -> Section:
    said = [
        f"{written.side.capitalize()}: {written.writes:,} writes of {count(written.rows, 'row')} in"
        f" {count(written.tables, 'table')} by {written.login}, {sum(written.refused.values()):,} refused;"
        f" values were changed back and forth in {written.changing} of the tables; in the others rows were rewritten unchanged."
        + (" After the cut-over the source refused them, as it should." if written.fenced else "")
        for written in result.written
    ]
    rows = tuple(
        (each.direction, f"{each.entries:,}", f"{each.rows:,}", f"{each.refused:,}", f"{each.conflicts:,}")
        for each in result.carried
    )
    columns = ("replayed", ">changes", ">rows", ">into quarantine", ">conflicts")
    return Section("Synthetic writes", tuple(said), columns, rows)


def _rows(result: Rehearsal) -> Section:
    if result.outcome is None:
        return Section("Rows")
    rows = tuple(
        (
            account.source_table,
            account.mapping,
            f"{account.source:,}",
            f"{account.target:,}",
            f"{account.quarantined:,}",
            f"{account.merged:,}",
            "balanced" if account.balanced else "NOT balanced",
        )
        for account in sorted(result.outcome.accounts, key=lambda each: -each.source)
    )
    checks = result.outcome.verifications
    said = (
        f"{result.outcome.rows:,} rows were migrated; {count(len(checks), 'check')} of source and target,"
        f" {count(len(result.differences), 'difference')}.",
        *result.differences[:_MOST],
    )
    columns = ("source", "target", ">source rows", ">= target", ">+ quarantined", ">+ merged", "")
    return Section("Rows", said, columns, rows)


def _kept(result: Rehearsal) -> list[tuple[str, str, str, str, str]]:
    """Return target-only data; times that lose a fraction of a second are grouped, since they are many and similar."""
    times = [entry for entry in result.kept_cells if str(entry["reason"]).endswith(FEWER_DIGITS)]
    some = times if len(times) > 1 else []
    rows = [
        (f"{entry['table_name']}.{entry['column_name']}".rstrip("."), str(entry["reason"]), int(entry["count"]))
        for entry in result.kept_cells
        if entry not in some
    ]
    if some:
        tables = len({entry["table_name"] for entry in some})
        where = f"{len(some)} columns of {count(tables, 'table')}"
        rows.append((where, f"the source {FEWER_DIGITS}", sum(int(entry["count"]) for entry in some)))
    return [("target-only", where, why, f"{number:,}", "") for where, why, number in rows]


def _set_aside(result: Rehearsal) -> Section:
    rows = [
        ("quarantine", str(entry["mapping"]), str(entry["what"]), f"{entry['count']:,}", ", ".join(entry["keys"][:2]))
        for entry in result.quarantine
    ]
    rows += [
        ("merged", str(entry["mapping"]), str(entry["reason"]), f"{entry['count']:,}", ", ".join(entry["keys"][:2]))
        for entry in result.merged
    ]
    rows += [
        (f"conflict ({entry['direction']})", str(entry["table_name"]), str(entry["reason"]), f"{entry['count']:,}", "")
        for entry in result.conflicts
    ]
    rows += _kept(result)
    blockers = [finding for finding in result.findings if finding.severity == "blocker"]
    warnings = sum(finding.severity == "warning" for finding in result.findings)
    said = []
    if result.findings:
        said.append(
            f"{count(len(result.findings), 'finding')}: {len(blockers)} block a migration and {warnings} need attention:"
            " `tenantry analyze`."
        )
    return Section("Set aside", tuple(said), ("what", "where", "why", ">rows", "for example"), tuple(rows))


def _source(result: Rehearsal) -> Section:
    said = []
    for stage, found in result.source.items():
        said.append(
            f"After {stage!r}: {found.rows:,} rows of {count(found.tables, 'source table')} compared with their state before"
            f" the migration; {count(len(found.differences), 'difference')}."
        )
        said += list(found.differences)
        if found.stamped:
            columns = ", ".join(list(found.stamped)[:8]) + (", …" if len(found.stamped) > 8 else "")
            said.append(
                f"Not compared, in the {found.written:,} rows that the rehearsal wrote: columns that triggers set at each write"
                f" ({columns})."
            )
        if found.triggered:
            said.append(
                f"Not compared: rows of {', '.join(found.triggered)}, which triggers of the application or foreign-key actions"
                " changed together with the rows that the rehearsal wrote."
            )
    return Section("The source afterwards", tuple(dict.fromkeys(said)))


def _proof(result: Rehearsal) -> Section:
    if result.proof is None:
        return Section("Proof")
    counts = result.proof.counts
    every = "every one holds" if result.proof.passed else "NOT all hold"
    return Section(
        "Proof",
        (
            f"{counts['cells']:,} cells of the access matrix were executed as {result.proof.login}, {counts['failed']} failed,"
            f" {counts['untried']} could not be tried; {counts['checks']} static checks, {counts['checks_failed']} failed:"
            f" {every}.",
        ),
    )


def _copy(result: Rehearsal) -> Section:
    if result.copy is None:
        return Section("The copy")
    said = [
        f"{result.copy.database} on {result.copy.server}, created by {result.copy.method} in {duration(result.copy.seconds)}; "
        + (
            "kept: drop it when it is no longer needed." if result.kept else "left over." if result.left else "dropped."
        ),
        f"The original, {result.original}, was only read.",
    ]
    return Section("The copy", tuple(said))


# -- at a terminal -------------------------------------------------------------------------------------------------------


def show(console: Console, result: Rehearsal, folder: Path | None = None) -> None:
    """Print everything, with the verdict last, so that it stays visible."""
    for section in sections(result):
        console.print(f"\n[bold]{escape(section.title)}[/]")
        for sentence in section.said:
            console.print(f"  {escape(sentence)}", highlight=False)
        if section.rows:
            console.print(_table(section))
    mark = "[green]✓[/]" if result.passed else "[bold red]✗[/]"
    console.print(f"\n{mark} {escape(verdict(result))} [dim]({duration(result.seconds)})[/]", highlight=False)
    if folder is not None:
        console.print(f"Report: {escape(str(folder))}/rehearsal.md", highlight=False)


def _table(section: Section) -> RichTable:
    table = RichTable(box=None, pad_edge=True, header_style="bold")
    for column in section.columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    for row in section.rows[:_MOST]:
        table.add_row(*(Text(cell) for cell in row))
    if len(section.rows) > _MOST:
        table.add_row(Text(f"… and {len(section.rows) - _MOST} more"), *("" for _ in section.columns[1:]))
    return table


# -- as files ------------------------------------------------------------------------------------------------------------


def markdown(result: Rehearsal) -> str:
    """Return the report as one page of Markdown."""
    parts = [f"# Rehearsal of {_cell(result.name)}", "", f"**{verdict(result)}**", ""]
    parts.append(
        f"Database {_cell(result.original)} ({size(result.original_bytes)}, PostgreSQL {result.version // 10000}), started"
        f" {result.begun}, {duration(result.seconds)}."
    )
    if result.report is not None:
        parts.append("The report of the migration itself: [report.html](report.html).")
    for section in sections(result):
        parts += ["", f"## {section.title}", ""]
        parts += [f"- {_cell(sentence)}" for sentence in section.said]
        if section.rows:
            parts += ["", *_lines(section.columns, section.rows)]
    return "\n".join(parts) + "\n"


def _lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    head = [column.lstrip(">") or " " for column in columns]
    rule = ["---:" if column.startswith(">") else "---" for column in columns]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *([_cell(cell) for cell in row] for row in rows))]


def _cell(text: str) -> str:
    """Escape text for a cell: names of tables may contain any character."""
    plain = " ".join(str(text).split())
    for sign in ("\\", "|", "<", "*", "_", "[", "]"):
        plain = plain.replace(sign, f"\\{sign}")
    return plain


def write(result: Rehearsal, folder: Path) -> None:
    """Create a folder, and write rehearsal.md, rehearsal.json and the migration's own report into it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rehearsal.md").write_text(markdown(result), encoding="utf-8")
    text = json.dumps(result.to_json(), indent=1, default=str)
    (folder / "rehearsal.json").write_text(text + "\n", encoding="utf-8")
    if result.report is not None:
        write_report(result.report, folder)


__all__ = ["Section", "markdown", "sections", "show", "verdict", "write"]
