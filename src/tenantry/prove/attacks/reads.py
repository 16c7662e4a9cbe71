"""Attacks that read rows of another tenant by each way of reading rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tenantry.postgres import ident, literal
from tenantry.prove.attacks.harness.attempt import Attempt, TargetTable
from tenantry.prove.attacks.harness.helpers import Question, count_none, nothing_to_see, of_tenant
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable


@attack("reads", tries="Reads rows of another tenant by their keys.", gains="Any row whose id is known.")
def read_by_id(scene: Attempt) -> AttackVerdict:
    def questions(prey: TargetTable) -> Iterator[Question]:
        for row in prey.hidden[:3]:
            yield "its key", f"select count(*) from {prey.name} where {row.where}"

    return count_none(scene, questions)


@attack(
    "reads",
    tries="Reads ranges of tenants: the other one, all except the attacker's own, between the least and the greatest.",
    gains="All rows of every tenant.",
)
def read_by_range(scene: Attempt) -> AttackVerdict:
    def questions(prey: TargetTable) -> Iterator[Question]:
        same = of_tenant(scene, prey)
        if same is not None and prey.tenant is not None:
            column, other = ident(prey.tenant), prey.value(prey.tenant, scene.other)
            yield "its tenant", f"select count(*) from {prey.name} where {same}"
            ends = f"{column} <= {other} and {column} >= {other}"
            yield "a range", f"select count(*) from {prey.name} where {ends}"
            less = f"not ({column} < {other}) and not ({column} > {other})"
            yield "what is neither less nor more", f"select count(*) from {prey.name} where {less}"

    return count_none(scene, questions)


@attack(
    "reads",
    tries="Joins a table with visible rows to all rows of each table: on true, laterally, and in full.",
    gains="Rows of other tenants next to the attacker's own.",
)
def read_by_join(scene: Attempt) -> AttackVerdict:
    table = next((prey for prey in scene.open_tables()), None)
    if table is None:
        return nothing_to_see()
    seen = f"(select 1 as one from {table.name} limit 1) as seen"

    def questions(prey: TargetTable) -> Iterator[Question]:
        same = of_tenant(scene, prey) or f"({prey.hidden[0].where})"
        yield "a join", f"select count(*) from {seen} join {prey.name} as t on true where {same}"
        inner = f"(select 1 from {prey.name} where {same} limit 1) as t"
        yield "a lateral join", f"select count(t.*) from {seen} left join lateral {inner} on true"
        yield (
            "a full join",
            f"select count(*) from {seen} full join (select * from {prey.name}) as t on false where {same}",
        )

    def of_readable(prey: TargetTable) -> Iterator[Question]:
        for what, text in questions(prey):
            yield what, text.replace("(select * from", f"(select {prey.columns} from")

    return count_none(scene, of_readable)


@attack(
    "reads",
    tries="Aggregates whole tables and looks for another tenant among the results.",
    gains="Numbers of rows and sums of every tenant.",
)
def read_by_aggregate(scene: Attempt) -> AttackVerdict:
    def questions(prey: TargetTable) -> Iterator[Question]:
        same = of_tenant(scene, prey)
        if prey.tenant is None or same is None:
            return
        column = ident(prey.tenant)
        yield "a filtered count", f"select count(*) filter (where {same}) from {prey.name}"
        yield (
            "an array of tenants",
            f"select count(*) from unnest((select array_agg({column}) from {prey.name})) as t (x)"
            f" where x::text = {literal(scene.other)}",
        )
        yield (
            "groups",
            f"select count(*) from (select {column} as x, grouping({column}) from {prey.name} group by rollup ({column}))"
            f" as g where x::text = {literal(scene.other)}",
        )
        yield (
            "a window",
            f"select count(*) from (select lead({column}) over (order by {column}) as x from {prey.name}) as w"
            f" where x::text = {literal(scene.other)}",
        )

    return count_none(scene, questions)


@attack(
    "reads",
    tries="Tests whether rows of another tenant exist: EXISTS, IN, ANY, and a CASE around a subquery.",
    gains="Knowledge whether a row exists, and so its values, query by query.",
)
def read_by_exists(scene: Attempt) -> AttackVerdict:
    def questions(prey: TargetTable) -> Iterator[Question]:
        where = prey.hidden[0].where
        yield "exists", f"select exists (select from {prey.name} where {where})::int"
        yield "case", f"select case when (select count(*) from {prey.name} where {where}) > 0 then 1 else 0 end"
        if prey.tenant is not None and not prey.mixed:
            column = ident(prey.tenant)
            given = f"(values ({prey.value(prey.tenant, scene.other)})) as v (x)"
            correlated = f"select from {prey.name} as t where t.{column} = v.x"
            yield "a correlated exists", f"select count(*) from {given} where exists ({correlated})"
            yield "in", f"select count(*) from {given} where x in (select {column} from {prey.name})"
            yield "any", f"select count(*) from {given} where x = any (array(select {column} from {prey.name}))"

    return count_none(scene, questions)


@attack(
    "reads",
    tries="Reads rows by their places in the file and by other system columns.",
    gains="Rows, without knowing a key.",
    source="https://www.postgresql.org/docs/current/ddl-system-columns.html",
)
def read_by_place(scene: Attempt) -> AttackVerdict:
    def questions(prey: TargetTable) -> Iterator[Question]:
        keys = " or ".join(f"({row.where})" for row in prey.hidden)
        places = ", ".join(f"'({page},{line})'::tid" for page in range(2) for line in range(1, 40))
        if prey.table.kind == "table":
            yield "ctid", f"select count(*) from {prey.name} where ctid = any (array[{places}]) and ({keys})"
            yield "a range of ctid", f"select count(*) from {prey.name} where ctid >= '(0,0)'::tid and ({keys})"
        yield "xmin", f"select count(*) from {prey.name} where xmin::text <> '' and tableoid > 0 and ({keys})"

    return count_none(scene, questions)


@attack(
    "reads",
    tries="Declares cursors over rows of another tenant, some before the claims are changed by hand, and fetches from them.",
    gains="Rows of a cursor that was opened under another caller.",
)
def read_by_cursor(scene: Attempt) -> AttackVerdict:
    tried = 0
    fake = literal(_json(scene, scene.victim))
    for prey in [prey for prey in scene.preys() if prey.readable]:
        keys = " or ".join(f"({row.where})" for row in prey.hidden)
        for turned in (False, True):
            with scene.turn(scene.attacker) as me:
                declared = me.run(
                    f"declare prowl scroll cursor for select {prey.columns} from {prey.name} where {keys}"
                )
                if turned:
                    me.run(f"select set_config('request.jwt.claims', {fake}, true)")
                got = me.run("fetch all from prowl") if declared.ok else declared
                tried += 1
                if got.ok and got.rows:
                    when = " after the claims were changed by hand" if turned else ""
                    return broken(f"{prey.table.name}: a cursor gave {len(got.rows)} rows of the other tenant{when}")
        if tried >= 12:
            break
    return held(f"{tried} cursors gave no row") if tried else nothing_to_see()


def _json(scene: Attempt, person: Any) -> str:
    from tenantry.postgres.seal import claims_text  # noqa: PLC0415

    return claims_text(scene.ground.claims(person))


@attack(
    "reads",
    tries="Copies tables, and queries of them, to the client.",
    gains="Whole tables at once.",
    source="https://www.postgresql.org/docs/current/sql-copy.html",
)
def read_by_copy(scene: Attempt) -> AttackVerdict:
    tried = refused = 0
    with scene.turn(scene.attacker) as me:
        for prey in [prey for prey in scene.preys() if prey.readable]:
            keys = " or ".join(f"({row.where})" for row in prey.hidden)
            for statement in (
                f"copy {prey.name} ({prey.columns}) to stdout",
                f"copy (select {prey.columns} from {prey.name} where {keys}) to stdout",
            ):
                answer, text = me.copy_out(statement)
                tried, refused = tried + 1, refused + (not answer.ok)
                if scene.leaked(text) or ("where" in statement and answer.touched):
                    return broken(f"{prey.table.name}: COPY returned rows of the other tenant")
    return (
        held(f"{tried} COPY statements returned no row of the other tenant; {refused} were refused")
        if tried
        else nothing_to_see()
    )


@attack(
    "reads",
    tries="Changes or deletes rows of another tenant by their keys, to have them returned.",
    gains="Rows, though reading is refused.",
)
def read_by_returning(scene: Attempt) -> AttackVerdict:
    tried = 0
    with scene.turn(scene.attacker) as me:
        for prey in scene.preys():
            statements = []
            if prey.updatable:
                column = ident(prey.updatable[0])
                statements.append(f"update {prey.name} set {column} = {column} where {{}} returning {prey.columns}")
                statements.append(f"update {prey.name} set {column} = default where {{}} returning 1")
            if prey.deletable:
                statements.append(f"delete from {prey.name} where {{}} returning {prey.columns}")
            for statement in statements:
                answer = me.run(statement.format(prey.hidden[0].where), undo=True)
                tried += 1
                if answer.rows:
                    return broken(
                        f"{prey.table.name}: {statement.partition(' ')[0]} … returning gave a row of the other tenant"
                    )
    if not tried:
        return not_applicable("clients have no right to change or delete anything")
    return held(f"{tried} statements returned no row")


@attack(
    "reads",
    tries="Reads columns that clients must not see: by name, as a part of the whole row, in conditions and in RETURNING.",
    gains="Tokens and other secrets, also of the attacker's own tenant.",
)
def read_hidden_columns(scene: Attempt) -> AttackVerdict:
    tried = 0
    with scene.turn(scene.attacker) as me:
        for prey in scene.ground.preys(scene.attacker):
            rule = scene.manifest.tables.get(prey.table.name)
            for column in () if rule is None else rule.access.hidden:
                name = ident(column)
                for what, statement in (
                    ("by name", f"select {name} from {prey.name} limit 1"),
                    ("as a part of the whole row", f"select t from {prey.name} as t limit 1"),
                    ("as JSON", f"select to_jsonb(t) from {prey.name} as t limit 1"),
                    ("in a condition", f"select 1 from {prey.name} where {name} is not null limit 1"),
                    ("in an order", f"select 1 from {prey.name} order by {name} limit 1"),
                    ("in RETURNING", f"delete from {prey.name} where false returning {name}"),
                ):
                    answer = me.run(statement, undo=True)
                    tried += 1
                    if answer.ok:
                        return broken(f"{prey.table.name}.{column} is read {what}")
    if not tried:
        return not_applicable("the manifest hides no column")
    return held(f"{tried} statements were refused")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
