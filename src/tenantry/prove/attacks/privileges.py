"""Attacks on rights: what the login owns, which roles it may become, and what it may create."""

from __future__ import annotations

from tenantry.access.engine_rights import callers
from tenantry.postgres import ident, literal
from tenantry.prove.attacks.harness.attempt import Attempt
from tenantry.prove.attacks.harness.helpers import refused
from tenantry.prove.attacks.harness.model import AttackVerdict, Rights, attack, broken, held, in_module, not_applicable
from tenantry.prove.attacks.harness.rights import any_of, right


def roles_of(attempt: Attempt) -> tuple[str, ...]:
    roles = attempt.manifest.database_roles
    return ident(roles.authenticated), ident(roles.anon), "none"


def word(role: str) -> str:
    return "the login itself" if role == "none" else role


def _listed(attempt: Attempt, statements: dict[str, str]) -> AttackVerdict:
    return refused(attempt, statements.items())


def _by_rights(attempt: Attempt, question: Rights, none: str) -> AttackVerdict:
    """Answer from the catalog, where a trial would show no more."""
    found = question(attempt.world.owner, attempt.project)
    return broken(found) if found else held(none)


@attack("privileges", tries="Finds objects that the application's login or a client role owns, and drops or alters them.",
        gains="Owned objects may be changed, and policies bind a table's owner only with FORCE.",
        source="https://www.postgresql.org/docs/current/ddl-rowsecurity.html", rights=any_of(right("login_owns"), right("own_table")))  # fmt: skip
def owned_objects(attempt: Attempt) -> AttackVerdict:
    with attempt.acting_as(attempt.attacker) as me:
        for role in roles_of(attempt):
            me.raw(f"set local role {role}")
            found = me.run(
                "select c.oid::regclass::text from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
                " where n.nspname !~ '^pg_' and pg_has_role(current_user, c.relowner, 'USAGE') limit 1"
            ).value
            if found is not None:
                return broken(f"{word(role)} owns {found}")
    return _by_rights(attempt, any_of(right("login_owns"), right("own_table")), "the login and the clients own nothing")


@attack("privileges", tries="Asks which roles the application's login and the clients may become, and which rights they inherit.",
        gains="The rights of every role on that list.", source="https://www.postgresql.org/docs/current/role-membership.html",
        rights=any_of(right("login_becomes"), right("inherits")))  # fmt: skip
def roles_of_the_login(attempt: Attempt) -> AttackVerdict:
    roles = attempt.manifest.database_roles
    clients = [roles.authenticated, roles.anon]
    login = attempt.connect().run("select session_user::text").value
    found = attempt.world.ask(
        "select r.rolname::text from pg_roles as r where r.rolname <> all (%s) and r.rolname <> %s"
        " and (pg_has_role(%s, r.oid, 'MEMBER') or pg_has_role(%s, r.oid, 'MEMBER') or pg_has_role(%s, r.oid, 'MEMBER'))",
        [clients, login, login, *clients],
    )
    if found:
        return broken(f"{login} may become {found[0][0]}")
    inherited = attempt.world.ask(
        "select r.rolname::text from pg_roles as r where r.rolname = any (%s) and pg_has_role(%s, r.oid, 'USAGE')",
        [clients, login],
    )
    if inherited:
        return broken(f"{login} permanently has the rights of {inherited[0][0]}")
    if login != roles.login and attempt.world.ask("select 1 from pg_roles where rolname = %s", [roles.login]):
        return _by_rights(
            attempt,
            any_of(right("login_becomes"), right("inherits")),
            f"{login} is a member of the two client roles only",
        )
    return held(f"{login} may become the two client roles only")


@attack("privileges", tries="Uses attributes of roles: BYPASSRLS, SUPERUSER, CREATEROLE, CREATEDB, REPLICATION.",
        gains="All rows, all roles, the whole server.", source="https://www.postgresql.org/docs/current/role-attributes.html",
        rights=right("attributes"))  # fmt: skip
def attributes_of_roles(attempt: Attempt) -> AttackVerdict:
    verdict = _listed(
        attempt,
        {
            "CREATE ROLE": "create role tenantry_planted",
            "ALTER ROLE … BYPASSRLS": "alter role current_user bypassrls",
            "ALTER ROLE … SUPERUSER": "alter role current_user superuser",
            "GRANT of a role": f"grant {ident(attempt.manifest.database_roles.service)} to current_user",
        },
    )
    if verdict.outcome == "broken":
        return verdict
    login = attempt.connect().run("select session_user::text").value
    found = attempt.world.ask(
        "select rolname::text from pg_roles where rolname = any (%s)"
        " and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)",
        [[login, attempt.manifest.database_roles.login, attempt.world.client, attempt.manifest.database_roles.anon]],
    )
    return broken(f"{found[0][0]} has an attribute that gives it more than its own rights") if found else verdict


@attack("privileges", tries="Reads as the login itself, without any role.", gains="Rights that were granted to the login by mistake.",
        source="https://www.postgresql.org/docs/current/ddl-priv.html")  # fmt: skip
def rights_of_the_bare_login(attempt: Attempt) -> AttackVerdict:
    with attempt.bare() as me:
        found = attempt.any_rows(me)
        if not found:
            for target in attempt.world.targets(attempt.attacker):
                answer = me.run(f"select count(*) from {target.name}")
                if answer.ok:
                    return broken(f"the login itself has a right to read {target.table.name}")
    return broken(f"the login itself sees {found}") if found else held("the login itself is refused everywhere")


@attack("privileges", tries="Reads and changes the keys of sealed contexts, also through functions that read them.",
        gains="Every identity, for as long as the key lives.", rights=right("seal_key"))  # fmt: skip
def read_the_seal_key(attempt: Attempt) -> AttackVerdict:
    key = attempt.world.key
    if key is None:
        return not_applicable("contexts are not sealed ([context] sealed = false): there is no key")
    planted = ", ".join(f"'\\x{'00' * 64}'" for _ in range(4))
    columns = "kid, open_inner, open_outer, context_inner, context_outer"
    return _listed(
        attempt,
        {
            "reading a key": "select open_inner from tenantry.seal_key",
            "reading a key's name": "select kid from tenantry.seal_key",
            "planting a key": f"insert into tenantry.seal_key ({columns}) values ('planted', {planted})",
            "changing a key": "update tenantry.seal_key set not_after = null",
            "copying the keys": "copy tenantry.seal_key to stdout",
            "locking the keys": "lock table tenantry.seal_key in access share mode",
        },
    )


@attack("privileges", tries="Writes Tenantry's own tables: journal, accounts, quarantine, id maps.",
        gains="Another's flags, and rows that migrate to a place of the attacker's choice.", rights=right("foreign_schemas"))  # fmt: skip
def write_the_engine_schema(attempt: Attempt) -> AttackVerdict:
    tables = [row for row in attempt.relations() if row["schema_name"] == "tenantry" and row["kind"] in "rp"]
    if not tables:
        return not_applicable("there is no schema tenantry")
    statements = {}
    for row in tables:
        name = ident(row["schema_name"], row["name"])
        statements[f"DELETE from {name}"] = f"delete from {name}"
        statements[f"INSERT into {name}"] = f"insert into {name} default values"
        statements[f"TRUNCATE of {name}"] = f"truncate {name}"
    return _listed(attempt, statements)


@attack("privileges", tries="Calls the functions of Tenantry and of the service: erases people, changes addresses, writes the journal.",
        gains="Their effects, with the rights of the tables' owner, on people of every tenant.",
        source="https://www.postgresql.org/docs/current/sql-alterdefaultprivileges.html", rights=right("engine_functions"))  # fmt: skip
def functions_of_the_engine(attempt: Attempt) -> AttackVerdict:
    roles = attempt.manifest.database_roles
    listed = callers(attempt.manifest)
    given = attempt.world.ask(
        "select p.proname::text, p.oid::regprocedure::text, p.prokind = 'p', array(select 'null::' || format_type(t.oid, null)"
        " from unnest(p.proargtypes) with ordinality as t (oid, n) order by t.n)"
        " from pg_proc as p where p.pronamespace = to_regnamespace('tenantry') and p.prokind in ('f', 'p')"
        " and p.prorettype <> 'trigger'::regtype order by 2"
    )
    refusals = 0
    with attempt.acting_as(attempt.attacker) as me:
        for role, names in ((roles.authenticated, listed[roles.authenticated]), (roles.anon, listed[roles.anon])):
            me.raw(f"set local role {ident(role)}")
            for name, signature, procedure, arguments in given:
                if name in names:
                    continue
                call = f"{ident('tenantry', name)}({', '.join(arguments)})"
                answer = me.run(f"call {call}" if procedure else f"select {call}", undo=True)
                # A function that runs may still refuse, but it must not run at all.
                if not answer.error.startswith(("permission denied for function", "permission denied for procedure")):
                    return broken(f"{signature} runs for {role}: {answer}")
                refusals += 1
    if not refusals:
        return not_applicable("every function is meant for clients")
    return held(f"{refusals} calls were refused")


@attack("privileges", tries="Replaces, alters and drops the functions that return the caller, and those of the application.",
        gains="To act as any caller that the new function returns.", source="https://www.postgresql.org/docs/current/sql-alterfunction.html",
        rights=right("create_in_schemas"))  # fmt: skip
def replace_the_functions(attempt: Attempt) -> AttackVerdict:
    statements = {
        "replacing tenantry.uid()": "create or replace function tenantry.uid() returns uuid language sql as 'select null::uuid'",
        "replacing tenantry.tenants()": "create or replace function tenantry.tenants(text) returns uuid[] language sql as"
        " 'select null::uuid[]'",
        "overloading tenantry.tenants()": "create function tenantry.tenants(unknown) returns uuid[] language sql as 'select null::uuid[]'",
        "altering tenantry.is_super()": "alter function tenantry.is_super() security invoker",
        "dropping tenantry.uid()": "drop function tenantry.uid() cascade",
        "renaming tenantry.uid()": "alter function tenantry.uid() rename to planted",
    }
    for function in attempt.project.target.functions[:10]:
        if function.kind == "function":
            name = f"{ident(function.schema, function.name)}({function.arguments})"
            statements[f"altering {function.name}"] = f"alter function {name} security definer"
            statements[f"dropping {function.name}"] = f"drop function {name} cascade"
    return _listed(attempt, statements)


@attack("privileges", tries="Makes tables, functions, types, operators and views in every schema.",
        gains="Objects that others' names resolve to first, and functions that others call.", source="CVE-2018-1058",
        rights=right("create_in_schemas"))  # fmt: skip
def create_in_schemas(attempt: Attempt) -> AttackVerdict:
    names = attempt.world.ask("select nspname::text from pg_namespace where nspname !~ '^pg_(toast|temp)' order by 1")
    statements = {}
    for (schema,) in names:
        name = ident(schema)
        statements[f"CREATE TABLE in {schema}"] = f"create table {name}.planted (one integer)"
        statements[f"CREATE FUNCTION in {schema}"] = (
            f"create function {name}.planted() returns integer language sql as 'select 1'"
        )
        statements[f"CREATE TYPE in {schema}"] = f"create type {name}.planted as (one integer)"
        statements[f"CREATE VIEW in {schema}"] = f"create view {name}.planted as select 1"
    return _listed(attempt, statements)


@attack("privileges", tries="Makes schemas, extensions, languages, publications, servers and event triggers.",
        gains="The attacker's own schemas behind others' names; code that runs on every command.",
        source="https://www.postgresql.org/docs/current/ddl-priv.html", rights=right("create_in_database"))  # fmt: skip
def create_in_the_database(attempt: Attempt) -> AttackVerdict:
    return _listed(
        attempt,
        {
            "CREATE SCHEMA": "create schema planted",
            "CREATE LANGUAGE": "create language planted handler plpgsql_call_handler",
            "CREATE PUBLICATION": "create publication planted",
            "CREATE FOREIGN DATA WRAPPER": "create foreign data wrapper planted",
            "CREATE EVENT TRIGGER": "create event trigger planted on ddl_command_start execute function planted()",
            "CREATE CAST": "create cast (text as uuid) with inout as implicit",
        },
    )


@attack("privileges", tries="Makes temporary tables, views, sequences, types and functions.",
        gains="Names that resolve before the application's own, for the attacker and for functions with other rights.",
        source="https://www.postgresql.org/docs/current/sql-createfunction.html (writing SECURITY DEFINER functions safely)",
        rights=right("temporary"))  # fmt: skip
def create_temporary(attempt: Attempt) -> AttackVerdict:
    return _listed(
        attempt,
        {
            "CREATE TEMPORARY TABLE": "create temporary table planted (one integer)",
            "CREATE TEMPORARY VIEW": "create temporary view planted as select 1",
            "CREATE TEMPORARY SEQUENCE": "create temporary sequence planted",
            "CREATE FUNCTION in pg_temp": "create function pg_temp.planted() returns integer language sql as 'select 1'",
            "CREATE DOMAIN in pg_temp": "create domain pg_temp.text as pg_catalog.text",
        },
    )


_SHADOWS = (
    "create domain pg_temp.text as pg_catalog.text check (pg_temp.caught(value))",
    "create domain pg_temp.uuid as pg_catalog.uuid check (pg_temp.caught(value::pg_catalog.text))",
    "create domain pg_temp.jsonb as pg_catalog.jsonb check (pg_temp.caught(value::pg_catalog.text))",
    "create domain pg_temp.bytea as pg_catalog.bytea check (pg_temp.caught(value::pg_catalog.text))",
)
_CAUGHT = (
    "create function pg_temp.caught(pg_catalog.text) returns pg_catalog.bool language plpgsql as"
    " 'begin if current_user <> %L then raise notice ''caught as %%'', current_user; end if; return true; end'"
)


@attack("privileges", tries="Shadows types and tables with temporary ones, and calls every SECURITY DEFINER function.",
        gains="The attacker's code runs with the owner's rights, and receives the keys that the functions read.",
        source="https://www.postgresql.org/docs/current/sql-createfunction.html (writing SECURITY DEFINER functions safely)",
        rights=any_of(right("temporary"), right("mutable_path")))  # fmt: skip
def shadow_names_of_functions(attempt: Attempt) -> AttackVerdict:
    functions = [row for row in attempt.definer_functions() if row["for_clients"] and row["kind"] == "f"]
    if not functions:
        return not_applicable("clients may execute no SECURITY DEFINER function")
    caught = _CAUGHT.replace("%L", literal(attempt.world.client).replace("'", "''")).replace("%%", "%")
    with attempt.acting_as(attempt.attacker) as me:
        made = me.run(caught)
        shadows = [me.run(statement).ok for statement in _SHADOWS]
        for table in attempt.project.target.tables:
            me.run(f"create temporary table {ident(table.name)} (like {ident(table.schema, table.name)})")
        if not made.ok or not any(shadows):
            return held(f"nothing can be shadowed: {made}")
        for path in ("pg_catalog, pg_temp", "pg_temp, pg_catalog", "pg_temp"):
            me.run(f"set local search_path = {path}")
            for row in functions:
                given = ", ".join(f"null::{kind}" for kind in row["types"])
                call = f"pg_catalog.count(*) from {ident(row['schema_name'], row['name'])}({given})"
                answer = me.run(f"select {call}", undo=True)
                text = answer.text
                if row["types"] == ["text"]:
                    role = literal(attempt.manifest.roles.order[0])
                    again = me.run(
                        f"select pg_catalog.count(*) from {ident(row['schema_name'], row['name'])}({role}::pg_catalog.text)"
                    )
                    text += again.text
                if "caught as " in text:
                    return broken(f"{row['name']} runs the attacker's code with the rights of its owner")
    return held(f"{len(functions)} functions use PostgreSQL's own types, whatever is shadowed")


@attack("privileges", tries="Calls SECURITY DEFINER functions under the attacker's search path.",
        gains="The functions' names resolve to tables and functions of the attacker.", source="CVE-2018-1058, CVE-2007-2138",
        rights=right("mutable_path"))  # fmt: skip
def mutable_search_path(attempt: Attempt) -> AttackVerdict:
    functions = attempt.definer_functions()
    if not functions:
        return not_applicable("clients may execute no SECURITY DEFINER function")
    for row in functions:
        paths = [setting.partition("=")[2] for setting in row["settings"] if setting.startswith("search_path=")]
        if not paths:
            return broken(f"{row['name']} has the rights of its owner and the search path of its caller")
        schemas = [each.strip().strip('"') for each in paths[0].split(",") if each.strip()]
        if "$user" in schemas:
            return broken(f"{row['name']} looks for names in its caller's schema")
        if schemas and schemas != ["pg_catalog"] and "pg_temp" not in schemas[1:]:
            return broken(
                f"{row['name']} looks up names among temporary objects first: its search path does not end with pg_temp"
            )
    return held(f"{len(functions)} functions set their search path, temporary objects last")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
