"""Attacks on the session: what one caller leaves behind for the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tenantry.postgres import ident, literal
from tenantry.postgres.seal import claims_text
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt, TargetTable
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.attacks.harness.rights import right


def _poisoned(attempt: Attempt, pool: Any, *statements: str) -> list[str]:
    """Let the attacker use the pool's only connection: they end the transaction and change the session. Return what was refused."""
    with pool.connection() as connection:
        session = AttackSession(connection)
        with attempt.acting_as(attempt.attacker, session, keep=True):
            return [str(answer) for statement in statements for answer in [session.raw(statement)] if not answer.ok]


@contextmanager
def _next_user(attempt: Attempt, pool: Any) -> Iterator[AttackSession]:
    """Let the victim use the same connection."""
    with pool.connection() as connection, attempt.acting_as(attempt.victim, AttackSession(connection)) as session:
        yield session


def _open_table(attempt: Attempt) -> TargetTable | None:
    """Return a table in which the victim sees rows."""
    return next(iter(attempt.open_tables(attempt.victim)), None)


@attack(
    "session",
    tries="Replaces the statements that the driver prepared under names, and waits for the next user of the connection.",
    gains="Any SQL, run as another caller.",
    source="https://www.postgresql.org/docs/current/sql-prepare.html",
)
def prepared_statement_replaced(attempt: Attempt) -> AttackVerdict:
    query = b"select 'the answer'::text where %s::int = 1"
    with attempt.pool() as pool:
        # Prepared by the driver, if the driver prepares statements.
        for _ in range(7):
            with pool.connection() as connection, attempt.acting_as(attempt.victim, AttackSession(connection)):
                connection.execute(query, [1])
        names = "; ".join(f"prepare _pg3_{n} (int) as select 'another answer'::text" for n in range(12))
        _poisoned(attempt, pool, "commit", "deallocate all", names)
        with _next_user(attempt, pool) as me:
            left = me.run("select count(*) from pg_prepared_statements where statement like '%another%'").number
            row = me.connection.execute(query, [1]).fetchone()
            if row != ("the answer",):
                return broken("the next user's query was answered by a statement that the attacker prepared")
    if left:
        return broken(f"{left} statements of the attacker were still prepared for the next user")
    return held("the next user's connection had no foreign statement, and their query returned its own answer")


@attack(
    "session",
    tries="Leaves temporary tables and views with the names of the application's tables for the next user.",
    gains="The data that the next user writes and reads.",
    source="https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH",
    rights=right("temporary"),
)
def temporary_table_left(attempt: Attempt) -> AttackVerdict:
    target = _open_table(attempt)
    if target is None:
        return not_applicable("no member of the other tenant sees a row")
    name = ident(target.table.name)
    with attempt.pool() as pool:
        refused = _poisoned(attempt, pool, "commit", f"create temporary table {name} (planted text)")
        refused += _poisoned(attempt, pool, "commit", f"create temporary view {name} as select 1 as planted")
        with _next_user(attempt, pool) as me:
            if me.run(f"select planted from {name} limit 1").ok:
                return broken(f"the next user's {target.table.name} is a temporary table of the attacker")
            left = me.run("select to_regclass('pg_temp.' || quote_ident(%s))::text", [target.table.name]).value
    if left is not None:
        return broken("a temporary table of the attacker was still there for the next user")
    return held(f"refused ({refused[0]})" if refused else "it was dropped before the next user")


@attack(
    "session",
    tries="Sets search_path for the session in every way, and returns the connection for the next user.",
    gains="The next user's names resolve to other tables and functions.",
    source="CVE-2018-1058",
)
def search_path_left(attempt: Attempt) -> AttackVerdict:
    with attempt.pool() as pool:
        _poisoned(
            attempt,
            pool,
            "commit",
            "set session search_path = planted, pg_catalog",
            "select set_config('search_path', 'planted', false)",
        )
        with _next_user(attempt, pool) as me:
            path = str(me.run("show search_path").value)
        with pool.connection() as connection:
            bare = str(AttackSession(connection).run("show search_path").value)
    if "planted" in path:
        return broken(f"the next user's search path was the attacker's: {path}")
    if "planted" in bare:
        return broken("the connection kept the attacker's search path outside transactions")
    return held(f"the next user's search path was the application's: {path}")


@attack(
    "session",
    tries="Takes the client role for the session, and returns the connection for a next user without a context.",
    gains="A request without a caller that runs as the client role.",
)
def role_left(attempt: Attempt) -> AttackVerdict:
    with attempt.pool() as pool:
        _poisoned(attempt, pool, "commit", f"set session role {ident(attempt.world.client)}")
        with pool.connection() as connection:
            session = AttackSession(connection)
            role, login = session.run("select current_user::text, session_user::text").rows[0]
    if role != login:
        return broken(f"the next user of the connection was {role} before opening a context")
    return held(f"the next user of the connection was {login} again")


@attack(
    "session",
    tries="Sets claims, and the current seal, for the session, and returns the connection for a next user without a context.",
    gains="Another caller, or the attacker later, acts with these claims.",
)
def claims_left(attempt: Attempt) -> AttackVerdict:
    text = literal(claims_text(attempt.world.claims(attempt.attacker)))
    with attempt.pool() as pool:
        _poisoned(
            attempt,
            pool,
            f"select set_config('request.jwt.claims', {text}, false),"
            " set_config('tenantry.seal', current_setting('tenantry.seal', true), false)",
            f"select set_config('request.jwt.claim.sub', {literal(attempt.attacker.uid)}, false)",
            "commit",
        )
        with pool.connection() as connection, attempt.bare(attempt.world.client, AttackSession(connection)) as me:
            found = attempt.any_rows(me)
    if found:
        return broken(f"without any context the next user of the connection saw {found}")
    return held("the next user of the connection saw no row before opening a context")


@attack(
    "session",
    tries="Fetches from cursors that the previous user declared WITH HOLD.",
    gains="The rows that the victim read.",
    source="https://www.postgresql.org/docs/current/sql-declare.html",
)
def held_cursor_left(attempt: Attempt) -> AttackVerdict:
    target = _open_table(attempt)
    if target is None:
        return not_applicable("no member of the other tenant sees a row")
    with attempt.pool() as pool:
        with (
            pool.connection() as connection,
            attempt.acting_as(attempt.victim, AttackSession(connection), keep=True) as session,
        ):
            declared = session.run(f"declare page cursor with hold for select {target.columns} from {target.name}")
        with pool.connection() as connection, attempt.acting_as(attempt.attacker, AttackSession(connection)) as me:
            names = [row[0] for row in me.run("select name from pg_cursors where is_holdable").rows]
            got = sum(len(me.run(f"fetch all from {ident(name)}").rows) for name in names)
    if got:
        return broken(f"{got} rows came from a cursor of the previous user")
    return held("no cursor was left" if declared.ok else f"no cursor can be held: {declared}")


@attack(
    "session",
    tries="Reads the last number that the previous user got from a sequence.",
    gains="The number of another caller's newest row.",
    source="https://www.postgresql.org/docs/current/functions-sequence.html",
)
def last_number_left(attempt: Attempt) -> AttackVerdict:
    sequence = next(
        (
            each
            for each in attempt.project.target.sequences
            if attempt.world.ask(
                "select has_sequence_privilege(%s, to_regclass(%s), 'usage')",
                [attempt.world.client, ident(each.schema, each.name)],
            )[0][0]
        ),
        None,
    )
    if sequence is None:
        return not_applicable("clients may use no sequence")
    name = literal(ident(sequence.schema, sequence.name))
    with attempt.pool() as pool:
        with (
            pool.connection() as connection,
            attempt.acting_as(attempt.victim, AttackSession(connection), keep=True) as session,
        ):
            session.run(f"select nextval({name})")
        with pool.connection() as connection, attempt.acting_as(attempt.attacker, AttackSession(connection)) as me:
            for statement in ("select lastval()", f"select currval({name})"):
                if me.run(statement).ok:
                    return broken(f"{statement} returns the number of the previous user")
    return held("lastval and currval return no number of the previous user")


@attack(
    "session",
    tries="Keeps listening on a channel, or holding an advisory lock, after returning the connection.",
    gains="Foreign messages in the next user's request; a lock that is never released.",
    source="https://www.postgresql.org/docs/current/sql-discard.html",
)
def locks_and_listeners_left(attempt: Attempt) -> AttackVerdict:
    with attempt.pool() as pool:
        _poisoned(attempt, pool, "listen planted", "select pg_advisory_lock(42, 4711)")
        with _next_user(attempt, pool) as me:
            if me.run("select count(*) from pg_listening_channels()").number:
                return broken("the next user still listens on the attacker's channel")
            lock = (
                "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and objid = 4711"
            )
            if me.run(lock).number:
                return broken("the attacker's lock was still held for the next user")
    return held("neither a channel nor a lock was left")


@attack(
    "session",
    tries="Changes settings that decide what literals, dates and numbers mean, for the session.",
    gains="Another meaning of the next user's statements; with standard_conforming_strings off, injections.",
    source="https://www.postgresql.org/docs/current/runtime-config-compatible.html",
)
def settings_left(attempt: Attempt) -> AttackVerdict:
    with attempt.pool() as pool:
        with pool.connection() as connection:
            before = _settings(AttackSession(connection))
        _poisoned(attempt, pool, "commit", *(f"set session {name} = {value}" for name, value in _HOSTILE.items()))
        with pool.connection() as connection:
            after = _settings(AttackSession(connection))
    changed = [name for name in _HOSTILE if before[name] != after[name]]
    if changed:
        return broken(f"the next user had the attacker's {', '.join(changed)}")
    return held(f"none of {len(_HOSTILE)} settings reached the next user")


_HOSTILE = {
    "standard_conforming_strings": "off",
    "backslash_quote": "on",
    "datestyle": "'SQL, DMY'",
    "intervalstyle": "iso_8601",
    "timezone": "'Etc/GMT+12'",
    "timezone_abbreviations": "'India'",
    "extra_float_digits": "-5",
    "lc_monetary": "'POSIX'",
    "lc_numeric": "'POSIX'",
    "lc_time": "'POSIX'",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "gin_fuzzy_search_limit": "3",
    "bytea_output": "'escape'",
    "xmlbinary": "hex",
    "xmloption": "document",
    "quote_all_identifiers": "on",
    "check_function_bodies": "off",
    "client_min_messages": "error",
    "log_parameter_max_length_on_error": "-1",
    "plpgsql.check_asserts": "off",
    "row_security": "off",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "'serializable'",
}


def _settings(session: AttackSession) -> dict[str, str]:
    # plpgsql's settings exist in a session only after its first plpgsql function.
    names = ", ".join(f"coalesce(current_setting({literal(name)}, true), 'on')" for name in _HOSTILE)
    return dict(zip(_HOSTILE, session.run(f"select {names}").rows[0], strict=True))


def _meaning(session: AttackSession) -> dict[str, str]:
    """Return the settings that decide what a context's statements mean, without the defaults of later transactions."""
    shown = {name: value for name, value in _settings(session).items() if not name.startswith("default_")}
    for name in ("search_path", "transaction_isolation", "transaction_read_only"):
        shown[name] = str(session.run(f"show {name}").value)
    return shown


@attack(
    "session",
    tries="Changes settings that decide what literals, dates and numbers mean, in a session that is not reset before its next user,"
    " as behind a pooler in transaction mode.",
    gains="The next user's dates mean other days, and their NULLs, strings and numbers other values.",
    source="https://www.pgbouncer.org/features.html",
)
def settings_of_the_user_before(attempt: Attempt) -> AttackVerdict:
    with attempt.acting_as(attempt.victim) as me:
        before = _meaning(me)
    session = attempt.connect()
    with attempt.acting_as(attempt.attacker, session, keep=True):
        session.raw("commit")
        for name, value in _HOSTILE.items():
            session.raw(f"set session {name} = {value}")
    with attempt.acting_as(attempt.victim, session) as me:
        after = _meaning(me)
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        return broken(f"the next user's context has the attacker's {', '.join(changed)}")
    return held(f"the context sets each of {len(before)} settings itself")


@attack(
    "session",
    tries="As the login itself, sets defaults for all its later sessions with ALTER ROLE … SET.",
    gains="All future sessions of the application begin with the attacker's settings.",
    source="https://www.postgresql.org/docs/current/sql-alterrole.html",
)
def settings_of_the_login(attempt: Attempt) -> AttackVerdict:
    if not attempt.world.own_login:
        return not_applicable("the login is the application's own, and its settings must not change")
    login, database = attempt.connect().run("select session_user::text, current_database()::text").rows[0]
    where = f"alter role {ident(login)} in database {ident(database)}"
    try:
        with attempt.pool() as pool:
            with _next_user(attempt, pool) as me:
                before = _meaning(me)
            refused = _poisoned(
                attempt,
                pool,
                "commit",
                *(f"{where} set {name} = {value}" for name, value in _HOSTILE.items()),
                f"{where} set search_path = planted",
                f"{where} set idle_session_timeout = '1h'",
                f"{where} set role = {ident(attempt.manifest.database_roles.anon)}",
            )
        with attempt.pool() as pool:
            with pool.connection() as connection:
                bare = AttackSession(connection)
                idle = bare.run("show idle_session_timeout").value
                if bare.run("select current_user = session_user").value is not True:
                    return broken("new sessions of the application begin under the role that the attacker chose")
            if idle != "0":
                return broken("new sessions of the application end when the attacker wants (idle_session_timeout)")
            with _next_user(attempt, pool) as me:
                after = _meaning(me)
    finally:
        attempt.world.owner.execute(f"{where} reset all".encode())
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        return broken(f"new sessions of the application begin with the attacker's {', '.join(changed)}")
    return held("refused" if refused else "the application sets these settings itself")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
