"""Whether source and target agree, and with what the application was told: `compare(…)` lists every violation.

Three witnesses that share nothing: the application's own memory of acknowledged writes, Tenantry's verification, and the
oracle, which derives the target from the source again in Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from tenantry.mapping import Project
from tenantry.migrate.run.compare_sides import compare_sides
from tenantry.migrate.run.handle import RunHandle
from tenantry.postgres import connect
from tests.chaos.ledger import ABSENT, TOKENS, Connection, Side, read_tokens, same, show, token_violations
from tests.chaos.load import State
from tests.chaos.oracle import COLUMNS, Expected, Facts, expected, found

_PARTS = frozenset({"user_clinic_roles", "google_credentials", "spreadsheet_connections"})
LISTED = 12
"""Violations of one kind that are listed; the rest is counted."""

_SOURCES = {
    "profiles": "users", "user_clinic_roles": "users", "google_credentials": "data_sources",
    "spreadsheet_connections": "data_sources",
}  # fmt: skip


class Database(Protocol):
    """What tests call a database: tests.conftest.Database is one."""

    @property
    def dsn(self) -> str: ...

    def dsn_as(self, user: str) -> str: ...


def compare(database: Database, project: Project, state: State | None, *, owner: str = "clinic_owner") -> list[str]:
    """Everything in which source, target and the application's memory do not agree.

    The application stands still, and everything was carried over to the other side.

    Args:
        state: what the load knows; None leaves its part out.
        owner: the migrator's login.
    """
    with connect(database.dsn) as connection:
        journal = Lists(connection)
        wrong = list(state.problems) if state is not None else []
        if state is not None:
            wrong += tokens(connection, journal, state)
        wrong += rows(connection, journal, side="source" if state is None else state.side)
        wrong += short(journal.conflicts) + short(journal.kept_rows())
        wrong += accounts(connection, journal)
    wrong += verification(database.dsn_as(owner), project)
    return wrong


class Lists:
    """What the journal lists: rows in quarantine, and merged ones, by mapping and key."""

    def __init__(self, connection: Connection) -> None:
        self.quarantined: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in COLUMNS}
        self.merged: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {name: {} for name in COLUMNS}
        for mapping, key, original in connection.execute(
            "select mapping, source_key, original from tenantry.quarantine where state = 'open'"
        ):
            self.quarantined[mapping][key] = original
        for mapping, key, into, original in connection.execute(
            "select mapping, source_key, into_key, original from tenantry.merged"
        ):
            self.merged[mapping][key] = (into, original)
        self.kept = {
            (row[0], row[1], row[2]): row[3]
            for row in connection.execute("select table_name, legacy_id, column_name, reason from tenantry.kept")
        }
        # Cells that a rollback kept in the target alone are listed when the source's row is carried over again: none of its writes is lost.
        self.conflicts = [
            f"conflict: {direction} {table} {key}: {reason} ({loser!r:.300})"
            for direction, table, key, reason, loser in connection.execute(
                "select direction, table_name, legacy_id, reason, loser from tenantry.conflict"
                " where reason not like 'the source row was replayed again%' order by id"
            )
        ]
        # A part of a source row that was born in the target has an id of its own there.
        self.born = {
            (row[0], row[1]): row[2]
            for row in connection.execute("select mapping, legacy_id, source_key from tenantry.born_part")
        }
        row = connection.execute("select direction from tenantry.run order by id desc limit 1").fetchone()
        self.direction = "forward" if row is None else str(row[0])
        # Whether applications have ever written the target: then it holds what the source cannot, as microseconds.
        self.turned = (
            connection.execute("select 1 from tenantry.event where code = 'rolled_back'").fetchone() is not None
        )

    def kept_rows(self) -> list[str]:
        """Rows that are in the target only: there are none that the source has no form for."""
        return [
            f"kept: {table} {key} is in the target only: {reason}"
            for (table, key, column), reason in self.kept.items()
            if not column and (table, key) not in self._standing_elsewhere()
        ]

    def _standing_elsewhere(self) -> set[tuple[str, str]]:
        return {(mapping, key) for (mapping, _), key in self.born.items()}


# -- (a) what the application was told ---------------------------------------------------------------------------------


def tokens(connection: Connection, journal: Lists, state: State) -> list[str]:
    """Every acknowledged write with its last value, exactly once, on both sides; and nothing that nobody wrote."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        return token_part(connection, journal, state)


def token_part(connection: Connection, journal: Lists, state: State) -> list[str]:
    """The same, within the caller's transaction."""
    source, target = read_tokens(connection, "source"), read_tokens(connection, "target")
    if journal.direction == "forward":
        # The source is what counts; behind a rollback it has what was written to the target, and what that never had.
        may_be = {table: {**state.elsewhere.get(table, {}), **rows} for table, rows in state.may_be.items()}
        wrong = short(token_violations(may_be, source, "source"))
    elif state.side == "source":
        wrong = short(token_violations(state.may_be, source, "source"))
    else:
        # What stood aside may have come to light: what it was merged with may be gone.
        may_be = {
            table: {**{key: [ABSENT, *maybe] for key, maybe in state.elsewhere.get(table, {}).items()}, **rows}
            for table, rows in state.may_be.items()
        }
        wrong = short(token_violations(may_be, target, "target"))
    only_there = {(table, key) for table, key, column in journal.kept if not column}
    for table, where in TOKENS.items():
        mapping = where.target_table
        listed: list[str] = []
        for key in source[table].keys() | target[table].keys():
            here, there = source[table].get(key, ABSENT), target[table].get(key, ABSENT)
            quarantined = journal.quarantined[mapping].get(key)
            merged = journal.merged[mapping].get(key)
            places = (there != ABSENT) + (quarantined is not None) + (merged is not None)
            if here == ABSENT and (mapping, key) in only_there:
                continue  # said elsewhere
            if here == ABSENT:
                listed.append(f"target {mapping} {key}: the source has no such row")
            elif places != 1:
                listed.append(
                    f"{table} {key} stands in {places} places: "
                    f"target {there != ABSENT}, quarantine {quarantined is not None}, merged {merged is not None}"
                )
            elif there != ABSENT:
                if not same(table, here, there):
                    listed.append(f"{table} {key}: the source says {show(here)}, the target {show(there)}")
            else:
                original = quarantined if quarantined is not None else merged[1] if merged is not None else {}
                kept = original.get(where.source_column)
                if kept != here:
                    listed.append(f"{table} {key}: the source says {show(here)}, the journal's original {show(kept)}")
        wrong += short(listed)
    for key in journal.quarantined["profiles"].keys() | journal.merged["profiles"].keys():
        if key not in source["users"]:
            wrong.append(f"users {key} is listed in the journal, and the source has no such row")
    return wrong


# -- (b) row by row ----------------------------------------------------------------------------------------------------


def rows(connection: Connection, journal: Lists, *, side: Side) -> list[str]:
    """The target against what the oracle makes of the source.

    Until applications have written the target, it follows from the source in everything. From then on the journal's lists of
    merged rows are taken as they are, and times need only agree in what the source can hold of them.
    """
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        return row_part(connection, journal, side=side)


def row_part(connection: Connection, journal: Lists, *, side: Side) -> list[str]:
    """The same, within the caller's transaction."""
    exactly = side == "source" and not journal.turned
    given = {name: {key: into for key, (into, _) in merged.items()} for name, merged in journal.merged.items()}
    want = expected(connection, None if exactly else given)
    got, wrong = found(connection)
    for name, made in want.items():
        here = {journal.born.get((name, key), key): row for key, row in got[name].items()}
        wrong += short(_rows(name, made, here, journal, exactly=exactly))
        if side == "source":
            wrong += short(_lists(name, made, journal))
    return wrong


def _rows(name: str, want: Expected, got: dict[str, Facts], journal: Lists, *, exactly: bool) -> list[str]:
    wrong = []
    columns = COLUMNS[name]
    for key in want.rows.keys() | got.keys():
        expected_row, found_row = want.rows.get(key), got.get(key)
        if found_row is None:
            if exactly or key not in journal.quarantined[name]:
                wrong.append(f"oracle: {name} {key} is not in the target, expected {expected_row}")
        elif expected_row is None:
            why = want.quarantined.get(key) or (
                f"merged into {want.merged[key]}" if key in want.merged else "no source"
            )
            wrong.append(f"oracle: {name} {key} is in the target ({found_row}), expected none: {why}")
        else:
            wrong += [
                f"oracle: {name} {key}, {column}: expected {one!r}, found {other!r}"
                for column, one, other in zip(columns, expected_row, found_row, strict=True)
                if one != other and (exactly or not _alike(one, other, name, key, column, journal))
            ]
    return wrong


def _alike(one: Any, other: Any, name: str, key: str, column: str, journal: Lists) -> bool:
    """Whether the source cannot say it any better than it does."""
    if isinstance(one, datetime) and isinstance(other, datetime):
        # The two parts of a source row have one time between them.
        return abs(one - other) < timedelta(milliseconds=1) or name in _PARTS
    # A document of the target goes on naming rows that were deleted there; the source's names none, derived again.
    return column in ("layout_config", "config") or (name, key, column) in journal.kept


def _lists(name: str, want: Expected, journal: Lists) -> list[str]:
    wrong = []
    for key in want.quarantined.keys() | journal.quarantined[name].keys():
        if key not in journal.quarantined[name]:
            wrong.append(f"oracle: {name} {key} belongs in quarantine ({want.quarantined[key]}) and is not there")
        elif key not in want.quarantined:
            wrong.append(f"oracle: {name} {key} is in quarantine and does not belong there")
    for key in want.merged.keys() | journal.merged[name].keys():
        into = journal.merged[name].get(key, (None,))[0]
        if into != want.merged.get(key):
            wrong.append(f"oracle: {name} {key} is listed as merged into {into}, expected {want.merged.get(key)}")
    return wrong


# -- (c) the accounting --------------------------------------------------------------------------------------------------


def accounts(connection: Connection, journal: Lists) -> list[str]:
    """Rows of the source = rows of the target + quarantined + merged, and by clinic for values."""
    wrong = []
    for name in COLUMNS:
        row = connection.execute(
            f"select (select count(*) from public.{_SOURCES.get(name, name)}), (select count(*) from clinic.{name})"
        ).fetchone()
        assert row is not None
        source, target = row
        quarantined, merged = len(journal.quarantined[name]), len(journal.merged[name])
        if source != target + quarantined + merged:
            wrong.append(
                f"accounting: {name} has {source} rows in the source, and {target} in the target + {quarantined} in"
                f" quarantine + {merged} merged"
            )
    by_clinic = (
        "select c.legacy_id, count(*), count(distinct v.external_id) filter (where v.external_id like 't%%'),"
        " sum(v.value), count(*) - count(distinct v.legacy_id) from clinic.metric_values v"
        " join clinic.clinics c on c.id = v.clinic_id group by 1"
    )
    for clinic, count, _, _, doubled in connection.execute(by_clinic):
        if doubled:
            wrong.append(f"accounting: clinic {clinic} has {doubled} of its {count} values more than once")
    for constraint, table in connection.execute(
        "select conname, conrelid::regclass::text from pg_constraint"
        " where connamespace = 'clinic'::regnamespace and not convalidated"
    ):
        wrong.append(f"accounting: constraint {constraint} of {table} was never validated")
    return wrong


# -- Tenantry's own verification -----------------------------------------------------------------------------------------


def verification(dsn: str, project: Project) -> list[str]:
    """Tenantry's own, as `tenantry verify` does it: every row, and what the target says of itself."""
    wrong = []
    with RunHandle(dsn, project.manifest) as live:
        for check in compare_sides(live):
            wrong += short([f"verify {check.check}: {difference}" for difference in check.differences])
            if check.account is not None and not check.account.balanced:
                wrong.append(f"verify: {check.account}")
    return wrong


def short(wrong: Iterable[str]) -> list[str]:
    listed = sorted(wrong)
    more = len(listed) - LISTED
    kinds = Counter(line.split(" ", 2)[0] for line in listed[LISTED:])
    return listed[:LISTED] + ([f"… and {more} more like these ({dict(kinds)})"] if more > 0 else [])


def explain_state(state: State) -> str:
    return (
        f"seed {state.seed}, {sum(state.transactions.values())} transactions, {state.fenced} refused by the fence,"
        f" {state.doubtful} in doubt, {state.speed}"
    )


__all__ = ["compare", "explain_state", "short", "verification"]
