"""Attacks on shares between tenants: shares that were not accepted, and shares that have ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from tenantry.manifest.model import Share
from tenantry.mapping.client_columns import columns_in
from tenantry.postgres import ident
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt, TargetTable
from tenantry.prove.attacks.harness.helpers import insert_sql
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.attacks.harness.rights import acceptance
from tenantry.prove.expected.shared_rows import LENDER, equalities
from tenantry.prove.fixtures.build import FixtureRow
from tenantry.prove.fixtures.row_factory import Values
from tenantry.prove.fixtures.row_factory import insert_sql as insert_row

_NO_SHARES = "the manifest has no shares"
_SOON = 0.25
"""Seconds until a share ends, in the attempt that reads while it ends."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A share of the manifest, the table that holds its rows, and the tables that it makes readable."""

    name: str
    share: Share
    table: TargetTable
    read: tuple[TargetTable, ...]


def _places(attempt: Attempt) -> Iterator[_Place]:
    tables = {target.table.name: target for target in attempt.world.targets(attempt.attacker)}
    for name, share in sorted(attempt.manifest.shares.items()):
        read = [
            tables[table]
            for table, rule in attempt.manifest.tables.items()
            if rule.access.shared == name and table in tables and tables[table].readable
        ]
        if share.table in tables and read:
            yield _Place(name, share, tables[share.table], tuple(read))


def _rows_of(session: AttackSession, place: _Place, tenant: str) -> int:
    """Return how many rows of a tenant the session sees in the tables that a share makes readable."""
    counts = (
        f"(select count(*) from {target.name} where {ident(target.tenant)} = {target.value(target.tenant, tenant)})"
        for target in place.read
        if target.tenant is not None
    )
    return session.run(f"select {' + '.join(counts)}").number


# -- shares that were not accepted ---------------------------------------------------------------------------------------


@attack("writes", tries="Makes a share with another tenant that has not accepted it, marks it as accepted by INSERT and UPDATE; then"
        " the other tenant reads.", gains="The attacker's rows among those that another tenant reads and counts as accepted.",
        rights=acceptance)  # fmt: skip
def push_a_share(attempt: Attempt) -> AttackVerdict:
    if not attempt.manifest.shares:
        return not_applicable(_NO_SHARES)
    tried = 0
    for place in _places(attempt):
        row = attempt.world.new_row(place.table.table, None, _pushed(attempt, place), place.share.holds)
        if row is None:
            continue
        with attempt.acting_as(attempt.victim) as victim:
            before = _rows_of(victim, place, attempt.own)
        for how, statements in _ways(attempt, place, row):
            with attempt.acting_as(attempt.attacker) as me:
                # Everything happens in one transaction, which is rolled back.
                answers = [me.run(statement) for statement in statements]
                if not any(answer.touched for answer in answers):
                    tried += 1
                    continue
                _become_the_victim(attempt, me)
                if _rows_of(me, place, attempt.own) > before:
                    return broken(
                        f"{place.name}: a share that {how} shows the other tenant rows that it did not accept"
                    )
            tried += 1
    return (
        held(f"{tried} ways to share showed the other tenant no row")
        if tried
        else not_applicable("no share could be made")
    )


def _pushed(attempt: Attempt, place: _Place) -> Values:
    tenant = attempt.manifest.tenant.column
    return {**equalities(place.share.holds), tenant: attempt.own, place.share.to: attempt.other}


def _ways(attempt: Attempt, place: _Place, row: Values) -> Iterator[tuple[str, list[str]]]:
    """Yield what the sharing tenant does, as (description, statements), given a row that would be a valid share."""
    target, share = place.table, place.share
    asked = sorted(name for name in columns_in(share.accepted, target.table) if row.get(name) is not None)
    offered = insert_sql(target, {name: value for name, value in row.items() if name not in asked})
    accepted = ", ".join(f"{ident(name)} = {target.value(name, row[name])}" for name in asked)
    mine = " and ".join(
        f"{ident(name)} = {target.value(name, row[name])}" for name in (attempt.manifest.tenant.column, share.to)
    )
    if offered is not None:
        yield "was only offered", [offered]
    if asked:
        stated = list(dict.fromkeys([*(name for name in target.insertable if row.get(name) is not None), *asked]))
        columns, values = ", ".join(map(ident, stated)), ", ".join(target.value(name, row[name]) for name in stated)
        yield "its sender made as accepted", [f"insert into {target.name} ({columns}) values ({values})"]
        update = f"update {target.name} set {accepted} where {mine}"
        yield "its sender accepted", [*([offered] if offered is not None else []), update]
    # A share that another tenant has accepted may exist.
    to = f"{ident(share.to)} = {target.value(share.to, attempt.other)}"
    column = attempt.manifest.tenant.column
    yield (
        "was accepted by another tenant",
        [f"update {target.name} set {to} where {ident(column)} = {target.value(column, attempt.own)}"],
    )


def _become_the_victim(attempt: Attempt, session: AttackSession) -> None:
    session.raw("reset role")
    attempt.open(session, attempt.world.claims(attempt.victim))
    session.raw(f"set local role {ident(attempt.world.client)}")


# -- shares that have ended ----------------------------------------------------------------------------------------------


@attack("context", tries="Keeps reading shared rows in a transaction that is open while the share is deleted, and while its time"
        " runs out.", gains="The rows of a tenant that no longer shares them, for as long as a transaction stays open.")  # fmt: skip
def share_ended_in_the_transaction(attempt: Attempt) -> AttackVerdict:
    if not attempt.manifest.shares:
        return not_applicable(_NO_SHARES)
    ends = [(place, how, what, undo) for place in _places(attempt) for how, what, undo in _endings(attempt, place)]
    seen = 0
    for place, how, statement, undo in ends:
        with attempt.acting_as(attempt.attacker) as me:
            if not _rows_of(me, place, attempt.world.fixtures.tenants[LENDER]):
                continue
            seen += 1
            with attempt.world.changed(statement, undo):
                if how == _TIME:
                    time.sleep(_SOON + 0.05)
                after = _rows_of(me, place, attempt.world.fixtures.tenants[LENDER])
        if after:
            return broken(f"{place.name}: {after} rows are visible after {how}")
    return (
        held(f"{seen} shares ended, and no row was visible any more")
        if seen
        else not_applicable("no row is visible through a share")
    )


_DELETED, _TIME = "the share was deleted", "the time of the share ran out"


def _endings(attempt: Attempt, place: _Place) -> Iterator[tuple[str, str, str]]:
    """Yield how the lender's share can end: (description, statement, statement that undoes it)."""
    row = _standing(attempt, place)
    if row is None:
        return
    yield _DELETED, f"delete from {place.table.name} where {row.where}", insert_row(row.table, row.values, again=True)
    for name in sorted(columns_in(place.share.active, row.table)):
        target = place.table
        if not target.column(name).type.startswith("timestamp"):
            continue
        update = (
            f"update {target.name} set {ident(name)} = clock_timestamp() + interval '{_SOON} seconds' where {row.where}"
        )
        undo = f"update {target.name} set {ident(name)} = {target.value(name, row.values[name])} where {row.where}"
        if _runs_out(attempt, place, update):
            yield _TIME, update, undo


def _standing(attempt: Attempt, place: _Place) -> FixtureRow | None:
    """Return the synthetic row by which the lender shares."""
    for row in attempt.world.fixtures.rows.get(place.share.table, ()):
        query = f"select ({place.share.holds}) is true from {place.table.name} where {row.where}"
        if (
            row.facts.tenant == LENDER
            and row.values.get(place.share.to) == attempt.own
            and attempt.world.ask(query) == [(True,)]
        ):
            return row
    return None


def _runs_out(attempt: Attempt, place: _Place, update: str) -> bool:
    """Whether the share is valid with this value and invalid with one in the past; the trial is rolled back."""
    owner = attempt.world.owner
    try:
        with owner.transaction(force_rollback=True):
            holds = [
                owner.execute(f"{statement} returning ({place.share.holds}) is true".encode()).fetchone()
                for statement in (update, update.replace("() + interval", "() - interval"))
            ]
    except psycopg.Error:
        return False
    return holds == [(True,), (False,)]


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
