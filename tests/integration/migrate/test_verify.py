"""Whatever is wrong in the target is found by the verification, and named: table, key, column."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import sql

from clinic.platform import tokens
from tenantry.errors import VerificationFailed
from tenantry.mapping import Project
from tenantry.migrate.verify.likely_causes import verification_failed
from tenantry.migrate.verify.results import Difference, Verification
from tenantry.migrate.verify.whole_target import verify_catalog
from tests.conftest import Database, running_server
from tests.migrate_support import OWNER, cli, clinic_manifest, clone_finished, engine, one, project_of, rows, verify_all


@pytest.fixture(scope="module")
def spoiled_by(servers: dict[int, object]) -> Iterator[Spoil]:
    """One database for all tests: each takes its damage back by verifying inside the transaction that did it."""
    with clone_finished(running_server(servers, 18)) as database:  # type: ignore[arg-type]
        yield Spoil(database, project_of(database))


class Spoil:
    def __init__(self, database: Database, project: Project) -> None:
        self.database, self.project = database, project

    def __call__(self, *statements: str | sql.Composed) -> list[Difference]:
        """The differences after the statements; they are taken back."""
        with engine(self.database, "postgres") as connection, connection.transaction(force_rollback=True):
            connection.execute("set local session_replication_role = replica")
            for statement in statements:
                connection.execute(statement)
            run = 1
            checks = verify_all(connection, self.project, run)
        return [difference for check in checks for difference in check.differences]

    def one(self, query: str) -> str:
        return str(one(self.database, query))


def test_a_finished_target_has_no_differences_and_every_row_is_compared(spoiled_by: Spoil) -> None:
    with engine(spoiled_by.database) as connection:
        checks = verify_all(connection, spoiled_by.project, 1)
    assert [check for check in checks if not check.passed] == []
    for check in checks:
        if check.check == "rows":
            assert check.account is not None
            assert check.account.balanced
            assert check.compared == check.account.target > 0


CELLS = [
    ("metric_values", "value", "value + 0.0001"),
    ("metric_values", "value", "-value"),  # PostgreSQL's hash of a number does not see its sign
    ("goals", "target_value", "-target_value"),
    ("metric_values", "date", "date + 1"),
    ("metric_values", "source_sheet", "coalesce(source_sheet, '') || ' '"),
    ("metric_values", "created_at", "created_at + interval '1 microsecond'"),
    ("metric_values", "provider_id", "gen_random_uuid()"),
    ("profiles", "email", "'x' || email"),
    ("profiles", "auth_user_id", "null"),
    ("user_clinic_roles", "role", "case role when 'viewer' then 'staff' else 'viewer' end::clinic.clinic_role"),
    ("widgets", "config", "config || '{\"more\": 1}'"),
    ("dashboards", "layout_config", "replace(layout_config::text, '\"h\": 3', '\"h\": -3')::jsonb"),
    ("dashboards", "is_default", "not is_default"),
    ("spreadsheet_connections", "sheet_names", "sheet_names || sheet_names"),
]


@pytest.mark.parametrize("first", [0, 1])
def test_changed_cells_are_named_and_no_others(spoiled_by: Spoil, first: int) -> None:
    """Every second change, each in a row of its own."""
    statements, wanted = [], set()
    for number, (table, column, change) in enumerate(CELLS[first::2]):
        key = spoiled_by.one(
            f"select legacy_id from clinic.{table} where {column} is not null and {column}::text !~ '^0[.0]*$'"
            f" order by 1 offset {number} limit 1"
        )
        statements.append(f"update clinic.{table} set {column} = {change} where legacy_id = '{key}'")
        wanted.add((table, key, column))
    found = [each for each in spoiled_by(*statements) if each.check == "rows"]
    assert {(each.table, each.key, each.column) for each in found} == wanted
    assert len(found) == len(wanted)
    assert all(cell.expected != cell.found for cell in found)


def test_a_value_that_became_null_is_named(spoiled_by: Spoil) -> None:
    key = spoiled_by.one("select min(legacy_id) from clinic.metric_values where value is not null")
    (found,) = spoiled_by(f"update clinic.metric_values set value = null where legacy_id = '{key}'")
    assert (found.table, found.key, found.column, found.found) == ("metric_values", key, "value", "null")


def test_a_difference_in_the_last_of_twenty_digits_is_named(spoiled_by: Spoil) -> None:
    key = spoiled_by.one("select min(legacy_id) from clinic.metric_values where value is not null")
    (found,) = spoiled_by(
        "alter table public.metric_values disable trigger all",
        f"update public.metric_values set value = '1234567890123456.0001' where id = '{key}'",
        f"update clinic.metric_values set value = 1234567890123456.0002 where legacy_id = '{key}'",
    )
    assert (found.key, found.column) == (key, "value")
    assert (found.expected, found.found) == ("1234567890123456.0001", "1234567890123456.0002")


def test_a_row_that_is_missing_is_named_and_the_account_does_not_balance(spoiled_by: Spoil) -> None:
    key = spoiled_by.one("select min(legacy_id) from clinic.goals")
    found = spoiled_by(f"delete from clinic.goals where legacy_id = '{key}'")
    assert Difference("rows", "goals", key, "", "a row", "none") in found
    assert [each.table for each in found if each.check == "accounting"] == ["goals"]


def test_a_row_too_many_is_named_and_the_account_does_not_balance(spoiled_by: Spoil) -> None:
    found = spoiled_by(
        "insert into clinic.goals select (jsonb_populate_record(g, jsonb_build_object('id', gen_random_uuid(),"
        " 'legacy_id', 'nobody knows me'))).* from clinic.goals g order by legacy_id limit 1"
    )
    assert Difference("rows", "goals", "nobody knows me", "", "no row", "one") in found
    assert [each.table for each in found if each.check == "accounting"] == ["goals"]


def test_a_duplicate_row_is_named(spoiled_by: Spoil) -> None:
    key = spoiled_by.one("select min(legacy_id) from clinic.profiles")
    found = spoiled_by(
        "alter table clinic.profiles drop constraint profiles_pkey cascade",
        "alter table clinic.profiles drop constraint profiles_legacy_id_key, drop constraint profiles_email_key,"
        " drop constraint profiles_auth_user_id_key",
        f"insert into clinic.profiles select * from clinic.profiles where legacy_id = '{key}'",
    )
    assert {(each.check, each.table) for each in found} >= {("ids", "profiles"), ("accounting", "profiles")}
    assert ("ids", key, "legacy_id") in {(each.check, each.key, each.column) for each in found}


def test_two_rows_whose_ids_were_swapped_are_both_named(spoiled_by: Spoil) -> None:
    first, second = (key for (key,) in rows(
        spoiled_by.database, "select legacy_id from clinic.metric_definitions order by legacy_id limit 2"))  # fmt: skip
    found = spoiled_by(
        "alter table clinic.metric_definitions drop constraint metric_definitions_pkey cascade",
        "update clinic.metric_definitions m set id = o.id from clinic.metric_definitions o"
        f" where (m.legacy_id, o.legacy_id) in (('{first}', '{second}'), ('{second}', '{first}'))",
    )
    assert {(each.key, each.column) for each in found if each.check == "rows"} == {(first, "id"), (second, "id")}


def test_a_row_of_another_tenant_is_named(spoiled_by: Spoil) -> None:
    key, other = rows(
        spoiled_by.database,
        "select legacy_id, (select id from clinic.clinics c where c.id <> g.clinic_id order by id limit 1)"
        " from clinic.goals g where provider_id is not null order by legacy_id limit 1",
    )[0]
    found = spoiled_by(f"update clinic.goals set clinic_id = '{other}' where legacy_id = '{key}'")
    assert ("goals", key, "clinic_id") in {(each.table, each.key, each.column) for each in found}
    broken = [each for each in found if each.check == "references"]
    assert [(each.table, each.key, each.column) for each in broken] == [("goals", key, "clinic_id, provider_id")]


def test_a_dangling_reference_is_named(spoiled_by: Spoil) -> None:
    key = spoiled_by.one("select min(legacy_id) from clinic.widgets")
    found = spoiled_by(f"update clinic.widgets set dashboard_id = gen_random_uuid() where legacy_id = '{key}'")
    broken = [each for each in found if each.check == "references"]
    assert [(each.table, each.key, each.column) for each in broken] == [("widgets", key, "clinic_id, dashboard_id")]


@pytest.mark.parametrize("how", ["of another row", "of another secret", "garbage"])
def test_an_encrypted_token_that_was_replaced_is_named_and_never_shown(spoiled_by: Spoil, how: str) -> None:
    first, second = (key for (key,) in rows(
        spoiled_by.database, "select legacy_id from clinic.google_credentials order by legacy_id limit 2"))  # fmt: skip
    secret = {
        "of another row": sql.SQL(
            "(select access_token_encrypted from clinic.google_credentials where legacy_id = {})"
        ).format(second),
        "of another secret": sql.Literal(tokens.encrypt(["ya29.another"])[0]),
        "garbage": sql.Literal(b"no token at all"),
    }[how]
    statement = sql.SQL("update clinic.google_credentials set access_token_encrypted = {} where legacy_id = {}").format(
        secret, first
    )
    found = spoiled_by(statement)
    assert ("google_credentials", first, "access_token_encrypted") in {(e.table, e.key, e.column) for e in found}
    shown = " ".join(map(str, found))
    assert "ya29" not in shown
    assert "no token" not in shown


@pytest.mark.parametrize(("statement", "table", "what"), [
    ("drop index clinic.goals_metric_definition_id_idx", "goals", "index goals_metric_definition_id_idx"),
    ("alter table clinic.goals drop constraint goals_period_check", "goals", "constraint goals_period_check"),
    ("alter table clinic.goals drop constraint goals_clinic_id_provider_id_fkey", "goals",
     "constraint goals_clinic_id_provider_id_fkey"),
    ("alter table clinic.metric_values drop constraint metric_values_clinic_id_natural_key", "metric_values",
     "constraint metric_values_clinic_id_natural_key"),
    ("alter table clinic.goals alter target_value drop not null", "goals", "column target_value"),
    ("alter table clinic.goals alter target_value type numeric(20,3)", "goals", "column target_value"),
    ("alter table clinic.goals disable trigger set_audit_columns", "goals", "trigger set_audit_columns"),
    ("alter table clinic.audit_log enable trigger refuse_change", "audit_log", "trigger refuse_change"),
    ("drop trigger set_legacy_id on clinic.goals", "goals", "trigger set_legacy_id"),
    ("comment on table clinic.goals is 'another'", "goals", "comment table"),
    ("comment on column clinic.goals.end_date is null", "goals", "column end_date"),
    ("alter table clinic.goals add column more int", "goals", "column more"),
    ("drop table clinic.notifications", "notifications", "table"),
])  # fmt: skip
def test_a_rule_that_is_not_as_planned_is_named(spoiled_by: Spoil, statement: str, table: str, what: str) -> None:
    with engine(spoiled_by.database, "postgres") as connection, connection.transaction(force_rollback=True):
        connection.execute(statement.encode())
        found = verify_catalog(connection, spoiled_by.project).differences
    assert (table, what) in {(each.table, each.key) for each in found}


def test_a_broken_business_rule_names_the_rule_and_the_row(spoiled_by: Spoil) -> None:
    key = spoiled_by.one("select min(legacy_id) from clinic.goals")
    (row,) = [
        each
        for each in spoiled_by(
            "alter table clinic.goals drop constraint goals_period_check",
            f"update clinic.goals set end_date = start_date - 1 where legacy_id = '{key}'",
        )
        if each.check == "rules"
    ]
    assert row.table == "no goal ends before it starts"
    assert spoiled_by.one(f"select id from clinic.goals where legacy_id = '{key}'") in row.key


def test_no_more_than_the_first_differences_are_listed_and_the_rest_is_counted(spoiled_by: Spoil) -> None:
    with engine(spoiled_by.database, "postgres") as connection, connection.transaction(force_rollback=True):
        connection.execute("set local session_replication_role = replica")
        changed = connection.execute(
            "update clinic.metric_values set value = value + 1 where value is not null"
        ).rowcount
        (check,) = [c for c in verify_all(connection, spoiled_by.project, 1) if c.table == "metric_values"]
    assert len(check.differences) + check.more == changed > 1000
    failed = verification_failed([check])
    assert isinstance(failed, VerificationFailed)
    assert f"{changed} differences" in failed.message
    assert len(failed.message.splitlines()) < 30


def test_the_command_names_the_difference_and_exits_with_1(finished: Database) -> None:
    where = ("--dsn", finished.dsn_as(OWNER), "--manifest", str(clinic_manifest().path))
    assert cli("verify", *where).code == 0
    # By Tenantry's own login: what any other writes is replayed into the source, and is not a difference.
    with finished.connect(user=OWNER) as admin:
        admin.execute(
            "update clinic.goals set target_value = 0.5 where legacy_id = (select min(legacy_id) from clinic.goals)"
        )
    said = cli("verify", *where)
    assert said.code == 1
    assert f"goals {one(finished, 'select min(legacy_id) from clinic.goals')}, column target_value" in said.everything
    said = cli("verify", *where, "--json")
    assert said.code == 1
    assert [check["table"] for check in said.json["checks"] if not check["passed"]] == ["goals"]


def test_every_mapping_and_every_kind_of_check_is_run(spoiled_by: Spoil) -> None:
    with engine(spoiled_by.database) as connection:
        checks: list[Verification] = verify_all(connection, spoiled_by.project, 1)
    want = {("rows", mapping.name) for mapping in spoiled_by.project}
    assert {(c.check, c.table) for c in checks} == want | {
        (kind, "all tables") for kind in ("ids", "references", "catalog", "rules")
    }
