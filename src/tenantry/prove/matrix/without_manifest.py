"""Proves a database without a manifest: no tenant reaches another's rows, tried on the existing rows.

No manifest says what each role may do. Two rules hold anyway: a member of one tenant neither sees nor changes rows of another, and an
anonymous caller sees none. Every statement runs under a savepoint, in one transaction that is rolled back.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg

from tenantry.postgres import explain
from tenantry.prove.fixtures.synthetic import make_synthetic_rows
from tenantry.prove.lint.scope import Scope
from tenantry.prove.matrix.calls import functions_of
from tenantry.prove.matrix.discovered_cells import LOCK_TIMEOUT, STATEMENT_TIMEOUT, try_calls, try_commands
from tenantry.prove.matrix.discovered_members import DiscoveredMember, callers_to_try, member_with_account
from tenantry.prove.matrix.discovered_rows import ids_of_others, rows_to_try
from tenantry.prove.matrix.discovered_tables import DiscoveredTable, discovered_tables
from tenantry.prove.matrix.executor import Progress
from tenantry.prove.model import Cell, Proof

MATRIX = "matrix"
"""The name by which exceptions allow cells: `object` is a glob over `table`, or `table command caller relation`."""


def prove_found(
    owner: psycopg.Connection[Any], scope: Scope, *, on_copy: bool = False, progress: Progress | None = None
) -> Proof:
    """Try each table of tenants as each client role: without a caller, as an unknown account, and as a member of one tenant.

    Functions are called with ids of another tenant, as that member.

    Args:
        owner: a connection that may become the client roles, and sees every row.
        scope: what was discovered: which columns hold tenants, which roles are clients, which tables hold memberships.
        on_copy: the database is a copy: synthetic rows are made there, and volatile functions are called, too.

    Raises:
        TenantryError: the server refused a statement that the proof itself needs.
    """
    started = time.monotonic()
    cells: list[Cell] = []
    notes: list[str] = []
    try:
        with owner.transaction(force_rollback=True):
            owner.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
            owner.execute(f"set local statement_timeout = '{STATEMENT_TIMEOUT}'")
            owner.execute("set local row_security = off")
            if on_copy:
                notes += make_synthetic_rows(owner, scope)
            tables = discovered_tables(owner, scope)
            if not tables:
                notes.append("no table with a column for the tenant was found, so that no statement could be tried")
            member = member_with_account(owner, scope, notes)
            everybody = [*callers_to_try(owner, scope, member, notes)]
            places = {table.shown: rows_to_try(owner, table, member) for table in tables}
            routines = functions_of(owner, scope)
            ids = ids_of_others(owner, scope, tables, places, member) if member is not None else {}
            owner.execute("set local row_security = on")
            for done, caller in enumerate(everybody):
                if progress is not None:
                    progress(caller.label, done, len(everybody))
                for table in tables:
                    cells += try_commands(owner, caller, table, *places[table.shown])
                if caller.member is not None:
                    cells += try_calls(owner, caller, routines, ids, volatile=on_copy)
            if progress is not None:
                progress("", len(everybody), len(everybody))
    except psycopg.Error as error:
        raise explain(error, "trying the isolation of tenants") from error
    cells, blind = _without_the_blind(cells)
    notes += blind
    login = f"{owner.info.user}, in place, on the existing rows: one transaction, rolled back"
    if on_copy:
        login = f"{owner.info.user}, on a copy of the schema with synthetic rows"
    return Proof(
        tuple(cells), (), login, time.monotonic() - started, tuple(notes), unproved=_unproved(tables, member, cells)
    )


# -- reading the database ------------------------------------------------------------------------------------------------


def _unproved(tables: list[DiscoveredTable], member: DiscoveredMember | None, cells: list[Cell]) -> str:
    if not tables:
        return "no table of tenants was found"
    if all(cell.got == "not tried" for cell in cells):
        return "there is no row of another tenant to try anything on"
    if member is None:
        return "there is no member of a tenant who could try to reach another tenant's rows"
    others = [cell for cell in cells if cell.relation != "own tenant" and cell.role.endswith("member of one tenant")]
    if all(cell.got == "not tried" for cell in others):
        return "nothing could be tried as a member of one tenant"
    return ""


# -- trying ------------------------------------------------------------------------------------------------------------


def _without_the_blind(cells: list[Cell]) -> tuple[list[Cell], list[str]]:
    """Drop members who see no row of their own: that they see no others proves nothing, since their claims have no effect."""
    kept: list[Cell] = []
    notes: list[str] = []
    for role in dict.fromkeys(cell.role for cell in cells):
        mine = [cell for cell in cells if cell.role == role]
        own = [cell for cell in mine if cell.relation == "own tenant"]
        if role.endswith("member of one tenant") and not any(cell.got == "allow" for cell in own):
            reason = "the member sees no row of their own tenant either: their claims do not count here"
            notes.append(f"{role}: {reason}, so refusals prove nothing (are contexts opened in another way?)")
            mine = [
                cell
                if cell.failed
                else Cell(cell.role, cell.table, cell.command, cell.relation, cell.expected, "not tried", reason)
                for cell in mine
            ]
        kept += mine
    return kept, notes


__all__ = ["MATRIX", "prove_found"]
