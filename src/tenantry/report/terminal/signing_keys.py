"""The keys that sign access tokens, without their private parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console

from tenantry.report.foreign_text import escape
from tenantry.report.terminal.table_layout import new_table

if TYPE_CHECKING:  # its packages are an extra
    from tenantry.auth.keys import SigningKeyState


def keys(console: Console, found: Sequence[SigningKeyState]) -> None:
    """Name, algorithm, use, since when it signs, and until when it verifies."""
    table = new_table("key", "algorithm", "use", "signs from (UTC)", "verifies until (UTC)")
    for each in found:
        table.add_row(
            escape(each.kid), each.algorithm, each.state, _moment(each.signs_from), _moment(each.verifies_until)
        )
    console.print(table)


def _moment(seconds: float | None) -> str:
    return "" if not seconds else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


__all__ = ["keys"]
