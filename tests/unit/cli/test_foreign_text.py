"""Text that clients chose does not act on the terminal, and is no markup: it breaks no command."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast

from rich.text import Text

from tenantry.cli.console import err, out
from tenantry.cli.progress import Bars
from tenantry.migrate.copy.quarantine import Entry
from tenantry.report.foreign_text import Terminal, escape
from tenantry.report.terminal.quarantine import quarantine_entry, quarantine_list

EVIL = "[/x][bold]\x1b]0;pwned\x1b[31m\u202e\ud800[link=http://evil]x[/link]"
SEEN = "[/x][bold]\ufffd]0;pwned\ufffd[31m\ufffd\ufffd[link=http://evil]x[/link]"


def _terminal() -> tuple[Terminal, StringIO]:
    file = StringIO()
    return Terminal(file=file, width=400, highlight=False), file


def test_terminal_shows_what_acts_as_a_sign() -> None:
    console, file = _terminal()
    console.print(f"[bold]{escape(EVIL)}[/]")
    console.print(Text(EVIL))
    assert file.getvalue() == f"{SEEN}\n{SEEN}\n"
    assert isinstance(out, Terminal)
    assert isinstance(err, Terminal)


def test_progress_takes_any_text() -> None:
    console, file = _terminal()
    bars = Bars(console)
    with bars:
        bars.notice(f"{EVIL} is in the way")
        bars.line(EVIL)
        bars.count(EVIL, 1, 2)
        bars.finished(cast("Any", SimpleNamespace(id="x", kind="copy", title=EVIL)), seconds=2, rows=1)
    assert f"{SEEN} is in the way" in file.getvalue()


def test_views_take_any_key_and_value() -> None:
    entry = Entry(
        1, "notes", "notes", EVIL, "row_refused", "", "", (EVIL,), EVIL, EVIL, "open", datetime(2026, 1, 1, tzinfo=UTC), EVIL, EVIL,
        {EVIL: EVIL}, {EVIL: EVIL},
    )  # fmt: skip
    console, file = _terminal()
    quarantine_list(console, [entry], 1)
    quarantine_entry(console, entry)
    assert SEEN in file.getvalue()
    assert "\x1b]" not in file.getvalue()


def test_progress_on_a_terminal() -> None:
    file = StringIO()
    console = Terminal(file=file, width=400, force_terminal=True, highlight=False)
    bars = Bars(console)
    with bars:
        bars.started(cast("Any", SimpleNamespace(id="x", kind="copy", title=EVIL)), rows=5000, done_rows=0)
        bars.line(EVIL)
        bars.count(EVIL, 1, 2)
        bars.notice(EVIL)
    assert "pwned" in file.getvalue()
    assert "\x1b]0;pwned" not in file.getvalue()
