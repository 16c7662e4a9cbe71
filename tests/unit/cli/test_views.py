"""What the terminal shows is what the database holds: names and values are never taken for markup, nor cut off."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tenantry.accounts.outcomes import UserOutcome
from tenantry.accounts.situations import SITUATIONS
from tenantry.cli.progress import Bars
from tenantry.migrate.copy.quarantine import Entry
from tenantry.report.terminal.quarantine import quarantine_entry, quarantine_list
from tenantry.report.terminal.table_layout import new_table
from tenantry.report.terminal.users import people

HOSTILE = "[red]x[/] [/bold] [ids]"


def shown(width: int = 120) -> tuple[Console, Any]:
    file = io.StringIO()
    return Console(file=file, width=width, highlight=False), lambda: " ".join(file.getvalue().split())


def entry() -> Entry:
    made: Entry = object.__new__(Entry)
    values = {
        "id": 7, "mapping": HOSTILE, "source_table": HOSTILE, "source_key": HOSTILE, "reason": "value_invalid", "problems": (),
        "source_column": "a", "original": {"a": HOSTILE}, "patch": {}, "what": HOSTILE, "fix": HOSTILE, "parent": HOSTILE,
        "detail": HOSTILE,
    }  # fmt: skip
    for name in Entry.__dataclass_fields__:
        object.__setattr__(made, name, values.get(name))
    return made


@pytest.mark.parametrize("view", ["list", "entry", "people", "notice"])
def test_names_and_values_are_shown_verbatim(view: str) -> None:
    console, text = shown(400)
    match view:
        case "list":
            quarantine_list(console, [entry()], 1)
        case "entry":
            quarantine_entry(console, entry())
        case "people":
            people(console, [UserOutcome(HOSTILE, SITUATIONS[0], HOSTILE, None, None, HOSTILE)])
        case _:
            Bars(console).notice(HOSTILE)
    assert HOSTILE in text()


def test_numbers_are_never_cut_off() -> None:
    console, text = shown(60)
    table = new_table(
        "table", "source\nrows", "target\nrows", right=("source\nrows", "target\nrows"), wrapped=("table",)
    )
    table.add_row("a_table_whose_name_alone_is_longer_than_the_line_is_wide_in_all", "1,234,567,890", "1,234,567,891")
    console.print(table)
    assert "1,234,567,890" in text()
    assert "1,234,567,891" in text()
