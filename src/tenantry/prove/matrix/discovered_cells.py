"""Tries each command as one caller on one row of another tenant, without a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import psycopg
from psycopg import errors

from tenantry.postgres import ident, idents, literal
from tenantry.prove.matrix.calls import Routine, call
from tenantry.prove.matrix.discovered_members import DiscoveredCaller, become
from tenantry.prove.matrix.discovered_rows import DiscoveredRow, place_of
from tenantry.prove.matrix.discovered_tables import DiscoveredTable
from tenantry.prove.model import Cell, Outcome

LOCK_TIMEOUT = "2s"


STATEMENT_TIMEOUT = "10s"


_REACHED = (errors.IntegrityError,)
"""Constraints that are checked after a policy has let the row through."""


def try_commands(
    owner: psycopg.Connection[Any],
    caller: DiscoveredCaller,
    table: DiscoveredTable,
    own: DiscoveredRow | None,
    other: DiscoveredRow | None,
    reason: str,
) -> Iterator[Cell]:
    relation = "any row" if caller.member is None else "other tenant"

    def cell(command: str, relation: str, expected: Literal["allow", "refuse"], got: Outcome, detail: str) -> Cell:
        return Cell(caller.label, table.shown, command, relation, expected, got, detail)

    if other is None:
        for command in ("select", "insert", "update", "delete"):
            yield cell(command, relation, "refuse", "not tried", reason)
        return
    with owner.transaction(force_rollback=True):
        become(owner, caller)
        owner.execute("set constraints all deferred")
        if caller.member is not None and own is not None:
            got, said = _run(owner, f"select count(*) from {table.shown} where {place_of(own)}")
            # Only a manifest can say whether this is allowed; it shows that these claims have an effect.
            yield cell("select", "own tenant", "allow" if got == "allow" else "refuse", got, said)
        got, said = _run(owner, f"select count(*) from {table.shown} where {place_of(other)}")
        if got == "allow" and table.shared:
            got, said = "not tried", "the row is visible; it is unknown whether its owner shares it"
        yield cell("select", relation, "refuse", got, said)
        for command, statement in _writes(owner, table, own, other, member=caller.member is not None):
            name, _, what = command.partition(" ")
            if table.outside:
                said = f"its trigger may act outside of the transaction: {table.outside}"
                yield cell(name, what or relation, "refuse", "not tried", said)
            else:
                yield cell(name, what or relation, "refuse", *_run(owner, statement))


def _writes(
    owner: psycopg.Connection[Any],
    table: DiscoveredTable,
    own: DiscoveredRow | None,
    other: DiscoveredRow,
    *,
    member: bool,
) -> Iterator[tuple[str, str]]:
    """Return each write with its description. Call it while the connection has the caller's role."""
    columns = idents(table.columns)
    tenant = ident(table.tenant)
    row = owner.execute(
        "select c from unnest(%s::text[]) with ordinality as w (c, n) where has_column_privilege(%s::regclass, c, 'UPDATE')"
        " order by c = %s, n limit 1",
        [list(table.columns), table.shown, table.tenant],
    ).fetchone()
    column = ident(str(row[0])) if row is not None else ident(table.columns[0]) if table.value else tenant
    if not table.root:
        yield (
            "insert",
            f"insert into {table.shown} ({columns}) overriding system value select {columns}"
            f" from json_populate_record(null::{table.shown}, {literal(other.content)}::json)",
        )
    yield "update", f"update {table.shown} set {column} = {column} where {place_of(other)}"
    if member and own is not None and not table.value and not table.root:
        yield (
            "update move to the other tenant",
            f"update {table.shown} set {tenant} = {literal(other.tenant)}::{table.type} where {place_of(own)}",
        )
    yield "delete", f"delete from {table.shown} where {place_of(other)}"


def _run(owner: psycopg.Connection[Any], statement: str) -> tuple[Outcome, str]:
    try:
        with owner.transaction(force_rollback=True):
            cursor = owner.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            touched = cursor.rowcount if row is None else int(row[0])
    except errors.InsufficientPrivilege as error:
        return "refuse", error.diag.message_primary or ""
    except (errors.QueryCanceled, errors.LockNotAvailable) as error:
        return "not tried", error.diag.message_primary or ""
    except _REACHED as error:
        return "allow", f"the policy let it through: {error.sqlstate}"
    except errors.RaiseException as error:
        # A trigger refuses.
        return "refuse", error.diag.message_primary or ""
    except psycopg.Error as error:
        return "not tried", f"the server said {error.sqlstate}: {error.diag.message_primary}"
    return ("allow" if touched else "refuse"), ""


def try_calls(
    owner: psycopg.Connection[Any],
    caller: DiscoveredCaller,
    routines: Sequence[Routine],
    ids: Mapping[str, Sequence[str]],
    *,
    volatile: bool,
) -> Iterator[Cell]:
    """Call the functions that the role may call with ids of the other tenant."""
    for routine in routines:
        if caller.role not in routine.roles or not any(kind.removesuffix("[]") in ids for kind in routine.types):
            continue
        got: Outcome = "not tried"
        said = "it is volatile, and called on a copy only (--copy)"
        if volatile or not routine.volatile:
            with owner.transaction(force_rollback=True):
                become(owner, caller)
                got, said = call(owner, routine, ids)
        yield Cell(caller.label, routine.shown, "call", "ids of the other tenant", "refuse", got, said)
