"""The target schema of Clinic keeps the rules that isolation rests on, and its triggers and checks hold.

The files are run as the migration tool runs them: in name order, in one transaction, by a role that owns the schema and
nothing else. The catalog queries then list offenders, so that a failure names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors, sql

from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, fresh_database, running_server
from tests.migrate_support import shared_template

Connection = psycopg.Connection[tuple[object, ...]]

OWNER = "clinic_schema_owner"
CLIENT = "clinic_schema_client"

# The people of another schema are not there yet, nor is the function that knows the caller: stand-ins for both.
SURROUNDINGS: LiteralString = """
    create schema if not exists auth;
    create table if not exists auth.users (id uuid primary key);
    create schema tenantry;
    create function tenantry.profile_id() returns uuid
        language sql stable as $$ select nullif(current_setting('test.profile_id', true), '')::uuid $$;
"""

TABLES_WITHOUT_CLINIC = {"clinics", "profiles", "metric_definitions", "system_goal_templates", "system_settings"}
TABLES_WITH_A_PAST = {
    *("clinics", "profiles", "user_clinic_roles", "providers", "metric_definitions", "goals", "metric_values"),
    *("dashboards", "widgets", "google_credentials", "spreadsheet_connections", "column_mappings"),
}

# Tables that have a clinic; clinics itself has an id only.
TENANT_TABLES: LiteralString = """
    select c.oid, c.relname::text as name
      from pg_class as c
     where c.relnamespace = 'clinic'::regnamespace and c.relkind = 'r'
       and exists (select from pg_attribute as a where a.attrelid = c.oid and a.attname = 'clinic_id')
"""

# Foreign keys with the names of their columns, in the order of the key.
FOREIGN_KEYS: LiteralString = """
    select k.oid, k.conname::text as name, k.conrelid, k.confrelid, k.conkey,
           k.confdeltype, k.confupdtype, k.condeferrable,
           (select array_agg(a.attname::text order by u.n)
              from unnest(k.conkey) with ordinality as u (attnum, n)
              join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.attnum) as columns,
           (select array_agg(a.attname::text order by u.n)
              from unnest(k.confkey) with ordinality as u (attnum, n)
              join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = u.attnum) as referenced,
           (select coalesce(array_agg(a.attname::text), '{}')
              from unnest(k.confdelsetcols) as u (attnum)
              join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.attnum) as set_null
      from pg_constraint as k
     where k.connamespace = 'clinic'::regnamespace and k.contype = 'f'
"""


def _role(admin: Connection, name: str) -> None:
    """Roles belong to the cluster, which tests share: another one may make it in the same moment."""
    try:
        admin.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
    except (errors.DuplicateObject, errors.UniqueViolation):
        return


def _load(database: Database) -> None:
    with database.connect() as admin:
        _role(admin, OWNER)
        _role(admin, CLIENT)
        admin.execute(SURROUNDINGS)
        admin.execute(
            sql.SQL(
                "create schema clinic authorization {owner};"
                "grant usage on schema auth, tenantry to {owner}, {client};"
                "grant references on auth.users to {owner}"
            ).format(owner=sql.Identifier(OWNER), client=sql.Identifier(CLIENT))
        )
    scripts = sorted(
        (file for file in files("clinic").joinpath("schema").iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    with database.connect(autocommit=False, user=OWNER) as owner:
        owner.execute("set local search_path = clinic, pg_catalog")
        for script in scripts:
            owner.execute(script.read_text(encoding="utf-8").encode())


@pytest.fixture
def database(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    """A database with the schema, on PostgreSQL 18: a clone of one that is loaded once."""
    server = running_server(servers, 18)
    with fresh_database(server, shared_template(server, "clinic_schema_alone", _load)) as made:
        yield made


@pytest.fixture
def owner(database: Database) -> Iterator[Connection]:
    """A session of the owner of the schema, as a migration has one."""
    with database.connect(user=OWNER) as connection:
        connection.execute("set search_path = clinic, pg_catalog")
        yield connection


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


def _names(connection: Connection, query: LiteralString) -> list[object]:
    return [row[0] for row in connection.execute(query)]


def _one(connection: Connection, query: LiteralString, *values: object) -> tuple[object, ...]:
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return row


def _clinic(connection: Connection, legacy_id: str | None = None) -> UUID:
    made = _one(
        connection,
        "insert into clinics (legacy_id, name, location, time_zone)"
        " values (%s, 'Fernhill', 'Fernhill', 'America/Chicago') returning id",
        legacy_id,
    )[0]
    assert isinstance(made, UUID)
    return made


def _metric(connection: Connection) -> object:
    return _one(
        connection,
        "insert into metric_definitions (name, description, data_type, category)"
        " values ('Production', 'All of it', 'currency', 'financial') returning id",
    )[0]


def _provider(connection: Connection, clinic: UUID) -> object:
    return _one(
        connection,
        "insert into providers (clinic_id, name, provider_type) values (%s, 'Ada Quill', 'dentist') returning id",
        clinic,
    )[0]


def _as(connection: Connection, profile: UUID | None) -> None:
    connection.execute("select set_config('test.profile_id', %s, false)", [str(profile or "")])


# ── the files


def test_the_files_load_on_every_supported_version_by_a_role_that_only_owns_the_schema(database_each: Database) -> None:
    _load(database_each)
    with database_each.connect() as admin:
        strangers = admin.execute(
            "select relname from pg_class where relnamespace = 'clinic'::regnamespace and relowner <> %s::regrole",
            [OWNER],
        ).fetchall()
    assert strangers == []


def test_the_tables_without_a_clinic_are_just_these(owner: Connection) -> None:
    got = _names(
        owner,
        "select c.relname::text from pg_class as c where c.relnamespace = 'clinic'::regnamespace and c.relkind = 'r'"
        " and not exists (select from pg_attribute as a where a.attrelid = c.oid and a.attname = 'clinic_id')",
    )
    assert set(got) == TABLES_WITHOUT_CLINIC


# ── what isolation rests on


def test_clinic_id_is_never_null_in_any_tenant_table(owner: Connection) -> None:
    got = _names(
        owner,
        "select t.name from (" + TENANT_TABLES + ") as t"
        " join pg_attribute as a on a.attrelid = t.oid and a.attname = 'clinic_id' where not a.attnotnull",
    )
    assert got == []


def test_the_primary_key_of_every_tenant_table_is_clinic_id_and_id(owner: Connection) -> None:
    got = owner.execute(
        "select t.name, pg_get_constraintdef(k.oid) from (" + TENANT_TABLES + ") as t"
        " left join pg_constraint as k on k.conrelid = t.oid and k.contype = 'p'"
        " where pg_get_constraintdef(k.oid) is distinct from 'PRIMARY KEY (clinic_id, id)'"
    ).fetchall()
    assert got == []


def test_clinic_id_comes_first_in_unique_keys_of_tenant_tables(owner: Connection) -> None:
    got = _names(
        owner,
        "select i.indexrelid::regclass::text from (" + TENANT_TABLES + ") as t"
        " join pg_index as i on i.indrelid = t.oid and i.indisunique"
        " join pg_attribute as a on a.attrelid = t.oid and a.attnum = i.indkey[0] where a.attname <> 'clinic_id'",
    )
    assert got == []


def test_every_foreign_key_between_tenant_tables_holds_clinic_id_first_on_both_sides(owner: Connection) -> None:
    got = owner.execute(
        "select f.name, f.columns, f.referenced from (" + FOREIGN_KEYS + ") as f"
        " where f.conrelid in (select oid from (" + TENANT_TABLES + ") as t)"
        "   and f.confrelid in (select oid from (" + TENANT_TABLES + ") as t)"
        "   and not (f.columns[1] = 'clinic_id' and f.referenced[1] = 'clinic_id')"
    ).fetchall()
    assert got == []


def test_every_tenant_table_references_its_clinic(owner: Connection) -> None:
    got = _names(
        owner,
        "select t.name from (" + TENANT_TABLES + ") as t where not exists (select from (" + FOREIGN_KEYS + ") as f"
        " where f.conrelid = t.oid and f.confrelid = 'clinics'::regclass and f.columns = '{clinic_id}')",
    )
    assert got == []


def test_no_table_with_a_clinic_is_referenced_by_one_without(owner: Connection) -> None:
    got = _names(
        owner,
        "select f.name from (" + FOREIGN_KEYS + ") as f"
        " where f.confrelid in (select oid from (" + TENANT_TABLES + ") as t)"
        "   and f.conrelid not in (select oid from (" + TENANT_TABLES + ") as t)",
    )
    assert got == []


def test_a_row_cannot_reference_a_row_of_another_clinic(owner: Connection) -> None:
    here, there, metric = _clinic(owner), _clinic(owner), _metric(owner)
    stranger = _provider(owner, there)
    with pytest.raises(errors.ForeignKeyViolation):
        owner.execute(
            "insert into metric_values (clinic_id, metric_definition_id, provider_id, date, value, source_type)"
            " values (%s, %s, %s, '2024-03-01', 1, 'form')",
            [here, metric, stranger],
        )


# ── foreign keys


def test_every_foreign_key_can_wait_for_the_commit(owner: Connection) -> None:
    got = _names(
        owner,
        "select f.name from (" + FOREIGN_KEYS + ") as f where not f.condeferrable or f.confdeltype = 'r'",
    )
    assert got == [], "RESTRICT cannot be deferred, whatever the constraint says"


def test_no_foreign_key_acts_on_update(owner: Connection) -> None:
    assert _names(owner, "select f.name from (" + FOREIGN_KEYS + ") as f where f.confupdtype <> 'a'") == []


def test_set_null_never_nulls_the_clinic_and_only_what_may_be_null(owner: Connection) -> None:
    got = _names(
        owner,
        "select f.name from (" + FOREIGN_KEYS + ") as f"
        " join pg_attribute as a on a.attrelid = f.conrelid"
        "  and a.attname = any (case when f.set_null = '{}' then f.columns else f.set_null end)"
        " where f.confdeltype = 'n' and (a.attname = 'clinic_id' or a.attnotnull)",
    )
    assert got == []


def test_a_deleted_provider_leaves_their_goals_to_the_clinic(owner: Connection) -> None:
    clinic, metric = _clinic(owner), _metric(owner)
    provider = _provider(owner, clinic)
    owner.execute(
        "insert into goals"
        " (clinic_id, metric_definition_id, provider_id, time_period, start_date, end_date, target_value)"
        " values (%s, %s, %s, 'monthly', '2024-03-01', '2024-03-31', 100)",
        [clinic, metric, provider],
    )
    owner.execute("delete from providers where id = %s", [provider])
    assert owner.execute("select clinic_id, provider_id from goals").fetchall() == [(clinic, None)]


def test_a_clinic_may_go_before_its_rows_within_one_transaction_and_not_alone(owner: Connection) -> None:
    clinic = _clinic(owner)
    _provider(owner, clinic)
    with pytest.raises(errors.ForeignKeyViolation):
        owner.execute("delete from clinics")
    with owner.transaction():
        owner.execute("set constraints all deferred")
        owner.execute("delete from clinics")
        owner.execute("delete from providers")
    assert owner.execute("select count(*) from clinics").fetchone() == (0,)


def test_every_foreign_key_is_covered_by_an_index(owner: Connection) -> None:
    got = _names(
        owner,
        "select f.name from (" + FOREIGN_KEYS + ") as f where not exists ("
        "  select from pg_index as i where i.indrelid = f.conrelid and i.indpred is null"
        "     and (string_to_array(i.indkey::text, ' ')::int2[])[1:cardinality(f.conkey)] @> f.conkey)",
    )
    assert got == []


def test_no_index_is_the_beginning_of_another(owner: Connection) -> None:
    got = owner.execute(
        """
        with indexes as (
            select indexrelid, indrelid, indisunique, string_to_array(indkey::text, ' ')::int2[] as columns
              from pg_index
             where indpred is null
               and indrelid in (select oid from pg_class where relnamespace = 'clinic'::regnamespace)
        )
        select short.indexrelid::regclass::text, long.indexrelid::regclass::text
          from indexes as short
          join indexes as long on long.indrelid = short.indrelid and long.indexrelid <> short.indexrelid
         where long.columns[1:cardinality(short.columns)] = short.columns
           and (not short.indisunique or long.columns = short.columns)
        """
    ).fetchall()
    assert got == []


def test_every_constraint_is_named_for_its_table_and_kind(owner: Connection) -> None:
    got = _names(
        owner,
        """
        select k.conname::text
          from pg_constraint as k
          join pg_class as c on c.oid = k.conrelid
          join (values ('p', '_pkey'), ('f', '_fkey'), ('u', '_key'), ('c', '_check')) as kind (code, ending)
               on kind.code = k.contype::text
         where k.connamespace = 'clinic'::regnamespace
           and (not starts_with(k.conname, c.relname || '_') or right(k.conname, length(kind.ending)) <> kind.ending)
        """,
    )
    assert got == []


# ── rights stay with the tool


def test_the_files_grant_nothing_and_make_no_policies(owner: Connection) -> None:
    relations = _names(
        owner,
        "select relname::text from pg_class where relnamespace = 'clinic'::regnamespace"
        " and (relacl is not null or relrowsecurity)",
    )
    functions = _names(
        owner,
        "select proname::text from pg_proc where pronamespace = 'clinic'::regnamespace"
        " and (proacl is not null or prosecdef)",
    )
    assert (relations, functions) == ([], [])


def test_every_function_has_a_fixed_search_path(owner: Connection) -> None:
    got = _names(
        owner,
        "select proname::text from pg_proc where pronamespace = 'clinic'::regnamespace"
        " and proconfig is distinct from '{\"search_path=pg_catalog, pg_temp\"}'",
    )
    assert got == []


def test_every_view_reads_with_the_rights_of_its_reader(owner: Connection) -> None:
    got = _names(
        owner,
        "select relname::text from pg_class where relnamespace = 'clinic'::regnamespace and relkind in ('v', 'm')"
        " and not coalesce(reloptions @> '{security_invoker=true}', false)",
    )
    assert got == []


# ── comments


def test_every_table_column_type_and_function_has_a_comment(owner: Connection) -> None:
    got = _names(
        owner,
        """
        select c.relname::text
          from pg_class as c
         where c.relnamespace = 'clinic'::regnamespace and c.relkind in ('r', 'v')
           and obj_description(c.oid, 'pg_class') is null
         union all
        select c.relname || '.' || a.attname
          from pg_class as c
          join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relnamespace = 'clinic'::regnamespace and c.relkind in ('r', 'v')
           and col_description(c.oid, a.attnum) is null
         union all
        select t.typname::text
          from pg_type as t
         where t.typnamespace = 'clinic'::regnamespace and t.typtype in ('e', 'd')
           and obj_description(t.oid, 'pg_type') is null
         union all
        select p.proname::text
          from pg_proc as p
         where p.pronamespace = 'clinic'::regnamespace and obj_description(p.oid, 'pg_proc') is null
        """,
    )
    assert got == []


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
    got = _one(
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
    _metric(client)
    before = _one(client, "select created_at from metric_definitions")
    _as(client, editor)
    client.execute(
        "update metric_definitions set name = 'New', created_by = %s, created_at = '1999-01-01', updated_by = %s",
        [forged, forged],
    )
    assert _one(client, "select created_by, updated_by from metric_definitions") == (author, editor)
    assert _one(client, "select created_at from metric_definitions") == before
    assert _one(client, "select updated_at > created_at from metric_definitions") == (True,)


def test_a_client_without_a_person_in_context_cannot_claim_one(client: Connection) -> None:
    forged = uuid4()
    got = _one(
        client,
        "insert into metric_definitions (name, description, data_type, category, created_by, updated_by)"
        " values ('Production', '', 'currency', 'financial', %s, %s) returning created_by, updated_by",
        forged,
        forged,
    )
    assert got == (None, None)


def test_a_person_in_context_is_stamped_even_in_a_session_of_the_owner(owner: Connection) -> None:
    _as(owner, somebody := uuid4())
    _metric(owner)
    owner.execute("update metric_definitions set created_by = null, updated_by = null")
    assert _one(owner, "select created_by, updated_by from metric_definitions") == (somebody, somebody)


def test_a_migration_keeps_times_and_authors(owner: Connection) -> None:
    author, editor = uuid4(), uuid4()
    want = _one(
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
    got = _one(owner, "select created_by, updated_by, created_at::text, updated_at::text from metric_definitions")
    assert got == want
    assert got[:2] == (author, editor)


# ── legacy ids


def test_the_tables_that_come_from_a_source_keep_the_old_id_once_each(owner: Connection) -> None:
    required = _names(
        owner,
        "select c.relname::text from pg_class as c join pg_attribute as a on a.attrelid = c.oid"
        " where c.relnamespace = 'clinic'::regnamespace and c.relkind = 'r'"
        "   and a.attname = 'legacy_id' and a.attnotnull"
        "   and exists (select from pg_trigger as t where t.tgrelid = c.oid and t.tgname = 'set_legacy_id')",
    )
    unique = _names(
        owner,
        "select c.relname::text from pg_constraint as k join pg_class as c on c.oid = k.conrelid"
        " where k.connamespace = 'clinic'::regnamespace and k.contype = 'u'"
        "   and pg_get_constraintdef(k.oid) in ('UNIQUE (clinic_id, legacy_id)', 'UNIQUE (legacy_id)')",
    )
    assert set(required) == TABLES_WITH_A_PAST
    assert set(unique) == TABLES_WITH_A_PAST


def test_a_target_native_row_gets_its_own_id_as_legacy_id(client: Connection) -> None:
    clinic = _clinic(client)
    provider = _provider(client, clinic)
    assert _one(client, "select legacy_id from clinics") == (str(clinic),)
    assert _one(client, "select legacy_id from providers") == (str(provider),)


def test_a_row_from_the_source_keeps_its_legacy_id(owner: Connection) -> None:
    _clinic(owner, "cln1234")
    assert _one(owner, "select legacy_id from clinics") == ("cln1234",)


# ── the audit log


@pytest.mark.parametrize(
    "statement", ["update audit_log set changes = '{}'", "delete from audit_log", "truncate audit_log"]
)
def test_the_audit_log_refuses_every_change_even_by_its_owner(owner: Connection, statement: LiteralString) -> None:
    clinic = _clinic(owner)
    owner.execute(
        "insert into audit_log (clinic_id, action, table_name, row_id) values (%s, 'insert', 'clinics', %s)",
        [clinic, clinic],
    )
    with pytest.raises(errors.InsufficientPrivilege):
        owner.execute(statement)
    assert _one(owner, "select count(*) from audit_log") == (1,)


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
    values = {"clinic": _clinic(owner), "metric": _metric(owner)}
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
    clinic, metric = _clinic(owner), _metric(owner)
    owner.execute(statement, [clinic, metric, "form"])
    owner.execute(statement, [clinic, metric, "spreadsheet"])
    with pytest.raises(errors.UniqueViolation) as caught:
        owner.execute(statement, [clinic, metric, "form"])
    assert caught.value.diag.constraint_name == "metric_values_clinic_id_natural_key"


def test_money_may_be_negative_and_a_value_missing(owner: Connection) -> None:
    clinic, metric = _clinic(owner), _metric(owner)
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
    assert _one(owner, "select count(*) from metric_values where value is null") == (1,)


def test_a_rate_with_a_zero_denominator_is_undefined(owner: Connection) -> None:
    clinic = _clinic(owner)
    got = owner.execute(
        "insert into call_metrics (clinic_id, date, call_type, total_count, scheduled_count) values"
        " (%(c)s, '2024-03-01', 'new_patient', 0, 0), (%(c)s, '2024-03-02', 'new_patient', 8, 6),"
        " (%(c)s, '2024-03-03', 'new_patient', null, 6) returning conversion::text",
        {"c": clinic},
    ).fetchall()
    assert got == [(None,), ("0.7500",), (None,)]


def test_roles_rise_from_viewer_to_clinic_admin(owner: Connection) -> None:
    got = _one(owner, "select enum_range(null::clinic_role)::text[]")[0]
    assert got == ["viewer", "staff", "provider", "clinic_admin"]


def test_goal_templates_of_a_clinic_and_shared_ones_are_read_together(owner: Connection) -> None:
    clinic, metric = _clinic(owner), _metric(owner)
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
