"""Rows in quarantine are listed, corrected and retried with their dependents; the row counts balance at every moment."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.errors import NoRun, QuarantineEntryUnknown
from tenantry.migrate.copy import quarantine as held
from tenantry.migrate.copy.quarantine import Entry, Retried
from tests.conftest import Database
from tests.migrate_support import (
    OWNER,
    TOKENS,
    Said,
    cli,
    clinic_manifest,
    end_state,
    engine,
    migrate,
    one,
    planted,
    project_of,
    rows,
    verify_all,
)


def run(database: Database, *arguments: str) -> Said:
    return cli("quarantine", *arguments, "--dsn", database.dsn_as(OWNER), "--manifest", str(clinic_manifest().path))


def entries(database: Database, **wanted: Any) -> list[Entry]:
    project = project_of(database)
    with engine(database) as connection:
        return held.entries(connection, project, **wanted)


def retry(database: Database, ids: list[int] | None) -> Retried:
    project = project_of(database)
    with engine(database) as connection:
        return held.retry(connection, project, ids)


def fix(database: Database, entry: Entry, **values: str) -> None:
    project = project_of(database)
    with engine(database) as connection:
        held.fix(connection, project, entry, values)


def number(database: Database, mapping: str, code: str) -> int:
    """The entry of the first row that was planted with this defect."""
    key = planted().defect(code).keys[0]
    return int(
        one(database, "select id from tenantry.quarantine where mapping = %s and source_key = %s", [mapping, key])
    )


def assert_sound(database: Database) -> None:
    """Accounts balance and every row is as it should be."""
    project = project_of(database)
    with engine(database) as connection:
        checks = verify_all(connection, project, 1)
    assert [str(difference) for check in checks for difference in check.differences] == []


def test_the_list_is_narrowed_by_table_and_reason_and_counts_all(finished: Database) -> None:
    everything = entries(finished)
    assert len(everything) == one(finished, "select count(*) from tenantry.quarantine")
    assert [each.id for each in everything] == sorted(each.id for each in everything)
    of_goals = [each for each in everything if each.mapping == "goals"]
    assert entries(finished, table="goals") == of_goals
    # By the source table's name, rows of all targets that it feeds.
    assert {each.mapping for each in entries(finished, table="users")} == {"profiles", "user_clinic_roles"}
    assert {each.reason for each in entries(finished, reason="tenant_missing")} == {"tenant_missing"}
    assert len(entries(finished, limit=2)) == 2
    said = run(finished, "list", "--json", "--table", "goals", "--limit", "1").json
    assert (said["total"], len(said["entries"])) == (len(of_goals), 1)
    shown = run(finished, "list", "--limit", "2")
    assert shown.code == 0
    assert f"{len(everything) - 2} more" in shown.everything


def test_an_entry_names_its_problem_and_the_fix(finished: Database) -> None:
    entry_no = number(finished, "metric_values", "metric_values.value_invalid")
    said = run(finished, "show", str(entry_no))
    assert said.code == 0
    for words in ("value holds a value that cannot be read", "to fix it", "metric_values"):
        assert words in said.everything
    shown = run(finished, "show", str(entry_no), "--json").json
    assert shown["original"]["id"] == planted().defect("metric_values.value_invalid").keys[0]
    assert shown["reason"] == "value_invalid"
    assert shown["source_column"] == "value"


@pytest.mark.parametrize("command", ["show", "retry"])
def test_an_unknown_entry_number_is_reported(finished: Database, command: str) -> None:
    said = run(finished, command, "999999")
    assert said.code == 2
    assert "TN-502" in said.everything
    assert "999999" in said.everything
    assert "quarantine list" in said.everything


def test_an_unknown_column_is_reported_with_the_nearest_name(finished: Database) -> None:
    before = end_state(finished, unstable=TOKENS)
    said = run(
        finished, "retry", str(number(finished, "metric_values", "metric_values.value_invalid")), "--set", "valu=1"
    )
    assert said.code == 2
    assert "'value'" in said.everything
    assert end_state(finished, unstable=TOKENS) == before


@pytest.mark.parametrize("arguments", [["--set", "value=1"], ["1", "2", "--set", "value=1"], ["1", "--set", "value"]])
def test_a_correction_for_several_rows_is_refused(finished: Database, arguments: list[str]) -> None:
    said = run(finished, "retry", *arguments)
    assert said.code == 2
    assert "--set" in said.everything


def test_a_corrected_value_is_migrated(finished: Database) -> None:
    entry_no = number(finished, "metric_values", "metric_values.value_invalid")
    key = planted().defect("metric_values.value_invalid").keys[0]
    said = run(finished, "retry", str(entry_no), "--set", "value= $ 1,234.50 ", "--json")
    assert said.code == 0
    assert said.json == {"tried": 1, "readmitted": 1, "merged": 0, "still": 0}
    assert str(one(finished, "select value from clinic.metric_values where legacy_id = %s", [key])) == "1234.5000"
    # The source is fenced and keeps what it had; the journal keeps both.
    assert one(finished, "select value from public.metric_values where id = %s", [key]) != " $ 1,234.50 "
    assert rows(finished, "select state, patch from tenantry.quarantine where id = %s", [entry_no]) == [
        ("readmitted", {"value": " $ 1,234.50 "})
    ]
    assert_sound(finished)


def test_a_corrected_tenant_is_followed(finished: Database) -> None:
    entry_no = number(finished, "goals", "goals.clinic_unknown")
    clinic_id = one(finished, "select min(id) from public.clinics")
    said = run(finished, "retry", str(entry_no), "--set", f"clinic_id={clinic_id}", "--json")
    assert said.json["readmitted"] == 1
    got = one(
        finished,
        "select c.legacy_id from clinic.goals g join clinic.clinics c on c.id = g.clinic_id where g.legacy_id = %s",
        [planted().defect("goals.clinic_unknown").keys[0]],
    )
    assert got == clinic_id
    assert_sound(finished)


def test_a_corrected_parent_brings_its_dependents_along(finished: Database) -> None:
    boards, widgets = (set(planted().defect(f"{table}.of_invalid_user").keys) for table in ("dashboards", "widgets"))
    owner = one(finished, "select user_id from public.dashboards where id = %s", [min(boards)])
    mine = {key for (key,) in rows(finished, "select id from public.dashboards where user_id = %s", [owner])}
    its = {
        key for (key,) in rows(finished, "select id from public.widgets where dashboard_id = any (%s)", [list(mine)])
    }
    assert mine <= boards
    assert its <= widgets
    assert its
    entry_no = one(
        finished, "select id from tenantry.quarantine where mapping = 'profiles' and source_key = %s", [owner]
    )
    said = run(finished, "retry", str(entry_no), "--set", "email=Corrected@Example.org", "--json")
    assert said.code == 0, said.everything
    assert said.json == {
        "tried": 2 + len(mine) + len(its),
        "readmitted": 2 + len(mine) + len(its),
        "merged": 0,
        "still": 0,
    }
    assert {key for (key,) in rows(finished, "select legacy_id from clinic.dashboards")} >= mine
    assert {key for (key,) in rows(finished, "select legacy_id from clinic.widgets")} >= its
    assert rows(
        finished,
        "select u.email, u.encrypted_password from auth.users u join clinic.profiles p on p.auth_user_id = u.id where p.legacy_id = %s",
        [owner],
    ) == [("corrected@example.org", "")]
    assert rows(finished, "select state from tenantry.id_map where old_id = %s and source_table = 'users'", [owner]) == [
        ("carried",), ("carried",)]  # fmt: skip
    assert_sound(finished)


def test_an_address_in_use_merges_the_two_people(finished: Database) -> None:
    survivor, email, clinic_id = rows(
        finished,
        "select p.legacy_id, p.email, u.clinic_id from clinic.profiles p join public.users u on u.id = p.legacy_id"
        " order by p.legacy_id limit 1",
    )[0]
    person = planted().defect("users.email_invalid").keys[0]
    entry_no = number(finished, "profiles", "users.email_invalid")
    accounts = one(finished, "select count(*) from auth.users")
    said = run(finished, "retry", str(entry_no), "--set", f"email={email.upper()}", "--json")
    assert said.code == 0, said.everything
    assert said.json["merged"] >= 1
    assert (
        one(finished, "select into_key from tenantry.merged where mapping = 'profiles' and source_key = %s", [person])
        == survivor
    )
    assert one(finished, "select count(*) from auth.users") == accounts
    # The membership is the survivor's now: a further one, or merged into that which there was in the same clinic.
    same_clinic = one(finished, "select clinic_id from public.users where id = %s", [person]) == clinic_id
    memberships = one(
        finished,
        "select count(*) from clinic.user_clinic_roles m join clinic.profiles p on p.id = m.profile_id where p.legacy_id = %s",
        [survivor],
    )
    assert memberships >= (1 if same_clinic else 2)
    assert_sound(finished)


def test_two_people_corrected_to_one_address_are_merged(finished: Database) -> None:
    first, second = [entry for entry in entries(finished, table="users") if entry.mapping == "profiles"][:2]
    fix(finished, first, email="both@example.org")
    fix(finished, second, email=" Both@Example.org")
    done = retry(finished, [first.id, second.id])
    assert done.still == 0
    assert one(finished, "select count(*) from clinic.profiles where email = 'both@example.org'") == 1
    assert one(finished, "select count(*) from auth.users where email = 'both@example.org'") == 1
    assert_sound(finished)


def test_a_retry_without_corrections_changes_nothing(finished: Database) -> None:
    before = end_state(finished, unstable=TOKENS)
    numbers = rows(finished, "select id, mapping, source_key from tenantry.quarantine order by id")
    said = run(finished, "retry")
    assert said.code == 1
    assert f"{len(numbers)} still in quarantine" in said.everything
    assert end_state(finished, unstable=TOKENS) == before
    assert rows(finished, "select id, mapping, source_key from tenantry.quarantine order by id") == numbers
    assert_sound(finished)


def test_a_wrong_correction_keeps_the_row_and_its_number_with_the_newest_reason(finished: Database) -> None:
    entry_no = number(finished, "metric_values", "metric_values.value_invalid")
    clinic_id = one(finished, "select min(id) from public.clinics")
    run(finished, "retry", str(entry_no), "--set", "value=12", "--set", "metric_definition_id=nobody")
    (entry,) = entries(finished, ids=[entry_no])
    assert (entry.reason, entry.column) == ("reference_missing", "metric_definition_id")
    assert dict(entry.patch) == {"value": "12", "metric_definition_id": "nobody"}
    # Corrections accumulate.
    known = one(finished, "select min(id) from public.metric_definitions")
    said = run(finished, "retry", str(entry_no), "--set", f"metric_definition_id={known}", "--json")
    assert said.json["readmitted"] == 1, (said.everything, clinic_id)
    assert_sound(finished)


def test_a_correction_that_the_server_refuses_is_reported_without_a_change(finished: Database) -> None:
    entry_no = number(finished, "goals", "goals.clinic_unknown")
    before = end_state(finished, unstable=TOKENS)
    clinic_id = one(finished, "select min(id) from public.clinics")
    said = run(finished, "retry", str(entry_no), "--set", f"clinic_id={clinic_id}", "--set", "start_date=not a day")
    assert said.code in (1, 2)
    assert "Traceback" not in said.everything
    after = end_state(finished, unstable=TOKENS)
    assert {name: state for name, state in after.items() if name != "tenantry.quarantine"} == {
        name: state for name, state in before.items() if name != "tenantry.quarantine"
    }
    assert one(finished, "select state from tenantry.quarantine where id = %s", [entry_no]) == "open"
    assert_sound(finished)


def test_a_secret_is_masked_in_originals_and_corrections_and_still_migrated(legacy: Database) -> None:
    old, new = "ya29.fake-old-secret", "ya29.fake-new-secret"
    with legacy.connect() as admin:
        admin.execute(
            "update data_sources set access_token = %s, connection_status = 'no such status'"
            " where id = (select min(id) from data_sources)",
            [old],
        )
    migrate(legacy)
    (entry,) = [each for each in entries(legacy) if each.mapping == "spreadsheet_connections"]
    said = run(legacy, "retry", str(entry.id), "--set", "connection_status=active", "--set", f"access_token={new}")
    shown = run(legacy, "list", "--json").out + said.everything
    assert old not in shown
    assert new not in shown
    # Some of its dependents have their own defects.
    assert said.code in (0, 1), said.everything
    assert (
        one(legacy, "select count(*) from clinic.spreadsheet_connections where legacy_id = %s", [entry.source_key]) == 1
    )
    assert entry.original["access_token"] == "(secret)"


def test_a_retry_before_the_cutover_is_refused(legacy: Database) -> None:
    said = run(legacy, "retry")
    assert said.code == 2
    assert "TN-403" in said.everything
    with pytest.raises(NoRun):
        entries(legacy)


def test_a_retried_entry_is_no_longer_listed(finished: Database) -> None:
    entry_no = number(finished, "metric_values", "metric_values.value_invalid")
    assert run(finished, "retry", str(entry_no), "--set", "value=3").code == 0
    with pytest.raises(QuarantineEntryUnknown):
        entries(finished, ids=[entry_no])
    assert run(finished, "retry", str(entry_no)).code == 2
