"""Attacks on objects that are made later, and on the server around the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tenantry.postgres import ident, literal
from tenantry.prove.attacks.harness.attempt import Attempt
from tenantry.prove.attacks.harness.helpers import refused
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.attacks.harness.rights import right
from tenantry.prove.attacks.privileges import roles_of, word


@contextmanager
def _made_by_owner(attempt: Attempt, create: str, drop: str) -> Iterator[None]:
    """Let the owner of the target's tables make an object; it is dropped at the end."""
    owner = attempt.project.target.tables[0].owner
    connection = attempt.world.owner
    connection.execute(f"set role {ident(owner)}".encode())
    try:
        # Outside the clean-up: a failure means that another object of that name exists.
        connection.execute(create.encode())
        try:
            yield
        finally:
            connection.execute(drop.encode())
    finally:
        connection.execute("reset role")


def _closed(attempt: Attempt, *statements: str) -> str:
    """Return the first statement that a client, an anonymous client or the login itself may run; empty if all are refused."""
    with attempt.acting_as(attempt.attacker) as me:
        for role in roles_of(attempt):
            me.raw(f"set local role {role}")
            for statement in statements:
                if me.run(statement, undo=True).ok:
                    return f"{statement.split()[0].upper()} by {word(role)}"
    return ""


@attack("privileges", tries="Reads and writes a table that the owner makes today, without any GRANT or policy.",
        gains="Every table that the owner forgets to protect.", source="https://www.postgresql.org/docs/current/sql-alterdefaultprivileges.html",
        rights=right("later_tables"))  # fmt: skip
def table_made_later(attempt: Attempt) -> AttackVerdict:
    name = ident(attempt.project.target.schema, "tenantry_later")
    create = f"create table {name} as select {literal(attempt.other)}::uuid as tenant"
    with _made_by_owner(attempt, create, f"drop table if exists {name}"):
        found = _closed(attempt, f"select * from {name}", f"insert into {name} values (null)", f"delete from {name}")
    return (
        broken(f"a table made later is open: {found}")
        if found
        else held("a table made later is closed to clients, anonymous clients and the login")
    )


@attack("privileges", tries="Reads a view and a materialized view that the owner makes today over the tables of tenants.",
        gains="All rows, through the owner's rights.", source="https://www.postgresql.org/docs/current/sql-createview.html",
        rights=right("later_tables"))  # fmt: skip
def view_made_later(attempt: Attempt) -> AttackVerdict:
    table = attempt.project.target.table(attempt.manifest.tenant.table)
    assert table is not None
    name, base = ident(attempt.project.target.schema, "tenantry_later"), ident(table.schema, table.name)
    for kind in ("view", "materialized view"):
        with _made_by_owner(attempt, f"create {kind} {name} as select * from {base}", f"drop {kind} if exists {name}"):
            found = _closed(attempt, f"select * from {name}")
        if found:
            return broken(f"a {kind} made later is open: {found}")
    return held("views made later are closed to clients, anonymous clients and the login")


@attack("privileges", tries="Calls a SECURITY DEFINER function that the owner makes today.",
        gains="The function's effects, for every caller: functions are open to PUBLIC unless EXECUTE is revoked.",
        source="https://www.postgresql.org/docs/current/sql-createfunction.html", rights=right("later_functions"))  # fmt: skip
def function_made_later(attempt: Attempt) -> AttackVerdict:
    table = attempt.project.target.table(attempt.manifest.tenant.table)
    assert table is not None
    name = ident(attempt.project.target.schema, "tenantry_later")
    base = ident(table.schema, table.name)
    create = (
        f"create function {name}() returns bigint language sql security definer set search_path = pg_catalog, pg_temp"
        f" as 'select count(*) from {base}'"
    )
    with _made_by_owner(attempt, create, f"drop function if exists {name}()"):
        found = _closed(attempt, f"select {name}()")
    return (
        broken(f"a function made later is open: {found}")
        if found
        else held("a function made later is closed to clients, anonymous clients and the login")
    )


@attack("privileges", tries="Reads a partition that the owner makes today for a table with policies.",
        gains="The rows of the new partition: policies of the parent do not apply to it.",
        source="https://www.postgresql.org/docs/current/ddl-rowsecurity.html", rights=right("later_tables"))  # fmt: skip
def partition_made_later(attempt: Attempt) -> AttackVerdict:
    parents = [table for table in attempt.project.target.tables if table.kind == "partitioned"]
    if not parents:
        return not_applicable("no table is partitioned")
    name = ident(attempt.project.target.schema, "tenantry_later")
    for table in parents:
        parent = ident(table.schema, table.name)
        create = f"create table {name} (like {parent} including all)"
        with _made_by_owner(attempt, create, f"drop table if exists {name}"):
            # Free bounds are not needed for the test: default rights are granted when the table is made.
            found = _closed(attempt, f"select * from {name}", f"delete from {name}")
        if found:
            return broken(f"a partition of {table.name} made later is open: {found}")
    return held("partitions made later are closed to clients, anonymous clients and the login")


@attack("privileges", tries="Reads and writes files of the server: pg_read_file, pg_ls_dir, lo_import, lo_export, COPY of a file.",
        gains="Passwords, other databases, and a way to run code.", source="https://www.postgresql.org/docs/current/functions-admin.html",
        rights=right("server_files"))  # fmt: skip
def files_of_the_server(attempt: Attempt) -> AttackVerdict:
    return refused(
        attempt,
        {
            "pg_read_file": "select pg_read_file('PG_VERSION')",
            "pg_read_binary_file": "select pg_read_binary_file('PG_VERSION')",
            "pg_ls_dir": "select pg_ls_dir('.')",
            "pg_stat_file": "select pg_stat_file('PG_VERSION')",
            "lo_import": "select lo_import('/etc/hostname')",
            "lo_export": "select lo_export(lo_creat(-1), '/dev/null')",
            "COPY of a file": "copy (select 1) to '/dev/null'",
            "pg_hba_file_rules": "select * from pg_hba_file_rules",
            "pg_file_settings": "select * from pg_file_settings",
            "pg_authid": "select rolpassword from pg_authid",
        }.items(),
    )


@attack("privileges", tries="Runs programs on the server: COPY … PROGRAM, C functions, LOAD.", gains="The server.",
        source="CVE-2019-9193 (disputed); https://www.postgresql.org/docs/current/sql-copy.html", rights=right("server_files"))  # fmt: skip
def programs_of_the_server(attempt: Attempt) -> AttackVerdict:
    return refused(
        attempt,
        {
            "COPY TO PROGRAM": "copy (select 1) to program 'cat > /dev/null'",
            "a C function": "create function planted() returns integer language c as '$libdir/plpgsql', 'plpgsql_validator'",
            "LOAD": "load '/tmp/tenantry-planted'",
            "pg_reload_conf": "select pg_reload_conf()",
        }.items(),
    )


@attack("privileges", tries="Connects from within the database to other databases, and back to this one as another login.",
        gains="Sessions of other logins, from the server's own address.", source="https://www.postgresql.org/docs/current/dblink.html",
        rights=right("remote"))  # fmt: skip
def other_databases(attempt: Attempt) -> AttackVerdict:
    there = [
        row[0]
        for row in attempt.world.ask(
            "select p.oid::regprocedure::text from pg_proc as p where p.proname in ('dblink', 'dblink_connect', 'dblink_exec',"
            " 'dblink_connect_u') and has_function_privilege(%s, p.oid, 'EXECUTE')"
            " and has_schema_privilege(%s, p.pronamespace, 'USAGE')",
            [attempt.world.client, attempt.world.client],
        )
    ]
    if there:
        return broken(f"clients may execute {there[0]}")
    return refused(
        attempt,
        {
            "CREATE EXTENSION dblink": "create extension dblink",
            "CREATE EXTENSION postgres_fdw": "create extension postgres_fdw",
            "CREATE SUBSCRIPTION": "create subscription planted connection 'host=localhost' publication planted with (connect = false)",
        }.items(),
    )


@attack("privileges", tries="Cancels and ends others' sessions, which belong to the same login.",
        gains="Others' requests fail, for as long as the attacker likes.",
        source="https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL", rights=right("other_sessions"))  # fmt: skip
def end_others_sessions(attempt: Attempt) -> AttackVerdict:
    other = attempt.connect()
    pid = int(other.run("select pg_backend_pid()").value)
    with attempt.acting_as(attempt.attacker) as me:
        for role in roles_of(attempt):
            me.raw(f"set local role {role}")
            for call in ("pg_cancel_backend", "pg_terminate_backend"):
                answer = me.run(f"select {call}(%s)", [pid])
                if answer.ok and answer.value is True:
                    return broken(
                        f"{call} is not refused to {word(role)}: a session that resets the role can end any request"
                    )
    return held(f"refused: {answer}")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
