"""Schema auth where there is no Supabase: its tables and functions, who may see them, and that official clients understand it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.types.json import Jsonb

from tenantry.accounts.auth_schema import (
    TABLES,
    AuthSchema,
    complete_auth_schema,
    drop_auth_script,
    read_auth_schema,
)
from tenantry.catalog.build import build_catalog
from tenantry.errors import TenantryError
from tenantry.plan import prerequisites, read_environment
from tests.conftest import Database
from tests.integration.accounts.auth_schema_support import Connection, make
from tests.migrate_support import clinic_manifest

NIL = "'00000000-0000-0000-0000-000000000000'::uuid"
EMPTY = "''::character varying"

# Column: type, `!` where it may not be null, and what stands in it by itself (`=` default, `:=` generated).
WANTED = {
    "users": f"""
        instance_id uuid ={NIL}
        id uuid!
        aud character varying(255) ='authenticated'::character varying
        role character varying(255) ='authenticated'::character varying
        email character varying(255)
        encrypted_password character varying(255) ={EMPTY}
        email_confirmed_at timestamp with time zone
        invited_at timestamp with time zone
        confirmation_token character varying(255)! ={EMPTY}
        confirmation_sent_at timestamp with time zone
        recovery_token character varying(255)! ={EMPTY}
        recovery_sent_at timestamp with time zone
        email_change_token_new character varying(255)! ={EMPTY}
        email_change character varying(255)! ={EMPTY}
        email_change_sent_at timestamp with time zone
        last_sign_in_at timestamp with time zone
        raw_app_meta_data jsonb ='{{}}'::jsonb
        raw_user_meta_data jsonb ='{{}}'::jsonb
        is_super_admin boolean
        created_at timestamp with time zone =now()
        updated_at timestamp with time zone =now()
        phone text
        phone_confirmed_at timestamp with time zone
        phone_change text! =''::text
        phone_change_token character varying(255)! ={EMPTY}
        phone_change_sent_at timestamp with time zone
        confirmed_at timestamp with time zone :=LEAST(email_confirmed_at, phone_confirmed_at)
        email_change_token_current character varying(255)! ={EMPTY}
        email_change_confirm_status smallint =0
        banned_until timestamp with time zone
        reauthentication_token character varying(255)! ={EMPTY}
        reauthentication_sent_at timestamp with time zone
        is_sso_user boolean! =false
        deleted_at timestamp with time zone
        is_anonymous boolean! =false
    """,
    "identities": """
        id uuid! =gen_random_uuid()
        provider_id text!
        user_id uuid!
        identity_data jsonb!
        provider text!
        last_sign_in_at timestamp with time zone
        created_at timestamp with time zone
        updated_at timestamp with time zone
        email text :=lower((identity_data ->> 'email'::text))
    """,
    "sessions": """
        id uuid!
        user_id uuid!
        created_at timestamp with time zone
        updated_at timestamp with time zone
        factor_id uuid
        aal auth.aal_level
        not_after timestamp with time zone
        refreshed_at timestamp without time zone
        user_agent text
        ip inet
        tag text
        oauth_client_id uuid
        refresh_token_hmac_key text
        refresh_token_counter bigint
        scopes text
    """,
    "refresh_tokens": f"""
        instance_id uuid ={NIL}
        id bigint! =nextval('auth.refresh_tokens_id_seq'::regclass)
        token character varying(255)
        user_id character varying(255)
        revoked boolean
        created_at timestamp with time zone
        updated_at timestamp with time zone
        parent character varying(255)
        session_id uuid
    """,
    "one_time_tokens": """
        id uuid!
        user_id uuid!
        token_type auth.one_time_token_type!
        token_hash text!
        relates_to text!
        created_at timestamp without time zone! =now()
        updated_at timestamp without time zone! =now()
    """,
    "flow_state": """
        id uuid!
        user_id uuid
        auth_code text
        code_challenge_method auth.code_challenge_method
        code_challenge text
        provider_type text!
        provider_access_token text
        provider_refresh_token text
        created_at timestamp with time zone
        updated_at timestamp with time zone
        authentication_method text!
        auth_code_issued_at timestamp with time zone
        invite_token text
        referrer text
        oauth_client_state_id uuid
        linking_target_id uuid
        email_optional boolean! =false
    """,
    "mfa_factors": """
        id uuid!
        user_id uuid!
        friendly_name text
        factor_type auth.factor_type!
        status auth.factor_status!
        created_at timestamp with time zone!
        updated_at timestamp with time zone!
        secret text
        phone text
        last_challenged_at timestamp with time zone
        web_authn_credential jsonb
        web_authn_aaguid uuid
        last_webauthn_challenge_data jsonb
    """,
    "mfa_challenges": """
        id uuid!
        factor_id uuid!
        created_at timestamp with time zone!
        verified_at timestamp with time zone
        ip_address inet!
        otp_code text
        web_authn_session_data jsonb
    """,
    "mfa_amr_claims": """
        session_id uuid!
        created_at timestamp with time zone!
        updated_at timestamp with time zone!
        authentication_method text!
        id uuid!
    """,
    "audit_log_entries": f"""
        instance_id uuid ={NIL}
        id uuid!
        payload json
        created_at timestamp with time zone
        ip_address character varying(64)! ={EMPTY}
    """,
}

ENUMS = {
    "aal_level": ["aal1", "aal2", "aal3"],
    "code_challenge_method": ["s256", "plain"],
    "factor_status": ["unverified", "verified"],
    "factor_type": ["totp", "webauthn", "phone"],
    "one_time_token_type": [
        *("confirmation_token", "reauthentication_token", "recovery_token"),
        *("email_change_token_new", "email_change_token_current", "phone_change_token"),
    ],
}

# Table with its unique columns, then the tables that it references.
UNIQUE = {
    ("users", "id"), ("users", "phone"), ("users", "email"), ("users", "confirmation_token"), ("users", "recovery_token"),
    ("users", "email_change_token_current"), ("users", "email_change_token_new"), ("users", "reauthentication_token"),
    ("identities", "id"), ("identities", "provider_id, provider"),
    ("sessions", "id"), ("refresh_tokens", "id"), ("refresh_tokens", "token"),
    ("one_time_tokens", "id"), ("one_time_tokens", "user_id, token_type"), ("flow_state", "id"),
    ("mfa_factors", "id"), ("mfa_factors", "last_challenged_at"), ("mfa_factors", "friendly_name, user_id"),
    ("mfa_factors", "user_id, phone"),
    ("mfa_challenges", "id"), ("mfa_amr_claims", "id"), ("mfa_amr_claims", "session_id, authentication_method"),
    ("audit_log_entries", "id"),
}  # fmt: skip
PARTIAL = {
    "users_email_partial_key": "(NOT is_sso_user)",
    **{
        f"{name}_idx": f"(({name})::text !~ '^[0-9 ]*$'::text)"
        for name in (
            *("confirmation_token", "recovery_token", "reauthentication_token"),
            *("email_change_token_current", "email_change_token_new"),
        )
    },
    "mfa_factors_user_friendly_name_unique": "(TRIM(BOTH FROM friendly_name) <> ''::text)",
}
FOREIGN = {
    ("identities", "user_id", "users", "c"), ("sessions", "user_id", "users", "c"), ("mfa_factors", "user_id", "users", "c"),
    ("one_time_tokens", "user_id", "users", "c"), ("refresh_tokens", "session_id", "sessions", "c"),
    ("mfa_amr_claims", "session_id", "sessions", "c"), ("mfa_challenges", "factor_id", "mfa_factors", "c"),
}  # fmt: skip


def columns(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    got: dict[str, list[str]] = {}
    for table, column, kind, null, generated, default in connection.execute(
        "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then '!' else '' end,"
        "       a.attgenerated::text, coalesce(pg_get_expr(d.adbin, d.adrelid), '')"
        "  from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
        "  left join pg_attrdef as d on d.adrelid = c.oid and d.adnum = a.attnum"
        " where c.relnamespace = 'auth'::regnamespace and c.relkind = 'r' order by c.relname, a.attnum"
    ):
        mark = f" {':' if generated == 's' else ''}={default}" if default else ""
        got.setdefault(str(table), []).append(f"{column} {kind}{null}{mark}")
    return got


def definition(connection: Connection) -> list[tuple[Any, ...]]:
    """All there is in the schema, as text: to compare two ways of getting there."""
    return connection.execute(
        "select 'index', indexdef from pg_indexes where schemaname = 'auth'"
        " union all select 'constraint', concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint"
        "  where connamespace = 'auth'::regnamespace and contype <> 'n'"
        " union all select 'function', pg_get_functiondef(oid) from pg_proc where pronamespace = 'auth'::regnamespace"
        " union all select 'rights', concat_ws(' ', relname, relkind, relrowsecurity, relacl) from pg_class"
        "  where relnamespace = 'auth'::regnamespace and relkind in ('r', 'S')"
        " union all select 'column', concat_ws(' ', attrelid::regclass, attname, attnotnull) from pg_attribute"
        "  where attrelid in (select oid from pg_class where relnamespace = 'auth'::regnamespace and relkind = 'r') and attnum > 0"
        " order by 1, 2"
    ).fetchall()


# -- what there is -------------------------------------------------------------------------------------------------------


def test_every_table_has_the_columns_types_defaults_and_keys_of_supabase_auth(database_each: Database) -> None:
    with database_each.connect() as connection:
        make(connection)
        want = {
            table: [" ".join(line.split()) for line in text.split("\n") if line.strip()]
            for table, text in WANTED.items()
        }
        assert columns(connection) == want
        assert set(want) == set(TABLES)
        enums = connection.execute(
            "select t.typname::text, array_agg(e.enumlabel::text order by e.enumsortorder)"
            "  from pg_type as t join pg_enum as e on e.enumtypid = t.oid where t.typnamespace = 'auth'::regnamespace group by 1"
        ).fetchall()
        assert {str(name): labels for name, labels in enums} == ENUMS
        unique = connection.execute(
            "select c.relname::text, string_agg(a.attname, ', ' order by k.place)"
            "  from pg_index as i join pg_class as c on c.oid = i.indrelid"
            " cross join unnest(i.indkey::int2[]) with ordinality as k (number, place)"
            "  join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.number"
            " where c.relnamespace = 'auth'::regnamespace and i.indisunique group by i.indexrelid, c.relname"
        ).fetchall()
        assert len(unique) == len(UNIQUE)
        assert set(unique) == UNIQUE
        partial = connection.execute(
            "select indexrelid::regclass::text, pg_get_expr(indpred, indrelid) from pg_index"
            " where indpred is not null and indrelid in (select oid from pg_class where relnamespace = 'auth'::regnamespace)"
        ).fetchall()
        assert {str(name).removeprefix("auth."): text for name, text in partial} == PARTIAL
        foreign = connection.execute(
            "select c.relname::text, a.attname::text, r.relname::text, k.confdeltype::text"
            "  from pg_constraint as k join pg_class as c on c.oid = k.conrelid join pg_class as r on r.oid = k.confrelid"
            "  join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.conkey[1]"
            " where k.contype = 'f' and k.connamespace = 'auth'::regnamespace"
        ).fetchall()
        assert set(foreign) == FOREIGN
        # Each foreign key is found by an index: deleting a user reads no table as a whole.
        bare = connection.execute(
            "select k.conrelid::regclass::text, k.conname::text from pg_constraint as k"
            " where k.contype = 'f' and k.connamespace = 'auth'::regnamespace and k.conname <> 'mfa_challenges_auth_factor_id_fkey'"
            "   and not exists (select from pg_index as i where i.indrelid = k.conrelid and i.indkey[0] = k.conkey[1])"
        ).fetchall()
        assert bare == []


def test_deleting_a_user_deletes_all_their_rows(database: Database) -> None:
    user, session, factor = uuid4(), uuid4(), uuid4()
    with database.connect() as connection:
        make(connection)
        run = connection.execute
        run("insert into auth.users (id, email) values (%s, 'Ada@Example.org')", [user])
        run(
            "insert into auth.identities (provider_id, user_id, identity_data, provider) values (%s, %s, %s, 'email')",
            [str(user), user, Jsonb({"email": "Ada@Example.org"})],
        )
        run("insert into auth.sessions (id, user_id, aal) values (%s, %s, 'aal1')", [session, user])
        run("insert into auth.refresh_tokens (token, user_id, session_id) values ('t', %s, %s)", [str(user), session])
        run("insert into auth.mfa_amr_claims values (%s, now(), now(), 'password', %s)", [session, uuid4()])
        run(
            "insert into auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at)"
            " values (%s, %s, 'totp', 'verified', now(), now())",
            [factor, user],
        )
        run(
            "insert into auth.mfa_challenges (id, factor_id, created_at, ip_address) values (%s, %s, now(), '::1')",
            [uuid4(), factor],
        )
        run("insert into auth.one_time_tokens values (%s, %s, 'recovery_token', 'hash', 'ada')", [uuid4(), user])
        run("insert into auth.audit_log_entries (id, payload) values (%s, '{}')", [uuid4()])
        assert run("select email from auth.identities").fetchone() == ("ada@example.org",)
        assert run("select instance_id::text from auth.refresh_tokens").fetchone() == (NIL[1:37],)
        run("delete from auth.users")
        left = {table: run(f"select count(*) from auth.{table}".encode()).fetchone() for table in TABLES}
        assert left == {table: (1,) if table == "audit_log_entries" else (0,) for table in TABLES}


BREAKING: list[tuple[str, type[psycopg.Error]]] = [
    ("insert into auth.users (id, confirmation_token) values (gen_random_uuid(), null)", errors.NotNullViolation),
    ("insert into auth.users (id, email) values (gen_random_uuid(), 'ada@example.org')", errors.UniqueViolation),
    ("insert into auth.users (id, recovery_token) values (gen_random_uuid(), 'pkce_1')", errors.UniqueViolation),
    ("update auth.users set confirmed_at = now()", errors.GeneratedAlways),
    ("update auth.users set email_change_confirm_status = 3", errors.CheckViolation),
    ("insert into auth.one_time_tokens select gen_random_uuid(), id, 'recovery_token', '', 'a' from auth.users", errors.CheckViolation),
    ("insert into auth.sessions (id, user_id, aal) select gen_random_uuid(), id, 'aal4' from auth.users",
     errors.InvalidTextRepresentation),
]  # fmt: skip


def test_rows_that_would_break_clients_are_refused(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        connection.execute(
            "insert into auth.users (id, email, recovery_token) values (gen_random_uuid(), 'ada@example.org', 'pkce_1')"
        )
        # Two people may have the same code of six digits, and an SSO user may share an address.
        connection.execute(
            "insert into auth.users (id, email, recovery_token, is_sso_user)"
            " values (gen_random_uuid(), 'ada@example.org', '123456', true), (gen_random_uuid(), 'bea@example.org', '123456', false)"
        )
        for change, error in BREAKING:
            with pytest.raises(error):
                connection.execute(change.encode())


# -- who calls -----------------------------------------------------------------------------------------------------------

ADA = "6F9619FF-8B86-4011-B42D-00CF4FC964FF"
BEA = "0f8fad5b-d9cb-469f-a165-70867728950e"

# Settings of `request.jwt.`, and what uid, role and email make of them.
STATES: list[tuple[dict[str, str], tuple[str | None, str | None, str | None]]] = [
    ({}, (None, None, None)),
    ({"claims": ""}, (None, None, None)),
    ({"claims": "{}"}, (None, None, None)),
    (
        {"claims": f'{{"sub": "{ADA}", "role": "authenticated", "email": "a@b.c"}}'},
        (ADA.lower(), "authenticated", "a@b.c"),
    ),
    ({"claims": f'{{"sub": "{ADA}", "role": "x"}}', "claim.sub": BEA}, (BEA, "x", None)),
    ({"claims": f'{{"sub": "{ADA}"}}', "claim.sub": ""}, (ADA.lower(), None, None)),
    ({"claim.sub": BEA, "claim.role": "anon", "claim.email": "d@e.f"}, (BEA, "anon", "d@e.f")),
    ({"claims": "", "claim.role": "anon", "claim.email": ""}, (None, "anon", None)),
    ({"claims": '{"sub": "service", "role": "service_role"}'}, (None, "service_role", None)),
    ({"claims": f'{{"sub": "{{{ADA}}}"}}'}, (None, None, None)),
    ({"claims": f'{{"sub": "{ADA} "}}'}, (None, None, None)),
    ({"claims": f'{{"sub": "{ADA}"}}', "claim.sub": "nobody"}, (None, None, None)),
    ({"claims": '{"sub": 7, "role": ["a"], "email": null}'}, (None, '["a"]', None)),
    ({"claims": f'["{ADA}"]'}, (None, None, None)),
    ({"claims": f'"{ADA}"'}, (None, None, None)),
    ({"claims": "null"}, (None, None, None)),
    ({"claims": "no json"}, (None, None, None)),
    ({"claims": f'{{"sub": "{ADA}", }}'}, (None, None, None)),
    ({"claims": '{"sub": "\\u0000"}'}, (None, None, None)),
    ({"claims": '{"sub": "\\ud800"}'}, (None, None, None)),
    ({"claims": '{"n": 1e999999}'}, (None, None, None)),
    ({"claims": "[" * 9000 + "]" * 9000}, (None, None, None)),
    ({"claims": '{"role": "' + "x" * 20000 + '"}'}, (None, None, None)),
]


def test_the_functions_return_the_caller_and_never_fail(database_each: Database) -> None:
    with database_each.connect() as connection:
        make(connection)
        for settings, want in STATES:
            with connection.transaction():
                for name, value in settings.items():
                    connection.execute("select set_config(%s, %s, true)", [f"request.jwt.{name}", value])
                got = connection.execute("select auth.uid()::text, auth.role(), auth.email()").fetchone()
                assert (settings, got) == (settings, want)
        # After a commit such settings are empty rather than missing.
        assert connection.execute("select current_setting('request.jwt.claims', true)").fetchone() == ("",)
        assert connection.execute("select auth.uid(), auth.role(), auth.email(), auth.jwt()").fetchone() == (None,) * 4


CLAIMS: list[tuple[dict[str, str], object]] = [
    ({}, None),
    ({"claims": ""}, None),
    ({"claims": '{"a": {"b": [1, "\\u00e9"]}}'}, {"a": {"b": [1, "é"]}}),
    ({"claims": '{"a": 1}', "claim": '{"b": 2}'}, {"b": 2}),
    ({"claims": '{"a": 1}', "claim": ""}, {"a": 1}),
    ({"claims": '{"a": 1'}, None),
    ({"claim": "nonsense"}, None),
]


def test_jwt_gives_all_claims_or_null(database_each: Database) -> None:
    with database_each.connect() as connection:
        make(connection)
        for settings, want in CLAIMS:
            with connection.transaction():
                for name, value in settings.items():
                    connection.execute("select set_config(%s, %s, true)", [f"request.jwt.{name}", value])
                got = connection.execute("select auth.jwt()").fetchone()
                assert (settings, got) == (settings, (want,))


def test_the_functions_names_cannot_be_shadowed(database_each: Database) -> None:
    with database_each.connect() as connection:
        make(connection)
        pinned = connection.execute(
            "select proname::text, proconfig, provolatile::text, proparallel::text, prosecdef from pg_proc"
            " where pronamespace = 'auth'::regnamespace order by 1"
        ).fetchall()
        facts = (["search_path=pg_catalog, pg_temp"], "s", "s", False)
        assert pinned == [(name, *facts) for name in ("email", "jwt", "role", "tenantry_json", "uid")]
        connection.execute(
            "create schema evil;"
            "create function evil.current_setting(text, boolean) returns text language sql as $$ select 'forged' $$;"
            "create function evil.coalesce(text) returns text language sql as $$ select 'forged' $$;"
            "create function pg_temp.current_setting(text, boolean) returns text language sql as $$ select 'forged' $$;"
            "create domain pg_temp.uuid as text; create domain pg_temp.text as pg_catalog.text check (value is null);"
            "create domain pg_temp.jsonb as pg_catalog.text;"
            "set search_path = evil, pg_temp, pg_catalog"
        )
        connection.execute(
            "select pg_catalog.set_config('request.jwt.claims', %s, false)", [f'{{"sub": "{BEA}", "role": "r"}}']
        )
        got = connection.execute("select auth.uid(), auth.role(), auth.jwt() operator(pg_catalog.->>) 'sub'").fetchone()
        assert got == (UUID(BEA), "r", BEA)


# -- who may -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def roles(database_each: Database) -> Any:
    names = [f"{database_each.name}_{role}" for role in ("owner", "anon", "authenticated")]
    with database_each.connect() as admin:
        for name in names:
            admin.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
        admin.execute(
            sql.SQL("grant create on database {} to {}").format(
                sql.Identifier(database_each.name), sql.Identifier(names[0])
            )
        )
        yield names
        for name in names:
            admin.execute(sql.SQL("drop owned by {0} cascade; drop role {0}").format(sql.Identifier(name)))


def test_clients_see_nothing_even_where_they_were_given_rights(database_each: Database, roles: list[str]) -> None:
    owner, *clients = roles
    with database_each.connect(user=owner) as connection:
        # A server whose defaults give tables away.
        connection.execute(
            sql.SQL(
                "alter default privileges grant all on tables to public, {0}; alter default privileges grant all on sequences to {0}"
            ).format(sql.Identifier(clients[0]))
        )
        make(connection)
        connection.execute("insert into auth.users (id, email) values (gen_random_uuid(), 'ada@example.org')")
        others = connection.execute(
            "select c.oid::regclass::text, a.grantee::regrole::text from pg_class as c, aclexplode(c.relacl) as a"
            " where c.relnamespace = 'auth'::regnamespace and a.grantee <> c.relowner"
        ).fetchall()
        assert others == []
        secured = connection.execute(
            "select count(*) filter (where relrowsecurity), count(*) from pg_class"
            " where relnamespace = 'auth'::regnamespace and relkind = 'r'"
        ).fetchone()
        assert secured == (len(TABLES), len(TABLES))
        assert connection.execute("select count(*) from pg_policies where schemaname = 'auth'").fetchone() == (0,)
        # A policy can ask who calls, for roles that may not look into the schema.
        connection.execute("create schema app; create table app.notes (owner uuid, body text)")
        connection.execute("insert into app.notes values (%s, 'mine'), (%s, 'not mine')", [ADA, BEA])
        connection.execute(
            "alter table app.notes enable row level security; create policy own on app.notes using (owner = (select auth.uid()));"
            "grant usage on schema app to public; grant select on app.notes to public"
        )
    for client in clients:
        with database_each.connect(user=client) as connection:
            for statement in (
                "select * from auth.users",
                "select auth.uid()",
                "select nextval('auth.refresh_tokens_id_seq')",
            ):
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
            connection.execute("select set_config('request.jwt.claim.sub', %s, false)", [ADA])
            assert connection.execute("select body from app.notes").fetchall() == [("mine",)]
    with database_each.connect(user=owner) as connection:
        connection.execute(
            sql.SQL("grant usage on schema auth to {0}; grant all on all tables in schema auth to {0}").format(
                sql.SQL(", ").join(map(sql.Identifier, clients))
            )
        )
    for client in clients:
        with database_each.connect(user=client) as connection:
            for table in TABLES:
                assert connection.execute(f"select count(*) from auth.{table}".encode()).fetchone() == (0,)
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute("insert into auth.users (id) values (gen_random_uuid())")
            assert connection.execute("update auth.users set role = 'service_role'").rowcount == 0


# -- there and back ------------------------------------------------------------------------------------------------------


def test_what_an_earlier_version_made_is_completed_and_keeps_its_rows_and_grants(database_each: Database) -> None:
    with database_each.connect() as connection:
        assert complete_auth_schema(connection) is AuthSchema.MISSING
        fresh = definition(connection)
        assert complete_auth_schema(connection) is AuthSchema.OURS
        make(connection)
        assert definition(connection) == fresh, "running it again changes nothing"
        # As it was: two tables, tokens that may be null, functions that fail.
        gone = ", ".join(f"auth.{table}" for table in TABLES if table not in ("users", "identities"))
        connection.execute(f"drop table {gone} cascade".encode())
        connection.execute(
            "drop function auth.tenantry_json(text) cascade; drop index auth.recovery_token_idx;"
            "alter table auth.users alter column confirmation_token drop not null, alter column phone_change drop not null;"
            "create function auth.uid() returns uuid language sql stable as"
            " $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;"
            "insert into auth.users (id, email, confirmation_token) values (gen_random_uuid(), 'ada@example.org', null);"
            "grant select on auth.users to pg_monitor"
        )
        assert read_auth_schema(connection) is AuthSchema.OLDER
        assert complete_auth_schema(connection) is AuthSchema.OLDER
        assert read_auth_schema(connection) is AuthSchema.OURS
        assert connection.execute("select email, confirmation_token from auth.users").fetchall() == [
            ("ada@example.org", "")
        ]
        granted = connection.execute("select has_table_privilege('pg_monitor', 'auth.users', 'select')").fetchone()
        assert granted == (True,)
        connection.execute("revoke all on auth.users from pg_monitor")
        assert [row for row in definition(connection) if row[0] != "rights"] == [
            row for row in fresh if row[0] != "rights"
        ]


def test_going_back_drops_the_schema_that_was_made_and_no_other(database: Database) -> None:
    drop = drop_auth_script().encode()
    with database.connect() as connection:
        statements = prerequisites(clinic_manifest(), read_environment(connection))
        assert any("create table if not exists auth.users" in statement for statement in statements)
        make(connection)
        connection.execute("create table notes (author uuid references auth.users)")
        connection.execute(drop)
        assert read_auth_schema(connection) is AuthSchema.MISSING
        assert connection.execute("select to_regclass('notes') is not null").fetchone() == (True,)
        connection.execute(drop)
        connection.execute("create schema auth; create table auth.users (id uuid primary key)")
        assert read_auth_schema(connection) is AuthSchema.FOREIGN
        assert complete_auth_schema(connection) is AuthSchema.FOREIGN
        statements = prerequisites(clinic_manifest(), read_environment(connection))
        assert not any("auth.identities" in statement for statement in statements)
        connection.execute(drop)
        assert columns(connection) == {"users": ["id uuid!"]}


def test_a_foreign_schema_auth_without_accounts_is_refused_and_left_unchanged(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("create schema auth; create table auth.sessions (id integer)")
        with pytest.raises(errors.DuplicateSchema, match="Tenantry did not make it") as refusal:
            build_catalog(
                connection,
                schema="app",
                files=[],
                before=prerequisites(clinic_manifest(), read_environment(connection)),
            )
        assert "rename it" in (refusal.value.diag.message_hint or "")
        assert complete_auth_schema(connection) is AuthSchema.FOREIGN
        assert columns(connection) == {"sessions": ["id integer"]}


def test_a_login_without_the_right_to_create_the_schema_is_refused(database_each: Database, roles: list[str]) -> None:
    with database_each.connect(user=roles[1]) as connection:
        with pytest.raises(TenantryError) as refusal:
            complete_auth_schema(connection)
        assert refusal.value.code == "TN-204"
        assert read_auth_schema(connection) is AuthSchema.MISSING
