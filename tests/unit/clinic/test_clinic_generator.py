"""The sample of the old application, made without a database."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from clinic.migration.legacy import COLUMNS, LOCATIONS, RATES, Planted, generate
from clinic.migration.legacy.generate import FEWEST_VALUES, UnfinishedError

Table = list[dict[str, object]]


def read(clinics: int = 12, values: int = 6_000, seed: int = 7) -> tuple[dict[str, Table], Planted]:
    sample = generate(clinics=clinics, values=values, seed=seed)
    tables: dict[str, Table] = {
        name: [dict(zip(COLUMNS[name], row, strict=True)) for row in rows] for name, rows in sample.rows()
    }
    return tables, sample.planted()


@pytest.fixture(scope="module")
def sample() -> tuple[dict[str, Table], Planted]:
    return read()


def digest(clinics: int = 4, values: int = 1_000, seed: int = 7) -> str:
    hashed = hashlib.sha256()
    made = generate(clinics=clinics, values=values, seed=seed)
    for _, rows in made.rows():
        for row in rows:
            hashed.update(repr(row).encode())
    hashed.update(made.planted().to_json().encode())
    return hashed.hexdigest()


def clinic_of(row: dict[str, object], tables: dict[str, Table]) -> object:
    """The clinic a metric value belongs to: its own, else its provider's, else its data source's."""
    home = {each["id"]: each["clinic_id"] for each in tables["providers"] + tables["data_sources"]}
    return row["clinic_id"] or home.get(row["provider_id"]) or home.get(row["data_source_id"])


def local_day(text: str, zone: str) -> str:
    at = datetime.fromisoformat(text)
    return str((at if at.time() == time() else at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))).date())


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert digest() == digest()


@pytest.mark.parametrize("other", [{"seed": 8}, {"clinics": 5}, {"values": 1_001}])
def test_any_other_argument_gives_other_bytes(other: dict[str, int]) -> None:
    assert digest(**other) != digest()


def test_more_values_do_not_change_the_people() -> None:
    small, large = generate(values=1_000), generate(values=9_000)
    assert small.tables == large.tables


@pytest.mark.parametrize(("clinics", "values"), [(2, FEWEST_VALUES), (12, 2_000), (40, 5_000)])
def test_every_table_has_the_rows_that_it_announces_and_every_planned_defect_has_a_few(
    clinics: int, values: int
) -> None:
    tables, planted = read(clinics, values)
    assert planted.rows == {name: len(rows) for name, rows in tables.items()}
    assert planted.rows["clinics"] == clinics
    assert planted.rows["metric_values"] == values
    for code in RATES:
        defect = planted.defect(code)
        least = {"clinics.inactive": 1, "users.group_admin": 2}.get(code, 3)
        assert defect.count >= least, code


def test_planted_rows_follow_their_rates(sample: tuple[dict[str, Table], Planted]) -> None:
    _, planted = sample
    for code, rate in RATES.items():
        defect = planted.defect(code)
        if (wanted := round(rate * planted.rows[defect.table])) > 3 and not code.startswith("users."):
            assert defect.count == wanted, code


def test_a_row_has_one_planted_defect_at_most(sample: tuple[dict[str, Table], Planted]) -> None:
    _, planted = sample
    carried = Counter((defect.table, key) for defect in planted.defects if defect.code in RATES for key in defect.keys)
    assert [key for key, count in carried.items() if count > 1] == []


def test_keys_are_sorted_and_all_there_up_to_a_thousand(sample: tuple[dict[str, Table], Planted]) -> None:
    tables, planted = sample
    for defect in planted.defects:
        assert list(defect.keys) == sorted(set(defect.keys)), defect.code
        assert len(defect.keys) == min(defect.count, 1000), defect.code
        assert set(defect.keys) <= {row["id"] for row in tables[defect.table]}, defect.code


def test_only_planted_rows_share_a_natural_key(sample: tuple[dict[str, Table], Planted]) -> None:
    tables, planted = sample
    zones = {row["id"]: LOCATIONS[str(row["location"])] for row in tables["clinics"]}
    rows: dict[tuple[object, ...], Table] = defaultdict(list)
    for row in tables["metric_values"]:
        clinic = clinic_of(row, tables)
        day = local_day(str(row["date"]), zones.get(clinic, "UTC"))
        rows[clinic, row["metric_definition_id"], row["provider_id"], day, row["source_type"]].append(row)
    twice = [sorted(group, key=lambda row: str(row["updated_at"])) for group in rows.values() if len(group) > 1]
    assert all(len(group) == 2 and group[0]["updated_at"] != group[1]["updated_at"] for group in twice)
    assert tuple(sorted(str(group[0]["id"]) for group in twice)) == planted.defect("metric_values.same_day_twice").keys


def test_a_date_is_a_plain_midnight_or_the_instant_at_which_the_local_day_begins(
    sample: tuple[dict[str, Table], Planted],
) -> None:
    tables, planted = sample
    zones = {row["id"]: LOCATIONS[str(row["location"])] for row in tables["clinics"]}
    found = 0
    for row in tables["metric_values"]:
        at = datetime.fromisoformat(str(row["date"]))
        if at.time() == time():
            continue
        found += 1
        zone = ZoneInfo(zones[clinic_of(row, tables)])
        assert at.replace(tzinfo=UTC).astimezone(zone).time() == time(), row
    assert found == planted.defect("metric_values.local_day").count


def test_new_york_days_begin_at_four_in_summer_and_at_five_in_winter() -> None:
    tables, _ = read(values=120_000)
    eastern = {row["id"] for row in tables["clinics"] if LOCATIONS[str(row["location"])] == "America/New_York"}
    begins = defaultdict(set)
    for row in tables["metric_values"]:
        if row["clinic_id"] in eastern and not str(row["date"]).endswith("00:00:00.000"):
            begins[str(row["date"])[:7]].add(str(row["date"])[11:16])
    assert begins["2025-02"] == {"05:00"}
    assert begins["2025-06"] == {"04:00"}


NUMBER = {
    "currency": r"(-?\d+\.\d\d|-?\d{1,3}(,\d{3})*\.\d\d|-?\$\d{1,3}(,\d{3})*\.\d\d|\(\d{1,3}(,\d{3})*\.\d\d\)"
    r"| \$ \d{1,3}(,\d{3})*\.\d\d )",
    "integer": r"\d+",
    "percentage": r" ?-?\d+(\.\d)?% ?",
}


def test_values_follow_their_data_type_except_the_planted_ones(
    sample: tuple[dict[str, Table], Planted],
) -> None:
    tables, planted = sample
    types = {row["id"]: str(row["data_type"]) for row in tables["metric_definitions"]}
    odd = {
        row["id"]
        for row in tables["metric_values"]
        if not re.fullmatch(NUMBER[types[row["metric_definition_id"]]], str(row["value"]))
    }
    names = ("not_available", "empty", "invalid")
    assert odd == {key for name in names for key in planted.defect(f"metric_values.value_{name}").keys}


def test_ids_are_cuids_in_rough_order_of_time_except_the_planted_ones(
    sample: tuple[dict[str, Table], Planted],
) -> None:
    tables, planted = sample
    strays = {key for defect in planted.defects if ".id_" in defect.code for key in defect.keys}
    for name, rows in tables.items():
        cuids = [row for row in rows if row["id"] not in strays]
        assert len({row["id"] for row in rows}) == len(rows)
        assert all(re.fullmatch(r"c[0-9a-z]{24}", str(row["id"])) for row in cuids), name
        cuids.sort(key=lambda row: str(row["id"])[:9])
        created = [str(row["created_at"]) for row in cuids]
        assert created == sorted(created), name


def test_planted_survives_json(sample: tuple[dict[str, Table], Planted]) -> None:
    _, planted = sample
    assert Planted.from_json(planted.to_json()) == planted


def test_planted_is_refused_before_the_last_value_is_read() -> None:
    made = generate(values=1_000)
    with pytest.raises(UnfinishedError):
        made.planted()


@pytest.mark.parametrize(("clinics", "values"), [(1, 2_000), (12, FEWEST_VALUES - 1)])
def test_sizes_without_room_for_every_defect_are_refused(clinics: int, values: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        generate(clinics=clinics, values=values)


def test_values_that_would_reach_back_beyond_1970_are_refused() -> None:
    with pytest.raises(ValueError, match="1970"):
        next(generate(clinics=2, values=9_000_000).metric_values)
