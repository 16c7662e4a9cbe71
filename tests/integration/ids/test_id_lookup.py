"""Legacy and new ids side by side: looked up in both directions by callers who may see the row, and counted while both are used."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, LiteralString

import pytest
from psycopg import errors

from tenantry.errors import ManifestError
from tenantry.ids import lookup as ids
from tenantry.ids.signatures import SIGNATURES
from tenantry.mapping import resolve
from tenantry.migrate.switch.contract import contract
from tenantry.plan.operations.id_map import NATIVE_TRIGGER, id_map
from tenantry.postgres.seal import open_context
from tests.conftest import Database
from tests.integration.ids.id_lookup_world import BOTH, WHERE, Members, accept, ask, map_of, members, naming
from tests.integration.migrate.test_generic_schema import (
    OWNER as SHOP_OWNER,
)
from tests.integration.migrate.test_generic_schema import (
    Shop,
    shop,  # noqa: F401 - a fixture
)
from tests.isolation.build import KEY, LOGIN
from tests.migrate_support import (
    OWNER,
    cli,
    clinic_manifest,
    engine,
    one,
    project_of,
    rows,
)

__all__ = ["members"]


# -- looked up ---------------------------------------------------------------------------------------------------------


def test_every_id_of_the_map_is_found_forth_and_back(migrated: Database) -> None:
    with engine(migrated) as connection:
        for table in ids.id_tables(connection):
            listed = map_of(migrated, table.target)
            assert listed
            wanted = {old: new for old, (new, _) in listed.items()}
            assert dict(ids.ids_of(connection, table.name, wanted, batch=700)) == wanted
            carried = {new: old for old, (new, state) in listed.items() if state == "carried"}
            assert dict(ids.old_ids_of(connection, table.name, [n for n in carried if n], batch=700)) == carried
            for state in ("carried", "merged", "quarantined"):
                for old, (new, _) in [pair for pair in listed.items() if pair[1][1] == state][:20]:
                    assert ids.look_up(connection, table.name, old) == new
                    if state == "carried":
                        assert new is not None
                        assert ids.old_id_of(connection, table.name, new) == old
                        assert ids.look_up(connection, table.name, str(new).upper()) == new
            nobody = uuid.uuid4()
            assert ids.look_up(connection, table.name, "nobody has it") is None
            assert ids.look_up(connection, table.name, str(nobody)) is None
            assert ids.old_id_of(connection, table.name, nobody) is None
            assert list(ids.ids_of(connection, table.name, ["no", str(nobody), "no"])) == [
                ("no", None), (str(nobody), None), ("no", None)
            ]  # fmt: skip
            assert list(ids.old_ids_of(connection, table.name, ["no uuid", nobody])) == [
                ("no uuid", None),
                (nobody, None),
            ]


def test_computed_ids_equal_the_databases_for_every_migrated_row(migrated: Database) -> None:
    manifest = clinic_manifest()
    for mapping in project_of(migrated):
        assert ids.source_of(manifest, mapping.target.name) == mapping.namespace
        for old, (new, state) in map_of(migrated, mapping.target.name).items():
            if state == "carried":
                assert ids.id_of(manifest, mapping.namespace, old) == new


def test_a_person_has_three_ids(migrated: Database) -> None:
    people = rows(migrated, "select old_id, profile_id, account_id, state from tenantry.person")
    listed = map_of(migrated, "profiles")
    assert {(old, profile, state) for old, profile, _, state in people} == {(o, n, s) for o, (n, s) in listed.items()}
    accounts: dict[Any, Any] = dict(rows(migrated, "select id, auth_user_id from clinic.profiles"))
    assert {profile: account for _, profile, account, _ in people if profile is not None} == accounts
    assert {"carried", "merged", "quarantined"} <= {state for *_, state in people}


def test_a_missing_table_is_reported_with_the_existing_ones(migrated: Database) -> None:
    with engine(migrated) as connection:
        for call in (
            lambda: ids.look_up(connection, "clinic", "1"),
            lambda: ids.old_id_of(connection, "clinic", uuid.uuid4()),
            lambda: list(ids.ids_of(connection, "clinic", ["1"])),
            lambda: list(ids.old_ids_of(connection, "clinic", [uuid.uuid4()])),
        ):
            with pytest.raises(ids.NoSuchTable, match="'clinic'") as caught:
                call()
            assert "clinics" in caught.value.hint


def test_a_missing_map_is_reported_with_the_command_that_makes_one(database: Database) -> None:
    with database.connect() as connection, pytest.raises(ids.IdsMissing, match="no id map"):
        ids.look_up(connection, "clinics", "1")


# -- several sources, numbers, quoted names, keys of several columns -------------------------------------------------------


def test_an_old_id_of_several_sources_is_asked_for_by_source(shop: Shop) -> None:  # noqa: F811
    with engine(shop.database, SHOP_OWNER) as connection:
        client = ids.id_of("shop", "clients", "7")
        guest = ids.id_of("shop", "guests", "7")
        assert ids.look_up(connection, "contacts.client", "7") == client
        assert ids.look_up(connection, "contacts", "guest:7") == guest
        assert dict(ids.ids_of(connection, "contacts.guest", ["7", "guest:8"])) == {
            "7": guest, "guest:8": ids.id_of("shop", "guests", "8")
        }  # fmt: skip
        assert (
            ids.old_id_of(connection, "contacts", client) == ids.old_id_of(connection, "contacts.client", client) == "7"
        )
        assert ids.old_id_of(connection, "contacts.guest", client) is None
        assert ids.look_up(connection, "contacts.guest", str(client)) is None
        assert ids.look_up(connection, "contacts.client", str(client)) == client
        for call in (
            lambda: ids.look_up(connection, "contacts", "7"),
            lambda: list(ids.ids_of(connection, "contacts", ["7"])),
        ):
            with pytest.raises(ids.IdAmbiguous) as caught:
                call()
            assert "contacts.guest" in caught.value.hint


def test_keys_of_several_columns_and_quoted_tables(shop: Shop) -> None:  # noqa: F811
    with engine(shop.database, SHOP_OWNER) as connection:
        ((old, new),) = rows(shop.database, "select legacy_id, id from shop.parts order by part_no limit 1")
        assert ids.look_up(connection, "parts", old) == new
        parts = one(shop.database, "select array(select jsonb_array_elements_text(%s::jsonb))", [old])
        assert ids.key_text(parts) == old
        assert ids.id_of("shop", "parts", parts) == new
        assert ids.look_up(connection, "Machine", "M1") == ids.id_of("shop", "machines", "M1")


@pytest.mark.parametrize("parts", [["a", 'b"c'], ["Größe", "\t\n\x01"], ["\\", "/"], ["😀", "\x7f"]])
def test_a_key_of_several_columns_is_written_as_the_server_does(shop: Shop, parts: Sequence[str]) -> None:  # noqa: F811
    assert ids.key_text(parts) == one(shop.database, "select to_jsonb(%s::text[])::text", [list(parts)])


def test_a_target_native_row_has_its_own_id_as_legacy_id(shop: Shop) -> None:  # noqa: F811
    """None of the shop's tables sees to that by itself."""
    with shop.database.connect(autocommit=False) as connection:
        for table, columns, values in (
            ("people", "mail, name", "'new@oak.example', 'New'"),
            ("contacts", "shop_id, known_as", "(select id from shop.shops limit 1), 'nobody'"),
        ):
            new, legacy = connection.execute(
                f"insert into shop.{table} ({columns}) values ({values}) returning id, legacy_id".encode()
            ).fetchone()  # type: ignore[misc]
            assert legacy == str(new)
            found = connection.execute(
                "select tenantry.id_of(%s, %s), tenantry.old_id_of(%s, %s)", [table, legacy, table, new]
            ).fetchone()
            assert found == (new, legacy)
            listed = "select old_id, state from tenantry.id_map where target_table = %s and new_id = %s"
            assert connection.execute(listed, [table, new]).fetchall() == [(legacy, "born")]
        connection.rollback()


_WITH_TRIGGER = "select count(*) from pg_trigger where tgname = %s"


def test_every_table_that_needs_it_gets_the_trigger(shop: Shop) -> None:  # noqa: F811
    fed = {mapping.target.name for mapping in shop.project()}
    assert one(shop.database, _WITH_TRIGGER, [NATIVE_TRIGGER]) == len(fed)


def test_tables_that_see_to_it_themselves_get_no_trigger(migrated: Database) -> None:
    assert one(migrated, _WITH_TRIGGER, [NATIVE_TRIGGER]) == 0


@pytest.fixture
def members_alone(finished: Database) -> Members:
    accept(finished, *BOTH)
    return Members(finished)


@pytest.fixture
def members_each(finished_each: Database) -> Members:
    accept(finished_each, *BOTH)
    return Members(finished_each)


def test_a_client_can_look_up_only_its_own_rows(members: Members) -> None:
    """Another tenant's ids look unused, in every form and through every function."""
    tables = ("clinics", "providers", "metric_values", "metric_definitions", "goals", "profiles", "user_clinic_roles")
    for table in tables:
        visible = f"select id, legacy_id from clinic.{table}"
        with members.as_client(members.me) as who:
            mine = dict(who.execute(visible.encode()).fetchall())
        everybody: dict[Any, Any] = dict(rows(members.database, visible))
        assert mine
        for new, old in list(mine.items())[:5]:
            for function in ("id_of", "to_id") if table in BOTH else ("id_of",):
                assert members.asks(members.me, f"select tenantry.{function}(%s, %s)", table, old) == new
            assert members.asks(members.me, "select tenantry.old_id_of(%s, %s)", table, new) == old
        hidden = [pair for pair in everybody.items() if pair[0] not in mine]
        assert hidden or table == "metric_definitions"
        for new, old in hidden[:5]:
            assert members.asks(members.me, "select tenantry.id_of(%s, %s)", table, old) is None
            assert members.asks(members.me, "select tenantry.id_of(%s, %s)", table, str(new)) is None
            assert members.asks(members.me, "select tenantry.old_id_of(%s, %s)", table, new) is None
            if table in BOTH and len(old) != 36:  # the text of a uuid counts as a new id, whichever row has it
                assert members.asks(members.me, "select tenantry.to_id(%s, %s)", table, old) is None


def test_a_lookup_does_not_reveal_whether_a_new_id_exists(members: Members) -> None:
    nobody = uuid.uuid4()
    for one_ in (members.theirs, nobody):
        assert members.asks(members.me, "select tenantry.to_id('clinics', %s)", str(one_)) == one_


def test_only_members_can_look_up_merged_rows(members: Members) -> None:
    """Of values that were merged in a clinic, its members; and the survivor only if they see it."""
    merged = rows(
        members.database,
        "select m.source_key, t.id, t.clinic_id from tenantry.merged m join clinic.metric_values t on t.legacy_id = m.into_key"
        " where m.mapping = 'metric_values'",
    )
    assert merged
    for old, survivor, clinic in merged:
        member = rows(
            members.database,
            "select p.auth_user_id::text from clinic.user_clinic_roles r join clinic.profiles p on p.id = r.profile_id"
            " join tenantry.account a on a.user_id = p.auth_user_id join clinic.clinics c on c.id = r.clinic_id"
            " where r.clinic_id = %s and r.is_active and not a.is_super and c.status = 'active' limit 1",
            [clinic],
        )
        strangers = [
            who for who, where in ((members.me, members.mine), (members.other, members.theirs)) if where != clinic
        ]
        assert strangers
        for stranger in strangers:
            for query in (
                "select tenantry.to_id('metric_values', %s)",
                "select tenantry.merged_into('metric_values', %s)",
            ):
                assert members.asks(stranger, query, old) is None
        for ((account,),) in [member] if member else []:
            assert members.asks(account, "select tenantry.to_id('metric_values', %s)", old) == survivor
            assert members.asks(account, "select tenantry.id_of('metric_values', %s)", old) == survivor
    assert ask(members.database, "id_of", "metric_values", merged[0][0], user=OWNER) == merged[0][1]


def test_only_colleagues_can_look_up_a_merged_person(members: Members) -> None:
    old, profile = rows(
        members.database,
        "select old_id, profile_id from tenantry.person where state = 'merged' and account_id is not null limit 1",
    )[0]
    (account,) = rows(members.database, "select auth_user_id::text from clinic.profiles where id = %s", [profile])[0]
    query: LiteralString = "select tenantry.to_id('profiles', %s)"
    with members.as_client(members.me) as who:
        seen = who.execute("select count(*) from clinic.profiles where id = %s", [profile]).fetchone()[0]
    assert members.asks(members.me, query, old) == (profile if seen else None)
    assert members.asks(str(uuid.uuid4()), query, old) is None
    active = one(
        members.database, "select count(*) from tenantry.account where user_id = %s and deleted_at is null", [account]
    )
    assert members.asks(account, query, old) == (profile if active else None)


def test_clients_read_and_write_no_counts_and_ask_in_no_batches(members: Members) -> None:
    forbidden: list[LiteralString] = [
        "select * from tenantry.id_use", "select * from tenantry.id_counter", "select * from tenantry.id_map",
        "select * from tenantry.person", "select * from tenantry.id_table", "select into_key from tenantry.merged",
        "insert into tenantry.id_counter (target_table, form, uses, times) values ('x', 'old', '', '')",
        "select tenantry.ids_of('clinics', '{x}')", "select tenantry.old_ids_of('clinics', '{}')",
        "select nextval('tenantry.id_uses_old_clinics')", "select last_value from tenantry.id_uses_old_clinics",
        "select setval('tenantry.id_times_old_clinics', 1)",
    ]  # fmt: skip
    for role, account in (("authenticated", members.me), ("anon", None)):
        for query in forbidden:
            with pytest.raises(errors.InsufficientPrivilege), members.as_client(account, role) as who:
                who.execute(query)
    visitors: list[LiteralString] = [
        "select tenantry.id_of('clinics', 'x')", "select tenantry.to_id('clinics', 'x')",
        "select tenantry.note_id_use('clinics', 'old')", "select tenantry.merged_into('profiles', 'x')",
    ]  # fmt: skip
    for query in visitors:
        with pytest.raises(errors.InsufficientPrivilege), members.as_client(None, "anon") as who:
            who.execute(query)


def test_the_static_checks_find_nothing_in_the_functions(members: Members) -> None:
    said = cli("lint", "--dsn", members.database.dsn_as(OWNER), "--json", *WHERE)
    about = [
        each for each in said.json["findings"] if any(name in str(each) for name in (*SIGNATURES, "id_use", "born"))
    ]
    assert about == []
    assert said.code == 0, said.everything


def test_the_service_asks_for_every_tenant_and_in_batches(members: Members) -> None:
    olds = [members.my_old, members.their_old]
    merged = rows(members.database, "select source_key from tenantry.merged where mapping = 'profiles' limit 1")[0][0]
    with members.database.connect(autocommit=False) as connection:
        connection.execute("set role service_role")
        assert dict(ids.ids_of(connection, "clinics", olds)) == dict(
            zip(olds, (members.mine, members.theirs), strict=True)
        )
        assert ids.look_up(connection, "clinics", members.their_old) == members.theirs
        assert ids.look_up(connection, "profiles", merged) is not None
        assert dict(ids.ids_of(connection, "profiles", [merged]))[merged] is not None
        found = connection.execute("select tenantry.to_id('clinics', %s)", [members.my_old]).fetchone()
        assert found == (members.mine,)
        connection.execute("reset role")


def test_a_client_can_neither_set_nor_change_a_legacy_id(members: Members) -> None:
    goal = "select id from clinic.goals limit 1"
    with pytest.raises(errors.InsufficientPrivilege), members.as_client(members.me) as who:
        who.execute(f"update clinic.goals set legacy_id = 'x' where id = ({goal})".encode())
    with pytest.raises(errors.InsufficientPrivilege), members.as_client(members.me) as who:
        who.execute("insert into clinic.providers (clinic_id, legacy_id, name) values (%s, 'x', 'y')", [members.mine])


def test_a_row_that_a_client_gives_anothers_id_is_not_taken_for_it(members_alone: Members) -> None:
    """Ids are unique within a tenant: a client can choose one that another tenant has."""
    members = members_alone
    old, new = rows(
        members.database, "select legacy_id, id from clinic.providers where clinic_id = %s limit 1", [members.theirs]
    )[0]
    rows_before = one(members.database, "select count(*) from clinic.providers")
    with members.database.connect() as admin:
        admin.execute(
            "insert into clinic.providers (clinic_id, id, name, provider_type) select %s, %s, 'Shadow', provider_type"
            " from clinic.providers limit 1",
            [members.mine, new],
        )
    assert one(members.database, "select count(*) from clinic.providers") == rows_before + 1
    with engine(members.database) as connection:
        assert ids.old_id_of(connection, "providers", new) == old
        assert dict(ids.old_ids_of(connection, "providers", [new])) == {new: old}
        assert ids.look_up(connection, "providers", old) == new


# -- either form, and the count ------------------------------------------------------------------------------------------


def counts(database: Database, table: str = "clinics") -> tuple[int, int]:
    found: dict[Any, Any] = dict(
        rows(database, "select form, uses from tenantry.id_use where target_table = %s", [table])
    )
    return found["old"], found["new"]


def test_both_forms_are_taken_and_counted_once_for_a_statement(members_each: Members) -> None:
    members, database = members_each, members_each.database
    assert counts(database) == (0, 0)
    query: LiteralString = "select c.id from clinic.clinics c where c.id = tenantry.to_id('clinics', %s)"
    assert members.asks(members.me, query, members.my_old) == members.mine
    assert counts(database) == (1, 0)
    assert members.asks(members.me, query, str(members.mine)) == members.mine
    assert counts(database) == (1, 1)
    # Prepared by name, and as one text without parameters.
    with engine(database) as connection:
        for _ in range(7):
            connection.execute(query, [members.my_old], prepare=True)
        connection.execute(
            f"select count(*) from clinic.metric_values where clinic_id = tenantry.to_id('clinics', '{members.my_old}')".encode()
        )
        assert counts(database) == (9, 1)
        # However often a statement, or the statements of a transaction, have the same one; each of several.
        with connection.transaction():
            for _ in range(3):
                connection.execute("select tenantry.to_id('clinics', %s) from clinic.clinics", [str(members.mine)])
        assert counts(database) == (9, 2)
        found = connection.execute(
            "select array_agg(tenantry.to_id('clinics', o)) from unnest(%s::text[]) o",
            [[members.my_old, members.their_old, "?"]],
        ).fetchone()
        assert found == ([members.mine, members.theirs, None],)
    assert counts(database) == (11, 2)
    ((first, last, since),) = rows(
        database,
        "select first_use, last_use, since from tenantry.id_use where target_table = 'clinics' and form = 'old'",
    )
    assert abs((first - since).total_seconds()) < 60
    assert first <= last


def test_other_spellings_and_unknown_ids(members_alone: Members) -> None:
    members = members_alone
    with engine(members.database) as connection:

        def to_id(given: str | None, table: str = "metric_values") -> Any:
            row = connection.execute("select tenantry.to_id(%s, %s)", [table, given]).fetchone()
            return row[0] if row is not None else None

        ((old, new),) = rows(
            members.database,
            "select old_id, new_id from tenantry.id_map where target_table = 'metric_values' and state = 'carried'"
            " and old_id ~ '^[{]?[0-9A-Fa-f]{8}-' and old_id <> new_id::text limit 1",
        )
        assert to_id(old) == new  # a uuid that is not canonical is an old id of its own
        assert to_id(str(new).upper()) == new
        assert counts(members.database, "metric_values") == (1, 1)
        assert to_id(None) is None
        assert to_id("nobody has it") is None
        nobody = uuid.uuid4()
        assert to_id(str(nobody)) == nobody
        assert counts(members.database, "metric_values") == (1, 2)
        merged_uuid = "11111111-2222-4333-8444-555555555555"
        with connection.transaction(force_rollback=True):
            connection.execute(
                "insert into tenantry.merged select mapping, source_table, %s, into_key, reason, original, derived"
                " from tenantry.merged where mapping = 'metric_values' limit 1",
                [merged_uuid],
            )
            assert to_id(merged_uuid) not in (uuid.UUID(merged_uuid), None)


def test_one_uuid_in_two_spellings_is_two_old_ids(members_alone: Members) -> None:
    """The one that is canonical was kept, and is what the other one reads as."""
    database, kept = members_alone.database, uuid.uuid4()
    other = str(kept).upper()
    want = {str(kept): kept, other: ids.id_of("clinic", "providers", other)}
    with database.connect() as admin:
        for old, new in want.items():
            admin.execute(
                "insert into clinic.providers (clinic_id, id, legacy_id, name, provider_type) select %s, %s, %s, 'N', provider_type"
                " from clinic.providers limit 1",
                [members_alone.mine, new, old],
            )
    with engine(database) as connection:
        assert dict(ids.ids_of(connection, "providers", want)) == want
    for old, new in want.items():
        assert ask(database, "id_of", "providers", old) == new
        assert members_alone.asks(members_alone.me, "select tenantry.to_id('providers', %s)", old) == new
    assert counts(database, "providers") == (1, 1)


def test_an_unlisted_table_accepts_only_new_ids_and_says_so(members: Members) -> None:
    goal, old = rows(members.database, "select id, legacy_id from clinic.goals where legacy_id <> id::text limit 1")[0]
    assert members.asks(members.me, "select tenantry.to_id('goals', %s)", str(goal)) == goal
    with pytest.raises(errors.InvalidTextRepresentation, match="goals accepts new ids only") as caught:
        members.asks(members.me, "select tenantry.to_id('goals', %s)", old)
    assert "tenantry ids apply" in (caught.value.diag.message_hint or "")
    # Tables without a source have no old ids.
    assert members.asks(members.me, "select tenantry.to_id('locations', %s)", str(goal)) == goal
    with pytest.raises(errors.InvalidParameterValue, match="no table 'nothing'"):
        members.asks(members.me, "select tenantry.to_id('nothing', %s)", old)


def test_a_reader_gets_an_id_and_is_counted_by_the_server(members_each: Members) -> None:
    members, database = members_each, members_each.database
    with database.connect(user=LOGIN, autocommit=False) as connection:
        connection.read_only = True
        open_context(connection, KEY, f'{{"sub":"{members.me}","role":"authenticated"}}')
        connection.execute("set local role authenticated")
        for old, want in ((members.my_old, members.mine), (members.their_old, None)):
            assert connection.execute("select tenantry.to_id('clinics', %s)", [old]).fetchone() == (want,)
        connection.commit()
    (old,) = (each for each in uses(database) if (each.table, each.form) == ("clinics", "old"))
    assert (old.uses, old.read_only_uses) == (0, 1)
    assert old.used
    assert (old.latest is not None) == (database.version >= 16)
    # Looking at the counts is no use.
    assert uses(database) == uses(database)


def uses(database: Database) -> tuple[ids.Use, ...]:
    with engine(database) as connection:
        return ids.id_uses(connection)


def test_a_count_never_waits_and_is_not_rolled_back(members_alone: Members) -> None:
    members = members_alone
    with (
        members.database.connect(user=OWNER, autocommit=False) as first,
        members.database.connect(user=OWNER) as second,
    ):
        second.execute("set statement_timeout = '30s'")
        for connection in (first, second):
            connection.execute("select tenantry.to_id('clinics', %s)", [members.my_old])
        first.rollback()
    assert counts(members.database) == (2, 0)


def test_id_forms_change_during_operation_and_counts_are_kept(members_alone: Members) -> None:
    members = members_alone
    ask(members.database, "to_id", "clinics", members.my_old)
    accept(members.database, "profiles")
    with pytest.raises(errors.InvalidTextRepresentation):
        ask(members.database, "to_id", "clinics", members.my_old)
    left = {(each.table, each.form): each for each in uses(members.database)}
    assert left["clinics", "old"].uses == 1
    assert not left["clinics", "old"].accepted
    assert left["profiles", "old"].accepted
    accept(members.database, "clinics")
    ask(members.database, "to_id", "clinics", members.my_old)
    assert counts(members.database) == (2, 0)


def test_both_names_tables_of_the_target_that_have_old_ids(migrated: Database) -> None:
    project = project_of(migrated)
    with pytest.raises(ManifestError) as caught:
        resolve(naming("clinic", "locations", "goals", "goals"), project.source, project.target)
    said = str(caught.value)
    assert "no table 'clinic'; did you mean 'clinics'" in said
    assert "locations is a new table without a source" in said
    assert "goals is named twice" in said


# -- before, after, and gone -------------------------------------------------------------------------------------------------


def test_the_ids_outlive_the_source(finished: Database) -> None:
    accept(finished, *BOTH)
    before = {table: map_of(finished, table) for table in ("clinics", "profiles", "metric_values", "user_clinic_roles")}
    contract(finished.dsn_as(OWNER), naming(*BOTH), look=0.1)
    assert one(finished, "select to_regclass('public.clinics')") is None
    for table, listed in before.items():
        assert map_of(finished, table) == listed
        with engine(finished) as connection:
            wanted = {old: new for old, (new, _) in listed.items()}
            assert dict(ids.ids_of(connection, table, wanted)) == wanted
    (old, (new, _)) = next(iter(before["metric_values"].items()))
    with engine(finished) as connection:
        assert ids.look_up(connection, "metric_values", old) == new
        seen = ids.look(connection, old)
    assert [(each.target_table, each.new_id) for each in seen] == [("metric_values", new)]


def test_the_step_can_be_undone_and_run_again(finished: Database) -> None:
    project = accept(finished, *BOTH)
    there = "select count(*) from pg_class where relnamespace = 'tenantry'::regnamespace and relname ~ '^(id_|person)'"
    step = id_map(project)
    with engine(finished) as connection:
        with connection.transaction():
            for statement in step.undo:
                connection.execute(statement.encode())
        assert one(finished, there) == 0
        names = list(SIGNATURES)
        made = "select count(*) from pg_proc where pronamespace = 'tenantry'::regnamespace and proname = any (%s)"
        assert one(finished, made, [names]) == 0
        with connection.transaction():
            for statement in step.sql:
                connection.execute(statement.encode())
        assert one(finished, made, [names]) == len(names)
        assert ids.look_up(connection, "clinics", "x") is None
