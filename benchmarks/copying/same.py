"""Whether two migrated databases hold the same: tables, rows, quarantine, merged rows, accounts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from benchmarks.copying.ground import Connection
from clinic.platform.tokens import decrypt
from tenantry.catalog import Table, read_catalog
from tenantry.postgres import connect, ident

_TOKENS = {"google_credentials": ("access_token_encrypted", "refresh_token_encrypted")}
"""Encrypted with a salt: compared by what they decrypt to."""

_JOURNAL = {
    "tenantry.quarantine": "mapping, source_table, source_key, original::jsonb, patch, problems, reason, column_name, detail,"
    " parent_mapping, parent_table, parent_key, state",
    "tenantry.merged": "mapping, source_table, source_key, into_key, reason, original::jsonb, derived::jsonb",
    "tenantry.change": "mapping, source_table, source_key, column_name, original::jsonb, carried::jsonb, rule",
    "auth.users": "id, role, email, raw_app_meta_data, raw_user_meta_data, created_at, updated_at",
    "auth.identities": "provider_id, user_id, identity_data, provider, created_at, updated_at",
}


class DifferentEnd(Exception):
    """Two ways did not lead to the same end."""


def require_same(by_hand: str, by_tenantry: str) -> int:
    """The number of rows compared.

    Raises:
        DifferentEnd: with everything that differs.
    """
    first, second = connect(by_hand), connect(by_tenantry)
    try:
        differences: list[str] = []
        tables, others = read_catalog(first, "clinic").tables, read_catalog(second, "clinic").tables
        if [table.name for table in tables] != [table.name for table in others]:
            differences.append("not the same tables")
        rows = 0
        for one, two in zip(tables, others, strict=False):
            differences += _schema(one, two)
            # An enum's hash is that of its OID, which is another in every database.
            columns = ", ".join(
                f"{ident(column.name)}::text" if column.type.startswith("clinic.") else ident(column.name)
                for column in one.columns
                if column.name not in _TOKENS.get(one.name, ())
            )
            rows += _content(first, second, ident("clinic", one.name), columns, "", differences)
        for name, columns in _JOURNAL.items():
            _content(first, second, name, columns, "", differences)
        for name, secrets in _TOKENS.items():
            if _secrets(first, name, secrets) != _secrets(second, name, secrets):
                differences.append(f"{name}: tokens differ")
    finally:
        first.close()
        second.close()
    if differences:
        raise DifferentEnd(
            "the script by hand and Tenantry do not lead to the same end:\n  " + "\n  ".join(differences)
        )
    return rows


def _content(first: Connection, second: Connection, name: str, columns: str, where: str, differences: list[str]) -> int:
    """Count, and two sums over the rows' hashes that do not depend on their order."""
    query = (
        f"select count(*), bit_xor(h), sum(h::numeric) from"
        f" (select hash_record_extended(row({columns}), 0) as h from {name}{where}) r"
    )
    one, two = first.execute(query.encode()).fetchone(), second.execute(query.encode()).fetchone()
    assert one is not None
    assert two is not None
    if one != two:
        differences.append(f"{name}: {one[0]} rows by hand, {two[0]} by Tenantry, or other values")
    return int(one[0])


def _schema(one: Table, two: Table) -> Iterable[str]:
    for kind, wanted, got in (
        ("column", one.columns, two.columns),
        ("constraint", one.constraints, two.constraints),
        ("index", one.indexes, two.indexes),
        ("trigger", one.triggers, two.triggers),
    ):
        here, there = _facts(wanted), _facts(got)
        for name in sorted(here.keys() | there.keys()):
            if here.get(name) != there.get(name):
                yield f"{one.name}: {kind} {name} differs: {here.get(name)} by hand, {there.get(name)} by Tenantry"
    if one.comment != two.comment:
        yield f"{one.name}: comment differs"


def _facts(items: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """What counts of catalog records: neither sizes, nor rights, which are given after the copy; nor what Tenantry adds for the
    time of the transition, nor whether triggers are awake, which they are from the cut-over on."""
    found = {}
    for item in items:
        record = asdict(item)
        if record["name"].startswith("tenantry_"):
            continue
        for name in ("size_bytes", "grants", "enabled"):
            record.pop(name, None)
        found[record["name"]] = record
    return found


def _secrets(connection: Connection, table: str, columns: tuple[str, ...]) -> list[list[str]]:
    found = []
    for column in columns:
        query = f"select {ident(column)} from {ident('clinic', table)} where {ident(column)} is not null order by id"
        found.append(decrypt([row[0] for row in connection.execute(query.encode())]))
    return found
