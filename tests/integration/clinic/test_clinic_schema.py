"""The target schema of Clinic keeps the rules that isolation rests on, and its triggers and checks hold.

The files are run as the migration tool runs them: in name order, in one transaction, by a role that owns the schema and
nothing else. The catalog queries then list offenders, so that a failure names them.
"""

from __future__ import annotations

from typing import LiteralString

import pytest
from psycopg import errors

from tests.conftest import Database
from tests.integration.clinic.clinic_schema_world import (
    OWNER,
    Connection,
    database,
    insert_clinic,
    insert_metric,
    insert_provider,
    load_schema,
    names_of,
    owner,
)

__all__ = ["database", "owner"]


TABLES_WITHOUT_CLINIC = {"clinics", "profiles", "metric_definitions", "system_goal_templates", "system_settings"}

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


# ── the files


def test_the_files_load_on_every_supported_version_by_a_role_that_only_owns_the_schema(database_each: Database) -> None:
    load_schema(database_each)
    with database_each.connect() as admin:
        strangers = admin.execute(
            "select relname from pg_class where relnamespace = 'clinic'::regnamespace and relowner <> %s::regrole",
            [OWNER],
        ).fetchall()
    assert strangers == []


def test_the_tables_without_a_clinic_are_just_these(owner: Connection) -> None:
    got = names_of(
        owner,
        "select c.relname::text from pg_class as c where c.relnamespace = 'clinic'::regnamespace and c.relkind = 'r'"
        " and not exists (select from pg_attribute as a where a.attrelid = c.oid and a.attname = 'clinic_id')",
    )
    assert set(got) == TABLES_WITHOUT_CLINIC


# ── what isolation rests on


def test_clinic_id_is_never_null_in_any_tenant_table(owner: Connection) -> None:
    got = names_of(
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
    got = names_of(
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
    got = names_of(
        owner,
        "select t.name from (" + TENANT_TABLES + ") as t where not exists (select from (" + FOREIGN_KEYS + ") as f"
        " where f.conrelid = t.oid and f.confrelid = 'clinics'::regclass and f.columns = '{clinic_id}')",
    )
    assert got == []


def test_no_table_with_a_clinic_is_referenced_by_one_without(owner: Connection) -> None:
    got = names_of(
        owner,
        "select f.name from (" + FOREIGN_KEYS + ") as f"
        " where f.confrelid in (select oid from (" + TENANT_TABLES + ") as t)"
        "   and f.conrelid not in (select oid from (" + TENANT_TABLES + ") as t)",
    )
    assert got == []


def test_a_row_cannot_reference_a_row_of_another_clinic(owner: Connection) -> None:
    here, there, metric = insert_clinic(owner), insert_clinic(owner), insert_metric(owner)
    stranger = insert_provider(owner, there)
    with pytest.raises(errors.ForeignKeyViolation):
        owner.execute(
            "insert into metric_values (clinic_id, metric_definition_id, provider_id, date, value, source_type)"
            " values (%s, %s, %s, '2024-03-01', 1, 'form')",
            [here, metric, stranger],
        )


# ── foreign keys


def test_every_foreign_key_can_wait_for_the_commit(owner: Connection) -> None:
    got = names_of(
        owner,
        "select f.name from (" + FOREIGN_KEYS + ") as f where not f.condeferrable or f.confdeltype = 'r'",
    )
    assert got == [], "RESTRICT cannot be deferred, whatever the constraint says"


def test_no_foreign_key_acts_on_update(owner: Connection) -> None:
    assert names_of(owner, "select f.name from (" + FOREIGN_KEYS + ") as f where f.confupdtype <> 'a'") == []


def test_set_null_never_nulls_the_clinic_and_only_what_may_be_null(owner: Connection) -> None:
    got = names_of(
        owner,
        "select f.name from (" + FOREIGN_KEYS + ") as f"
        " join pg_attribute as a on a.attrelid = f.conrelid"
        "  and a.attname = any (case when f.set_null = '{}' then f.columns else f.set_null end)"
        " where f.confdeltype = 'n' and (a.attname = 'clinic_id' or a.attnotnull)",
    )
    assert got == []


def test_a_deleted_provider_leaves_their_goals_to_the_clinic(owner: Connection) -> None:
    clinic, metric = insert_clinic(owner), insert_metric(owner)
    provider = insert_provider(owner, clinic)
    owner.execute(
        "insert into goals"
        " (clinic_id, metric_definition_id, provider_id, time_period, start_date, end_date, target_value)"
        " values (%s, %s, %s, 'monthly', '2024-03-01', '2024-03-31', 100)",
        [clinic, metric, provider],
    )
    owner.execute("delete from providers where id = %s", [provider])
    assert owner.execute("select clinic_id, provider_id from goals").fetchall() == [(clinic, None)]


def test_a_clinic_may_go_before_its_rows_within_one_transaction_and_not_alone(owner: Connection) -> None:
    clinic = insert_clinic(owner)
    insert_provider(owner, clinic)
    with pytest.raises(errors.ForeignKeyViolation):
        owner.execute("delete from clinics")
    with owner.transaction():
        owner.execute("set constraints all deferred")
        owner.execute("delete from clinics")
        owner.execute("delete from providers")
    assert owner.execute("select count(*) from clinics").fetchone() == (0,)


def test_every_foreign_key_is_covered_by_an_index(owner: Connection) -> None:
    got = names_of(
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
    got = names_of(
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
    relations = names_of(
        owner,
        "select relname::text from pg_class where relnamespace = 'clinic'::regnamespace"
        " and (relacl is not null or relrowsecurity)",
    )
    functions = names_of(
        owner,
        "select proname::text from pg_proc where pronamespace = 'clinic'::regnamespace"
        " and (proacl is not null or prosecdef)",
    )
    assert (relations, functions) == ([], [])


def test_every_function_has_a_fixed_search_path(owner: Connection) -> None:
    got = names_of(
        owner,
        "select proname::text from pg_proc where pronamespace = 'clinic'::regnamespace"
        " and proconfig is distinct from '{\"search_path=pg_catalog, pg_temp\"}'",
    )
    assert got == []


def test_every_view_reads_with_the_rights_of_its_reader(owner: Connection) -> None:
    got = names_of(
        owner,
        "select relname::text from pg_class where relnamespace = 'clinic'::regnamespace and relkind in ('v', 'm')"
        " and not coalesce(reloptions @> '{security_invoker=true}', false)",
    )
    assert got == []


# ── comments


def test_every_table_column_type_and_function_has_a_comment(owner: Connection) -> None:
    got = names_of(
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
