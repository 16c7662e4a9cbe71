"""Changes of the target are carried back into the source: what differs is written, all else stays byte by byte."""

from __future__ import annotations

import pytest

from clinic.platform import tokens
from tenantry.migrate.replay.reverse import Counts
from tests.integration.migrate.reverse_sides import GOOD, Sides, pick, sides
from tests.migrate_support import (
    rows,
)

__all__ = ["sides"]


# -- Clinic: one row ---------------------------------------------------------------------------------------------------


def test_equal_sides_cause_no_writes_and_no_kept_rows(sides: Sides) -> None:
    before = sides.source()
    done = sides.back({table: list(found) for table, found in sides.target().items()})
    assert (done.written, done.kept, done.conflicts) == (0, 0, 0)
    assert sides.changes(before) == {}
    assert sides.kept() == {}


def test_a_number_that_means_the_same_keeps_its_text_while_its_neighbours_are_written(sides: Sides) -> None:
    key, text = pick(sides, f"select id, value from public.metric_values where value ~ '[$(]' and id in ({GOOD})")
    before = sides.source()
    sides.write(f"update metric_values set source_sheet = 'Sheet \"9\"', external_id = null where legacy_id = '{key}'")
    done = sides.back()
    assert done.tables == {"metric_values": Counts(updated=1)}
    assert sides.changes(before) == {
        ("metric_values", key): {
            name: cell
            for name, cell in {"source_sheet": 'Sheet "9"', "external_id": None}.items()
            if before["metric_values"][key][name] != cell
        }
    }
    assert sides.source()["metric_values"][key]["value"] == text
    sides.assert_in_line()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1234567.5", "1234567.5"),
        ("-0.07", "-0.07"),
        ("1000", "1000"),
        ("0", "0"),
        ("null", "N/A"),
        ("12.3400", "12.34"),
    ],
)
def test_a_changed_number_becomes_the_plain_text_that_is_read_as_that_number(
    sides: Sides, value: str, text: str
) -> None:
    key = pick(sides, f"{GOOD} and v.value not in ('0', '1000')")
    before = sides.source()
    sides.write(f"update metric_values set value = {value} where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", key): {"value": text}}
    sides.assert_in_line()


def test_a_day_is_written_as_its_plain_midnight(sides: Sides) -> None:
    key = pick(sides, f"{GOOD} and v.date <> date_trunc('day', v.date)")
    before = sides.source()
    sides.write(f"update metric_values set date = '2031-03-09' where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", key): {"date": "2031-03-09 00:00:00"}}
    sides.assert_in_line()


def test_fractions_of_a_second_that_the_source_does_not_hold_are_cut_off_and_kept(sides: Sides) -> None:
    key = pick(sides, GOOD)
    before = sides.source()
    sides.write(f"update metric_values set updated_at = '2031-03-09 10:00:00.999999+00' where legacy_id = '{key}'")
    done = sides.back()
    assert sides.changes(before) == {("metric_values", key): {"updated_at": "2031-03-09 10:00:00.999"}}
    assert done.tables == {"metric_values": Counts(updated=1, kept=1)}
    assert list(sides.kept()) == [("metric_values", key, "updated_at")]
    sides.assert_in_line()
    sides.write(f"update metric_values set updated_at = '2031-03-09 10:00:00.999+00' where legacy_id = '{key}'")
    assert (sides.back().written, sides.kept()) == (0, {})


def test_the_tenant_column_is_omitted_when_derivable_and_written_otherwise(sides: Sides) -> None:
    key, provider = pick(
        sides,
        f"select id, provider_id from public.metric_values where clinic_id is null and provider_id is not null and id in ({GOOD})",
    )
    before = sides.source()
    sides.write(f"update metric_values set value = 4711 where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", key): {"value": "4711"}}
    sides.write(
        f"update metric_values set provider_id = null, connection_id = null, date = '2031-01-01' where legacy_id = '{key}'"
    )
    sides.back()
    changed = sides.source()["metric_values"][key]
    assert changed["clinic_id"] == before["providers"][provider]["clinic_id"]
    assert (changed["provider_id"], changed["data_source_id"]) == (None, None)
    sides.assert_in_line()


def test_references_become_the_old_ids_of_their_rows(sides: Sides) -> None:
    key, provider = pick(
        sides,
        f"select v.id, p.id from public.metric_values v join public.providers p on p.clinic_id = v.clinic_id"
        f" and p.id <> v.provider_id where v.id in ({GOOD}) order by 1, 2",
    )
    before = sides.source()
    sides.write(
        f"update metric_values v set provider_id = p.id, metric_definition_id = (select id from metric_definitions order by"
        f" legacy_id limit 1), date = '2031-01-01' from providers p where p.legacy_id = '{provider}' and v.legacy_id = '{key}'"
    )
    sides.back()
    changed = sides.changes(before)["metric_values", key]
    assert changed is not None
    assert changed["provider_id"] == provider
    assert changed.get("metric_definition_id", min(before["metric_definitions"])) == min(before["metric_definitions"])
    sides.assert_in_line()


def test_a_role_goes_back_by_the_inverse_map_and_what_would_make_an_administrator_is_kept(sides: Sides) -> None:
    key = pick(
        sides,
        "select id from public.users where role = 'front_desk' and id in (select legacy_id from clinic.user_clinic_roles)",
    )
    before = sides.source()
    sides.write(f"update user_clinic_roles set role = 'clinic_admin' where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("users", key): {"role": "office_manager"}}
    sides.assert_in_line()
    sides.write(f"update user_clinic_roles set role = 'viewer' where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("users", key): {"role": "office_manager"}}
    assert list(sides.kept()) == [("user_clinic_roles", key, "role")]
    sides.assert_in_line()


def test_a_token_is_decrypted_and_never_named(sides: Sides) -> None:
    key = pick(sides, "select id from public.data_sources where refresh_token is not null")
    before = sides.source()
    stored = [value.hex() for value in tokens.encrypt(["new access", before["data_sources"][key]["refresh_token"]])]
    sides.write(
        f"update google_credentials set access_token_encrypted = '\\x{stored[0]}', refresh_token_encrypted = '\\x{stored[1]}'"
        f" where legacy_id = '{key}'"
    )
    done = sides.back()
    assert sides.changes(before) == {("data_sources", key): {"access_token": "new access"}}
    assert done.tables["data_sources"] == Counts(updated=1)
    sides.assert_in_line()


def test_an_undecryptable_token_is_kept_and_blocks_no_other_row(sides: Sides) -> None:
    first, second = (row[0] for row in rows(sides.database, "select id from public.data_sources order by id limit 2"))
    before = sides.source()
    good = tokens.encrypt(["good"])[0].hex()
    sides.write(
        f"update google_credentials set access_token_encrypted = 'tampered' where legacy_id = '{first}'",
        f"update google_credentials set access_token_encrypted = '\\x{good}' where legacy_id = '{second}'",
    )
    sides.back()
    assert sides.changes(before) == {("data_sources", second): {"access_token": "good"}}
    assert list(sides.kept()) == [("google_credentials", first, "access_token_encrypted")]
    assert "tampered" not in str(sides.kept())


def test_one_of_several_sheets_goes_back_and_the_list_is_kept(sides: Sides) -> None:
    key = pick(sides, "select id from public.data_sources")
    before = sides.source()
    sides.write(
        f"update spreadsheet_connections set sheet_names = array['A', 'B'], sync_status = 'paused', spreadsheet_name = 'Title'"
        f" where legacy_id = '{key}'"
    )
    sides.back()
    status = before["data_sources"][key]["connection_status"]
    changed = {"sheet_name": "A"} | (
        {} if status in ("disconnected", "paused") else {"connection_status": "disconnected"}
    )
    assert sides.changes(before) == {("data_sources", key): changed}
    assert {column for _, _, column in sides.kept()} == {"sheet_names", "spreadsheet_name"}
    sides.assert_in_line()


def test_ids_in_documents_are_turned_back(sides: Sides) -> None:
    key, metric = pick(
        sides,
        "select w.legacy_id, m.legacy_id from clinic.widgets w, clinic.metric_definitions m order by w.legacy_id, m.legacy_id desc",
    )
    before = sides.source()
    sides.write(
        f"update widgets set config = jsonb_build_object('metricDefinitionIds', jsonb_build_array((select id from metric_definitions"
        f" where legacy_id = '{metric}')), 'colour', 'red') where legacy_id = '{key}'"
    )
    sides.back()
    config = f'{{"colour": "red", "metricDefinitionIds": ["{metric}"]}}'
    assert sides.changes(before) == {("widgets", key): {"config": config}}
    sides.assert_in_line()


def test_columns_that_the_source_does_not_have_are_kept_once_they_hold_something(sides: Sides) -> None:
    key = pick(sides, "select legacy_id from clinic.providers")
    member = pick(sides, "select legacy_id from clinic.user_clinic_roles")
    before = sides.source()
    sides.write(
        f"update providers set provider_code = 'X1' where legacy_id = '{key}'",
        f"update user_clinic_roles set is_active = false where legacy_id = '{member}'",
    )
    assert sides.back().written == 0
    assert sides.changes(before) == {}
    assert set(sides.kept()) == {("providers", key, "provider_code"), ("user_clinic_roles", member, "is_active")}
    sides.assert_in_line()
