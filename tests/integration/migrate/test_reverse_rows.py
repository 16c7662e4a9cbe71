"""Rows that come, go and move in the target are carried back into the source, with what hangs on them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from clinic.platform import tokens
from tenantry.migrate.copy.quarantine import entries, fix, retry
from tenantry.migrate.replay.reverse import Counts
from tests.integration.migrate.reverse_sides import AUDIT, GOOD, Sides, keys_of, pick, sides
from tests.migrate_support import (
    engine,
    rows,
)

__all__ = ["sides"]


# -- Clinic: rows that come and go ---------------------------------------------------------------------------------------

CLINIC = "(select id from clinics where legacy_id = '{0}')"


def test_target_native_rows_are_written_back_with_their_references(sides: Sides) -> None:
    before = sides.source()
    access = tokens.encrypt(["born access"])[0].hex()
    made = sides.write(
        "insert into clinics (name, location, time_zone) values ('Born Clinic', 'Boise, ID', 'America/Boise')",
        "insert into metric_definitions (name, description, data_type, category) values ('Born', 'metric', 'currency', 'financial')",
        "insert into profiles (email, name) values ('born@clinic.example', 'Born Person')",
        "insert into providers (clinic_id, name, provider_type) select id, 'Born Provider', 'dentist' from clinics where name = 'Born Clinic'",
        "insert into user_clinic_roles (clinic_id, profile_id, role) select c.id, p.id, 'staff' from clinics c, profiles p"
        " where c.name = 'Born Clinic' and p.name = 'Born Person'",
        f"insert into google_credentials (clinic_id, access_token_encrypted, scope, owner_label) select id, '\\x{access}',"
        " array['https://www.googleapis.com/auth/spreadsheets.readonly'], 'Born Sheet' from clinics where name = 'Born Clinic'",
        "insert into spreadsheet_connections (clinic_id, credential_id, name, spreadsheet_id, spreadsheet_name, sheet_names, sync_frequency)"
        " select clinic_id, id, 'Born Sheet', 'sheet-1', 'Born Sheet', array['Tab'], 'daily' from google_credentials"
        " where owner_label = 'Born Sheet'",
        "insert into column_mappings (clinic_id, connection_id, metric_definition_id, sheet_name, column_name, mapping_config)"
        " select c.clinic_id, c.id, m.id, '', 'B', '{\"column\": \"B\"}' from spreadsheet_connections c, metric_definitions m"
        " where c.name = 'Born Sheet' and m.name = 'Born'",
        "insert into metric_values (clinic_id, metric_definition_id, provider_id, connection_id, date, value, source_type)"
        " select c.clinic_id, m.id, p.id, c.id, '2031-02-03', 12.5, 'form' from spreadsheet_connections c, metric_definitions m, providers p"
        " where c.name = 'Born Sheet' and m.name = 'Born' and p.name = 'Born Provider'",
        "insert into goals (clinic_id, metric_definition_id, time_period, start_date, end_date, target_value)"
        " select c.id, m.id, 'monthly', '2031-01-01', '2031-01-31', 99 from clinics c, metric_definitions m"
        " where c.name = 'Born Clinic' and m.name = 'Born'",
        "insert into dashboards (clinic_id, profile_id, name) select clinic_id, profile_id, 'Born Board' from user_clinic_roles u"
        " join profiles p on p.id = u.profile_id where p.name = 'Born Person'",
        "insert into widgets (clinic_id, dashboard_id, widget_type, position_x, position_y, width, height, config)"
        " select d.clinic_id, d.id, 'chart', 0, 0, 2, 2, jsonb_build_object('providerIds', jsonb_build_array(p.id)) from dashboards d, providers p"
        " where d.name = 'Born Board' and p.name = 'Born Provider'",
        "update dashboards d set layout_config = jsonb_build_object('widgets', jsonb_build_array(jsonb_build_object('id', w.id, 'x', 1)))"
        " from widgets w where w.dashboard_id = d.id and d.name = 'Born Board'",
        "select (select id::text from clinics where name = 'Born Clinic'), (select id::text from metric_definitions where name = 'Born'),"
        " (select id::text from profiles where name = 'Born Person'), (select id::text from providers where name = 'Born Provider'),"
        " (select id::text from spreadsheet_connections where name = 'Born Sheet'),"
        " (select id::text from widgets w where exists (select from dashboards d where d.id = w.dashboard_id and d.name = 'Born Board'))",
    )
    clinic, metric, person, provider, sheet, widget = made[0]
    done = sides.back()
    assert done.conflicts == 0
    new = {table: row for (table, _), row in sides.changes(before).items()}
    assert {table: counts.inserted for table, counts in done.tables.items()} == dict.fromkeys(new, 1)
    assert all(row is not None for row in new.values())

    def has(table: str, **cells: str | None) -> None:
        row = new[table]
        assert row is not None
        assert {name: row[name] for name in cells} == cells

    has("clinics", id=clinic, name="Born Clinic", location="Boise, ID", status="active")
    has("metric_definitions", id=metric, data_type="currency", is_composite="false", calculation_formula=None)
    has("users", id=person, email="born@clinic.example", role="front_desk", clinic_id=clinic, last_login=None)
    has("providers", id=provider, clinic_id=clinic, provider_type="dentist")
    has("data_sources", id=sheet, name="Born Sheet", sheet_name="Tab", access_token="born access", refresh_token=None,
        connection_status="connected", clinic_id=clinic)  # fmt: skip
    has("column_mappings", data_source_id=sheet, metric_definition_id=metric, column_name="B", transformation_rule=None)
    has(
        "metric_values",
        date="2031-02-03 00:00:00",
        value="12.5",
        clinic_id=clinic,
        provider_id=provider,
        data_source_id=sheet,
    )
    has("goals", target_value="99", start_date="2031-01-01 00:00:00", clinic_id=clinic, provider_id=None)
    has(
        "dashboards", user_id=person, is_default="false", layout_config=f'{{"widgets": [{{"x": 1, "id": "{widget}"}}]}}'
    )
    has("widgets", id=widget, config=f'{{"providerIds": ["{provider}"]}}', width="2")
    sides.assert_in_line()
    assert {column for _, _, column in sides.kept()} == {"", "id", "credential_id", *AUDIT}

    gone = sides.write(
        *(f"delete from {table} where clinic_id = '{clinic}'" for table in (
            "widgets", "dashboards", "goals", "metric_values", "column_mappings", "spreadsheet_connections",
            "google_credentials", "user_clinic_roles", "providers")),
        f"delete from profiles where id = '{person}'",
        f"delete from metric_definitions where id = '{metric}'",
        f"delete from clinics where id = '{clinic}'",
    )  # fmt: skip
    assert gone == []
    done = sides.back()
    assert (done.deleted, done.conflicts) == (10, 0)
    assert sides.changes(before) == {}
    assert sides.kept() == {}
    sides.assert_in_line()


def test_a_person_without_a_membership_waits_in_the_target_for_one(sides: Sides) -> None:
    before = sides.source()
    ((person,),) = sides.write(
        "insert into profiles (email, name) values ('new@clinic.example', 'New') returning id::text"
    )
    done = sides.back()
    assert done.tables["users"] == Counts(kept=1)
    assert sides.kept() == {("profiles", person, ""): "users.role cannot be made"}
    sides.assert_in_line()
    sides.seen.clear()
    ((member, clinic),) = sides.write(
        f"insert into user_clinic_roles (clinic_id, profile_id, role) select id, '{person}', 'provider' from clinics"
        " order by legacy_id limit 1 returning id::text, (select legacy_id from clinics c where c.id = clinic_id)"
    )
    sides.back()
    made = sides.changes(before)["users", person]
    assert made is not None
    assert (made["role"], made["clinic_id"], made["email"]) == ("dentist", clinic, "new@clinic.example")
    assert [key for key, reason in sides.kept().items() if key[2] == "" and "its place is that of" not in reason] == []
    sides.assert_in_line()
    # The membership's own id does not exist in the source: its end is found by the recorded id.
    sides.seen.clear()
    sides.write(f"delete from user_clinic_roles where legacy_id = '{member}'")
    sides.back()
    assert sides.changes(before)["users", person] == made
    assert ("user_clinic_roles", person, "") in sides.kept()


def test_of_several_memberships_the_first_counts_and_the_next_when_it_ends(sides: Sides) -> None:
    person, _, clinic = pick(
        sides,
        "select u.id, u.role, c.legacy_id from public.users u join clinic.user_clinic_roles m on m.legacy_id = u.id"
        " join clinic.profiles p on p.id = m.profile_id and p.legacy_id = u.id"
        " join clinic.clinics c on c.legacy_id <> u.clinic_id where u.role = 'dentist' and not exists"
        " (select from clinic.user_clinic_roles o where o.profile_id = p.id and o.legacy_id <> u.id)",
    )
    sides.write(
        "delete from widgets where dashboard_id in (select d.id from dashboards d join profiles p on p.id = d.profile_id"
        f" where p.legacy_id = '{person}')",
        f"delete from dashboards d using profiles p where p.id = d.profile_id and p.legacy_id = '{person}'",
    )
    sides.back()
    before = sides.source()
    ((second,),) = sides.write(
        "insert into user_clinic_roles (clinic_id, profile_id, role) select c.id, p.id, 'clinic_admin' from clinics c, profiles p"
        f" where c.legacy_id = '{clinic}' and p.legacy_id = '{person}' returning id::text"
    )
    sides.back()
    assert sides.changes(before) == {}
    assert sides.kept() == {("user_clinic_roles", second, ""): "no row of users that could hold it"}
    sides.assert_in_line()
    sides.write(f"delete from user_clinic_roles where legacy_id = '{person}'")
    sides.back()
    assert sides.changes(before) == {("users", person): {"role": "office_manager", "clinic_id": clinic}}
    sides.assert_in_line()


def test_a_deleted_row_is_deleted_from_the_source_with_its_merged_rows(sides: Sides) -> None:
    survivor = pick(sides, "select into_key from tenantry.merged where mapping = 'metric_values'")
    merged = keys_of(sides, f"merged where mapping = 'metric_values' and into_key = '{survivor}'")
    before = sides.source()
    sides.write(f"update metric_values set value = 5 where legacy_id = '{survivor}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", survivor): {"value": "5"}}
    sides.write(f"delete from metric_values where legacy_id = '{survivor}'")
    done = sides.back()
    assert sides.changes(before) == dict.fromkeys(("metric_values", key) for key in merged | {survivor})
    assert done.tables["metric_values"].deleted == 1 + len(merged)
    sides.assert_in_line()


def test_a_parent_to_which_only_rows_of_the_source_refer_is_a_conflict_and_stays(sides: Sides) -> None:
    metric = pick(
        sides,
        "select metric_definition_id from public.metric_values v join tenantry.quarantine q on q.mapping = 'metric_values'"
        " and q.state = 'open' and q.source_key = v.id",
    )
    before = sides.source()
    key = pick(sides, f"{GOOD} and v.metric_definition_id <> '{metric}' and v.value <> '7'")
    refers = f"(select id from metric_definitions where legacy_id = '{metric}')"
    sides.write(
        *(
            f"delete from {table} where metric_definition_id = {refers}"
            for table in ("widgets", "column_mappings", "goals", "metric_values")
        ),
        f"delete from metric_definitions where legacy_id = '{metric}'",
        f"update metric_values set value = 7 where legacy_id = '{key}'",
    )
    done = sides.back()
    changes = sides.changes(before)
    assert changes.pop(("metric_values", key)) == {"value": "7"}
    assert changes
    assert set(changes.values()) == {None}
    assert ("metric_definitions", metric) not in changes
    quarantined = keys_of(sides, "quarantine where source_table = 'metric_values' and state = 'open'")
    assert not {key for table, key in changes if table == "metric_values"} & quarantined
    assert sides.conflicts() == [
        (
            "metric_definitions",
            metric,
            metric,
            "source",
            {"deleted": True},
            "rows of metric_values that stay in the source refer to it",
        )
    ]
    assert done.tables["metric_definitions"] == Counts(conflicts=1)
    assert sides.back().conflicts == 1
    assert len(sides.conflicts()) == 1


def test_rows_that_wait_in_the_quarantine_are_never_deleted(sides: Sides) -> None:
    keys = keys_of(sides, "quarantine where mapping = 'metric_values' and state = 'open'")
    merged = keys_of(sides, "merged where mapping = 'metric_values'")
    before = sides.source()
    assert sides.back({"metric_values": [*keys, *merged]}).written == 0
    assert sides.changes(before) == {}


def test_a_value_that_only_one_side_may_hold_twice_is_a_conflict_of_that_row_alone(sides: Sides) -> None:
    # The source knows e-mail addresses by their spelling, and has those in quarantine as well.
    taken = pick(sides, "select source_key from tenantry.quarantine where mapping = 'profiles' and state = 'open'")
    people = [row[0] for row in rows(sides.database, "select legacy_id from clinic.profiles order by 1 limit 3")]
    with engine(sides.database) as connection:
        connection.execute("update public.users set email = 'taken@clinic.example' where id = %s", [taken])
    before = sides.source()
    sides.write(
        f"update profiles set email = 'taken@clinic.example', name = 'One' where legacy_id = '{people[0]}'",
        f"update profiles set name = 'Two' where legacy_id = '{people[1]}'",
        f"update profiles set email = 'free@clinic.example' where legacy_id = '{people[2]}'",
    )
    done = sides.back()
    assert sides.changes(before) == {
        ("users", people[1]): {"name": "Two"},
        ("users", people[2]): {"email": "free@clinic.example"},
    }
    assert (done.tables["users"].updated, done.tables["users"].conflicts) == (2, 1)
    ((table, legacy, _, winner, loser, reason),) = sides.conflicts()
    assert (table, legacy, winner, loser["name"]) == ("profiles", people[0], "source", "One")
    assert "users_email_key" in reason


def test_unique_values_may_be_exchanged_and_handed_on(sides: Sides) -> None:
    (a, mail_a), (b, mail_b), (c, mail_c), (d, _) = rows(
        sides.database,
        "select p.legacy_id, p.email from clinic.profiles p join public.users u on (u.id, u.email) = (p.legacy_id, p.email) order by 1 limit 4",
    )
    before = sides.source()
    sides.write(
        "update profiles set email = legacy_id || '@parked.example'",
        f"update profiles set email = '{mail_b}' where legacy_id = '{a}'",
        f"update profiles set email = '{mail_a}' where legacy_id = '{b}'",
        f"update profiles set email = 'moved@clinic.example' where legacy_id = '{c}'",
        f"update profiles set email = '{mail_c}' where legacy_id = '{d}'",
        *(f"update profiles set email = '{mail}' where legacy_id = '{key}'" for key, mail in rows(
            sides.database, "select legacy_id, email from clinic.profiles") if key not in (a, b, c, d)),
    )  # fmt: skip
    done = sides.back()
    assert done.conflicts == 0
    assert sides.changes(before) == {
        ("users", a): {"email": mail_b},
        ("users", b): {"email": mail_a},
        ("users", c): {"email": "moved@clinic.example"},
        ("users", d): {"email": mail_c},
    }
    sides.assert_in_line()


def test_a_dashboard_goes_to_the_old_account_that_its_person_had_in_that_clinic(sides: Sides) -> None:
    survivor, account = pick(
        sides,
        "select g.into_key, g.source_key from tenantry.merged g join clinic.user_clinic_roles m on m.legacy_id = g.source_key"
        " where g.mapping = 'profiles'",
    )
    before = sides.source()
    sides.write(
        "insert into dashboards (clinic_id, profile_id, name) select clinic_id, profile_id, 'Second' from user_clinic_roles"
        f" where legacy_id in ('{account}', '{survivor}')"
    )
    sides.back()
    assert {row["user_id"] for row in sides.changes(before).values() if row} == {account, survivor}
    sides.assert_in_line()


def test_a_row_deleted_and_made_again_with_its_unique_value_goes_through(sides: Sides) -> None:
    key, mail = pick(
        sides,
        "select p.legacy_id, p.email from clinic.profiles p join public.users u on (u.id, u.email) = (p.legacy_id, p.email)"
        " where not exists (select from clinic.dashboards d where d.profile_id = p.id)"
        " and 1 = (select count(*) from clinic.user_clinic_roles m where m.profile_id = p.id)",
    )
    clinic = pick(sides, f"select clinic_id from public.users where id = '{key}'")
    before = sides.source()
    ((person,),) = sides.write(
        f"delete from user_clinic_roles where legacy_id = '{key}'",
        f"delete from profiles where legacy_id = '{key}'",
        f"insert into profiles (email, name) values ('{mail}', 'Again')",
        f"insert into user_clinic_roles (clinic_id, profile_id, role) select c.id, p.id, 'staff' from clinics c, profiles p"
        f" where c.legacy_id = '{clinic}' and p.email = '{mail}'",
        f"select id::text from profiles where email = '{mail}'",
    )
    done = sides.back()
    assert done.conflicts == 0
    changes = sides.changes(before)
    assert changes.pop(("users", key)) is None
    ((_, made),) = changes.items()
    assert made is not None
    assert (made["id"], made["email"], made["name"]) == (person, mail, "Again")
    sides.assert_in_line()


@dataclass(frozen=True)
class _Effort:
    statements: int
    seconds: float
    """Of the server process's processor time."""


def _effort(sides: Sides, numbers: range) -> tuple[_Effort, int]:
    class Counting(psycopg.Cursor[Any]):
        count = 0

        def execute(self, *arguments: Any, **options: Any) -> Any:
            Counting.count += 1
            return super().execute(*arguments, **options)

    with engine(sides.database, sides.owner) as connection:
        connection.cursor_factory = Counting
        before = _processor_time(connection.info.backend_pid)
        done = sides.back({"metric_values": [f"bulk-{n}" for n in numbers]}, connection)
        seconds = _processor_time(connection.info.backend_pid) - before
    return _Effort(Counting.count, seconds), done.tables["metric_values"].updated


def _processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processor time is read from /proc")
def test_the_effort_of_carrying_rows_back_grows_with_their_number(sides: Sides) -> None:
    with engine(sides.database) as connection:
        connection.execute(
            "insert into public.metric_values select 'bulk-' || n, '2030-01-01'::timestamp + n % 3000 * interval '1 day', ' $ ' || n || '.50 ',"
            " 'form', 'Sheet', null, m.id, c.id from generate_series(1, 10000) n, (select id from public.clinics limit 1) c,"
            " (select id from public.metric_definitions limit 1) m".replace(
                "m.id, c.id", "m.id, c.id, null, null, now(), date_trunc('second', now())"
            )
        )
        connection.execute(
            "insert into clinic.metric_values (clinic_id, id, legacy_id, metric_definition_id, date, value, source_type,"
            " source_sheet, created_at, updated_at)"
            " select c.id, gen_random_uuid(), s.id, d.id, s.date::date + substr(s.id, 6)::int * 4000, substr(s.id, 6)::int + 1, 'form', 'Sheet',"
            " s.created_at at time zone 'UTC', s.updated_at at time zone 'UTC' from public.metric_values s"
            " join clinic.clinics c on c.legacy_id = s.clinic_id join clinic.metric_definitions d on d.legacy_id = s.metric_definition_id"
            " where s.id like 'bulk-%'"
        )
        connection.execute("analyze public.metric_values, clinic.metric_values")
    few, few_updated = _effort(sides, range(1, 1001))
    many, many_updated = _effort(sides, range(1001, 10_001))
    assert (few_updated, many_updated) == (1000, 9000)
    # As many statements; nine times the work, with room for what a busy processor adds, and far from 81 times.
    assert many.statements == few.statements < 100
    assert many.seconds < 30 * max(few.seconds, 0.05), f"{few} for 1,000 rows, {many} for 9,000"
    assert pick(sides, "select value, date::text from public.metric_values where id = 'bulk-7'") == (
        "8",
        "2106-09-07 00:00:00",
    )


def test_many_rounds_in_one_session_and_one_transaction(sides: Sides) -> None:
    keys = [row[0] for row in rows(sides.database, f"{GOOD} and v.value not in ('0', '1', '2') limit 3")]
    with engine(sides.database) as connection:
        for n in range(3):
            with connection.transaction():
                connection.execute(
                    "create temporary table if not exists tenantry_changed (table_name text, legacy_id text) on commit delete rows"
                )
                connection.execute("insert into tenantry_changed values ('metric_values', %s)", [keys[n]])
                connection.execute("update clinic.metric_values set value = %s where legacy_id = %s", [n, keys[n]])
                assert sides.reverser.apply(connection).updated == 1
                assert sides.reverser.apply(connection).updated == 0
    assert sorted(pick(sides, f"select value from public.metric_values where id = '{key}'") for key in keys) == [
        "0",
        "1",
        "2",
    ]


def test_a_corrected_row_keeps_its_correction_until_the_cell_is_written(sides: Sides) -> None:
    key, number = pick(
        sides,
        "select source_key, id from tenantry.quarantine where mapping = 'metric_values' and state = 'open' and problems = 'value_invalid:value'",
    )
    original = sides.source()["metric_values"][key]["value"]
    with engine(sides.database) as connection:
        (entry,) = entries(connection, sides.project, ids=[number])
        fix(connection, sides.project, entry, {"value": "5"})
        assert retry(connection, sides.project, [number]).readmitted == 1
    before = sides.source()
    assert before["metric_values"][key]["value"] == original
    sides.write(f"update metric_values set source_sheet = 'after' where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", key): {"source_sheet": "after"}}
    sides.assert_in_line()
    sides.write(f"update metric_values set value = 6 where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", key): {"source_sheet": "after", "value": "6"}}
    assert rows(sides.database, "select patch from tenantry.quarantine where id = %s", [number]) == [({},)]
    sides.assert_in_line()
