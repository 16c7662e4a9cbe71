"""Prints ids: translations, the rows of an id, and the forms that applications still use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console

from tenantry.ids.files import TranslationTally
from tenantry.ids.lookup import Seen, Use
from tenantry.report.foreign_text import escape
from tenantry.report.terminal.table_layout import new_table


def translated(console: Console, tally: TranslationTally, *, derived: bool) -> None:
    """Print how many ids were translated, and which were unknown."""
    said = f"{tally.rows:,} rows: {tally.translated:,} ids translated"
    for count, words in ((tally.same, "had that form already"), (tally.empty, "empty"), (tally.unknown, "unknown")):
        said += f", {count:,} {words}" if count else ""
    console.print(said + ".")
    if tally.first_unknown:
        unknown = escape(", ".join(one[:80] for one in tally.first_unknown))
        console.print(f"Unknown: {unknown}{' …' * (tally.unknown > 5)}")
    if derived:
        console.print("Computed, not looked up: ids of rows that were merged, or never migrated, belong to no row.")


def found(console: Console, rows: Sequence[Seen]) -> None:
    """Print the rows whose old or new id it is."""
    columns = ("from", "to", "old id", "new id", "state", "account")
    table = new_table(*columns, wrapped=columns)
    for each in rows:
        new = "" if each.new_id is None else str(each.new_id)
        account = "" if each.account is None else str(each.account)
        table.add_row(each.source_table or "", each.target_table, each.old_id, new, each.state, account)
    console.print(table)


def uses(console: Console, by_table: Mapping[str, Mapping[str, Use]]) -> None:
    """Print how often each form was used, and since when old ids are unused."""
    columns = ("table", "form", "uses", "in read-only", "first", "last")
    table = new_table(*columns, right=("uses", "in read-only"), wrapped=columns)
    for each in (use for forms in by_table.values() for use in forms.values()):
        counts = (f"{each.uses:,}", f"{each.read_only_uses:,}")
        table.add_row(each.table, each.form, *counts, _when(each.first), _when(each.latest))
    console.print(table)
    for name, forms in by_table.items():
        console.print(escape(_sentence(name, forms["old"])))


def _sentence(table: str, old: Use) -> str:
    if not old.accepted:
        return f"{table}: old ids are no longer accepted."
    if not old.used:
        return f"{table}: no old id has been used since counting began, {_when(old.since)}."
    if old.latest is None or (old.read_only_uses and old.read_only_last is None):
        return f"{table}: old ids are used in read-only transactions; this server does not record when they last were."
    days = (datetime.now(UTC) - old.latest).days
    if days < 1:
        return f"{table}: old ids are still used."
    return f"{table}: no old id has been used for {days:,} days, since {_when(old.latest)}."


def _when(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


__all__ = ["found", "translated", "uses"]
