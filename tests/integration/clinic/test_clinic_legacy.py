"""The source schema of Clinic and its sample, in a database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from clinic.migration.legacy import (
    COLUMNS,
    LOCATIONS,
    NOTES,
    Planted,
    TablesExistError,
    TablesFilledError,
    TablesMissingError,
    create_schema,
    load,
)
from clinic.migration.legacy.__main__ import main
from tests.conftest import Database

Conn = psycopg.Connection[tuple[object, ...]]
SCHEMA = "Old app"  # a name that must be quoted everywhere

ADDRESS = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"
UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
NUMBER = r"^ *-?(\$ *)?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?%%? *$"
IN_PARENTHESES = r"^ *\((\d+|\d{1,3}(,\d{3})+)(\.\d+)?\) *$"
IS_NUMBER = f"(value ~ '{NUMBER}' or value ~ '{IN_PARENTHESES}')"
OF_INVALID = f"select id from users where lower(btrim(email)) !~ '{ADDRESS}'"

# For each code the ids of its rows, found without knowing the generator. %(zones)s: location → time zone, as JSON.
FOUND: dict[str, str] = {
    "clinics.inactive": "select id from clinics where status = 'inactive'",
    "users.email_case_or_blank_duplicate": """
        select later.id from users later join users earlier
            on lower(btrim(later.email)) = lower(btrim(earlier.email)) and later.created_at > earlier.created_at
        where earlier.email = lower(btrim(earlier.email))""",
    "users.email_not_normalised": f"""
        select id from users u where email <> lower(btrim(email)) and lower(btrim(email)) ~ '{ADDRESS}'
        and not exists (
            select from users o where o.id <> u.id and lower(btrim(o.email)) = lower(btrim(u.email)))""",
    "users.email_invalid": OF_INVALID,
    "users.group_admin": "select id from users where role = 'admin'",
    "metric_values.clinic_from_provider": """
        select id from metric_values where clinic_id is null and provider_id is not null""",
    "metric_values.clinic_from_data_source": """
        select id from metric_values
        where clinic_id is null and provider_id is null and data_source_id is not null""",
    "metric_values.clinic_unknown": """
        select id from metric_values where coalesce(clinic_id, provider_id, data_source_id) is null""",
    "metric_values.clinic_provider_conflict": """
        select v.id from metric_values v join providers p on p.id = v.provider_id where p.clinic_id <> v.clinic_id""",
    "metric_values.value_not_available": "select id from metric_values where value = 'N/A'",
    "metric_values.value_empty": "select id from metric_values where btrim(value) = ''",
    "metric_values.value_invalid": f"""
        select id from metric_values where not {IS_NUMBER} and value <> 'N/A' and btrim(value) <> ''""",
    "metric_values.value_formatted": f"""
        select id from metric_values where {IS_NUMBER} and value !~ '%%' and value ~ '[,$() ]'""",
    "metric_values.value_percent": "select id from metric_values where value ~ '%%'",
    "metric_values.same_day_twice": """
        select id from (
            select v.id, row_number() over turn as place, count(*) over (partition by
                coalesce(v.clinic_id, p.clinic_id, s.clinic_id), v.metric_definition_id, v.provider_id,
                v.date::date, v.source_type) as rows
            from metric_values v
            left join providers p on p.id = v.provider_id
            left join data_sources s on s.id = v.data_source_id
            window turn as (partition by
                coalesce(v.clinic_id, p.clinic_id, s.clinic_id), v.metric_definition_id, v.provider_id,
                v.date::date, v.source_type order by v.updated_at)
        ) each where rows = 2 and place = 1""",
    "metric_values.local_day": """
        select v.id from metric_values v
        left join providers p on p.id = v.provider_id
        left join data_sources s on s.id = v.data_source_id
        join clinics c on c.id = coalesce(v.clinic_id, p.clinic_id, s.clinic_id)
        where v.date::time <> '00:00'
        and (v.date at time zone 'UTC' at time zone (%(zones)s::jsonb ->> c.location))::time = '00:00'""",
    "metric_values.id_uuid_not_canonical": f"""
        select id from metric_values where id !~ '{UUID}' and lower(btrim(id, '{{}}')) ~ '{UUID}'""",
    "goals.ends_before_start": "select id from goals where end_date < start_date",
    "goals.target_value_invalid": f"""
        select id from (select id, target_value as value from goals) goals where not {IS_NUMBER}""",
    "goals.clinic_from_provider": "select id from goals where clinic_id is null and provider_id is not null",
    "goals.clinic_unknown": "select id from goals where clinic_id is null and provider_id is null",
    "goals.of_inactive_clinic": """
        select g.id from goals g left join providers p on p.id = g.provider_id
        join clinics c on c.id = coalesce(g.clinic_id, p.clinic_id) where c.status = 'inactive'""",
    "dashboards.of_invalid_user": f"select id from dashboards where user_id in ({OF_INVALID})",
    "widgets.of_invalid_user": f"""
        select w.id from widgets w join dashboards d on d.id = dashboard_id where user_id in ({OF_INVALID})""",
    "dashboards.layout_unknown_widget": """
        select distinct d.id from dashboards d, jsonb_array_elements(layout_config -> 'widgets') place
        where not exists (select from widgets w where w.id = place ->> 'id')""",
    "widgets.config_unknown_metric": """
        select distinct w.id from widgets w, jsonb_array_elements_text(config -> 'metricDefinitionIds') key
        where not exists (select from metric_definitions m where m.id = key)""",
    "widgets.config_unknown_provider": """
        select distinct w.id from widgets w, jsonb_array_elements_text(config -> 'providerIds') key
        where not exists (select from providers p where p.id = key)""",
}
for _table in ("users", "providers", "metric_values", "goals"):
    FOUND[f"{_table}.id_is_uuid"] = f"select id from {_table} where id ~ '{UUID}'"
    FOUND[f"{_table}.id_is_number"] = f"select id from {_table} where id ~ '^[0-9]+$'"


@pytest.fixture
def conn(database: Database) -> Iterator[Conn]:
    with database.connect() as made:
        yield made


@pytest.fixture
def loaded(conn: Conn) -> tuple[Conn, Planted]:
    create_schema(conn, SCHEMA)
    planted = load(conn, schema=SCHEMA, clinics=12, values=6_000)
    conn.execute(f'set search_path = "{SCHEMA}"')
    return conn, planted


def ids(conn: Conn, query: str) -> list[str]:
    return sorted(str(row[0]) for row in conn.execute(query.encode(), {"zones": json.dumps(LOCATIONS)}))


def test_the_database_holds_exactly_the_planted_rows_of_every_code(loaded: tuple[Conn, Planted]) -> None:
    conn, planted = loaded
    assert set(FOUND) == set(NOTES) == {defect.code for defect in planted.defects}
    for defect in planted.defects:
        found = ids(conn, FOUND[defect.code])
        assert (len(found), tuple(found[:1000])) == (defect.count, defect.keys), defect.code


def test_the_tables_hold_as_many_rows_as_planted(loaded: tuple[Conn, Planted]) -> None:
    conn, planted = loaded
    for table, want in planted.rows.items():
        assert conn.execute(f"select count(*) from {table}".encode()).fetchone() == (want,), table


def test_all_foreign_keys_are_there_and_validated_after_the_load(loaded: tuple[Conn, Planted]) -> None:
    conn, _ = loaded
    keys = conn.execute(
        "select conname, confdeltype, confupdtype, convalidated, attnotnull from pg_constraint"
        " join pg_attribute on attrelid = conrelid and attnum = conkey[1]"
        " where contype = 'f' and connamespace = (select oid from pg_namespace where nspname = %s)",
        (SCHEMA,),
    ).fetchall()
    assert len(keys) == 15
    for name, on_delete, on_update, validated, not_null in keys:
        assert (on_delete, on_update, validated) == ("r" if not_null else "n", "c", True), name


def test_the_load_ends_with_statistics(loaded: tuple[Conn, Planted]) -> None:
    conn, _ = loaded
    query = "select count(distinct tablename) from pg_stats where schemaname = %s"
    assert conn.execute(query, (SCHEMA,)).fetchone() == (len(COLUMNS),)


def test_a_second_load_is_refused_without_a_change(loaded: tuple[Conn, Planted]) -> None:
    conn, planted = loaded
    with pytest.raises(TablesFilledError) as caught:
        load(conn, schema=SCHEMA, clinics=12, values=6_000)
    assert caught.value.tables == list(COLUMNS)
    assert conn.execute("select count(*) from metric_values").fetchone() == (planted.rows["metric_values"],)


def test_a_load_without_tables_and_tables_twice_are_refused(conn: Conn) -> None:
    with pytest.raises(TablesMissingError) as missing:
        load(conn, schema="nowhere", values=500)
    assert missing.value.tables == list(COLUMNS)
    create_schema(conn, "public")
    with pytest.raises(TablesExistError) as existing:
        create_schema(conn, "public")
    assert existing.value.tables == list(COLUMNS)


def test_loading_inside_the_callers_transaction_does_not_commit(database: Database) -> None:
    with database.connect(autocommit=False) as conn:
        before = conn.execute("show search_path").fetchone()
        create_schema(conn, "source")
        load(conn, schema="source", clinics=2, values=500)
        assert conn.execute("show search_path").fetchone() == before
        conn.rollback()
        assert conn.execute("select to_regclass('source.clinics')").fetchone() == (None,)


def test_progress_ends_every_table_at_its_total(conn: Conn) -> None:
    create_schema(conn, "public")
    seen: list[tuple[str, int, int]] = []
    planted = load(
        conn, clinics=2, values=25_000, progress=lambda table, done, total: seen.append((table, done, total))
    )
    assert [step for step in seen if step[0] == "metric_values"] == [
        ("metric_values", done, 25_000) for done in (10_000, 20_000, 25_000)
    ]
    assert {table: done for table, done, total in seen if done == total} == planted.rows


def test_the_command_loads_and_prints_the_planted_cases(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dsn", database.dsn, "--clinics", "2", "--values", "500", "--schema", "source"]
    assert main([*arguments, "--json"]) == 0
    assert Planted.from_json(capsys.readouterr().out).rows["metric_values"] == 500
    assert main(arguments) == 1
    assert "hint: " in capsys.readouterr().err


# The types of Prisma that the schema uses, as PostgreSQL prints them.
TYPES = {
    "String": "text",
    "DateTime": "timestamp(3) without time zone",
    "Boolean": "boolean",
    "Int": "integer",
    "Json": "jsonb",
}


def columns_in_prisma() -> dict[str, list[tuple[str, str, bool]]]:
    """Table → (column, type, not null), read from the Prisma file line by line."""
    text = Path(str(files("clinic.migration.legacy").joinpath("schema.prisma"))).read_text(encoding="utf-8")
    tables = {}
    for body in re.findall(r"^model \w+ \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        fields = re.findall(r"^  (\w+) +(\w+)(\?|\[\])?(.*)$", body, re.MULTILINE)
        name = re.search(r'@@map\("(\w+)"\)', body)
        assert name is not None
        columns = []
        for field, kind, mark, rest in fields:
            if kind in TYPES:
                mapped = re.search(r'(?<!@)@map\("(\w+)"\)', rest)
                columns.append((mapped[1] if mapped else field, TYPES[kind], mark != "?"))
                assert kind != "DateTime" or "@db.Timestamp(3)" in rest, field
        tables[name[1]] = columns
    return tables


def test_the_prisma_file_the_sql_and_the_generator_agree_on_every_column(conn: Conn) -> None:
    create_schema(conn, "public")
    rows = conn.execute(
        "select attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute"
        " join pg_class on pg_class.oid = attrelid"
        " where relkind = 'r' and relnamespace = 'public'::regnamespace and attnum > 0 order by attrelid, attnum"
    ).fetchall()
    in_sql: dict[str, list[tuple[str, str, bool]]] = {}
    for table, column, kind, not_null in rows:
        in_sql.setdefault(str(table), []).append((str(column), str(kind), bool(not_null)))
    assert columns_in_prisma() == in_sql
    assert {table: tuple(column[0] for column in columns) for table, columns in in_sql.items()} == dict(COLUMNS)


def test_foreign_key_columns_have_no_index_and_emails_are_unique(conn: Conn) -> None:
    create_schema(conn, "public")
    indexes = conn.execute("select indexname from pg_indexes where schemaname = 'public'").fetchall()
    assert {row[0] for row in indexes} == {f"{table}_pkey" for table in COLUMNS} | {"users_email_key"}
