"""Rows of Clinic's schema: authors, old ids, checks and views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString
from uuid import UUID, uuid4

import pytest
from psycopg import errors, sql

from tests.conftest import Database
from tests.integration.clinic.clinic_schema_world import (
    CLIENT,
    Connection,
    database,
    insert_clinic,
    insert_metric,
    insert_provider,
    names_of,
    one_row,
    owner,
)

__all__ = ["database", "owner"]


TABLES_WITH_A_PAST = {
    *("clinics", "profiles", "user_clinic_roles", "providers", "metric_definitions", "goals", "metric_values"),
    *("dashboards", "widgets", "google_credentials", "spreadsheet_connections", "column_mappings"),
}


@pytest.fixture
def client(owner: Connection, database: Database) -> Iterator[Connection]:
    """A session of a role that owns nothing and may write every table."""
    owner.execute(
        sql.SQL(
            "grant usage on schema clinic to {client};"
            "grant select, insert, update, delete on all tables in schema clinic to {client}"
        ).format(client=sql.Identifier(CLIENT))
    )
    with database.connect(user=CLIENT) as connection:
        connection.execute("set search_path = clinic, pg_catalog")
        yield connection


def _as(connection: Connection, profile: UUID | None) -> None:
    connection.execute("select set_config('test.profile_id', %s, false)", [str(profile or "")])


# ── audit columns


def test_every_table_but_the_audit_log_has_the_audit_columns_and_their_trigger(owner: Connection) -> None:
    got = owner.execute(
        """
        with want (column_name, type, required) as (
            values ('created_at', 'timestamptz'::regtype, true), ('updated_at', 'timestamptz', true),
                   ('created_by', 'uuid', false), ('updated_by', 'uuid', false)
        )
        select c.relname::text, w.column_name
          from pg_class as c
         cross join want as w
         where c.relnamespace = 'clinic'::regnamespace and c.relkind = 'r' and c.relname <> 'audit_log'
           and (not exists (select from pg_attribute as a
                             where a.attrelid = c.oid and a.attname = w.column_name and a.atttypid = w.type
                               and a.attnotnull = w.required)
                or not exists (select from pg_trigger as t
                                where t.tgrelid = c.oid and t.tgname = 'set_audit_columns'
                                  and t.tgfoid = 'set_audit_columns'::regproc and t.tgtype = 1 + 2 + 4 + 16))
        """
    ).fetchall()
    assert got == [], "tgtype: row, before, insert, update"


def test_a_row_states_who_made_it_whatever_the_insert_says(client: Connection) -> None:
    somebody, another = uuid4(), uuid4()
    _as(client, somebody)
    got = one_row(
        client,
        "insert into metric_definitions"
        " (name, description, data_type, category, created_by, created_at, updated_by, updated_at)"
        " values ('Production', '', 'currency', 'financial', %s, '1999-01-01', %s, '1999-01-01')"
        " returning created_by, updated_by, created_at = now(), updated_at = now()",
        another,
        another,
    )
    assert got == (somebody, somebody, True, True)


def test_created_by_cannot_be_forged_by_an_update(client: Connection) -> None:
    author, editor, forged = uuid4(), uuid4(), uuid4()
    _as(client, author)
    insert_metric(client)
    before = one_row(client, "select created_at from metric_definitions")
    _as(client, editor)
    client.execute(
        "update metric_definitions set name = 'New', created_by = %s, created_at = '1999-01-01', updated_by = %s",
        [forged, forged],
    )
    assert one_row(client, "select created_by, updated_by from metric_definitions") == (author, editor)
    assert one_row(client, "select created_at from metric_definitions") == before
    assert one_row(client, "select updated_at > created_at from metric_definitions") == (True,)


def test_a_client_without_a_person_in_context_cannot_claim_one(client: Connection) -> None:
    forged = uuid4()
    got = one_row(
        client,
        "insert into metric_definitions (name, description, data_type, category, created_by, updated_by)"
        " values ('Production', '', 'currency', 'financial', %s, %s) returning created_by, updated_by",
        forged,
        forged,
    )
    assert got == (None, None)


def test_a_person_in_context_is_stamped_even_in_a_session_of_the_owner(owner: Connection) -> None:
    _as(owner, somebody := uuid4())
    insert_metric(owner)
    owner.execute("update metric_definitions set created_by = null, updated_by = null")
    assert one_row(owner, "select created_by, updated_by from metric_definitions") == (somebody, somebody)


def test_a_migration_keeps_times_and_authors(owner: Connection) -> None:
    author, editor = uuid4(), uuid4()
    want = one_row(
        owner,
        "insert into metric_definitions"
        " (name, description, data_type, category, created_by, updated_by, created_at, updated_at)"
        " values ('Production', '', 'currency', 'financial', %s, %s,"
        " '2021-05-06 07:08:09+00', '2022-05-06 07:08:09+00')"
        " returning created_by, updated_by, created_at::text, updated_at::text",
        author,
        editor,
    )
    owner.execute("update metric_definitions set name = 'Replayed'")
    got = one_row(owner, "select created_by, updated_by, created_at::text, updated_at::text from metric_definitions")
    assert got == want
    assert got[:2] == (author, editor)


# ── legacy ids


def test_the_tables_that_come_from_a_source_keep_the_old_id_once_each(owner: Connection) -> None:
    required = names_of(
        owner,
        "select c.relname::text from pg_class as c join pg_attribute as a on a.attrelid = c.oid"
        " where c.relnamespace = 'clinic'::regnamespace and c.relkind = 'r'"
        "   and a.attname = 'legacy_id' and a.attnotnull"
        "   and exists (select from pg_trigger as t where t.tgrelid = c.oid and t.tgname = 'set_legacy_id')",
    )
    unique = names_of(
        owner,
        "select c.relname::text from pg_constraint as k join pg_class as c on c.oid = k.conrelid"
        " where k.connamespace = 'clinic'::regnamespace and k.contype = 'u'"
        "   and pg_get_constraintdef(k.oid) in ('UNIQUE (clinic_id, legacy_id)', 'UNIQUE (legacy_id)')",
    )
    assert set(required) == TABLES_WITH_A_PAST
    assert set(unique) == TABLES_WITH_A_PAST


def test_a_target_native_row_gets_its_own_id_as_legacy_id(client: Connection) -> None:
    clinic = insert_clinic(client)
    provider = insert_provider(client, clinic)
    assert one_row(client, "select legacy_id from clinics") == (str(clinic),)
    assert one_row(client, "select legacy_id from providers") == (str(provider),)


def test_a_row_from_the_source_keeps_its_legacy_id(owner: Connection) -> None:
    insert_clinic(owner, "cln1234")
    assert one_row(owner, "select legacy_id from clinics") == ("cln1234",)


# ── the audit log


@pytest.mark.parametrize(
    "statement", ["update audit_log set changes = '{}'", "delete from audit_log", "truncate audit_log"]
)
def test_the_audit_log_refuses_every_change_even_by_its_owner(owner: Connection, statement: LiteralString) -> None:
    clinic = insert_clinic(owner)
    owner.execute(
        "insert into audit_log (clinic_id, action, table_name, row_id) values (%s, 'insert', 'clinics', %s)",
        [clinic, clinic],
    )
    with pytest.raises(errors.InsufficientPrivilege):
        owner.execute(statement)
    assert one_row(owner, "select count(*) from audit_log") == (1,)


# ── checks


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        (
            "profiles_email_normal_check",
            "insert into profiles (email, name) values ('Ada@Quill.example', 'Ada')",
        ),
        (
            "profiles_email_form_check",
            "insert into profiles (email, name) values ('ada.quill.example', 'Ada')",
        ),
        (
            "goals_period_check",
            "insert into goals (clinic_id, metric_definition_id, time_period, start_date, end_date, target_value)"
            " values (%(clinic)s, %(metric)s, 'monthly', '2024-03-31', '2024-03-01', 1)",
        ),
        (
            "goals_template_check",
            "insert into goals (clinic_id, metric_definition_id, time_period, start_date, end_date, target_value,"
            " template_id, system_template_id)"
            " values (%(clinic)s, %(metric)s, 'monthly', '2024-03-01', '2024-03-31', 1, %(clinic)s, %(clinic)s)",
        ),
        (
            "metric_values_value_check",
            "insert into metric_values (clinic_id, metric_definition_id, date, value, source_type)"
            " values (%(clinic)s, %(metric)s, '2024-03-01', 'NaN', 'form')",
        ),
        (
            "widgets_size_check",
            "insert into widgets (clinic_id, dashboard_id, widget_type, position_x, position_y, width, height)"
            " values (%(clinic)s, %(clinic)s, 'chart', 0, 0, 0, 1)",
        ),
        (
            "widgets_position_check",
            "insert into widgets (clinic_id, dashboard_id, widget_type, position_x, position_y, width, height)"
            " values (%(clinic)s, %(clinic)s, 'chart', -1, 0, 1, 1)",
        ),
        (
            "appointment_metrics_counts_check",
            "insert into appointment_metrics (clinic_id, date, appointment_type, no_show_count)"
            " values (%(clinic)s, '2024-03-01', 'recall', -1)",
        ),
        (
            "clinic_calendar_hours_check",
            "insert into clinic_calendar (clinic_id, date, is_open, opens_at)"
            " values (%(clinic)s, '2024-03-01', true, '08:00')",
        ),
        (
            "clinic_calendar_closed_check",
            "insert into clinic_calendar (clinic_id, date, is_open, opens_at, closes_at)"
            " values (%(clinic)s, '2024-03-01', false, '08:00', '12:00')",
        ),
        (
            "clinic_shares_receiving_clinic_check",
            "insert into clinic_shares (clinic_id, receiving_clinic_id, kind) values (%(clinic)s, %(clinic)s, 'goals')",
        ),
        (
            "clinic_invitations_lifetime_check",
            "insert into clinic_invitations (clinic_id, email, role, token_hash, expires_at)"
            " values (%(clinic)s, 'ada@quill.example', 'staff', sha256('t'), now() + interval '8 days')",
        ),
        (
            "clinic_invitations_token_hash_check",
            "insert into clinic_invitations (clinic_id, email, role, token_hash)"
            " values (%(clinic)s, 'ada@quill.example', 'staff', 'the token itself')",
        ),
        (
            "external_id_mappings_entity_check",
            "insert into external_id_mappings (clinic_id, system, identifier, entity_type)"
            " values (%(clinic)s, 'ledger', '17', 'provider')",
        ),
    ],
)
def test_a_bad_row_is_refused_by_the_check_that_says_why(
    owner: Connection, constraint: str, statement: LiteralString
) -> None:
    values = {"clinic": insert_clinic(owner), "metric": insert_metric(owner)}
    with pytest.raises(errors.CheckViolation) as caught:
        owner.execute(statement, values)
    assert caught.value.diag.constraint_name == constraint


def test_a_clinic_has_a_time_zone_that_the_server_knows(owner: Connection) -> None:
    with pytest.raises(errors.InvalidParameterValue):
        owner.execute("insert into clinics (name, location, time_zone) values ('Fernhill', 'Fernhill', 'Mars/Olympus')")


def test_a_day_has_one_value_for_a_clinic_metric_provider_and_source(owner: Connection) -> None:
    statement: LiteralString = (
        "insert into metric_values (clinic_id, metric_definition_id, date, value, source_type)"
        " values (%s, %s, '2024-03-01', 1, %s)"
    )
    clinic, metric = insert_clinic(owner), insert_metric(owner)
    owner.execute(statement, [clinic, metric, "form"])
    owner.execute(statement, [clinic, metric, "spreadsheet"])
    with pytest.raises(errors.UniqueViolation) as caught:
        owner.execute(statement, [clinic, metric, "form"])
    assert caught.value.diag.constraint_name == "metric_values_clinic_id_natural_key"


def test_money_may_be_negative_and_a_value_missing(owner: Connection) -> None:
    clinic, metric = insert_clinic(owner), insert_metric(owner)
    owner.execute(
        "insert into financial_metrics (clinic_id, date, financial_type, category, amount)"
        " values (%s, '2024-03-01', 'production', 'general', -459.08)",
        [clinic],
    )
    owner.execute(
        "insert into metric_values (clinic_id, metric_definition_id, date, value, source_type)"
        " values (%s, %s, '2024-03-01', null, 'form')",
        [clinic, metric],
    )
    assert one_row(owner, "select count(*) from metric_values where value is null") == (1,)


def test_a_rate_with_a_zero_denominator_is_undefined(owner: Connection) -> None:
    clinic = insert_clinic(owner)
    got = owner.execute(
        "insert into call_metrics (clinic_id, date, call_type, total_count, scheduled_count) values"
        " (%(c)s, '2024-03-01', 'new_patient', 0, 0), (%(c)s, '2024-03-02', 'new_patient', 8, 6),"
        " (%(c)s, '2024-03-03', 'new_patient', null, 6) returning conversion::text",
        {"c": clinic},
    ).fetchall()
    assert got == [(None,), ("0.7500",), (None,)]


def test_roles_rise_from_viewer_to_clinic_admin(owner: Connection) -> None:
    got = one_row(owner, "select enum_range(null::clinic_role)::text[]")[0]
    assert got == ["viewer", "staff", "provider", "clinic_admin"]


def test_goal_templates_of_a_clinic_and_shared_ones_are_read_together(owner: Connection) -> None:
    clinic, metric = insert_clinic(owner), insert_metric(owner)
    owner.execute(
        "insert into goal_templates (clinic_id, name, metric_definition_id, time_period, formula)"
        " values (%s, 'Ours', %s, 'monthly', 'previous period')",
        [clinic, metric],
    )
    owner.execute(
        "insert into system_goal_templates (name, metric_definition_id, time_period, formula)"
        " values ('For all', %s, 'monthly', 'previous period')",
        [metric],
    )
    got = owner.execute("select clinic_id, is_system, name from all_goal_templates order by is_system").fetchall()
    assert got == [(clinic, False, "Ours"), (None, True, "For all")]
