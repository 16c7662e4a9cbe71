"""Attacks on what tenants let each other read: shares that nobody accepted, and shares that have ended."""

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

_NO_SHARES = "the manifest knows no shares"
_SOON = 0.25
"""Seconds until a share ends whose end is set while somebody reads."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A share of the manifest, the table that holds such shares, and the tables whose rows are read by it."""

    name: str
    share: Share
    table: TargetTable
    read: tuple[TargetTable, ...]


def _places(scene: Attempt) -> Iterator[_Place]:
    tables = {prey.table.name: prey for prey in scene.ground.preys(scene.attacker)}
    for name, share in sorted(scene.manifest.shares.items()):
        read = [
            tables[table]
            for table, rule in scene.manifest.tables.items()
            if rule.access.shared == name and table in tables and tables[table].readable
        ]
        if share.table in tables and read:
            yield _Place(name, share, tables[share.table], tuple(read))


def _rows_of(seat: AttackSession, place: _Place, tenant: str) -> int:
    """How many rows of a tenant a seat sees in the tables that are read by a share."""
    counts = (
        f"(select count(*) from {prey.name} where {ident(prey.tenant)} = {prey.value(prey.tenant, tenant)})"
        for prey in place.read
        if prey.tenant is not None
    )
    return seat.run(f"select {' + '.join(counts)}").number


# -- shares that nobody accepted -----------------------------------------------------------------------------------------


@attack("writes", tries="Makes a share with another tenant that has not accepted it, states that it was accepted, and changes it so; then"
        " the other tenant looks.", gains="Rows of one's own among those that another tenant reads, and counts, as what it has agreed to.",
        rights=acceptance)  # fmt: skip
def push_a_share(scene: Attempt) -> AttackVerdict:
    if not scene.manifest.shares:
        return not_applicable(_NO_SHARES)
    tried = 0
    for place in _places(scene):
        row = scene.ground.new_row(place.table.table, None, _pushed(scene, place), place.share.holds)
        if row is None:
            continue
        with scene.turn(scene.victim) as victim:
            before = _rows_of(victim, place, scene.own)
        for how, statements in _ways(scene, place, row):
            with scene.turn(scene.attacker) as me:
                # All is looked at in one transaction, which is taken back.
                answers = [me.run(statement) for statement in statements]
                if not any(answer.touched for answer in answers):
                    tried += 1
                    continue
                _become_the_victim(scene, me)
                if _rows_of(me, place, scene.own) > before:
                    return broken(
                        f"{place.name}: a share that {how} shows the other tenant rows that it did not agree to"
                    )
            tried += 1
    return (
        held(f"{tried} ways to share showed the other tenant nothing")
        if tried
        else not_applicable("no share could be made")
    )


def _pushed(scene: Attempt, place: _Place) -> Values:
    tenant = scene.manifest.tenant.column
    return {**equalities(place.share.holds), tenant: scene.own, place.share.to: scene.other}


def _ways(scene: Attempt, place: _Place, row: Values) -> Iterator[tuple[str, list[str]]]:
    """What the tenant that shares does, and how it is said; the row is one that holds, as the table's owner could make it."""
    prey, share = place.table, place.share
    asked = sorted(name for name in columns_in(share.accepted, prey.table) if row.get(name) is not None)
    offered = insert_sql(prey, {name: value for name, value in row.items() if name not in asked})
    accepted = ", ".join(f"{ident(name)} = {prey.value(name, row[name])}" for name in asked)
    mine = " and ".join(
        f"{ident(name)} = {prey.value(name, row[name])}" for name in (scene.manifest.tenant.column, share.to)
    )
    if offered is not None:
        yield "was only offered", [offered]
    if asked:
        stated = list(dict.fromkeys([*(name for name in prey.insertable if row.get(name) is not None), *asked]))
        columns, values = ", ".join(map(ident, stated)), ", ".join(prey.value(name, row[name]) for name in stated)
        yield "its sender made as accepted", [f"insert into {prey.name} ({columns}) values ({values})"]
        update = f"update {prey.name} set {accepted} where {mine}"
        yield "its sender accepted", [*([offered] if offered is not None else []), update]
    # One that another tenant has accepted may stand there.
    to = f"{ident(share.to)} = {prey.value(share.to, scene.other)}"
    yield (
        "was accepted by another tenant",
        [
            f"update {prey.name} set {to} where {ident(scene.manifest.tenant.column)} = {prey.value(scene.manifest.tenant.column, scene.own)}"
        ],
    )


def _become_the_victim(scene: Attempt, seat: AttackSession) -> None:
    seat.raw("reset role")
    scene.open(seat, scene.ground.claims(scene.victim))
    seat.raw(f"set local role {ident(scene.ground.client)}")


# -- shares that have ended ----------------------------------------------------------------------------------------------


@attack("context", tries="Keeps reading what a tenant shares in a transaction that is open while the share is deleted, and while its time"
        " runs out.", gains="The rows of a tenant that does not share them any more, for as long as one keeps a transaction open.")  # fmt: skip
def share_ended_in_the_transaction(scene: Attempt) -> AttackVerdict:
    if not scene.manifest.shares:
        return not_applicable(_NO_SHARES)
    ends = [(place, how, what, undo) for place in _places(scene) for how, what, undo in _endings(scene, place)]
    seen = 0
    for place, how, statement, undo in ends:
        with scene.turn(scene.attacker) as me:
            if not _rows_of(me, place, scene.ground.fixtures.tenants[LENDER]):
                continue
            seen += 1
            with scene.ground.changed(statement, undo):
                if how == _TIME:
                    time.sleep(_SOON + 0.05)
                after = _rows_of(me, place, scene.ground.fixtures.tenants[LENDER])
        if after:
            return broken(f"{place.name}: {after} rows are seen after {how}")
    return (
        held(f"{seen} shares ended, and no row was seen any more")
        if seen
        else not_applicable("no row is seen by a share")
    )


_DELETED, _TIME = "the share was deleted", "the time of the share ran out"


def _endings(scene: Attempt, place: _Place) -> Iterator[tuple[str, str, str]]:
    """How the share of the lender can end: in words, by which statement, and what takes that back."""
    row = _standing(scene, place)
    if row is None:
        return
    yield _DELETED, f"delete from {place.table.name} where {row.where}", insert_row(row.table, row.values, again=True)
    for name in sorted(columns_in(place.share.active, row.table)):
        prey = place.table
        if not prey.column(name).type.startswith("timestamp"):
            continue
        update = (
            f"update {prey.name} set {ident(name)} = clock_timestamp() + interval '{_SOON} seconds' where {row.where}"
        )
        undo = f"update {prey.name} set {ident(name)} = {prey.value(name, row.values[name])} where {row.where}"
        if _runs_out(scene, place, update):
            yield _TIME, update, undo


def _standing(scene: Attempt, place: _Place) -> FixtureRow | None:
    """The invented row by which the lender shares."""
    for row in scene.ground.fixtures.rows.get(place.share.table, ()):
        query = f"select ({place.share.holds}) is true from {place.table.name} where {row.where}"
        if (
            row.facts.tenant == LENDER
            and row.values.get(place.share.to) == scene.own
            and scene.ground.ask(query) == [(True,)]
        ):
            return row
    return None


def _runs_out(scene: Attempt, place: _Place, update: str) -> bool:
    """Whether the share holds with this value, and does not with one that has passed; nothing of the trial stays."""
    owner = scene.ground.owner
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
