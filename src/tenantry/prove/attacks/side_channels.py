"""Attacks outside the tables: large objects, notifications, and the visible state of other sessions."""

from __future__ import annotations

import re
from contextlib import suppress

import psycopg

from tenantry.postgres import ident, literal
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable


@attack(
    "reads",
    tries="Reads, changes and deletes large objects, also one that the owner has just made.",
    gains="Files of all tenants: policies do not apply to large objects.",
    source="https://www.postgresql.org/docs/current/lo-implementation.html",
)
def large_objects(attempt: Attempt) -> AttackVerdict:
    owner = attempt.world.owner
    made = attempt.world.ask("select lo_from_bytea(0, 'of another tenant')")[0][0]
    try:
        # The existing ones, and a new one with the database's default rights.
        rows = attempt.world.ask(
            "select oid::bigint from pg_largeobject_metadata order by oid = %s desc, oid limit 20", [made]
        )
        objects = [row[0] for row in rows]
        with attempt.acting_as(attempt.attacker) as me:
            me.raw("reset role")
            for role in (f"set local role {ident(attempt.world.client)}", "reset role"):
                me.raw(role)
                for each in objects:
                    for what, statement in (
                        ("read", f"select lo_get({each})"),
                        ("written", f"select lo_put({each}, 0, 'x')"),
                        ("deleted", f"select lo_unlink({each})"),
                    ):
                        if me.run(statement, undo=True).ok:
                            return broken(f"a large object is {what} by {role.rpartition(' ')[2]}")
                if me.run("select data from pg_largeobject limit 1").ok:
                    return broken("pg_largeobject is read")
    finally:
        with suppress(psycopg.Error):
            owner.execute("select lo_unlink(%s)", [made])
    return held(f"{len(objects)} large objects are refused")


_CHANNEL = re.compile(r"pg_notify\s*\(\s*'([^']+)'|\bnotify\s+(\w+)", re.IGNORECASE)


@attack(
    "reads",
    tries="Listens on every channel that functions of the database notify, while rows of another tenant are made.",
    gains="The content of the messages: every listener receives them.",
    source="https://www.postgresql.org/docs/current/sql-notify.html",
)
def listen_to_others(attempt: Attempt) -> AttackVerdict:
    bodies = attempt.world.ask(
        "select p.prosrc from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace"
        " where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'tenantry')"
    )
    channels = {one or other for (body,) in bodies for one, other in _CHANNEL.findall(body or "")}
    if not channels:
        return not_applicable("no function of the database notifies")
    session = attempt.connect()
    session.raw(f"set role {ident(attempt.world.client)}")
    for channel in channels:
        session.raw(f"listen {ident(channel)}")
    with attempt.world.more_rows(attempt.project.target.tables):
        got = [message.payload for message in session.connection.notifies(timeout=0.3)]
    marks = [attempt.other, *attempt.marks]
    if any(mark in payload for payload in got for mark in marks):
        return broken(f"{len(got)} messages named the other tenant's rows")
    return held(f"{len(got)} messages on {len(channels)} channels named no row of others")


def _victim_at_work(attempt: Attempt, session: AttackSession) -> str:
    """Let the other tenant's user run a query with a secret value; return the value."""
    secret = "word-" + attempt.unknown()
    if attempt.application.binds:
        session.connection.execute(b"select 1 where %s::text = ''", [secret])
    else:
        session.connection.execute(f"select 1 where {literal(secret)} = ''".encode())
    return secret


@attack(
    "reads",
    tries="Reads what other sessions of the application are running, from pg_stat_activity, as client and as the login.",
    gains="Values and tokens in the text of other users' queries.",
    source="https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW",
)
def queries_of_others(attempt: Attempt) -> AttackVerdict:
    with attempt.acting_as(attempt.victim) as other, attempt.acting_as(attempt.attacker) as me:
        secret = _victim_at_work(attempt, other)
        for role in ("", "reset role"):
            if role:
                me.raw(role)
            answer = me.run("select string_agg(query, ' ') from pg_stat_activity where pid <> pg_backend_pid()")
            if answer.ok and secret in str(answer.value):
                return broken("pg_stat_activity shows a value of the other tenant's user, in the text of their query")
            if answer.ok and attempt.leaked(str(answer.value)):
                return broken("pg_stat_activity shows ids of the other tenant, in the text of a query")
    return held("the texts of others' queries show none of their values")


_LOCKING = re.compile(r"pg_(?:try_)?advisory_(?:xact_)?lock(?:_shared)?\s*\(", re.IGNORECASE)


@attack(
    "reads",
    tries="Reads advisory locks of others from pg_locks while they call the functions that take them.",
    gains="Knowledge which tenant is active, if the lock's key is made from the tenant.",
    source="https://www.postgresql.org/docs/current/view-pg-locks.html",
)
def locks_of_others(attempt: Attempt) -> AttackVerdict:
    functions = [
        name
        for name, body in attempt.world.ask(
            "select p.oid::regprocedure::text, p.prosrc from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace"
            " where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'tenantry') and p.prokind = 'f'"
        )
        if _LOCKING.search(body or "")
    ]
    if not functions:
        return not_applicable("no function of the database takes advisory locks")
    with attempt.acting_as(attempt.victim) as other, attempt.acting_as(attempt.attacker) as me:
        for name in functions:
            head, _, arguments = name.rstrip(")").partition("(")
            given = ", ".join(
                f"{literal(attempt.other)}::{kind}" if kind in ("uuid", "text") else f"null::{kind}"
                for kind in filter(None, arguments.split(","))
            )
            other.run(f"select {head}({given})")
        answer = me.run(
            "select count(*) from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid()"
            " and (classid::bigint << 32 | objid::bigint) in"
            " (hashtext(%s)::bigint, hashtextextended(%s, 0), hashtext(%s)::bigint & 4294967295)",
            [attempt.other, attempt.other, attempt.other],
        )
    if answer.number:
        return broken("the key of an advisory lock names the active tenant")
    return held(f"{len(functions)} functions take locks, none with a key made from the tenant alone")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
