"""Attacks that write rows of another tenant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from tenantry.mapping.project import ROW_ID
from tenantry.postgres import ident
from tenantry.prove.attacks.harness.attempt import Attempt, TargetTable
from tenantry.prove.attacks.harness.helpers import NO_WRITES, insert_sql, touched
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.attacks.harness.rights import right
from tenantry.prove.expected.callers import OTHER, OWN


@attack("writes", tries="Inserts rows that belong to another tenant.", gains="Planted rows in any tenant's data.")
def insert_for_another_tenant(attempt: Attempt) -> AttackVerdict:
    def statements(target: TargetTable) -> Iterator[tuple[str, str]]:
        row = (
            attempt.world.new_row(target.table, OTHER)
            if target.tenant not in (None, ROW_ID) and target.insertable
            else None
        )
        if row is not None:
            statement = insert_sql(target, row)
            if statement is not None:
                yield "an INSERT for the other tenant", statement

    return touched(attempt, statements, NO_WRITES)


@attack("writes", tries="Moves own rows into another tenant, by UPDATE of the tenant column.",
        gains="Planted rows, and rows that vanish from the own tenant's audit.",
        source="https://www.postgresql.org/docs/current/sql-createpolicy.html (WITH CHECK)", rights=right("protected_columns"))  # fmt: skip
def update_the_tenant(attempt: Attempt) -> AttackVerdict:
    def statements(target: TargetTable) -> Iterator[tuple[str, str]]:
        row = next((row for row in target.visible if row.facts.tenant == OWN), None)
        if row is not None and target.tenant not in (None, ROW_ID):
            column = ident(target.tenant or "")
            value = target.value(target.tenant or "", attempt.other)
            yield "moving a row to the other tenant", f"update {target.name} set {column} = {value} where {row.where}"

    return touched(attempt, statements, NO_WRITES, attempt.world.targets(attempt.attacker))


@attack("writes", tries="Changes the ids of own rows, to new ones and to those of another tenant's rows.",
        gains="Rows that replace others', and references that point elsewhere.", rights=right("protected_columns"))  # fmt: skip
def update_the_id(attempt: Attempt) -> AttackVerdict:
    def statements(target: TargetTable) -> Iterator[tuple[str, str]]:
        row = next((row for row in target.visible if row.facts.tenant == OWN), None)
        column = target.table.column(ROW_ID)
        if row is None or column is None or column.type != "uuid":
            return
        ids = [attempt.unknown(), *(str(hidden.values[ROW_ID]) for hidden in target.hidden[:1])]
        for value in ids:
            given = target.value(ROW_ID, value)
            yield "a change of the id", f"update {target.name} set {ROW_ID} = {given} where {row.where}"

    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.world.targets(attempt.attacker):
            for what, statement in statements(target):
                answer = me.run(statement, undo=True)
                tried += 1
                # If only a constraint refuses it, the right exists.
                if answer.touched or answer.sqlstate.startswith("23"):
                    return broken(f"{target.table.name}: {what} is not refused ({answer})")
    return held(f"{tried} statements were refused") if tried else not_applicable(NO_WRITES)


@attack("writes", tries="Inserts own rows with the ids of another tenant's rows.",
        gains="Rows that collide with others' wherever ids alone are keys: in the source during reverse replay, in files, in caches.")  # fmt: skip
def state_the_id_of_another(attempt: Attempt) -> AttackVerdict:
    def statements(target: TargetTable) -> Iterator[tuple[str, str]]:
        listed = attempt.manifest.tables[target.table.name].access.insert_columns or ()
        if (
            target.tenant in (None, ROW_ID)
            or not target.insertable
            or ROW_ID in listed
            or target.table.column(ROW_ID) is None
        ):
            return  # if the manifest lets clients set ids, reverse replay lists the collisions
        row = attempt.world.new_row(target.table, OWN)
        stating = replace(target, insertable=(*(name for name in target.insertable if name != ROW_ID), ROW_ID))
        for hidden in target.hidden[:1]:
            statement = None if row is None else insert_sql(stating, {**row, ROW_ID: str(hidden.values[ROW_ID])})
            if statement is not None:
                yield "an own row with the id of another tenant's", statement

    return touched(attempt, statements, NO_WRITES)


@attack("writes", tries="Updates and deletes rows of another tenant by their keys, and all rows at once.",
        gains="Changed and deleted rows of others.")  # fmt: skip
def change_by_key(attempt: Attempt) -> AttackVerdict:
    return touched(attempt, _changes, NO_WRITES)


@attack("writes", tries="Updates and deletes whole tables without reading any column, so that no SELECT policy applies.",
        gains="All rows, if the policy for writing is too broad.",
        source="https://www.postgresql.org/docs/current/sql-createpolicy.html")  # fmt: skip
def change_blindly(attempt: Attempt) -> AttackVerdict:
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.targets():
            rows = (*target.visible, *attempt.world.fixtures.rows[target.table.name])
            statements: list[tuple[Literal["update", "delete"], str]] = []
            nullable = [name for name in target.updatable if target.column(name).nullable]
            statements += [("update", f"update {target.name} set {ident(name)} = null") for name in nullable[:1]]
            statements += [("delete", f"delete from {target.name}")] if target.deletable else []
            for command, statement in statements:
                mine = {id(row) for row in rows if attempt.world.may(attempt.attacker, command, row.facts)}
                answer = me.run(statement, undo=True)
                tried += 1
                if answer.touched > len(mine):
                    return broken(
                        f"{target.table.name}: a blind {command} touched {answer.touched} rows; {len(mine)} are the attacker's"
                    )
    return held(f"{tried} statements touched own rows only, or were refused") if tried else not_applicable(NO_WRITES)


def _keys(target: TargetTable) -> str:
    return " or ".join(f"({row.where})" for row in target.hidden)


def _changes(target: TargetTable) -> Iterator[tuple[str, str]]:
    for column in target.updatable[:1]:
        name = ident(column)
        yield "an UPDATE by key", f"update {target.name} set {name} = {name} where {_keys(target)}"
    if target.deletable:
        yield "a DELETE by key", f"delete from {target.name} where {_keys(target)}"


@attack("writes", tries="Updates and deletes rows of another tenant that a join finds.", gains="Changed and deleted rows of others.",
        source="https://www.postgresql.org/docs/current/sql-update.html (FROM)")  # fmt: skip
def change_by_join(attempt: Attempt) -> AttackVerdict:
    def statements(target: TargetTable) -> Iterator[tuple[str, str]]:
        if target.tenant is None:
            return
        given = f"(values ({target.value(target.tenant, attempt.other)})) as v (x)"
        match = f"t.{ident(target.tenant)} = v.x"
        for column in target.updatable[:1]:
            yield (
                "an UPDATE … FROM",
                f"update {target.name} as t set {ident(column)} = t.{ident(column)} from {given} where {match}",
            )
        if target.deletable:
            yield "a DELETE … USING", f"delete from {target.name} as t using {given} where {match}"

    return touched(attempt, statements, NO_WRITES)


@attack("writes", tries="Merges into rows of another tenant: update, delete, and insert without a match.",
        gains="Changed, deleted and planted rows of others.", source="https://www.postgresql.org/docs/current/sql-merge.html")  # fmt: skip
def merge_into_another_tenant(attempt: Attempt) -> AttackVerdict:
    def statements(target: TargetTable) -> Iterator[tuple[str, str]]:
        if target.tenant is None:
            return
        head = (
            f"merge into {target.name} as t using (values ({target.value(target.tenant, attempt.other)})) as v (x)"
            f" on t.{ident(target.tenant)} = v.x"
        )
        for column in target.updatable[:1]:
            yield "MERGE … UPDATE", f"{head} when matched then update set {ident(column)} = t.{ident(column)}"
        if target.deletable:
            yield "MERGE … DELETE", f"{head} when matched then delete"
        row = attempt.world.new_row(target.table, OTHER) if target.insertable and target.tenant != ROW_ID else None
        names = [name for name in target.insertable if row is not None and row.get(name) is not None]
        if row is not None and names:
            columns = ", ".join(ident(name) for name in names)
            values = ", ".join(target.value(name, row[name]) for name in names)
            unmatched = head.partition(" on ")[0] + " on false"
            yield "MERGE … INSERT", f"{unmatched} when not matched then insert ({columns}) values ({values})"

    return touched(attempt, statements, NO_WRITES)


@attack("writes", tries="Inserts with the key of another tenant's row and ON CONFLICT DO UPDATE.",
        gains="An update of a hidden row.", source="https://www.postgresql.org/docs/current/sql-insert.html")  # fmt: skip
def upsert_onto_anothers_row(attempt: Attempt) -> AttackVerdict:
    def statements(target: TargetTable) -> Iterator[tuple[str, str]]:
        key = target.table.row_key
        if not key or not target.updatable or not target.insertable:
            return
        stating = replace(target, insertable=tuple(dict.fromkeys((*target.insertable, *key))))
        column = ident(target.updatable[0])
        conflict = ", ".join(ident(name) for name in key)
        doing = f" on conflict ({conflict}) do update set {column} = excluded.{column}"
        for hidden in target.hidden[:2]:
            statement = insert_sql(stating, hidden.values, more=doing)
            if statement is not None:
                yield "an upsert onto the other tenant's row", statement

    return touched(attempt, statements, "clients may not both insert into and update any table")


@attack("writes", tries="Writes within a query: INSERT, UPDATE and DELETE in a WITH clause, on rows of another tenant.",
        gains="Writes by a statement that begins with SELECT.", source="https://www.postgresql.org/docs/current/queries-with.html")  # fmt: skip
def write_within_a_query(attempt: Attempt) -> AttackVerdict:
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.targets():
            for what, statement in _changes(target):
                answer = me.run(f"with done as ({statement} returning 1) select count(*) from done", undo=True)
                tried += 1
                if answer.number:
                    return broken(f"{target.table.name}: {what} in a WITH clause touched {answer.number} rows")
    return held(f"{tried} queries wrote nothing") if tried else not_applicable(NO_WRITES)


@attack(
    "writes",
    tries="Copies rows of another tenant into the attacker's own: INSERT … SELECT.",
    gains="Others' rows as one's own.",
)
def insert_from_another_tenant(attempt: Attempt) -> AttackVerdict:
    def statements(target: TargetTable) -> Iterator[tuple[str, str]]:
        names = [name for name in target.insertable if name in target.readable and name != ROW_ID]
        if target.tenant is None or target.tenant not in names:
            return
        columns = ", ".join(ident(name) for name in names)
        own = target.value(target.tenant, attempt.own)
        taken = ", ".join(own if name == target.tenant else ident(name) for name in names)
        yield (
            "INSERT … SELECT of the other tenant's rows",
            f"insert into {target.name} ({columns}) select {taken} from {target.name} where {_keys(target)}",
        )

    return touched(attempt, statements, NO_WRITES)


@attack("writes", tries="Loads rows of another tenant with COPY FROM.", gains="Thousands of planted rows.",
        source="https://www.postgresql.org/docs/current/sql-copy.html")  # fmt: skip
def copy_for_another_tenant(attempt: Attempt) -> AttackVerdict:
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.targets():
            row = (
                attempt.world.new_row(target.table, OTHER)
                if target.tenant not in (None, ROW_ID) and target.insertable
                else None
            )
            if row is None:
                continue
            names = [name for name in target.insertable if row.get(name) is not None]
            columns = ", ".join(ident(name) for name in names)
            line = "\t".join(_escaped(str(row[name])) for name in names)
            answer = me.copy_in(f"copy {target.name} ({columns}) from stdin", line + "\n")
            tried += 1
            if answer.ok and answer.touched:
                return broken(f"{target.table.name}: COPY loaded a row of the other tenant")
    return held(f"{tried} times COPY was refused") if tried else not_applicable(NO_WRITES)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


@attack("writes", tries="Updates rows of another tenant to have their old and new values returned.", gains="Rows, read through a write.",
        source="https://www.postgresql.org/docs/18/dml-returning.html")  # fmt: skip
def returning_old_and_new(attempt: Attempt) -> AttackVerdict:
    if attempt.world.version < 18:
        return not_applicable("RETURNING old and new came with PostgreSQL 18")

    def statements(target: TargetTable) -> Iterator[tuple[str, str]]:
        for column in target.updatable[:1]:
            name = ident(column)
            yield (
                "UPDATE … RETURNING old, new",
                f"update {target.name} set {name} = {name} where {_keys(target)} returning old.{name}, new.{name}",
            )

    return touched(attempt, statements, NO_WRITES)


@attack("writes", tries="Locks rows of another tenant: SELECT … FOR UPDATE, FOR SHARE and FOR KEY SHARE.",
        gains="Rows that their owner cannot change while the attacker holds the lock.",
        source="https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS")  # fmt: skip
def lock_rows(attempt: Attempt) -> AttackVerdict:
    def statements(target: TargetTable) -> Iterator[tuple[str, str]]:
        if target.readable and (target.updatable or target.deletable):
            for strength in ("update", "no key update", "share", "key share"):
                statement = f"select 1 from {target.name} where {_keys(target)} for {strength} skip locked"
                yield f"SELECT … FOR {strength.upper()}", statement

    return touched(attempt, statements, "clients have no right that locks rows")


@attack("writes", tries="Locks whole tables for everyone: LOCK TABLE … IN ACCESS EXCLUSIVE MODE.",
        gains="The application stops for all tenants.", source="https://www.postgresql.org/docs/current/sql-lock.html",
        rights=right("lock_table"))  # fmt: skip
def lock_table(attempt: Attempt) -> AttackVerdict:
    with attempt.acting_as(attempt.attacker) as me:
        tables = [
            target.table.name
            for target in attempt.world.targets(attempt.attacker)
            if me.run(f"lock table {target.name} in access exclusive mode nowait", undo=True).ok
        ]
    if tables:
        return broken(f"{len(tables)} tables can be locked by a client, as {tables[0]}")
    return held("refused for every table")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
