"""The catalog holds everything that a migration must not lose, on every version, read by a plain owner of tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tenantry.catalog import (
    Catalog,
    Column,
    CompositeType,
    Constraint,
    DomainType,
    EnumType,
    Function,
    Grant,
    Index,
    Policy,
    Publication,
    Sequence,
    Trigger,
    View,
    read_catalog,
)
from tenantry.errors import SchemaMissing
from tests.conftest import Database
from tests.integration.catalog.catalog_world import SCHEMA, catalog, everything, owner, table

__all__ = ["catalog", "everything", "owner"]


LONG = "_".join("a23456789" for _ in range(6)) + "_abc"


def column(catalog: Catalog, of: str, name: str) -> Column:
    found = table(catalog, of).column(name)
    assert found is not None
    return found


def constraint(catalog: Catalog, of: str, name: str) -> Constraint:
    found = table(catalog, of).constraint(name)
    assert found is not None
    return found


def index(catalog: Catalog, of: str, name: str) -> Index:
    (found,) = (item for item in table(catalog, of).indexes if item.name == name)
    return replace(found, size_bytes=0)


def function(catalog: Catalog, name: str) -> Function:
    (found,) = (item for item in catalog.functions if item.name == name)
    return found


def view(catalog: Catalog, name: str) -> View:
    found = catalog.view(name)
    assert found is not None
    return found


# -- tables and columns ----------------------------------------------------------------------------------------------


def test_the_schema_has_its_owner_comment_and_grants(catalog: Catalog, everything: Database) -> None:
    assert (catalog.schema, catalog.owner, catalog.comment) == (SCHEMA, "cat_owner", "All there is")
    assert catalog.grants == (Grant("cat_reader", "USAGE", grantor="cat_owner"),)
    assert catalog.database == everything.name
    assert catalog.server_version // 10000 == everything.version


def test_every_kind_of_table_is_listed_with_its_parents(catalog: Catalog) -> None:
    got = {
        item.name: (item.kind, item.partition_of, item.partition_key, item.partition_bound) for item in catalog.tables
    }
    metric = (SCHEMA, "metric")
    assert got == {
        "Clinic": ("table", None, None, None),
        "User": ("table", None, None, None),
        LONG: ("table", None, None, None),
        "base": ("table", None, None, None),
        "heir": ("table", None, None, None),
        "keyed_by_unique": ("table", None, None, None),
        "keyless": ("table", None, None, None),
        "membership": ("table", None, None, None),
        "metric": ("partitioned", None, "RANGE (day)", None),
        "metric_2024": ("partition", metric, None, "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')"),
        "metric_link": ("table", None, None, None),
        "metric_rest": ("partitioned", metric, "LIST (clinic)", "DEFAULT"),
        "metric_rest_a": ("partition", (SCHEMA, "metric_rest"), None, "FOR VALUES IN ('a', 'b')"),
        "note": ("table", None, None, None),
    }
    assert table(catalog, "heir").inherits == ((SCHEMA, "base"),)
    assert table(catalog, "metric_2024").inherits == ()


def test_columns_keep_type_default_identity_and_expression(catalog: Catalog) -> None:
    want = (
        Column("id", "integer", type_name="int4", position=1, nullable=False, identity="always"),
        Column("clinicId", "text", type_name="text", position=2, nullable=False, comment="Where she works | or not"),
        Column("email", '"Clinic App".email', type_kind="domain", type_schema=SCHEMA, type_name="email", position=3),
        Column(
            "role",
            '"Clinic App"."Role"',
            type_kind="enum",
            type_schema=SCHEMA,
            type_name="Role",
            position=4,
            nullable=False,
            default='\'viewer\'::"Clinic App"."Role"',
        ),
        Column(
            "roles",
            '"Clinic App"."Role"[]',
            type_kind="array",
            type_schema=SCHEMA,
            type_name="_Role",
            position=5,
            element_type='"Clinic App"."Role"',
        ),
        Column(
            "home", '"Clinic App".address', type_kind="composite", type_schema=SCHEMA, type_name="address", position=6
        ),
        Column("born", "date", type_name="date", position=7, default="'2000-01-31'::date"),
        Column(
            "name_fold",
            "text",
            type_name="text",
            position=8,
            generated="lower((email)::text)",
            generated_kind="stored",
        ),
        Column("sort", "text", type_name="text", position=9, collation='"C"'),
        Column("manager", "integer", type_name="int4", position=10, default="0"),
    )
    assert table(catalog, "User").columns == want


def test_type_modifiers_and_kinds_are_kept(catalog: Catalog) -> None:
    assert column(catalog, "Clinic", "name").type == "character varying(80)"
    assert column(catalog, "Clinic", "createdAt").type == "timestamp(3) without time zone"
    assert column(catalog, "Clinic", "open").type_kind == "range"
    assert column(catalog, "metric", "value").type == "numeric(10,2)"


def test_serial_and_identity_differ(catalog: Catalog) -> None:
    serial, identity = column(catalog, "note", "tag"), column(catalog, "note", "id")
    assert (serial.default, serial.identity) == ("nextval('\"Clinic App\".note_tag_seq'::regclass)", None)
    assert (identity.default, identity.identity) == (None, "by default")


def test_inherited_columns_and_checks_say_so(catalog: Catalog) -> None:
    assert [(item.name, item.inherited) for item in table(catalog, "heir").columns] == [("a", True), ("b", False)]
    assert constraint(catalog, "heir", "base_a").inherited
    assert not constraint(catalog, "base", "base_a").inherited


def test_names_of_63_bytes_are_whole(catalog: Catalog) -> None:
    assert len(LONG) == 63
    assert table(catalog, LONG).row_key == ("b" + LONG[1:].replace("_a", "_b")[:-4] + "_abc",)


def test_options_persistence_replica_identity_rules_and_statistics_are_kept(catalog: Catalog) -> None:
    user, keyless, membership = (table(catalog, name) for name in ("User", "keyless", "membership"))
    assert (user.options, user.replica_identity) == (("fillfactor=90",), "full")
    assert (membership.replica_identity, membership.replica_identity_index) == ("index", "membership_during")
    assert keyless.persistence == "unlogged"
    assert keyless.rules == ('CREATE RULE keyless_quiet AS\n    ON DELETE TO "Clinic App".keyless DO INSTEAD NOTHING;',)
    assert keyless.statistics == (
        'CREATE STATISTICS "Clinic App".keyless_stats (dependencies) ON x, y FROM "Clinic App".keyless',
    )


def test_sizes_are_those_of_table_and_indexes(catalog: Catalog) -> None:
    note = table(catalog, "note")
    assert note.row_estimate == -1
    assert note.size_bytes >= sum(item.size_bytes for item in note.indexes) > 0
    assert table(catalog, "metric").size_bytes == 0


# -- keys and constraints --------------------------------------------------------------------------------------------


def test_foreign_keys_keep_their_actions_and_deferral(catalog: Catalog) -> None:
    assert constraint(catalog, "User", "user_clinic") == Constraint(
        "user_clinic",
        "foreign",
        ("clinicId",),
        'FOREIGN KEY ("clinicId") REFERENCES "Clinic App"."Clinic"(id) ON UPDATE CASCADE ON DELETE RESTRICT',
        ref_schema=SCHEMA,
        ref_table="Clinic",
        ref_columns=("id",),
        on_update="cascade",
        on_delete="restrict",
        comment="Tenant path",
    )
    manager = constraint(catalog, "User", "user_manager")
    assert (manager.on_update, manager.on_delete) == ("set null", "set default")
    assert (manager.deferrable, manager.initially_deferred) == (True, True)
    assert constraint(catalog, "note", "note_clinic_fkey").on_delete == "cascade"


def test_set_null_of_some_columns_is_kept(catalog: Catalog) -> None:
    got = constraint(catalog, "membership", "membership_note")
    assert (got.columns, got.ref_columns) == (("clinic", "note"), ("clinic", "id"))
    assert (got.on_delete, got.on_delete_columns) == ("set null", ("note",))
    assert (got.deferrable, got.initially_deferred) == (True, False)


def test_an_unvalidated_constraint_is_marked(catalog: Catalog) -> None:
    person = constraint(catalog, "membership", "membership_person")
    assert (person.validated, person.match) == (False, "full")
    positive = constraint(catalog, "metric_2024", "metric_2024_positive")
    assert (positive.validated, positive.expression) == (False, "(value > (0)::numeric)")


def test_not_null_is_not_listed_as_a_constraint(catalog: Catalog) -> None:
    got = sorted((item.name, item.kind) for item in table(catalog, "User").constraints)
    assert got == [
        ("User_age", "check"),
        ("User_clinic_email_key", "unique"),
        ("User_pkey", "primary"),
        ("user_clinic", "foreign"),
        ("user_manager", "foreign"),
    ]


def test_a_reference_to_a_partitioned_table_is_one_constraint(catalog: Catalog) -> None:
    (key,) = table(catalog, "metric_link").foreign_keys
    assert (key.ref_table, key.ref_columns) == ("metric", ("day", "clinic"))


def test_exclusion_and_nulls_not_distinct_are_kept(catalog: Catalog) -> None:
    apart = constraint(catalog, "membership", "membership_apart")
    assert (apart.kind, apart.columns, apart.index) == ("exclusion", ("during",), "membership_apart")
    assert apart.definition == "EXCLUDE USING gist (during WITH &&) WHERE ((person > 0))"
    unique = constraint(catalog, "User", "User_clinic_email_key")
    assert (unique.nulls_not_distinct, unique.columns) == (True, ("clinicId", "email"))


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("membership", ("clinic", "person")),
        ("metric", ("day", "clinic")),
        ("metric_rest_a", ("day", "clinic")),
        ("keyed_by_unique", ("a", "b")),
        ("keyless", None),
        ("base", None),
    ],
)
def test_the_row_key_is_a_key_that_always_holds_for_all_rows(
    catalog: Catalog, name: str, want: tuple[str, ...] | None
) -> None:
    assert table(catalog, name).row_key == want


# -- indexes ---------------------------------------------------------------------------------------------------------


def test_an_index_keeps_expression_inclusion_predicate_and_comment(catalog: Catalog) -> None:
    assert index(catalog, "membership", "membership_lower") == Index(
        "membership_lower",
        'CREATE INDEX membership_lower ON "Clinic App".membership USING btree (lower(clinic), note DESC)'
        " INCLUDE (during) WHERE (note IS NOT NULL)",
        columns=(None, "note"),
        included=("during",),
        predicate="(note IS NOT NULL)",
        comment="For search",
    )


def test_an_index_behind_a_constraint_names_it(catalog: Catalog) -> None:
    assert index(catalog, "membership", "membership_pkey").constraint == "membership_pkey"
    assert index(catalog, "membership", "membership_during").constraint is None
    assert index(catalog, "membership", "membership_apart").method == "gist"


def test_an_invalid_index_is_read_and_is_no_row_key(database_each: Database) -> None:
    with database_each.connect() as connection:
        connection.execute("create table twice as select 1 as a from generate_series(1, 2)")
        connection.execute("alter table twice alter a set not null")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("create unique index concurrently twice_a on twice (a)")
        twice = table(read_catalog(connection, "public"), "twice")
    assert [(item.name, item.unique, item.valid) for item in twice.indexes] == [("twice_a", True, False)]
    assert twice.row_key is None


# -- triggers, policies, grants, publications ------------------------------------------------------------------------


def test_triggers_keep_when_they_fire(catalog: Catalog) -> None:
    got = {item.name: (item.enabled, item.function, item.comment) for item in table(catalog, "User").triggers}
    assert got == {
        "touch_always": ("always", '"Clinic App".touch', None),
        "touch_off": ("disabled", '"Clinic App".touch', None),
        "touch_user": ("origin", '"Clinic App".touch', "Touches"),
    }


def test_a_trigger_of_a_partitioned_table_is_inherited_by_its_leaves(catalog: Catalog) -> None:
    definition = (
        'CREATE TRIGGER touch_metric BEFORE INSERT ON "Clinic App".metric_rest_a'
        ' FOR EACH ROW EXECUTE FUNCTION "Clinic App".touch()'
    )
    assert table(catalog, "metric_rest_a").triggers == (
        Trigger("touch_metric", definition, function='"Clinic App".touch', inherited=True),
    )


def test_policies_keep_command_roles_and_both_conditions(catalog: Catalog) -> None:
    user = table(catalog, "User")
    assert (user.rls_enabled, user.rls_forced) == (True, True)
    assert user.policies == (
        Policy("user_insert", "insert", permissive=False, roles=("PUBLIC",), check="(\"clinicId\" <> ''::text)"),
        Policy(
            "user_read",
            "select",
            roles=("cat_reader", "cat_writer"),
            using='("clinicId" = CURRENT_USER)',
            comment="Own clinic",
        ),
    )


def test_grants_name_columns_and_omit_the_owners_rights(catalog: Catalog) -> None:
    assert table(catalog, "User").grants == (
        Grant("cat_reader", "SELECT", grantable=True, grantor="cat_owner"),
        Grant("cat_writer", "SELECT", grantor="cat_owner"),
        Grant("cat_writer", "UPDATE", column="clinicId", grantor="cat_owner"),
        Grant("cat_writer", "UPDATE", column="role", grantor="cat_owner"),
    )
    assert table(catalog, "note").grants == ()


def test_an_owner_who_gave_up_a_right_is_seen(owner: psycopg.Connection[Any]) -> None:
    owner.execute("revoke delete on note from cat_owner")
    got = {grant.privilege for grant in table(read_catalog(owner, SCHEMA), "note").grants}
    assert "INSERT" in got
    assert "DELETE" not in got


def test_publications_keep_columns_and_rows(catalog: Catalog) -> None:
    assert table(catalog, "Clinic").publications == (
        Publication("clinic_feed", "table", ("id", "name"), "(id <> 'secret'::text)"),
    )


def test_publications_of_whole_schemas_and_of_everything_are_seen(database_each: Database) -> None:
    with database_each.connect() as connection:
        connection.execute("create table t (id int primary key)")
        connection.execute("create publication by_schema for tables in schema public")
        connection.execute("create publication by_all for all tables")
        got = table(read_catalog(connection, "public"), "t").publications
    assert got == (Publication("by_all", "all"), Publication("by_schema", "schema"))


# -- views, functions, sequences, types ------------------------------------------------------------------------------


def test_views_keep_their_options_and_dependencies(catalog: Catalog) -> None:
    staff = view(catalog, "Staff")
    assert (staff.materialized, staff.options, staff.comment) == (
        False,
        ("security_invoker=true",),
        "Who works where",
    )
    assert staff.depends_on == ((SCHEMA, "Clinic"), (SCHEMA, "User"))
    assert [(item.name, item.type, item.comment) for item in staff.columns] == [
        ("id", "integer", None),
        ("clinic", "character varying(80)", "Its name"),
    ]


def test_materialized_views_keep_their_indexes(catalog: Catalog) -> None:
    notes = view(catalog, "notes_per_clinic")
    assert (notes.materialized, notes.depends_on) == (True, ((SCHEMA, "note"),))
    assert [(item.name, item.unique) for item in notes.indexes] == [("notes_per_clinic_key", True)]


def test_functions_keep_security_configuration_and_rights(catalog: Catalog) -> None:
    people = function(catalog, "people")
    assert people.definition is not None
    assert people.definition.startswith('CREATE OR REPLACE FUNCTION "Clinic App".people(clinic text)')
    assert replace(people, definition=None) == Function(
        SCHEMA,
        "people",
        "clinic text",
        'SETOF "Clinic App"."User"',
        language="plpgsql",
        security_definer=True,
        volatility="stable",
        parallel="safe",
        config=("search_path=pg_catalog, pg_temp",),
        owner="cat_owner",
        grants=(Grant("cat_reader", "EXECUTE", grantor="cat_owner"),),
        depends_on=((SCHEMA, "User"),),
        mentions=((SCHEMA, "User"), (SCHEMA, "membership")),
        comment="Who works there",
    )


def test_a_parsed_body_depends_and_a_body_of_text_mentions(catalog: Catalog) -> None:
    note = ((SCHEMA, "note"),)
    parsed, text = function(catalog, "count_notes"), function(catalog, "tidy")
    assert (parsed.depends_on, parsed.mentions) == (note, ())
    assert (text.depends_on, text.mentions) == ((), note)


def test_procedures_and_aggregates_are_listed(catalog: Catalog) -> None:
    tidy, total = function(catalog, "tidy"), function(catalog, "total")
    assert (tidy.kind, tidy.returns) == ("procedure", None)
    assert (total.kind, total.arguments, total.definition) == ("aggregate", "integer", None)


def test_sequences_keep_their_settings_and_owners(catalog: Catalog) -> None:
    assert catalog.sequence("ticket") == Sequence(
        SCHEMA,
        "ticket",
        "smallint",
        start=-1,
        increment=-1,
        min=-100,
        max=-1,
        cycle=True,
        cache=5,
        owner="cat_owner",
        comment="Counts down",
    )
    got = {item.name: (item.owned_by, item.start, item.increment) for item in catalog.sequences}
    assert got == {
        "User_id_seq": (("User", "id"), 100, 5),
        "note_id_seq": (("note", "id"), 1, 1),
        "note_tag_seq": (("note", "tag"), 1, 1),
        "ticket": (None, -1, -1),
    }


def test_a_sequence_that_was_called_has_a_last_value(database_each: Database) -> None:
    with database_each.connect() as connection:
        connection.execute("create sequence s start 7; create sequence unused; select nextval('s')")
        found = read_catalog(connection, "public")
    assert [(item.name, item.last_value) for item in found.sequences] == [("s", 7), ("unused", None)]


def test_types_keep_labels_checks_and_attributes(catalog: Catalog) -> None:
    usage = (Grant("PUBLIC", "USAGE", grantor="cat_owner"),)
    assert catalog.enums == (
        EnumType(SCHEMA, "Role", ("viewer", "staff", "admin"), "cat_owner", usage, "What a user may do"),
    )
    check = Constraint(
        "email_has_at",
        "check",
        definition="CHECK ((VALUE ~~ '%@%'::text))",
        expression="(VALUE ~~ '%@%'::text)",
        comment="One at least",
    )
    assert catalog.domains == (
        DomainType(
            SCHEMA,
            "email",
            "text",
            nullable=False,
            default="'nobody@example.org'::text",
            collation='"C"',
            checks=(check,),
            owner="cat_owner",
            grants=usage,
            comment="An address",
        ),
    )
    street = Column("street", "text", type_name="text", position=1)
    zipped = Column("zip", "character varying(10)", type_name="varchar", position=2)
    assert catalog.composites == (CompositeType(SCHEMA, "address", (street, zipped), "cat_owner", usage, "Where"),)


# -- what is new in PostgreSQL 18 ------------------------------------------------------------------------------------


def test_a_not_null_that_is_not_validated_leaves_the_column_nullable(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("create table t (a int, b int not null)")
        connection.execute("insert into t values (null, 1)")
        connection.execute("alter table t add constraint t_a not null a not valid")
        got = table(read_catalog(connection, "public"), "t")
    assert [(item.name, item.nullable) for item in got.columns] == [("a", True), ("b", False)]
    assert got.constraints == ()


def test_virtual_columns_and_unenforced_constraints_are_distinguished(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "create table t (a int, b int generated always as (a * 2) virtual,"
            " constraint t_a check (a > 0) not enforced)"
        )
        found = read_catalog(connection, "public")
    virtual = column(found, "t", "b")
    assert (virtual.generated, virtual.generated_kind) == ("(a * 2)", "virtual")
    assert (constraint(found, "t", "t_a").enforced, constraint(found, "t", "t_a").validated) == (False, False)


# -- how it is read --------------------------------------------------------------------------------------------------


def test_a_missing_schema_is_reported_with_the_existing_ones(everything: Database) -> None:
    with everything.connect() as connection, pytest.raises(SchemaMissing) as caught:
        read_catalog(connection, "clinic app")
    assert caught.value.detail == {
        "schema": "clinic app",
        "database": everything.name,
        "known": ["Clinic App", "public"],
    }


def test_the_reader_sees_what_its_own_transaction_has_made(owner: psycopg.Connection[Any]) -> None:
    owner.execute("create table fresh (id int)")
    assert read_catalog(owner, SCHEMA).table("fresh") is not None
    owner.rollback()
    assert read_catalog(owner, SCHEMA).table("fresh") is None


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_reading_leaves_the_session_unchanged(everything: Database, autocommit: bool, inside: bool) -> None:
    settings = (
        "select current_setting('search_path'), current_setting('transaction_isolation'), current_setting('datestyle')"
    )
    with everything.connect(autocommit=autocommit, user="cat_owner") as connection:
        connection.execute("set search_path = 'Clinic App', public; set datestyle = german")
        connection.commit()
        if inside:
            connection.execute("begin" if autocommit else "select")
        status = connection.info.transaction_status
        read_catalog(connection, SCHEMA)
        assert connection.info.transaction_status == status
        assert connection.execute(settings).fetchone() == ('"Clinic App", public', "read committed", "German, DMY")


def test_the_settings_of_a_session_do_not_show_in_the_catalog(everything: Database, catalog: Catalog) -> None:
    with everything.connect(user="cat_owner") as connection:
        connection.execute("set search_path = 'Clinic App'; set datestyle = german; set quote_all_identifiers = on")
        assert read_catalog(connection, SCHEMA).digest() == catalog.digest()


def test_a_temporary_table_cannot_shadow_the_catalog(everything: Database, catalog: Catalog) -> None:
    with everything.connect(user="cat_owner") as connection:
        connection.execute("create temp table pg_class (oid oid); create temp table pg_constraint (oid oid)")
        assert read_catalog(connection, SCHEMA).digest() == catalog.digest()


def test_a_login_without_rights_reads_the_same_schema(everything: Database, catalog: Catalog) -> None:
    with everything.connect(user="cat_writer") as connection:
        assert read_catalog(connection, SCHEMA).digest() == catalog.digest()


class Counted(psycopg.Cursor[Any]):
    """A cursor that counts its class's queries."""

    count = 0

    def execute(self, *arguments: Any, **named: Any) -> Any:
        type(self).count += 1
        return super().execute(*arguments, **named)


def test_more_tables_need_no_more_queries(database: Database) -> None:
    def queries() -> int:
        Counted.count = 0
        read_catalog(connection, "public")
        return Counted.count

    with database.connect() as connection:
        connection.cursor_factory = Counted
        connection.execute("create table t0 (id int primary key)")
        few = queries()
        for number in range(1, 30):
            connection.execute(f"create table t{number} (id serial primary key, t int references t0, check (t > 0))")
        assert queries() == few > 0
