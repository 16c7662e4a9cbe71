"""Decides which tables keep the ids that their rows have (`ids = "keep"`)."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.catalog import Table
from tenantry.draft.context import Drafting
from tenantry.draft.model import Question
from tenantry.errors import SettingsError, nearest
from tenantry.mapping.values.type_names import INTEGERS
from tenantry.survey.sample import base_type

_KEPT = (*INTEGERS, "text", "character varying")


def find_kept(work: Drafting, carried: Sequence[Table]) -> None:
    """Find the tables that keep their ids, as the options ask for it; ask if nothing was said.

    Raises:
        SettingsError: a table that was named does not exist, or cannot keep its ids.
    """
    can = {table.name: table for table in carried if not _why_not(work, table)}
    for name in work.options.keep:
        _need(work, name, carried)
    wanted = list(can) if work.options.keep_ids else work.options.keep
    # Uuids stay the same anyway.
    work.kept = {name: _type(work, can[name]) for name in wanted if _kind(work, can[name]) != "uuid"}
    possible = [name for name in can if _kind(work, can[name]) != "uuid"]
    if possible and not work.kept:
        _ask(work, possible)


def _need(work: Drafting, name: str, carried: Sequence[Table]) -> None:
    table = next((each for each in carried if each.name == name), None)
    if table is None and name in work.out.ignored:
        raise SettingsError(
            f"--keep: {name} is not migrated: {work.out.ignored[name]}.", hint="Take it out of --keep; its rows stay where they are."
        )  # fmt: skip
    if table is None:
        names = [each.name for each in carried]
        near = nearest(name, names)
        raise SettingsError(
            f"--keep: there is no table {name!r} in schema {work.catalog.schema}.",
            hint=f"Did you mean {near!r}?" if near else f"There are {', '.join(names[:20])}.",
        )
    if why := _why_not(work, table):
        raise SettingsError(
            f"--keep: rows of {name} cannot keep their ids: {why}.",
            hint="Take it out of --keep; a column of its own can hold the old number as well.",
        )


def _why_not(work: Drafting, table: Table) -> str:
    """Explain why the rows of a table cannot keep their ids; empty if they can."""
    key = table.row_key or ()
    if table.name == work.root:
        return "it is the tenant table, which access rules know by uuids"
    if table.name == work.users:
        return "it is the table of the people who sign in, whom access rules know by uuids"
    if table.name == work.survey.membership and not work.person:
        return "it is the table of memberships, which access rules know by uuids"
    if len(key) != 1:
        return f"its key has several columns ({', '.join(key)})"
    if _kind(work, table) not in (*_KEPT, "uuid"):
        return f"its key, {key[0]}, is {_type(work, table)}; integers, text, varchar and uuid can be kept"
    return ""


def _kind(work: Drafting, table: Table) -> str:
    column = table.column((table.row_key or ("",))[0])
    return base_type(work.catalog, column) if column is not None else ""


def _type(work: Drafting, table: Table) -> str:
    """Return the type of the target's ids; that of a domain is the one below it."""
    column = table.column((table.row_key or ("",))[0])
    assert column is not None
    return column.type if column.type_kind == "base" else _kind(work, table)


def _ask(work: Drafting, possible: Sequence[str]) -> None:
    """Ask whether numbers that people may know stay."""
    names = ", ".join(possible[:6]) + (", …" if len(possible) > 6 else "")
    work.out.questions.append(
        Question(
            "ids", "Do people or other systems know numbers of rows, such as those of invoices?",
            (f"tables whose ids can stay: {names}",),
            "Rows get uuids; legacy_id has the old id.",
            (f"tenantry init --keep {possible[0]} (or several, with commas): rows of these tables keep their ids.",
             "tenantry init --ids keep: all tables for which it is possible."), 2,
        )
    )  # fmt: skip
