"""Finds rows to try statements on: of the member's tenant, and of another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from tenantry.postgres import ident, literal, load_blocks
from tenantry.postgres.json_text import read_json
from tenantry.prove.lint.scope import Scope
from tenantry.prove.matrix.discovered_members import DiscoveredMember
from tenantry.prove.matrix.discovered_tables import DiscoveredTable


@dataclass(frozen=True, slots=True)
class DiscoveredRow:
    """The place of a row, valid for this transaction, and its values as JSON."""

    place: str
    tenant: str
    content: str


def rows_to_try(
    owner: psycopg.Connection[Any], table: DiscoveredTable, member: DiscoveredMember | None
) -> tuple[DiscoveredRow | None, DiscoveredRow | None, str]:
    """Return a row of the member's tenant, a row of another tenant, and why one of them is missing."""
    tenant = table.owner("t")
    content = (
        f"(select row_to_json(j)::text from (select {', '.join(f't.{ident(name)}' for name in table.columns)}) as j)"
    )
    query = (
        f"select t.tableoid::text || ' ' || t.ctid::text, {tenant}::text, {content} from {table.shown} as t"
        f" where {tenant} is not null and %s limit 1"
    )
    # Rows of the member may be visible to them in whichever tenant they are.
    theirs = {each for each in (member.account, member.person) if each} if member is not None else set()
    foreign = " and ".join(f"strpos(t::text, {literal(each)}) = 0" for each in sorted(theirs)) or "true"
    former = ", ".join(literal(each) for each in member.former) if member is not None and member.former else "null"
    mine = ", ".join(literal(each) for each in member.tenants) if member is not None else ""
    found: list[DiscoveredRow | None] = []
    conditions = ("true", "true")
    if member is not None:
        conditions = (
            f"{tenant}::text in ({mine})",
            f"{tenant}::text not in ({mine}) and {foreign} order by coalesce({tenant}::text in ({former}), false) desc",
        )
    for condition in conditions:
        try:
            with owner.transaction():
                row = owner.execute(query.replace("%s", condition).encode()).fetchone()
        except (errors.QueryCanceled, errors.LockNotAvailable) as error:
            return None, None, f"its rows could not be looked at in time: {error.diag.message_primary}"
        except errors.InsufficientPrivilege as error:
            return None, None, f"its rows could not be looked at: {error.diag.message_primary}"
        found.append(DiscoveredRow(*row) if row is not None else None)
    return found[0], found[1], "" if found[1] is not None else "the table has no row of another tenant"


def place_of(row: DiscoveredRow) -> str:
    relation, _, place = row.place.partition(" ")
    return f"ctid = {literal(place)}::tid and tableoid = {relation}::oid"


_MOST_IDS = 12


def ids_of_others(
    owner: psycopg.Connection[Any],
    scope: Scope,
    tables: list[DiscoveredTable],
    places: Mapping[str, tuple[DiscoveredRow | None, DiscoveredRow | None, str]],
    member: DiscoveredMember,
) -> dict[str, list[str]]:
    """Return ids of the other tenant by type: the tenant's, its people's, and those of its rows."""
    found: dict[str, list[str]] = {}
    keys = owner.execute(
        load_blocks("tenantry.prove.matrix", "without_manifest")["keys"], {"relations": [table.oid for table in tables]}
    ).fetchall()
    names: dict[int, list[tuple[str, str]]] = {}
    for oid, name, kind in keys:
        names.setdefault(oid, []).append((name, kind))
    members = scope.membership
    # Ids of tenants and people first, since the number of calls is limited.
    ordered = sorted(tables, key=lambda table: members is None or table.oid != members.relation)
    for table in ordered:
        _, other, _ = places[table.shown]
        if other is None:
            continue
        content = read_json(other.content)
        chosen = [(table.tenant, table.type)] if not table.value else []
        for name, kind in (*chosen, *names.get(table.oid, ())):
            value = content.get(name)
            if value is not None and str(value) not in (*member.tenants, member.account, *found.get(kind, ())):
                found.setdefault(kind, []).append(str(value))
    return {kind: values[:_MOST_IDS] for kind, values in found.items()}
