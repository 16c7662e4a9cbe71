"""Attacks that learn values without reading them: from functions in conditions, from errors and from numbers."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.catalog import Table
from tenantry.postgres import ident, literal
from tenantry.prove.attacks.harness.attempt import Attempt, TargetTable
from tenantry.prove.attacks.harness.helpers import NO_INDEXES, client_relations, makes_functions, nothing_to_see
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.attacks.harness.rights import any_of, right
from tenantry.prove.expected.callers import OWN


@attack(
    "reads",
    tries="Makes a very cheap function that reports its arguments, and uses it in conditions.",
    gains="Every row that the server evaluates before the policies.",
    source="https://www.postgresql.org/docs/current/rules-privileges.html",
    rights=any_of(right("temporary"), right("create_in_schemas")),
)
def leak_by_cheap_function(attempt: Attempt) -> AttackVerdict:
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        me.raw(NO_INDEXES)
        schema = makes_functions(attempt, me)
        if schema is None:
            return held("no function can be made: CREATE on every schema and TEMP are refused")
        for name, columns in client_relations(attempt):
            for column in columns:
                answer = me.run(f"select 1 from {name} where {schema}.prowl({ident(column)}::text)", undo=True)
                tried += 1
                if attempt.leaked(answer.text):
                    return broken(f"{name}: a function in the condition received {column} of others")
    return held(f"a cheap function in {tried} conditions received no value of others")


@attack(
    "reads",
    tries="Casts columns to unsuitable types, so that the error quotes the value.",
    gains="One value with each query, whatever the row's tenant.",
    source="https://www.postgresql.org/docs/current/rules-privileges.html",
)
def leak_by_cast(attempt: Attempt) -> AttackVerdict:
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        me.raw(NO_INDEXES)
        for name, columns in client_relations(attempt):
            for column in columns:
                # Cast only rows with a hidden value: the attacker's own rows would fail first.
                known = f"{ident(column)}::text = any (%s)"
                answer = me.run(
                    f"select 1 from {name} where case when {known} then ({ident(column)}::text)::integer end is not null",
                    [attempt.marks],
                    undo=True,
                )
                tried += 1
                if answer.error and attempt.leaked(answer.text):
                    return broken(f"{name}: the error of a cast quotes {column} of others")
    return held(f"{tried} casts failed, none of them on a value of others") if tried else nothing_to_see()


@attack(
    "reads",
    tries="Divides by zero if a hidden value equals a guess.",
    gains="Hidden values, guess by guess: the query fails if the guess is right.",
    source="https://www.postgresql.org/docs/current/rules-privileges.html",
)
def leak_by_division(attempt: Attempt) -> AttackVerdict:
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        me.raw(NO_INDEXES)
        for name, columns in client_relations(attempt):
            for column in columns:
                guess = " or ".join(f"{ident(column)}::text = {literal(mark)}" for mark in attempt.marks)
                answer = me.run(f"select 1 from {name} where 1 / (case when {guess} then 0 else 1 end) = 1", undo=True)
                tried += 1
                if answer.sqlstate == "22012":
                    return broken(f"{name}: the division fails if the guess for {column} of a hidden row is right")
    return held(f"{tried} divisions succeeded, whatever the guess") if tried else nothing_to_see()


@attack(
    "reads",
    tries="Uses the database's own LEAKPROOF functions in conditions, where they run before the policies.",
    gains="Values of hidden rows, if such a function reveals its arguments.",
    source="https://www.postgresql.org/docs/current/sql-createfunction.html (LEAKPROOF)",
)
def leak_by_leakproof_function(attempt: Attempt) -> AttackVerdict:
    found = attempt.world.ask(
        "select n.nspname::text, p.proname::text, format_type(p.proargtypes[0], null) from pg_proc as p"
        " join pg_namespace as n on n.oid = p.pronamespace where p.proleakproof and n.nspname <> 'pg_catalog'"
        " and p.pronargs = 1 and p.prokind = 'f' and has_function_privilege(%s, p.oid, 'EXECUTE')",
        [attempt.world.client],
    )
    if not found:
        return not_applicable("no function of one argument besides PostgreSQL's own is marked leakproof")
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        me.raw(NO_INDEXES)
        for name, columns in client_relations(attempt):
            for column in columns:
                for schema, function, kind in found:
                    called = f"{ident(schema, function)}({ident(column)}::{kind}) is not null"
                    answer = me.run(f"select 1 from {name} where {called}", undo=True)
                    tried += 1
                    if attempt.leaked(answer.text):
                        return broken(f"{function} in a condition on {name} reveals {column} of others")
    return held(f"{tried} conditions let nothing out")


@attack(
    "reads",
    tries="Provokes errors of every kind of constraint (unique, check, foreign key, not null), and inspects what they quote.",
    gains="Values of hidden rows or columns, in an error's detail.",
)
def errors_quote_values(attempt: Attempt) -> AttackVerdict:
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.world.targets(attempt.attacker):
            secrets = _secrets_of(attempt, target)
            for statement in _mistakes(attempt, target):
                answer = me.run(statement, undo=True)
                tried += 1
                given = [mark for mark in attempt.marks if mark in statement]
                if attempt.leaked(answer.text, besides=given):
                    return broken(
                        f"{target.table.name}: an error ({answer.sqlstate}) quotes values of the other tenant"
                    )
                if any(secret in answer.text for secret in secrets):
                    return broken(f"{target.table.name}: an error ({answer.sqlstate}) quotes a hidden column")
    return held(f"{tried} errors quoted nothing of others") if tried else nothing_to_see()


def _secrets_of(attempt: Attempt, target: TargetTable) -> list[str]:
    """Return values of hidden columns that are long enough to be recognised."""
    rule = attempt.manifest.tables.get(target.table.name)
    names = () if rule is None else rule.access.hidden
    values = (row.values.get(name) for row in (*target.visible, *target.hidden) for name in names)
    return [value for value in values if value is not None and len(value) > 6]


def _mistakes(attempt: Attempt, target: TargetTable) -> Iterator[str]:
    """Yield statements of a client that some constraint may refuse."""
    row = next((row for row in target.visible if row.facts.tenant is not None), None)
    for column in target.updatable:
        name = ident(column)
        where = "true" if row is None else row.where
        yield f"update {target.name} set {name} = null where {where}"
        yield f"update {target.name} set {name} = (select {target.value(column, _odd(target, column))}) where {where}"
        for hidden in target.hidden[:2]:
            if hidden.values.get(column) is not None:
                yield f"update {target.name} set {name} = {target.value(column, hidden.values[column])} where {where}"
    if target.insertable:
        for hidden in target.hidden[:1]:
            columns = [name for name in target.insertable if hidden.values.get(name) is not None]
            names = ", ".join(ident(name) for name in columns)
            values = ", ".join(target.value(name, hidden.values[name]) for name in columns)
            yield f"insert into {target.name} ({names}) values ({values})"
            if target.tenant in columns:
                mine = ", ".join(
                    target.value(name, attempt.own if name == target.tenant else hidden.values[name])
                    for name in columns
                )
                yield f"insert into {target.name} ({names}) values ({mine})"
    if target.deletable and row is not None:
        yield f"delete from {target.name} where {row.where}"


def _odd(target: TargetTable, column: str) -> str | None:
    kind = target.column(column).type
    if kind.startswith(("text", "character")):
        return ""
    if kind in ("integer", "bigint", "numeric") or kind.startswith("numeric"):
        return "-1"
    return None


@attack(
    "reads",
    tries="Reads and moves sequences: last_value, nextval, setval, currval.",
    gains="The number of rows that all tenants have made, and gaps or collisions in their numbers.",
    source="https://www.postgresql.org/docs/current/functions-sequence.html",
    rights=right("sequences"),
)
def sequence_read(attempt: Attempt) -> AttackVerdict:
    sequences = [each for each in attempt.project.target.sequences if _feeds_tenants(attempt, each.owned_by)]
    if not sequences:
        return not_applicable("no sequence gives numbers to rows of tenants")
    with attempt.acting_as(attempt.attacker) as me:
        for sequence in sequences:
            name = ident(sequence.schema, sequence.name)
            for what, statement in (
                ("last_value is read", f"select last_value from {name}"),
                ("nextval is called", f"select nextval({literal(name)})"),
                ("setval is called", f"select setval({literal(name)}, 1)"),
                (
                    "pg_sequences shows last_value",
                    "select last_value from pg_sequences where (schemaname, sequencename) ="
                    f" ({literal(sequence.schema)}, {literal(sequence.name)}) and last_value is not null",
                ),
            ):
                answer = me.run(statement, undo=True)
                if answer.ok and answer.rows:
                    return broken(f"{sequence.name}: {what}")
    return held(f"{len(sequences)} sequences are closed")


def _feeds_tenants(attempt: Attempt, owned_by: tuple[str, str] | None) -> bool:
    return owned_by is not None and attempt.project.scoped(owned_by[0])


@attack(
    "reads",
    tries="Makes two rows while another tenant makes some in between, and compares the numbers of the two.",
    gains="The number of rows that all others make, from the gaps between the attacker's own numbers.",
)
def sequence_gaps(attempt: Attempt) -> AttackVerdict:
    numbered = [
        (target, each.owned_by[1])
        for target in attempt.targets()
        for each in attempt.project.target.sequences
        if each.owned_by is not None and each.owned_by[0] == target.table.name and target.tenant and target.insertable
    ]
    if not numbered:
        return not_applicable("no row of a tenant gets its number from a sequence")
    tried = 0
    for target, column in numbered:
        statement = _own_row(attempt, target, column)
        if statement is None:
            continue
        with attempt.acting_as(attempt.attacker) as me:
            first = me.run(statement, undo=True)  # sequences are not rolled back
            with attempt.world.more_rows([target.table]) as made:
                second = me.run(statement, undo=True)
        if made and first.ok and second.ok:
            tried += 1
            apart = second.number - first.number
            if apart > 1:
                return broken(f"{target.table.name}.{column}: the numbers of two own rows are {apart} apart")
    return held(f"{tried} tables leave no gap") if tried else not_applicable("no numbered row could be made")


def _own_row(attempt: Attempt, target: TargetTable, column: str) -> str | None:
    """Return a statement that makes a row of the attacker's tenant and returns its number."""
    row = attempt.world.new_row(target.table, OWN)
    if row is None or column not in target.readable:
        return None
    names = [name for name in target.insertable if row.get(name) is not None and name != column]
    values = ", ".join(target.value(name, row[name]) for name in names)
    columns = ", ".join(ident(name) for name in names)
    return f"insert into {target.name} ({columns}) values ({values}) returning {ident(column)}"


def _of_one_tenant(attempt: Attempt, table: Table) -> bool:
    """Whether a relation holds the rows of a single tenant, so that its size reveals that tenant's."""
    column = attempt.manifest.tenant.column
    if table.column(column) is None or table.partition_of is None:
        return False
    name = ident(table.schema, table.name)
    rows = attempt.world.ask(f"select count(distinct {ident(column)}) from {name}")
    return bool(rows and rows[0][0] == 1)


def _single(attempt: Attempt, what: str, statement: str) -> AttackVerdict:
    tables = [table for table in attempt.project.target.tables if _of_one_tenant(attempt, table)]
    if not tables:
        with attempt.acting_as(attempt.attacker) as me:
            answer = me.run(statement, [attempt.targets()[0].name if attempt.targets() else "pg_class"])
        seen = "is seen" if answer.ok else "is refused"
        return held(f"{what} {seen}, of tables that all tenants share")
    with attempt.acting_as(attempt.attacker) as me:
        for table in tables:
            answer = me.run(statement, [ident(table.schema, table.name)])
            if answer.ok and answer.value is not None:
                return broken(f"{what} of {table.name} is visible, and the table holds the rows of a single tenant")
    return held(f"{what} is refused")


@attack(
    "reads",
    tries="Asks for the sizes of tables, and looks for one that holds the rows of a single tenant.",
    gains="How much data one tenant has, and how it grows.",
    source="https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-DBSIZE",
)
def sizes_of_one_tenant(attempt: Attempt) -> AttackVerdict:
    return _single(attempt, "the size", "select pg_relation_size(to_regclass(%s))")


@attack(
    "reads",
    tries="Reads the server's row count and estimate of a table that holds the rows of a single tenant.",
    gains="The numbers of rows that one tenant has, wrote and deleted.",
    source="https://www.postgresql.org/docs/current/monitoring-stats.html",
)
def counts_of_one_tenant(attempt: Attempt) -> AttackVerdict:
    return _single(
        attempt,
        "the number of rows",
        "select coalesce(s.n_live_tup, 0) + c.reltuples from pg_class as c left join pg_stat_all_tables as s"
        " on s.relid = c.oid where c.oid = to_regclass(%s)",
    )


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
