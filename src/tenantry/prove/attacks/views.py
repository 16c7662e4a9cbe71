"""Attacks that read through views and functions, and in schemas that are not meant for clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice, product
from typing import Any

import psycopg

from tenantry.postgres import ident, literal
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt, SessionAnswer
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.attacks.harness.rights import right


def _reading(me: AttackSession, name: str, marks: list[str]) -> tuple[bool, str]:
    """Return whether a relation shows rows of others, and a digest of all visible rows."""
    mark = (
        f"select count(*) from {name} as v where exists"
        " (select from unnest(%s::text[]) as m (x) where strpos(v::text, m.x) > 0)"
    )
    found = me.run(mark, [marks])
    digest = me.run(f"select md5(coalesce(string_agg(v::text, chr(10) order by v::text), '')) from {name} as v")
    return bool(found.number), str(digest.value) if digest.ok else f"refused: {digest.error}"


def _view_leak(attempt: Attempt, kinds: str) -> AttackVerdict:
    """Search views for marks of others, and for changes that appear when only another tenant's rows changed."""
    views = [row for row in attempt.relations() if row["kind"] in kinds]
    if not views:
        return not_applicable(f"the database has no {'materialized view' if kinds == 'm' else 'view'}")
    names = [ident(row["schema_name"], row["name"]) for row in views]
    with attempt.acting_as(attempt.attacker) as me:
        before = {}
        for name in names:
            leaks, before[name] = _reading(me, name, attempt.marks)
            if leaks:
                return broken(f"{name} shows rows of the other tenant")
            if _reading(me, name, attempt.marks)[1] != before[name]:
                before[name] = ""  # changes by itself
    readable = [name for name in names if not before[name].startswith("refused") and before[name]]
    if readable:
        with attempt.world.more_rows(attempt.project.target.tables):
            if kinds == "m":
                _refresh(attempt, views)
            with attempt.acting_as(attempt.attacker) as me:
                for name in readable:
                    if _reading(me, name, attempt.marks)[1] != before[name]:
                        return broken(f"{name} changes when only the other tenant's rows do")
        if kinds == "m":
            _refresh(attempt, views)
    refused = len(names) - len(readable)
    return held(f"{len(readable)} show no row of the other tenant, {refused} are refused")


def _refresh(attempt: Attempt, views: list[dict[str, Any]]) -> None:
    for row in views:
        name = ident(row["schema_name"], row["name"])
        with suppress(psycopg.Error):
            attempt.world.owner.execute(f"refresh materialized view {name}".encode())


@attack(
    "reads",
    tries="Reads every view, and again after rows of another tenant were added.",
    gains="Rows of all tenants, through a view with its owner's rights.",
    source="https://www.postgresql.org/docs/current/sql-createview.html (security_invoker)",
    rights=right("owner_views"),
)
def read_through_view(attempt: Attempt) -> AttackVerdict:
    return _view_leak(attempt, "v")


@attack(
    "reads",
    tries="Reads every materialized view, to which no policies apply, and again after rows of another tenant were added.",
    gains="Rows, or sums, of all tenants.",
    source="https://www.postgresql.org/docs/current/ddl-rowsecurity.html",
    rights=right("materialized_views"),
)
def read_through_materialized_view(attempt: Attempt) -> AttackVerdict:
    views = [row for row in attempt.relations() if row["kind"] == "m"]
    _refresh(attempt, views)
    return _view_leak(attempt, "m")


def _arguments(attempt: Attempt, types: list[str]) -> Iterator[list[str]]:
    """Yield arguments for a function: another tenant's ids, roles, numbers."""
    profile = attempt.world.fixtures.profiles[attempt.victim.uid]
    rows = [row for target in attempt.targets() for row in target.hidden[:1] if "id" in row.values][:2]
    ids = [attempt.other, profile, attempt.victim.uid, *(str(row.values["id"]) for row in rows)]
    known = {
        "uuid": [f"{literal(each)}::uuid" for each in ids],
        "uuid[]": [f"array[{literal(attempt.other)}]::uuid[]"],
        "text": [literal(attempt.manifest.roles.order[0]), literal(attempt.other), "'%'", "''"],
        "character varying": [literal(attempt.other), "'%'"],
        "boolean": ["true", "false"],
        "integer": ["1", "1000"],
        "bigint": ["1", "1000"],
        "date": ["date '2000-01-01'", "date '2100-01-01'"],
        "jsonb": ["'{}'::jsonb"],
    }
    choices = [known.get(each, [f"null::{each}"]) for each in types]
    yield from islice((list(picked) for picked in product(*choices)), 24)


@attack(
    "reads",
    tries="Calls every SECURITY DEFINER function with ids of another tenant, and again after rows of that"
    " tenant were added.",
    gains="The function's results for a caller who passes the right id.",
    source="https://www.postgresql.org/docs/current/sql-createfunction.html (SECURITY DEFINER)",
)
def read_through_definer_function(attempt: Attempt) -> AttackVerdict:
    functions = [row for row in attempt.definer_functions() if row["for_clients"] and row["kind"] == "f"]
    if not functions:
        return not_applicable("clients may execute no SECURITY DEFINER function")

    def calls() -> Iterator[tuple[str, str, list[str]]]:
        for row in functions:
            name = ident(row["schema_name"], row["name"])
            for picked in _arguments(attempt, row["types"]):
                yield name, f"select count(*), string_agg(f::text, ' ') from {name}({', '.join(picked)}) as f", picked

    def ask(me: AttackSession) -> Iterator[tuple[str, str, list[str], SessionAnswer]]:
        for name, statement, picked in calls():
            yield name, statement, picked, me.run(statement, undo=True)

    before: dict[str, object] = {}
    with attempt.acting_as(attempt.attacker) as me:
        for name, statement, picked, answer in ask(me):
            text = f"{answer.rows[0][1]} {answer.text}" if answer.ok else answer.text
            if attempt.leaked(text, besides=[each.strip("'").partition("'")[0] for each in picked]):
                return broken(f"{name} shows values of the other tenant's rows")
            before[statement] = answer.rows
        for _, statement, _, answer in ask(me):
            if answer.rows != before[statement]:
                before.pop(statement)  # changes by itself
    with attempt.world.more_rows(attempt.project.target.tables), attempt.acting_as(attempt.attacker) as me:
        for name, statement, _, answer in ask(me):
            if statement in before and answer.rows != before[statement]:
                return broken(f"{name} answers differently when only the other tenant's rows changed")
    return held(f"{len(functions)} functions were called in {len(before)} ways")


def _schema_read(attempt: Attempt, wanted: Callable[[str], bool], none: str) -> AttackVerdict:
    """Try to read relations of schemas that are not meant for clients: as a client, an anonymous client and the login itself."""
    found = [row for row in attempt.relations() if wanted(row["schema_name"])]
    if not found:
        return not_applicable(none)
    roles = attempt.manifest.database_roles
    for role in (roles.authenticated, roles.anon, None):
        with attempt.bare(role) if role != roles.authenticated else attempt.acting_as(attempt.attacker) as me:
            for row in found:
                name = ident(row["schema_name"], row["name"])
                answer = me.run(f"select count(*) from {name}")
                if answer.ok and (answer.number or not _has_policies(attempt, row)):
                    return broken(f"{name} is read by {role or 'the login itself'}: {answer.number} rows")
    return held(f"{len(found)} relations are refused, or show no row")


def _has_policies(attempt: Attempt, row: dict[str, Any]) -> bool:
    """Whether row-level security protects a relation, so that a right alone is harmless."""
    answer = attempt.world.ask("select relrowsecurity from pg_class where oid = %s", [row["oid"]])
    return bool(answer and answer[0][0])


@attack(
    "reads",
    tries="Reads the tables of the source schema, which hold the rows of all tenants without any policy.",
    gains="All data from before the migration.",
    rights=right("foreign_schemas"),
)
def read_source_schema(attempt: Attempt) -> AttackVerdict:
    source = attempt.manifest.source.schema_name
    if source == attempt.project.target.schema:
        return not_applicable("source and target are one schema")
    return _schema_read(attempt, lambda name: name == source, f"there is no table in the source schema {source}")


@attack(
    "reads",
    tries="Reads Tenantry's own tables: journal, id maps, quarantine, accounts, and the keys of sealed contexts.",
    gains="Old ids, whole rows in quarantine, who is super admin; with a key, every identity.",
    rights=right("foreign_schemas"),
)
def read_engine_schema(attempt: Attempt) -> AttackVerdict:
    return _schema_read(attempt, lambda name: name == "tenantry", "there is no schema tenantry")


@attack(
    "reads",
    tries="Reads the accounts in auth.users and all other tables of schema auth.",
    gains="E-mail addresses and password hashes of every person.",
    rights=right("foreign_schemas"),
)
def read_accounts(attempt: Attempt) -> AttackVerdict:
    return _schema_read(attempt, lambda name: name == "auth", "there is no schema auth")


@attack(
    "reads",
    tries="Reads every other table of the database, as a client, as an anonymous client and as the login itself.",
    gains="All data that was left open to PUBLIC.",
    source="https://www.postgresql.org/docs/current/ddl-priv.html",
    rights=right("foreign_schemas"),
)
def read_other_schemas(attempt: Attempt) -> AttackVerdict:
    known = {attempt.manifest.source.schema_name, attempt.project.target.schema, "tenantry", "auth"}
    return _schema_read(attempt, lambda name: name not in known, "there is no further schema with tables")


@attack(
    "reads",
    tries="Reads partitions and inheriting tables by their own names, to which the parent's policies do not apply.",
    gains="All rows of a partition.",
    source="https://www.postgresql.org/docs/current/ddl-rowsecurity.html",
    rights=right("children"),
)
def read_partition_directly(attempt: Attempt) -> AttackVerdict:
    children = [row for row in attempt.relations() if row["is_child"] and row["kind"] in "rpf"]
    if not children:
        return not_applicable("no table is partitioned or inherited from")
    with attempt.acting_as(attempt.attacker) as me:
        for row in children:
            name = ident(row["schema_name"], row["name"])
            answer = me.run(f"select count(*) from {name}")
            own = _visible_through_parent(attempt, me, row)
            if answer.ok and (own is None or answer.number > own):
                return broken(f"{name} shows {answer.number} rows, its parent {own or 0} of them")
    return held(f"{len(children)} tables are refused, or show no more than their parents do")


def _visible_through_parent(attempt: Attempt, me: AttackSession, row: dict[str, Any]) -> int | None:
    parent = attempt.world.ask(
        "select inhparent::regclass::text from pg_inherits where inhrelid = %s limit 1", [row["oid"]]
    )
    if not parent:
        return None
    answer = me.run(f"select count(*) from {parent[0][0]} where tableoid = {row['oid']}")
    return answer.number if answer.ok else None


@attack(
    "reads",
    tries="Reads each table as an anonymous client, without signing in.",
    gains="All rows that a policy for PUBLIC allows.",
)
def read_as_visitor(attempt: Attempt) -> AttackVerdict:
    with attempt.bare(attempt.manifest.database_roles.anon) as me:
        found = attempt.any_rows(me)
    return broken(f"an anonymous client sees {found}") if found else held("no row of any tenant is visible")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
