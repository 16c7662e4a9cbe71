"""Attacks that read rows of another tenant by each way of reading rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tenantry.postgres import ident, literal
from tenantry.prove.attacks.harness.attempt import Attempt, TargetTable
from tenantry.prove.attacks.harness.helpers import Outcomes, Question, count_none, nothing_to_see, of_tenant
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable


@attack("reads", tries="Reads rows of another tenant by their keys.", gains="Any row whose id is known.")
def read_by_id(attempt: Attempt) -> AttackVerdict:
    def questions(target: TargetTable) -> Iterator[Question]:
        for row in target.hidden[:3]:
            yield "its key", f"select count(*) from {target.name} where {row.where}"

    return count_none(attempt, questions)


@attack(
    "reads",
    tries="Reads ranges of tenants: the other one, all except the attacker's own, between the least and the greatest.",
    gains="All rows of every tenant.",
)
def read_by_range(attempt: Attempt) -> AttackVerdict:
    def questions(target: TargetTable) -> Iterator[Question]:
        same = of_tenant(attempt, target)
        if same is not None and target.tenant is not None:
            column, other = ident(target.tenant), target.value(target.tenant, attempt.other)
            yield "its tenant", f"select count(*) from {target.name} where {same}"
            ends = f"{column} <= {other} and {column} >= {other}"
            yield "a range", f"select count(*) from {target.name} where {ends}"
            less = f"not ({column} < {other}) and not ({column} > {other})"
            yield "what is neither less nor more", f"select count(*) from {target.name} where {less}"

    return count_none(attempt, questions)


@attack(
    "reads",
    tries="Joins a table with visible rows to all rows of each table: on true, laterally, and in full.",
    gains="Rows of other tenants next to the attacker's own.",
)
def read_by_join(attempt: Attempt) -> AttackVerdict:
    table = next((target for target in attempt.open_tables()), None)
    if table is None:
        return nothing_to_see()
    seen = f"(select 1 as one from {table.name} limit 1) as seen"

    def questions(target: TargetTable) -> Iterator[Question]:
        same = of_tenant(attempt, target) or f"({target.hidden[0].where})"
        yield "a join", f"select count(*) from {seen} join {target.name} as t on true where {same}"
        inner = f"(select 1 from {target.name} where {same} limit 1) as t"
        yield "a lateral join", f"select count(t.*) from {seen} left join lateral {inner} on true"
        yield (
            "a full join",
            f"select count(*) from {seen} full join (select * from {target.name}) as t on false where {same}",
        )

    def of_readable(target: TargetTable) -> Iterator[Question]:
        for what, text in questions(target):
            yield what, text.replace("(select * from", f"(select {target.columns} from")

    return count_none(attempt, of_readable)


@attack(
    "reads",
    tries="Aggregates whole tables and looks for another tenant among the results.",
    gains="Numbers of rows and sums of every tenant.",
)
def read_by_aggregate(attempt: Attempt) -> AttackVerdict:
    def questions(target: TargetTable) -> Iterator[Question]:
        same = of_tenant(attempt, target)
        if target.tenant is None or same is None:
            return
        column = ident(target.tenant)
        yield "a filtered count", f"select count(*) filter (where {same}) from {target.name}"
        yield (
            "an array of tenants",
            f"select count(*) from unnest((select array_agg({column}) from {target.name})) as t (x)"
            f" where x::text = {literal(attempt.other)}",
        )
        yield (
            "groups",
            f"select count(*) from (select {column} as x, grouping({column}) from {target.name} group by rollup ({column}))"
            f" as g where x::text = {literal(attempt.other)}",
        )
        yield (
            "a window",
            f"select count(*) from (select lead({column}) over (order by {column}) as x from {target.name}) as w"
            f" where x::text = {literal(attempt.other)}",
        )

    return count_none(attempt, questions)


@attack(
    "reads",
    tries="Tests whether rows of another tenant exist: EXISTS, IN, ANY, and a CASE around a subquery.",
    gains="Knowledge whether a row exists, and so its values, query by query.",
)
def read_by_exists(attempt: Attempt) -> AttackVerdict:
    def questions(target: TargetTable) -> Iterator[Question]:
        where = target.hidden[0].where
        yield "exists", f"select exists (select from {target.name} where {where})::int"
        yield "case", f"select case when (select count(*) from {target.name} where {where}) > 0 then 1 else 0 end"
        if target.tenant is not None and not target.mixed:
            column = ident(target.tenant)
            given = f"(values ({target.value(target.tenant, attempt.other)})) as v (x)"
            correlated = f"select from {target.name} as t where t.{column} = v.x"
            yield "a correlated exists", f"select count(*) from {given} where exists ({correlated})"
            yield "in", f"select count(*) from {given} where x in (select {column} from {target.name})"
            yield "any", f"select count(*) from {given} where x = any (array(select {column} from {target.name}))"

    return count_none(attempt, questions)


@attack(
    "reads",
    tries="Reads rows by their places in the file and by other system columns.",
    gains="Rows, without knowing a key.",
    source="https://www.postgresql.org/docs/current/ddl-system-columns.html",
)
def read_by_place(attempt: Attempt) -> AttackVerdict:
    def questions(target: TargetTable) -> Iterator[Question]:
        keys = " or ".join(f"({row.where})" for row in target.hidden)
        places = ", ".join(f"'({page},{line})'::tid" for page in range(2) for line in range(1, 40))
        if target.table.kind == "table":
            yield "ctid", f"select count(*) from {target.name} where ctid = any (array[{places}]) and ({keys})"
            yield "a range of ctid", f"select count(*) from {target.name} where ctid >= '(0,0)'::tid and ({keys})"
        yield "xmin", f"select count(*) from {target.name} where xmin::text <> '' and tableoid > 0 and ({keys})"

    return count_none(attempt, questions)


@attack(
    "reads",
    tries="Declares cursors over rows of another tenant, some before the claims are changed by hand, and fetches from them.",
    gains="Rows of a cursor that was opened under another caller.",
)
def read_by_cursor(attempt: Attempt) -> AttackVerdict:
    tried = 0
    fake = literal(_json(attempt, attempt.victim))
    for target in [target for target in attempt.targets() if target.readable]:
        keys = " or ".join(f"({row.where})" for row in target.hidden)
        for turned in (False, True):
            with attempt.acting_as(attempt.attacker) as me:
                declared = me.run(
                    f"declare prowl scroll cursor for select {target.columns} from {target.name} where {keys}"
                )
                if turned:
                    me.run(f"select set_config('request.jwt.claims', {fake}, true)")
                got = me.run("fetch all from prowl") if declared.ok else declared
                tried += 1
                if got.ok and got.rows:
                    when = " after the claims were changed by hand" if turned else ""
                    return broken(f"{target.table.name}: a cursor gave {len(got.rows)} rows of the other tenant{when}")
        if tried >= 12:
            break
    return held(f"{tried} cursors gave no row") if tried else nothing_to_see()


def _json(attempt: Attempt, person: Any) -> str:
    from tenantry.postgres.seal import claims_text  # noqa: PLC0415

    return claims_text(attempt.world.claims(person))


@attack(
    "reads",
    tries="Copies tables, and queries of them, to the client.",
    gains="Whole tables at once.",
    source="https://www.postgresql.org/docs/current/sql-copy.html",
)
def read_by_copy(attempt: Attempt) -> AttackVerdict:
    tried, outcomes = 0, Outcomes()
    with attempt.acting_as(attempt.attacker) as me:
        for target in [target for target in attempt.targets() if target.readable]:
            keys = " or ".join(f"({row.where})" for row in target.hidden)
            for statement in (
                f"copy {target.name} ({target.columns}) to stdout",
                f"copy (select {target.columns} from {target.name} where {keys}) to stdout",
            ):
                answer, text = me.copy_out(statement)
                tried += 1
                outcomes.add(answer)
                if attempt.leaked(text) or ("where" in statement and answer.touched):
                    return broken(f"{target.table.name}: COPY returned rows of the other tenant")
    return held(f"{tried} COPY statements returned no row of the other tenant{outcomes}") if tried else nothing_to_see()


@attack(
    "reads",
    tries="Changes or deletes rows of another tenant by their keys, to have them returned.",
    gains="Rows, though reading is refused.",
)
def read_by_returning(attempt: Attempt) -> AttackVerdict:
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.targets():
            statements = []
            if target.updatable:
                column = ident(target.updatable[0])
                statements.append(f"update {target.name} set {column} = {column} where {{}} returning {target.columns}")
                statements.append(f"update {target.name} set {column} = default where {{}} returning 1")
            if target.deletable:
                statements.append(f"delete from {target.name} where {{}} returning {target.columns}")
            for statement in statements:
                answer = me.run(statement.format(target.hidden[0].where), undo=True)
                tried += 1
                if answer.rows:
                    return broken(
                        f"{target.table.name}: {statement.partition(' ')[0]} … returning gave a row of the other tenant"
                    )
    if not tried:
        return not_applicable("clients have no right to change or delete anything")
    return held(f"{tried} statements returned no row")


@attack(
    "reads",
    tries="Reads columns that clients must not see: by name, as a part of the whole row, in conditions and in RETURNING.",
    gains="Tokens and other secrets, also of the attacker's own tenant.",
)
def read_hidden_columns(attempt: Attempt) -> AttackVerdict:
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.world.targets(attempt.attacker):
            rule = attempt.manifest.tables.get(target.table.name)
            for column in () if rule is None else rule.access.hidden:
                name = ident(column)
                for what, statement in (
                    ("by name", f"select {name} from {target.name} limit 1"),
                    ("as a part of the whole row", f"select t from {target.name} as t limit 1"),
                    ("as JSON", f"select to_jsonb(t) from {target.name} as t limit 1"),
                    ("in a condition", f"select 1 from {target.name} where {name} is not null limit 1"),
                    ("in an order", f"select 1 from {target.name} order by {name} limit 1"),
                    ("in RETURNING", f"delete from {target.name} where false returning {name}"),
                ):
                    answer = me.run(statement, undo=True)
                    tried += 1
                    if answer.ok:
                        return broken(f"{target.table.name}.{column} is read {what}")
    if not tried:
        return not_applicable("the manifest hides no column")
    return held(f"{tried} statements were refused")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
