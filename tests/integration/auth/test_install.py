"""The sign-in server's database: what an installation makes, that it makes it once, and that the login can do nothing else."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tenantry.accounts.auth_schema import AuthSchema, complete_auth_schema
from tenantry.auth.errors import AuthSchemaForeign, ServerLoginUnfit
from tenantry.auth.install.database import install_database, installation_sql
from tenantry.auth.install.rights import read_functions, read_policies, read_rights, wanted_rights
from tenantry.errors import RightsMissing
from tenantry.postgres import EmbeddedServer
from tenantry.prove.lint.scope import discover
from tests.conftest import Database, fresh_database, running_server, version_parameters

USER = "6f9d1f0e-6e2b-4a54-9a55-0a3b1c2d3e4f"


@pytest.fixture
def login(database: Database) -> Any:
    """A name that no other test has, since roles belong to the cluster; the role is dropped at the end."""
    name = f"tenantry_auth_{uuid4().hex[:8]}"
    yield name
    with database.connect() as owner:
        if owner.execute("select from pg_roles where rolname = %s", [name]).fetchone() is not None:
            owner.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(name)))


@pytest.mark.parametrize("version", version_parameters())
def test_an_installation_is_made_once_and_gives_exactly_the_rights_listed(
    servers: dict[int, EmbeddedServer], version: int
) -> None:
    login = f"tenantry_auth_{uuid4().hex[:8]}"
    with fresh_database(running_server(servers, version)) as database, database.connect() as owner:
        try:
            made = install_database(owner, login, "an invented password")
            assert (made.schema, made.created_tables, made.created_login) == (AuthSchema.MISSING, True, True)
            assert made.changed and made.excess == ()
            wanted = wanted_rights(read_functions(owner))
            assert read_rights(owner, login) == wanted == frozenset(made.granted)
            before = _snapshot(owner)
            again = install_database(owner, login, None)
            assert not again.changed and again.excess == ()
            assert _snapshot(owner) == before
            # What an administrator granted besides is told, and stays.
            owner.execute(sql.SQL("grant truncate on auth.users to {}").format(sql.Identifier(login)))
            owner.execute(sql.SQL("revoke insert (email) on auth.users from {}").format(sql.Identifier(login)))
            third = install_database(owner, login, None)
            assert [str(each) for each in third.excess if each.privilege == "truncate"] == [
                "truncate on table auth.users"
            ]
            assert [(each.name, each.privilege) for each in third.granted] == [("auth.users", "insert")]
            assert wanted <= read_rights(owner, login)
            # The role is plain, and its password reached the server as a verifier.
            assert owner.execute(
                "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolinherit, rolpassword like 'SCRAM-SHA-256$%%'"
                "  from pg_authid where rolname = %s", [login]
            ).fetchone() == (False, False, False, False, False, False, True)  # fmt: skip
        finally:
            owner.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(login)))


def _snapshot(owner: psycopg.Connection[Any]) -> list[Any]:
    """Everything of the two schemas that a second run could have changed, without the functions' row versions."""
    return owner.execute(
        "select c.oid::regclass::text, c.relacl::text, c.reloptions::text, c.relrowsecurity from pg_class as c"
        " where relnamespace::regnamespace::text in ('auth', 'tenantry_auth')"
        " union all select oid::regprocedure::text, proacl::text, md5(prosrc), prosecdef from pg_proc"
        " where pronamespace::regnamespace::text in ('auth', 'tenantry_auth')"
        " union all select polrelid::regclass::text, polname, polroles::regrole[]::text, polpermissive from pg_policy order by 1, 2, 3"
    ).fetchall()


def test_the_login_does_what_the_server_needs_and_nothing_else(database: Database, login: str) -> None:
    with database.connect() as owner:
        owner.execute("create table public.invoices (id int); create schema app; create table app.secret (id int)")
        install_database(owner, login, "an invented password")
    with database.connect(user=login) as server:
        allowed = [
            f"insert into auth.users (id, email, encrypted_password) values ('{USER}', 'ada@mail.example', 'x')",
            f"select * from auth.users where id = '{USER}' for update",
            "insert into auth.identities (id, provider_id, user_id, identity_data, provider)"
            f" values (gen_random_uuid(), '{USER}', '{USER}', '{{}}', 'email')",
            f"insert into auth.sessions (id, user_id, created_at, aal) values ('{USER}', '{USER}', now(), 'aal1')",
            f"insert into auth.refresh_tokens (token, user_id, revoked, session_id) values ('t', '{USER}', false, '{USER}')",
            f"insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to) values (gen_random_uuid(), '{USER}',"
            " 'recovery_token', 'h', 'ada@mail.example') on conflict (user_id, token_type) do update set token_hash = excluded.token_hash",
            "insert into auth.audit_log_entries (id, payload, created_at, ip_address) values (gen_random_uuid(), '{}', now(), '')",
            "insert into tenantry_auth.rate_limits as l (key, tat) values ('k', now()) on conflict (key) do update set tat = excluded.tat"
            " where l.tat <= now() returning tat",
            f"update auth.users set last_sign_in_at = now(), updated_at = now() where id = '{USER}' returning id",
        ]
        for statement in allowed:
            assert server.execute(statement.encode()).rowcount == 1, statement
        server.execute("delete from auth.users")
        assert server.execute("select count(*) from auth.refresh_tokens").fetchone() == (0,)
        for statement in (
            "update auth.users set is_super_admin = true",
            f"update auth.users set id = '{USER}'",
            "update auth.audit_log_entries set payload = '{}'",
            "delete from auth.audit_log_entries",
            "delete from auth.refresh_tokens",
            "truncate auth.sessions",
            "create table auth.more ()",
            "create table tenantry_auth.more ()",
            "create schema more",
            "alter table auth.users disable row level security",
            "create policy p on auth.users using (true)",
            "select * from public.invoices",
            "select * from app.secret",
            "select rolpassword from pg_authid",
            "set role postgres",
            "create role more",
            "copy auth.users to program 'true'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                server.execute(statement.encode())
    # A lint takes it for no client, unless somebody gives it a right elsewhere.
    with database.connect() as owner:
        assert login not in discover(owner).clients
        owner.execute(sql.SQL("grant select on public.invoices to {}").format(sql.Identifier(login)))
        assert login in discover(owner).clients
    # An event trigger that puts row-level security on every new table, as on a Supabase, does not close the server's own table.
    with database.connect() as owner:
        assert "tenantry_auth.rate_limits" in read_policies(owner, login)


def test_the_script_for_a_dba_makes_the_same_and_can_be_run_again(database: Database, login: str) -> None:
    with database.connect(autocommit=False) as owner:
        for _ in range(2):
            owner.execute(installation_sql(login).encode())
        owner.commit()
    with database.connect() as owner:
        assert read_rights(owner, login) == wanted_rights(read_functions(owner))
        found = install_database(owner, login, None)
        assert not found.changed and found.excess == ()


def test_what_belongs_to_others_is_left_alone(database: Database, login: str) -> None:
    with database.connect() as owner:
        owner.execute("create schema auth; create table auth.users (id uuid primary key)")
        with pytest.raises(AuthSchemaForeign, match="belongs to another system"):
            install_database(owner, login, "an invented password")
        assert owner.execute("select to_regnamespace('tenantry_auth') is null").fetchone() == (True,)
        owner.execute("drop schema auth cascade")
        complete_auth_schema(owner)
        name = sql.Identifier(login)
        for spoil, fix, reason in (
            ("create role {} login bypassrls", "alter role {} nobypassrls", "it has BYPASSRLS"),
            ("alter role {} nologin", "alter role {} login", "it cannot log in"),
            ("alter role {} superuser createdb", "alter role {} nosuperuser nocreatedb", "superuser; it has CREATEDB"),
            ("grant pg_read_all_data to {}", "revoke pg_read_all_data from {}", "it is a member of pg_read_all_data"),
            ("alter schema auth owner to {}", "alter schema auth owner to postgres", "it owns schemas"),
        ):
            owner.execute(sql.SQL(spoil).format(name))
            with pytest.raises(ServerLoginUnfit, match=reason):
                install_database(owner, login, None)
            owner.execute(sql.SQL(fix).format(name))
        assert owner.execute("select to_regnamespace('tenantry_auth') is null").fetchone() == (True,)
        owner.execute(sql.SQL("drop role {}; create role {} login").format(name, name))
        # A role without the rights is told so, and nothing is changed; with them it need be no superuser.
        more = f"{login}_2"
        with database.connect(user=login) as plain:
            with pytest.raises(RightsMissing, match="permission denied for schema auth"):
                install_database(plain, more, "an invented password")
            owner.execute("drop schema auth cascade")
            with pytest.raises(RightsMissing, match="may not create schemas"):
                install_database(plain, more, "an invented password")
            owner.execute(sql.SQL("grant create on database {} to {}").format(sql.Identifier(database.name), name))
            with pytest.raises(RightsMissing, match="may not create the login"):
                install_database(plain, more, "an invented password")
            assert owner.execute("select to_regnamespace('auth') is null").fetchone() == (True,)
            owner.execute(sql.SQL("alter role {} createrole").format(name))
            assert install_database(plain, more, "an invented password").created_login
        owner.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(more)))
