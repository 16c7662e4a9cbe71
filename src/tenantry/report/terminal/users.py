"""Prints the outcomes for users, and the queue of account events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from tenantry.accounts.outcomes import Fate, UserOutcome
from tenantry.auth_admin.actions import Ran, Refused
from tenantry.report.foreign_text import escape
from tenantry.report.terminal.table_layout import new_table

_SHOWN = 50


def fates(console: Console, found: Sequence[Fate], heading: str) -> None:
    """Print how many users are in each situation.

    Args:
        heading: the heading of the column with the outcome.
    """
    table = new_table("users", "account", heading, "to do", right=("users",), wrapped=(heading, "to do"))
    for each in found:
        fate = {"left": "none yet"}.get(each.situation.fate, each.situation.fate)
        what = Text.assemble(each.situation.title, (f" ({each.situation.name})", "dim"))
        table.add_row(f"{each.count:,}", fate, what, each.situation.does)
    console.print(table)
    console.print(f"{sum(each.count for each in found):,} users.")


def people(console: Console, found: Sequence[UserOutcome]) -> None:
    """Print users one by one."""
    columns = ("old id", "e-mail", "what", "to do")
    table = new_table(*columns, wrapped=columns)
    for each in found:
        what = each.situation.title + (f" ({each.detail})" if each.detail else "")
        table.add_row(each.source_key, each.email or "", what, each.situation.does)
    console.print(table)
    console.print(f"{len(found):,} users.")


def pushed(console: Console, ran: Ran, problems: Sequence[Refused]) -> None:
    """Print the results of requests to the admin API, and its refusals."""
    console.print(f"{ran.done:,} done, {ran.before:,} done before, {len(problems):,} refused.")
    for each in problems[:_SHOWN]:
        console.print(f"[red]refused[/] {escape(each.source_key)}: {escape(str(each.error_code))}")
    if len(problems) > _SHOWN:
        console.print(f"… and {len(problems) - _SHOWN:,} more (--json lists all of them)")


def events(console: Console, found: Sequence[Mapping[str, Any]], remaining: int) -> None:
    """Print the queue of account events."""
    if found:
        columns = ("number", "account", "action", "why not yet", "tries", "next try")
        table = new_table(*columns, right=("number", "tries"), wrapped=("account", "action", "why not yet"))
        for event in found:
            why = " ".join(text for text in (event["code"], event["message"]) if text)
            again = "done" if event["done_at"] else f"{event['next_at']:%Y-%m-%d %H:%M}"
            cells = (str(event["id"]), str(event["account"]), event["what"], why, str(event["tries"]))
            table.add_row(*cells, again)
        console.print(table)
    console.print(
        f"{remaining:,} open. `tenantry users retry` retries those that are due." if remaining else "Nothing is open."
    )


__all__ = ["events", "fates", "people", "pushed"]
