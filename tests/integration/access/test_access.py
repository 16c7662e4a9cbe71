"""Roles, context functions, policies and grants do in a database what the access matrix says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pglast import split
from psycopg import errors

from tenantry.access import (
    context_sql,
    cutover_grants,
    cutover_revokes,
    missing_roles,
    roles_sql,
    secure_statements,
)
from tenantry.accounts.auth_schema import auth_script
from tenantry.catalog import read_catalog
from tenantry.journal.ddl import journal_ddl
from tenantry.manifest import load_manifest
from tenantry.manifest.model import DatabaseRoles
from tests.conftest import Database
from tests.isolation.build import (
    CLINIC,
    LOGIN,
    OWNER,
    Built,
    Connection,
    build_clinic,
    context,
    make_roles,
    open_context,
    run,
    secure,
)


def _value(connection: Connection, query: str, *values: object) -> object:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0]


def _claims(connection: Connection, claims: Mapping[str, object]) -> None:
    open_context(connection, json.dumps({"role": "authenticated", **claims}))


class People:
    """Two clinics and the people that a test needs, made by the owner."""

    def __init__(self, built: Built, owner: Connection) -> None:
        self.built = built
        self.owner = owner
        self.clinics = [self._clinic(name) for name in ("Fernhill", "Oakdale")]

    def _clinic(self, name: str) -> UUID:
        made = _value(
            self.owner,
            "insert into clinic.clinics (name, location, time_zone) values (%s, %s, 'UTC') returning id",
            name,
            name,
        )
        assert isinstance(made, UUID)
        return made

    def account(self, **meta: object) -> UUID:
        made = uuid4()
        self.owner.execute(
            "insert into auth.users (id, email, raw_app_meta_data, raw_user_meta_data) values (%s, %s, %s, %s)",
            [made, f"{made}@example.org", json.dumps(meta.get("app", {})), json.dumps(meta.get("user", {}))],
        )
        return made

    def profile(self, account: UUID | None) -> UUID:
        made = _value(
            self.owner,
            "insert into clinic.profiles (auth_user_id, email, name) values (%s, %s, 'N') returning id",
            account,
            f"{uuid4()}@example.org",
        )
        assert isinstance(made, UUID)
        return made

    def member(self, profile: UUID, clinic: UUID, role: str) -> None:
        self.owner.execute(
            "insert into clinic.user_clinic_roles (clinic_id, profile_id, role) values (%s, %s, %s)",
            [clinic, profile, role],
        )


@pytest.fixture
def people(database: Database) -> Iterator[People]:
    built = build_clinic(database)
    with built.owner() as owner:
        yield People(built, owner)


@pytest.fixture
def people_each(database_each: Database) -> Iterator[People]:
    built = build_clinic(database_each)
    with built.owner() as owner:
        yield People(built, owner)


def _tenants(built: Built, account: UUID | None, role: str = "viewer") -> list[UUID]:
    """What tenantry.tenants() says to a caller, over the application's login."""
    with built.login() as login, login.transaction():
        run(login, "set local role authenticated")
        if account is not None:
            _claims(login, {"sub": str(account)})
        found = _value(login, "select tenantry.tenants(%s)", role)
        assert isinstance(found, list)
        return sorted(found)


# -- roles ------------------------------------------------------------------------------------------------------------


def test_a_role_maker_without_superuser_makes_the_roles_and_may_run_the_script_again(database_each: Database) -> None:
    names = {role: f"{database_each.name}_{role}" for role in DatabaseRoles.model_fields}
    manifest = load_manifest(CLINIC).model_copy(update={"database_roles": DatabaseRoles(**names)})
    maker, owner = f"{database_each.name}_maker", f"{database_each.name}_own-er"
    with database_each.connect() as admin:
        run(
            admin,
            f"create role {maker} login createrole",
            f'create role "{owner}" login',
            f"alter database {database_each.name} owner to {maker}",
        )
    try:
        with database_each.connect(user=maker) as connection:
            assert missing_roles(connection, manifest) == tuple(names.values())
            script = roles_sql(manifest, owner=owner, database=database_each.name)
            run(connection, script, script)
            assert missing_roles(connection, manifest) == ()
            for privilege, want in (("CREATE", True), ("TEMPORARY", True)):
                got = _value(connection, "select has_database_privilege(%s, current_database(), %s)", owner, privilege)
                assert got is want
            facts = connection.execute(
                "select rolname::text, rolcanlogin, rolsuper, rolbypassrls, rolinherit from pg_roles"
                " where rolname = any (%s)",
                [list(names.values())],
            ).fetchall()
            assert {row[0] for row in facts if row[1]} == {names["login"]}
            assert not any(row[2] or row[3] or row[4] for row in facts)
        with database_each.connect(user=names["login"]) as login:
            for role in ("anon", "authenticated"):
                run(login, f"set role {names[role]}", "reset role")
            for role in (names["service"], names["definer"], owner):
                with pytest.raises(errors.InsufficientPrivilege):
                    run(login, f'set role "{role}"')
            with pytest.raises(errors.InsufficientPrivilege):
                run(login, "create temporary table shadow ()")
        with database_each.connect(user=owner, autocommit=False) as connection:
            run(connection, f"set local role {names['definer']}")
    finally:
        with database_each.connect() as admin:
            everybody = [*names.values(), maker, owner]
            run(admin, f"alter database {database_each.name} owner to postgres")
            run(admin, *(f'drop owned by "{name}" cascade' for name in everybody))
            # Memberships that a role granted go before it does.
            for name in [*everybody, *everybody]:
                with suppress(errors.UndefinedObject, errors.DependentObjectsStillExist):
                    run(admin, f'drop role "{name}"')


# -- the context ------------------------------------------------------------------------------------------------------


def test_the_context_can_be_made_again_before_and_after_the_target(database_each: Database) -> None:
    built = build_clinic(database_each)
    with built.owner() as owner:
        with owner.transaction():
            run(owner, context_sql(built.project.manifest))
            assert _value(owner, "select current_user::text") == OWNER
        owners = owner.execute(
            "select proname::text, pg_get_userbyid(proowner)::text, has_schema_privilege(proowner, 'tenantry', 'CREATE')"
            " from pg_proc where pronamespace = 'tenantry'::regnamespace and prosecdef"
            # The functions of triggers are the owner's.
            " and prorettype <> 'trigger'::regtype"
        ).fetchall()
    assert {row[0] for row in owners} == {
        *("is_super", "profile_id", "tenants", "colleagues", "shared", "claims", "open")
    }
    assert {row[1:] for row in owners} == {("tenantry_definer", False)}


def test_statement_by_statement_the_script_refuses_rather_than_leave_its_functions_to_the_owner(
    database: Database,
) -> None:
    manifest = load_manifest(CLINIC)
    make_roles(database, manifest)
    with database.connect(user=OWNER) as owner:
        context(owner, manifest)
        run(owner, "drop schema tenantry cascade", "drop schema auth cascade")
        run(owner, journal_ddl()[0], auth_script())
        with pytest.raises(errors.RaiseException, match="do not belong to the definer"):
            run(owner, *split(context_sql(manifest)))


def test_a_role_in_one_tenant_says_nothing_about_another(people_each: People) -> None:
    people, built = people_each, people_each.built
    here, there = people.clinics
    account = people.account()
    profile = people.profile(account)
    people.member(profile, here, "viewer")
    people.member(profile, there, "clinic_admin")
    assert _tenants(built, account) == sorted([here, there])
    assert _tenants(built, account, "staff") == [there]
    assert _tenants(built, account, "clinic_admin") == [there]


def test_what_ends_a_membership_ends_it_in_the_next_statement(people_each: People) -> None:
    people, built = people_each, people_each.built
    here = people.clinics[0]
    account = people.account()
    people.member(people.profile(account), here, "clinic_admin")
    assert _tenants(built, account) == [here]
    for end, again in (
        (
            "update clinic.user_clinic_roles set is_active = false",
            "update clinic.user_clinic_roles set is_active = true",
        ),
        ("update clinic.clinics set status = 'inactive'", "update clinic.clinics set status = 'active'"),
        ("update auth.users set banned_until = now() + interval '1 hour'", "update auth.users set banned_until = null"),
        ("update auth.users set deleted_at = now()", "update auth.users set deleted_at = null"),
        ("delete from clinic.user_clinic_roles", ""),
    ):
        run(people.owner, end)
        assert _tenants(built, account) == []
        if again:
            run(people.owner, again)
            assert _tenants(built, account) == [here]
    run(people.owner, "update auth.users set banned_until = now() - interval '1 hour'")
    people.member(people.profile(people.account()), here, "viewer")
    run(people.owner, "delete from auth.users")
    assert _tenants(built, account) == []
    assert _value(people.owner, "select count(*) from tenantry.account") == 0


def test_only_app_metadata_makes_a_super_admin(people_each: People) -> None:
    people, built = people_each, people_each.built
    boss = people.account(app={"super_admin": True})
    assert _tenants(built, boss, "clinic_admin") == sorted(people.clinics)
    impostor = people.account(user={"super_admin": True})
    assert _tenants(built, impostor) == []
    with built.login() as login, login.transaction():
        run(login, "set local role authenticated")
        _claims(login, {"sub": str(impostor), "app_metadata": {"super_admin": True}, "super_admin": "true"})
        assert _value(login, "select tenantry.is_super()") is False
    people.owner.execute("update auth.users set raw_app_meta_data = '{}' where id = %s", [boss])
    assert _tenants(built, boss) == []


MALFORMED = [
    *("", " ", "{", "null", "[]", '"x"', "7", "{}", '{"sub": null}', '{"sub": ""}', '{"sub": 7}', '{"sub": "x"}'),
    *('{"sub": {"a": 1}}', '{"sub": "%s", }', '{"sub": "%s"', '{"sub": "%s"} x', "{'sub': '%s'}", '{"sub": "%s\'"}'),
    *('{"sub": "%s\\u0000"}', '{"a": 1e999999, "sub": "%s"}', '{"sub": "{%s}"}', '{"sub": " %s"}', "[" * 9000),
    *('{"a":' * 2000, '{"sub": "%s", "a": tru}', '{"sub": "%s" "a": 1}', '{"sub": "%s", "a": 01}', "\\"),
]


def _say(connection: Connection, text: str) -> None:
    connection.execute("select set_config('request.jwt.claims', %s, true)", [text])


def test_unsealed_claims_that_are_no_claims_give_nothing_and_raise_nothing(database_each: Database) -> None:
    built = build_clinic(database_each, sealed=False)
    with built.owner() as owner:
        _try_malformed(People(built, owner), built)


def _try_malformed(people: People, built: Built) -> None:
    account = people.account(app={"super_admin": True})
    people.member(people.profile(account), people.clinics[0], "clinic_admin")
    asks = (
        "select array[tenantry.uid()::text, tenantry.profile_id()::text, nullif(tenantry.is_super(), false)::text,"
        " nullif(tenantry.tenants('viewer'), '{}')::text, nullif(tenantry.colleagues('viewer'), '{}')::text]"
    )
    with built.login() as login:
        for text in MALFORMED:
            with login.transaction():
                run(login, "set local role authenticated")
                _say(login, text.replace("%s", str(account)))
                assert _value(login, asks) == [None] * 5, text
                assert _value(login, "select count(*) from clinic.clinics") == 0
        with login.transaction():
            run(login, "set local role authenticated")
            assert _value(login, asks) == [None] * 5
            told = {"sub": str(account).upper(), "x": ['é " \\ \U0001f600', {"n": [-1.5e3, True, None]}]}
            _say(login, json.dumps(told))
            assert _value(login, asks) != [None] * 5
            assert _value(login, "select tenantry.uid()") == account
            login.execute("select set_config('request.jwt.claim.sub', 'nobody', true)")
            assert _value(login, "select tenantry.uid()") is None


def test_an_unknown_role_is_an_error_and_no_empty_answer(database: Database) -> None:
    built = build_clinic(database)
    for role in ("'admin'", "null", "''"):
        for function in ("tenants", "colleagues"):
            with built.login() as login:
                run(login, "set role authenticated")
                with pytest.raises(errors.InvalidParameterValue):
                    run(login, f"select tenantry.{function}({role})")


def test_colleagues_are_members_of_the_same_tenants(people: People) -> None:
    built = people.built
    here, there = people.clinics
    account = people.account()
    me, colleague, stranger = people.profile(account), people.profile(None), people.profile(None)
    people.member(me, here, "staff")
    people.member(colleague, here, "viewer")
    people.member(stranger, there, "viewer")
    with built.login() as login, login.transaction():
        run(login, "set local role authenticated")
        _claims(login, {"sub": str(account)})
        assert set(_value(login, "select tenantry.colleagues('staff')")) == {me, colleague}  # type: ignore[call-overload]
        assert _value(login, "select tenantry.colleagues('provider')") == []
        seen = {row[0] for row in login.execute("select id from clinic.profiles")}
        assert seen == {me, colleague}


# -- policies and grants ----------------------------------------------------------------------------------------------


def test_securing_and_cutting_over_are_undone_without_a_trace(database_each: Database) -> None:
    built = build_clinic(database_each, secured=False)
    with built.owner() as owner:
        before = read_catalog(owner, "clinic")
        for _ in range(2):
            secure(owner, built.project)
        after = read_catalog(owner, "clinic")
        assert after.digest() != before.digest()
        assert all(table.rls_enabled and table.rls_forced for table in after.tables)
        with owner.transaction():
            run(owner, *cutover_revokes(built.project))
            for entry in reversed(secure_statements(built.project, owner=OWNER)):
                run(owner, *entry.undo)
        assert read_catalog(owner, "clinic").digest() == before.digest()


def test_before_the_cut_over_clients_and_the_service_read_only(database: Database) -> None:
    built = build_clinic(database, secured=False)
    with built.owner() as owner:
        for entry in secure_statements(built.project, owner=OWNER):
            run(owner, *entry.statements)
        writes = {"INSERT", "UPDATE", "DELETE", "TRUNCATE"}

        def granted() -> set[tuple[str, str]]:
            clients = ("anon", "authenticated", "service_role", "PUBLIC", LOGIN)
            tables = read_catalog(owner, "clinic").tables
            return {(g.grantee, g.privilege) for t in tables for g in t.grants if g.grantee in clients}

        assert granted() == {("authenticated", "SELECT"), ("service_role", "SELECT")}
        run(owner, *cutover_grants(built.project))
        assert {privilege for _, privilege in granted() if privilege in writes} == {"INSERT", "UPDATE", "DELETE"}
        run(owner, *cutover_revokes(built.project))
        assert granted() == {("authenticated", "SELECT"), ("service_role", "SELECT")}


def test_later_objects_are_closed_to_clients(database: Database) -> None:
    built = build_clinic(database)
    with built.owner() as owner:
        run(
            owner,
            "create table clinic.later (id uuid)",
            "create function clinic.later() returns int language sql return 1",
        )
        for role in ("anon", "authenticated", LOGIN):
            assert _value(owner, "select has_table_privilege(%s, 'clinic.later', 'SELECT')", role) is False
            assert _value(owner, "select has_function_privilege(%s, 'clinic.later()', 'EXECUTE')", role) is False


def test_a_policy_is_computed_once_a_statement_and_uses_the_index(database_each: Database) -> None:
    built = build_clinic(database_each)
    with built.login() as login, login.transaction():
        run(login, "set local role authenticated", "set local enable_seqscan = off")
        for table in ("metric_values", "dashboards", "profiles"):
            plan = "\n".join(str(row[0]) for row in login.execute(f"explain select * from clinic.{table}".encode()))
            assert "InitPlan" in plan
            assert "SubPlan" not in plan
            assert "Index Cond: (" in plan


def test_a_row_of_the_same_id_in_another_tenant_does_not_open_dependent_rows(people: People) -> None:
    built = people.built
    here, there = people.clinics
    account, other = people.account(), people.account()
    me, colleague = people.profile(account), people.profile(other)
    for clinic in (here, there):
        people.member(me, clinic, "viewer")
        people.member(colleague, clinic, "viewer")
    same = uuid4()
    dashboard = "insert into clinic.dashboards (clinic_id, id, profile_id, name) values (%s, %s, %s, 'D')"
    people.owner.execute(dashboard, [there, same, colleague])
    people.owner.execute(
        "insert into clinic.widgets (clinic_id, dashboard_id, widget_type, position_x, position_y, width, height)"
        " values (%s, %s, 'chart', 0, 0, 1, 1)",
        [there, same],
    )
    with built.login() as login, login.transaction():
        run(login, "set local role authenticated")
        _claims(login, {"sub": str(account)})
        with pytest.raises(errors.InsufficientPrivilege), login.transaction():  # clients state no ids
            login.execute(dashboard, [here, same, me])
        people.owner.execute(dashboard, [here, same, me])
        assert _value(login, "select count(*) from clinic.dashboards") == 1
        assert _value(login, "select count(*) from clinic.widgets") == 0
        _claims(login, {"sub": str(other)})
        assert _value(login, "select count(*) from clinic.widgets") == 1


def test_the_backup_role_sees_every_row_and_the_definer_no_more_than_it_needs(people: People) -> None:
    built = people.built
    people.member(people.profile(None), people.clinics[0], "viewer")
    with built.database.connect() as admin:
        run(admin, "set role tenantry_backup", "set row_security = on")
        assert _value(admin, "select count(*) from clinic.clinics") == 2
        run(admin, "set role tenantry_definer")
        assert _value(admin, "select count(clinic_id) from clinic.user_clinic_roles") == 1
        for query in ("select email from clinic.profiles", "select name from clinic.clinics", "table clinic.goals"):
            with pytest.raises(errors.InsufficientPrivilege):
                run(admin, query)


def test_without_a_table_of_people_accounts_are_the_members(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "tenantry.toml"
    path.write_text(
        """
name = "plain"
source = { schema = "public" }
target = { schema = "plain", files = ["*.sql"] }
ids = { namespace = "plain" }
tenant = { table = "team", column = "team_id" }
membership = { table = "member", profile = "user_id", role = "role" }
roles = { order = ["reader", "writer"] }
tables = {}
""",
        encoding="utf-8",
    )
    manifest = load_manifest(path)
    make_roles(database, manifest)
    here, account = uuid4(), uuid4()
    with database.connect(user=OWNER) as owner:
        context(owner, manifest)
        run(
            owner,
            "create schema plain",
            "create table plain.team (id uuid primary key)",
            "create table plain.member (team_id uuid, user_id uuid references auth.users, role text)",
            "grant usage on schema plain to tenantry_definer",
            "grant select on plain.team, plain.member to tenantry_definer",
            f"insert into auth.users (id) values ('{account}')",
            f"insert into plain.team values ('{here}')",
            f"insert into plain.member values ('{here}', '{account}', 'writer')",
        )
    with database.connect(user=LOGIN) as login, login.transaction():
        run(login, "set local role authenticated")
        _claims(login, {"sub": str(account)})
        assert _value(login, "select tenantry.profile_id()") == account
        assert _value(login, "select tenantry.tenants('reader')") == [here]
        assert _value(login, "select tenantry.colleagues('writer')") == [account]
