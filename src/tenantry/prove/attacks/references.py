"""Attacks through constraints between rows: foreign keys, unique keys, cascades."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import psycopg

from tenantry.mapping.project import ROW_ID
from tenantry.postgres import ident
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt, SessionAnswer, TargetTable
from tenantry.prove.attacks.harness.helpers import insert_sql, own_row
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.expected.callers import OTHER, OWN
from tenantry.prove.fixtures.build import FixtureRow


def _references(attempt: Attempt, *, others: bool = False) -> Iterator[tuple[TargetTable, str, str, FixtureRow]]:
    """Yield foreign keys of writable tenant tables that reference a table with hidden rows: child, column, parent's column, row.

    Args:
        others: also keys of or to a table without a tenant, and to the tenant table, by which a row names another tenant.
    """
    targets = {target.table.name: target for target in attempt.world.targets(attempt.attacker)}
    for child in targets.values():
        if child.tenant == ROW_ID or (child.tenant is None and not others):
            continue
        for key in child.table.foreign_keys:
            parent = targets.get(key.ref_table or "")
            if parent is None or key.ref_schema != child.table.schema or not parent.hidden:
                continue
            if parent.tenant in (None, ROW_ID) and not others:
                continue  # naming a tenant, e.g. to share with it, references none of its rows
            pairs = list(zip(key.columns, key.ref_columns, strict=True))
            for column, there in pairs:
                own = {row.values[there] for row in parent.visible}
                row = next((row for row in parent.hidden if row.values[there] not in (None, *own)), None)
                if column != child.tenant and row is not None and (there != parent.tenant or len(pairs) == 1):
                    yield child, column, there, row


def _refer(
    attempt: Attempt, me: AttackSession, child: TargetTable, column: str, value: str | None
) -> SessionAnswer | None:
    """Let a row of the attacker reference a value: by UPDATE, otherwise by INSERT; None if they may do neither."""
    row = own_row(attempt, child)
    given = child.value(column, value)
    if row is not None and column in child.updatable:
        statement = f"update {child.name} set {ident(column)} = {given} where {row.where}"
    else:
        fresh = attempt.world.new_row(child.table, OWN) if column in child.insertable else None
        made = None if fresh is None else insert_sql(child, {**fresh, column: value})
        if made is None:
            return None
        statement = made
    # Check deferred constraints now, within the savepoint.
    return me.run(f"do $do$ begin {statement}; set constraints all immediate; end $do$", undo=True)


@attack("writes", tries="Makes an own row reference a row of another tenant.",
        gains="The attacker's rows in others' lists, and rows that others cannot delete.",
        source="https://www.postgresql.org/docs/current/ddl-rowsecurity.html")  # fmt: skip
def refer_to_anothers_row(attempt: Attempt) -> AttackVerdict:
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        for child, column, there, parent in _references(attempt):
            answer = _refer(attempt, me, child, column, parent.values[there])
            if answer is None:
                continue
            tried += 1
            if answer.ok:
                return broken(f"{child.table.name}.{column} refers to a row of the other tenant's {parent.table.name}")
    if not tried:
        return not_applicable("no foreign key between tables of tenants that clients write")
    return held(f"{tried} foreign keys refuse it")


@attack("writes", tries="Compares a foreign key's answers for a hidden row's id and for an id that does not exist.",
        gains="Knowledge whether a row with a known id exists in any tenant.",
        source="https://www.postgresql.org/docs/current/ddl-rowsecurity.html (covert channels)")  # fmt: skip
def foreign_key_tells_existence(attempt: Attempt) -> AttackVerdict:
    tried = 0
    telling: list[str] = []
    with attempt.acting_as(attempt.attacker) as me:
        for child, column, there, parent in _references(attempt, others=True):
            if child.column(column).type != "uuid":
                continue
            there_is = _refer(attempt, me, child, column, parent.values[there])
            is_not = _refer(attempt, me, child, column, attempt.unknown())
            if there_is is None or is_not is None:
                continue
            tried += 1
            if (there_is.sqlstate, there_is.error) == (is_not.sqlstate, is_not.error):
                continue
            if column not in attempt.manifest.tables[child.table.name].access.unseen:
                return broken(
                    f"{child.table.name}.{column}: {there_is.sqlstate or 'no error'} for a hidden row,"
                    f" {is_not.sqlstate or 'no error'} for none"
                )
            telling.append(f"{child.table.name}.{column}")
    more = f"; the manifest lets {', '.join(telling)} tell whether a row exists" if telling else ""
    if not tried:
        return not_applicable("no foreign key by which clients name rows")
    return held(
        f"{tried} foreign keys answer the same for both{more}" if tried > len(telling) else more.removeprefix("; ")
    )


def _uniques(attempt: Attempt) -> Iterator[tuple[TargetTable, tuple[str, ...], FixtureRow]]:
    """Yield unique keys without the tenant column, with a hidden row that has values in all columns of the key."""
    for target in attempt.targets():
        for index in target.table.indexes:
            names = tuple(name for name in index.columns if name is not None)
            if not index.unique or not index.valid or len(names) != len(index.columns) or target.tenant in names:
                continue
            row = next((row for row in target.hidden if all(row.values.get(name) is not None for name in names)), None)
            if row is not None and target.tenant is not None:
                yield target, names, row


@attack("writes", tries="Gives own rows the unique values of another tenant's row, by INSERT and by UPDATE.",
        gains="Knowledge whether a value exists in any tenant: the error of the duplicate key tells.",
        source="https://www.postgresql.org/docs/current/ddl-rowsecurity.html (covert channels)")  # fmt: skip
def unique_key_tells_existence(attempt: Attempt) -> AttackVerdict:
    tried = 0
    keys = list(_uniques(attempt))
    if not keys:
        return not_applicable("every unique key of a table with hidden rows has the tenant in it")
    with attempt.acting_as(attempt.attacker) as me:
        for target, names, hidden in keys:
            taken = {name: hidden.values[name] for name in names}
            answers = []
            row = own_row(attempt, target)
            if row is not None and set(names) <= set(target.updatable):
                values = ", ".join(f"{ident(name)} = {target.value(name, value)}" for name, value in taken.items())
                answers.append(me.run(f"update {target.name} set {values} where {row.where}", undo=True))
            if set(names) <= set(target.insertable):
                fresh = attempt.world.new_row(target.table, OWN) if target.tenant != ROW_ID else None
                made = None if fresh is None else insert_sql(target, {**fresh, **taken})
                if made is not None:
                    answers.append(me.run(made, undo=True))
            tried += len(answers)
            if any(answer.sqlstate == "23505" for answer in answers):
                return broken(
                    f"{target.table.name} ({', '.join(names)}): the error reveals a duplicate of another tenant's value"
                )
    return held(f"{tried} writes revealed none of others' values; clients cannot set more of {len(keys)} keys")


@attack("writes", tries="Inserts unique values of another tenant's row with ON CONFLICT DO NOTHING and DO UPDATE.",
        gains="Knowledge whether a value exists in any tenant, without an error.",
        source="https://www.postgresql.org/docs/current/sql-insert.html")  # fmt: skip
def upsert_tells_existence(attempt: Attempt) -> AttackVerdict:
    tried = 0
    keys = list(_uniques(attempt))
    if not keys:
        return not_applicable("every unique key of a table with hidden rows has the tenant in it")
    with attempt.acting_as(attempt.attacker) as me:
        for target, names, hidden in keys:
            if not set(names) <= set(target.insertable) or target.tenant == ROW_ID:
                continue
            fresh = attempt.world.new_row(target.table, OWN)
            if fresh is None:
                continue
            taken = {name: hidden.values[name] for name in names}
            doing = [" on conflict do nothing"]
            if target.updatable:
                column = ident(target.updatable[0])
                conflict = ", ".join(ident(name) for name in names)
                doing.append(f" on conflict ({conflict}) do update set {column} = excluded.{column}")
            for more in doing:
                there, nowhere = insert_sql(target, {**fresh, **taken}, more=more), insert_sql(target, fresh, more=more)
                if there is None or nowhere is None:
                    continue
                answers = [me.run(statement, undo=True) for statement in (there, nowhere)]
                tried += 1
                if answers[1].ok and (answers[0].sqlstate, answers[0].touched) != ("", answers[1].touched):
                    return broken(f"{target.table.name} ({', '.join(names)}): {more.strip()} tells {answers[0]}")
    return held(f"{tried} upserts revealed none of others' values; clients cannot set more of {len(keys)} keys")


@attack("writes", tries="Deletes an own row that rows of another tenant reference with ON DELETE CASCADE or SET NULL.",
        gains="Deleted and emptied rows of others: foreign keys bypass policies.",
        source="https://www.postgresql.org/docs/current/ddl-rowsecurity.html")  # fmt: skip
def cascade_into_another_tenant(attempt: Attempt) -> AttackVerdict:
    return _cascades(attempt, "delete")


@attack("writes", tries="Changes a key of an own row, which ON UPDATE CASCADE copies into rows of another tenant.",
        gains="Changed rows of others.", source="https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK")  # fmt: skip
def cascade_of_an_update(attempt: Attempt) -> AttackVerdict:
    return _cascades(attempt, "update")


def _cascades(attempt: Attempt, command: Literal["update", "delete"]) -> AttackVerdict:
    """Make a row of the other tenant that references one that the attacker may change; let them change it, and inspect the row."""
    tried = 0
    targets = {target.table.name: target for target in attempt.world.targets(attempt.attacker)}
    for child in targets.values():
        for key in child.table.foreign_keys:
            action = key.on_delete if command == "delete" else key.on_update
            parent = targets.get(key.ref_table or "")
            if action not in ("cascade", "set null", "set default") or parent is None or child.tenant is None:
                continue
            right = parent.deletable if command == "delete" else set(key.ref_columns) & set(parent.updatable)
            row = next((row for row in parent.visible if attempt.world.may(attempt.attacker, command, row.facts)), None)
            if not right or row is None:
                continue
            tried += 1
            if (
                parent.tenant is not None
                and dict(zip(key.columns, key.ref_columns, strict=True)).get(child.tenant) == parent.tenant
            ):
                continue  # referencing rows belong to the same tenant
            if _carried(attempt, child, key.columns, key.ref_columns, parent, row, command):
                return broken(
                    f"{key.name}: {command} of a {parent.table.name} row reached the other tenant's {child.table.name}"
                )
    if not tried:
        return not_applicable(f"no foreign key cascades an {command} of clients" if command == "update" else
                              "no foreign key cascades a delete of clients")  # fmt: skip
    return held(f"{tried} foreign keys do not reach another tenant: none of its rows can reference such a row")


def _carried(
    attempt: Attempt,
    child: TargetTable,
    columns: tuple[str, ...],
    there: tuple[str, ...],
    parent: TargetTable,
    row: FixtureRow,
    command: str,
) -> bool:
    """Whether a row of the other tenant that references `row` is deleted or changed; the owner makes and inspects it."""
    base = next((each for each in child.hidden if each.facts.tenant == OTHER), None)
    if base is None:
        return False
    hung = ", ".join(
        f"{ident(mine)} = {child.value(mine, row.values[theirs])}" for mine, theirs in zip(columns, there, strict=True)
    )
    keys = (
        " and ".join(
            f"{ident(name)} = {child.value(name, base.values[name])}"
            for name in child.table.row_key or ()
            if name not in columns
        )
        or "false"
    )
    mark = f"select md5(string_agg(t::text, '' order by t::text)) from {child.name} as t where {keys}"
    owner = attempt.world
    try:
        owner.owner.execute(f"update {child.name} set {hung} where {base.where}".encode())
        before = owner.ask(mark)
        with attempt.acting_as(attempt.attacker, keep=True) as me:
            if command == "delete":
                me.run(f"delete from {parent.name} where {row.where}")
            else:
                for name in there:
                    if name in parent.updatable:
                        value = attempt.unknown() if parent.column(name).type == "uuid" else f"{row.values[name]}1"
                        me.run(
                            f"update {parent.name} set {ident(name)} = {parent.value(name, value)} where {row.where}"
                        )
        return owner.ask(mark) != before
    except psycopg.Error:
        return False
    finally:
        attempt.world.rebuild()


@attack("writes", tries="Deletes an own row that is referenced, with ON DELETE CASCADE, by rows that the role may not delete.",
        gains="More than the role allows, within the attacker's own tenant.",
        source="https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK")  # fmt: skip
def cascade_beyond_the_role(attempt: Attempt) -> AttackVerdict:
    tried = 0
    for person in attempt.world.persons:
        if not person.acts or not person.memberships:
            continue
        targets = {target.table.name: target for target in attempt.world.targets(person)}
        for child in targets.values():
            for key in child.table.foreign_keys:
                parent = targets.get(key.ref_table or "")
                if key.on_delete != "cascade" or parent is None or not parent.deletable:
                    continue
                for row in parent.visible:
                    if not attempt.world.may(person, "delete", row.facts):
                        continue
                    hanging = [
                        each
                        for each in child.visible
                        if all(
                            each.values[a] == row.values[b] for a, b in zip(key.columns, key.ref_columns, strict=True)
                        )
                        and not attempt.world.may(person, "delete", each.facts)
                    ]
                    for each in hanging[:1]:
                        tried += 1
                        with attempt.acting_as(person) as me:
                            me.run(f"delete from {parent.name} where {row.where}")
                            if not me.run(f"select count(*) from {child.name} where {each.where}").number:
                                return broken(
                                    f"{person.label} deletes {child.table.name} rows by way of {parent.table.name}"
                                )
    if not tried:
        return not_applicable(
            "every role that may delete a row may delete the rows that reference it with ON DELETE CASCADE"
        )
    return held(f"{tried} deletes left the referencing rows")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
