"""Memberships that end and tenants that are closed: the owner changes the synthetic rows before, or while, their members try what
they could do before."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from psycopg.pq import TransactionStatus

from tenantry.manifest.model import Share
from tenantry.mapping.project import Project
from tenantry.postgres import ident, literal
from tenantry.prove.expected.callers import (
    ABOVE,
    INACTIVE_LENDER,
    INACTIVE_MEMBERSHIP,
    INACTIVE_TENANT,
    OWN,
    REMOVED,
    SHARE,
    Caller,
    in_state,
)
from tenantry.prove.expected.shared_rows import LENDER, equalities, terms
from tenantry.prove.fixtures.build import FixtureRow, Fixtures, remove_leftovers
from tenantry.prove.fixtures.row_factory import CannotMake, RowFactory, Values, insert_sql

_MOST_CHANGES = 400
_TRIAL = "tenantry_trial"


class StateChange(Protocol):
    """A change that the owner makes to synthetic rows, and undoes."""

    def begin(self, conn: psycopg.Connection[Any]) -> None:
        """
        Raises:
            CannotMake: the server refuses it, and nothing was changed.
        """

    def end(self, conn: psycopg.Connection[Any]) -> None:
        """Restore the rows, as far as possible."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Other values for a row, so that a condition of the manifest no longer holds."""

    row: FixtureRow
    values: Values

    def begin(self, conn: psycopg.Connection[Any]) -> None:
        try:
            with conn.transaction():
                conn.execute("set constraints all immediate")
                done = conn.execute(_update(self.row, self.values)).rowcount
                if done != 1:
                    raise CannotMake(f"{self.row.table.name}: a trigger keeps the row unchanged")
        except psycopg.Error as error:
            raise CannotMake(f"{self.row.table.name}: {_said(error)}") from None

    def end(self, conn: psycopg.Connection[Any]) -> None:
        conn.execute(_update(self.row, {name: self.row.values[name] for name in self.values}))


@dataclass(frozen=True, slots=True)
class Removal:
    """Delete a membership. If rows of the member block that, delete them first; if that is refused too, make it inactive.

    Attributes:
        own: the member's other rows in that tenant, in the order in which they were made.
        rows: all synthetic rows, in the order in which they were made; those that are deleted too are restored with the membership.
        instead: how the membership is made inactive.
    """

    membership: FixtureRow
    own: tuple[FixtureRow, ...]
    rows: tuple[FixtureRow, ...]
    instead: Assignment | None

    def begin(self, conn: psycopg.Connection[Any]) -> None:
        said = ""
        for first in ((), self.own[::-1]) if self.own else ((),):
            try:
                with conn.transaction():
                    conn.execute("set constraints all immediate")
                    for row in first:
                        conn.execute(_delete(row))
                    if conn.execute(_delete(self.membership)).rowcount != 1:
                        raise CannotMake("a trigger keeps it")
            except (psycopg.Error, CannotMake) as error:
                said = _said(error)
            else:
                return
        if self.instead is None:
            raise CannotMake(f"{self.membership.table.name}: the membership cannot be removed: {said}")
        self.instead.begin(conn)

    def end(self, conn: psycopg.Connection[Any]) -> None:
        conn.execute("set constraints all deferred")
        if self.instead is not None:
            self.instead.end(conn)
        lost = gone(conn, self.rows)
        for row in self.rows:
            if (row.table.name, row.where) in lost:
                conn.execute(insert_sql(row.table, row.values, again=True).encode())


@dataclass(frozen=True, slots=True)
class StateScenario:
    """Callers in one state.

    Attributes:
        changes: the changes that lead to the state; for REMOVED they run while the caller's transaction is open, else before it.
        members: the same callers before the changes.
        reason: why the state cannot be reached; its cells are not tried then.
    """

    state: str
    callers: tuple[Caller, ...]
    members: tuple[Caller, ...]
    changes: tuple[StateChange, ...] = ()
    reason: str = ""


def scenarios(
    ready: RowFactory, project: Project, fixtures: Fixtures, everybody: Sequence[Caller]
) -> tuple[tuple[StateScenario, ...], tuple[str, ...]]:
    """Return the states of all members, in the order in which to try them; and the states that the manifest does not know, with the
    reason."""
    manifest = project.manifest
    members = tuple(
        caller
        for caller in everybody
        if caller.person is not None and OWN in caller.person.memberships and not caller.person.is_out
    )
    super_admins = tuple(
        caller
        for caller in everybody
        if caller.person is not None and caller.person.is_super and not caller.person.is_out
    )
    found: list[StateScenario] = []
    notes: list[str] = []
    rows = _rows_of(fixtures, manifest.membership.table)
    mine = [row for caller in members for row in rows if _belongs_to(row, caller)]
    ends: dict[str, Assignment] = {}

    active = manifest.membership.active
    if active is None:
        notes.append(_unknown(INACTIVE_MEMBERSHIP, "[membership]", "a membership counts until it is removed"))
    else:
        ends = {row.where: change for row in mine if (change := _violation(ready, row, active)) is not None}
        reason = "" if len(ends) == len(mine) else _not_found(manifest.membership.table, active)
        found.append(_scenario(INACTIVE_MEMBERSHIP, members, tuple(ends.values()), reason))

    active = manifest.tenant.active
    above = tuple(each for each in everybody if each.person is not None and ABOVE in each.person.memberships)
    places = ((INACTIVE_TENANT, OWN, (*members, *above, *super_admins)), (INACTIVE_LENDER, LENDER, members))
    for state, place, who in places:
        if place not in fixtures.tenants:
            continue
        if active is None:
            notes.append(_unknown(state, "[tenant]", "a tenant is open as long as it exists"))
            continue
        root = next(row for row in _rows_of(fixtures, manifest.tenant.table) if row.facts.tenant == place)
        change = _violation(ready, root, active)
        reason = "" if change is not None else _not_found(manifest.tenant.table, active)
        found.append(_scenario(state, who, () if change is None else (change,), reason, place))

    found += _shares_that_end(ready, project, fixtures, members)
    everything = tuple(row for rows in fixtures.rows.values() for row in rows)
    for caller in members:
        membership = next((row for row in rows if _belongs_to(row, caller)), None)
        if membership is not None:
            own = tuple(row for row in everything if _belongs_to(row, caller) and row is not membership)
            removal = Removal(membership, own, everything, ends.get(membership.where))
            found.append(_scenario(REMOVED, (caller,), (removal,), ""))
    return tuple(found), tuple(notes)


def _shares_that_end(
    ready: RowFactory, project: Project, fixtures: Fixtures, members: tuple[Caller, ...]
) -> Iterator[StateScenario]:
    """Break each condition of a share once, for all shares that have it; and delete each share once, while the same tenant keeps
    sharing everything else."""
    if LENDER not in fixtures.tenants:
        return
    shares = project.manifest.shares
    rows = {name: row for name, share in shares.items() if (row := _share_row(ready, fixtures, share)) is not None}
    asked: dict[str, list[str]] = {}
    for name in rows:
        for term in terms(shares[name].holds):
            asked.setdefault(term, []).append(name)
    for term, names in asked.items():
        if equalities(term):
            continue  # it identifies the share: deleting the share's row tells more
        told = f"{SHARE} was not accepted" if term in terms(shares[names[0]].accepted) else f"{SHARE} breaks {term}"
        groups = [(None, names)] if len(names) == len(rows) else [(name, [name]) for name in names]
        for only, group in groups:
            changes = [
                change
                for name in group
                if (change := _violation(ready, rows[name], _only(term, shares[name].holds))) is not None
            ]
            state = told if only is None else f"{told}: {only}"
            reason = "" if len(changes) == len(group) else _not_found(shares[group[0]].table, term)
            callers = tuple(in_state(caller, state, LENDER, only) for caller in members)
            yield StateScenario(state, callers, members, tuple(changes), reason)
    for name, row in rows.items():
        callers = tuple(in_state(caller, f"{SHARE} was ended: {name}", LENDER, name) for caller in members)
        yield StateScenario(f"{SHARE} was ended: {name}", callers, members, (Removal(row, (), (row,), None),))


def _share_row(ready: RowFactory, fixtures: Fixtures, share: Share) -> FixtureRow | None:
    """Return the synthetic row by which the lender shares."""
    for row in _rows_of(fixtures, share.table):
        if row.facts.tenant == LENDER:
            query = f"select ({share.holds}) is true from {ident(row.table.schema, row.table.name)} where {row.where}"
            if ready.conn.execute(query.encode()).fetchone() == (True,):
                return row
    return None


def _only(term: str, holds: str) -> str:
    """Return a condition that fails only when `term` fails and all other terms hold."""
    others = [each for each in terms(holds) if each != term]
    return f"({term}) or not (({' and '.join(f'({each})' for each in others) or 'true'}) is true)"


def _scenario(
    state: str, members: tuple[Caller, ...], changes: tuple[StateChange, ...], reason: str, place: str = OWN
) -> StateScenario:
    return StateScenario(state, tuple(in_state(caller, state, place) for caller in members), members, changes, reason)


def _rows_of(fixtures: Fixtures, table: str) -> list[FixtureRow]:
    return fixtures.rows.get(table, [])


def _belongs_to(row: FixtureRow, caller: Caller) -> bool:
    return row.facts.person is caller.person and row.facts.tenant == OWN


def _unknown(state: str, key: str, meaning: str) -> str:
    return f"{state}: not applicable, the manifest has no {key} active: {meaning}"


def _not_found(table: str, condition: str) -> str:
    return f"no value was found with which {condition} does not hold for a row of {table}"


def _violation(ready: RowFactory, row: FixtureRow, condition: str) -> Assignment | None:
    """Find the violation by trying values; every trial is rolled back."""
    for values in itertools.islice(ready.otherwise(row.table, row.values, condition), _MOST_CHANGES):
        if _breaks(ready.conn, f"{_update(row, values).decode()} returning ({condition}) is not true"):
            return Assignment(row, values)
    return None


def _breaks(conn: psycopg.Connection[Any], update: str) -> bool:
    """Return what an update returns, in one round trip; it is rolled back."""
    back = f"rollback to savepoint {_TRIAL}; release savepoint {_TRIAL}"
    try:
        results = conn.execute(f"savepoint {_TRIAL}; set constraints all immediate; {update}; {back}".encode())
    except psycopg.Error:
        if conn.info.transaction_status == TransactionStatus.INERROR:
            conn.execute(back)
        return False
    results.nextset()
    results.nextset()
    return results.fetchone() == (True,)


# -- on the server ------------------------------------------------------------------------------------------------------


def _update(row: FixtureRow, values: Values) -> bytes:
    types = {column.name: column.type for column in row.table.columns}
    assignments = ", ".join(f"{ident(name)} = {literal(value)}::{types[name]}" for name, value in values.items())
    return f"update {ident(row.table.schema, row.table.name)} set {assignments} where {row.where}".encode()


def _delete(row: FixtureRow) -> bytes:
    return f"delete from {ident(row.table.schema, row.table.name)} where {row.where}".encode()


def _said(error: Exception) -> str:
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return primary or str(error) or type(error).__name__


def gone(conn: psycopg.Connection[Any], rows: Sequence[FixtureRow]) -> set[tuple[str, str]]:
    """Return which of these rows do not exist, as table and condition."""
    if not rows:
        return set()
    tests = ", ".join(
        f"exists (select from {ident(row.table.schema, row.table.name)} where {row.where})" for row in rows
    )
    stands = conn.execute(f"select array[{tests}]".encode()).fetchone()
    assert stands is not None
    return {(row.table.name, row.where) for row, there in zip(rows, stands[0], strict=True) if not there}


@contextmanager
def changed(conn: psycopg.Connection[Any], changes: Sequence[StateChange], *, in_place: bool) -> Iterator[None]:
    """Apply changes for the duration of this context: in place in a savepoint, otherwise committed and undone.

    Raises:
        CannotMake: the server refuses one.
    """
    if in_place:
        with conn.transaction(force_rollback=True):
            for change in changes:
                change.begin(conn)
            yield
        return
    begun = False
    try:
        with conn.transaction():
            for change in changes:
                change.begin(conn)
        begun = True
        yield
    finally:
        if begun:
            with conn.transaction():
                for change in reversed(changes):
                    change.end(conn)


def stay_removable(conn: psycopg.Connection[Any], all_scenarios: Sequence[StateScenario]) -> tuple[StateScenario, ...]:
    """Return the same scenarios without those after which the synthetic rows could not be removed, e.g. because a trigger keeps a record
    of each change. All trials are rolled back."""
    kept = []
    for state, group in itertools.groupby(all_scenarios, key=lambda scenario: scenario.state):
        several = list(group)
        reason = _spoils(conn, [change for scenario in several for change in scenario.changes])
        for scenario in several:
            said = f"after it the synthetic rows could no longer be removed: {reason}" if reason else ""
            kept.append(
                StateScenario(
                    state, scenario.callers, scenario.members, () if said else scenario.changes, scenario.reason or said
                )
            )
    return tuple(kept)


def _spoils(conn: psycopg.Connection[Any], changes: Sequence[StateChange]) -> str:
    try:
        with conn.transaction(force_rollback=True):
            for change in changes:
                try:
                    change.begin(conn)
                except CannotMake:
                    continue
                change.end(conn)
            remove_leftovers(conn)
            conn.execute("set constraints all immediate")
    except psycopg.Error as error:
        return _said(error)
    return ""
