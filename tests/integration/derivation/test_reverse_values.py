"""up(down(value)) is the value: the way back of every transform and cast, over many values, on every version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tenantry.catalog import Column
from tenantry.catalog.table import TypeKind
from tenantry.mapping import casts
from tenantry.mapping.transform import Between
from tenantry.mapping.transforms import transforms
from tenantry.mapping.values import numbers
from tenantry.mapping.values.type_names import base_type
from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, fresh_database, running_server

ANY = settings(
    max_examples=10,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""Few examples, of many values each: a value costs a row, an example a query."""

ZONES = (
    "America/New_York", "Europe/Berlin", "Europe/Dublin", "Pacific/Apia", "Pacific/Kiritimati", "Australia/Lord_Howe",
    "America/Havana", "America/Sao_Paulo", "America/Santiago", "Asia/Beirut", "Asia/Kolkata", "Africa/Casablanca",
    "America/Anchorage", "Asia/Kathmandu", "Atlantic/Azores",
)  # fmt: skip

Make = Callable[[str], str]


@pytest.fixture(scope="module")
def database(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    """One for all tests: they create nothing in it."""
    with fresh_database(running_server(servers, 18)) as made:
        yield made


@contextmanager
def session(database: Database) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with database.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def there_and_back(
    connection: psycopg.Connection[tuple[Any, ...]], values: Sequence[object], kind: str, down: Make, up: Make
) -> list[tuple[object, str | None, bool]]:
    """Each value, the text of what it is in the source, and whether that is read as the same value again."""
    rows = connection.execute(
        f"select t.value::text, s.value::text, ({up('s.value')}) is not distinct from t.value"
        f" from unnest(%s::text[]) with ordinality as u (value, place) cross join lateral (select value::{kind}) as t (value)"
        f" cross join lateral (select {down('t.value')} offset 0) as s (value) order by place".replace(
            "%", "%%"
        ).replace("%%s::text[]", "%s::text[]"),
        [[str(value) for value in values]],
    )
    return [(value, back, bool(same)) for value, back, same in rows.fetchall()]


def column(type_name: str, kind: TypeKind = "base") -> Column:
    return Column("value", type_name, kind, type_name=base_type(type_name))


def up(name: str, raw: str, source: Column, target: str, zone: str = "UTC") -> str:
    return transforms()[name].up(raw, Between(source, column(target), f"'{zone}'"))


def down_of(name: str, source: Column, target: str, zone: str = "UTC") -> str:
    return transforms()[name].down("t.value", Between(source, column(target), f"'{zone}'"))


def read_text(name: str, raw: str, kind: str) -> str:
    return up(name, raw, column("text"), kind)


def assert_all_back(found: Sequence[tuple[object, str | None, bool]]) -> None:
    assert [each for each in found if each[1] is None or not each[2]] == []


def assert_none_wrong(found: Sequence[tuple[object, str | None, bool]]) -> None:
    assert [each for each in found if each[1] is not None and not each[2]] == []


# -- numbers -----------------------------------------------------------------------------------------------------------

amounts = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12) + 1, max_value=10**12 - 1, places=2)
NUMBERS = {
    "numeric(14,2)": amounts,
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e60"), max_value=Decimal("1e60"), places=30),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(-(2.0**100), 2.0**100, width=32).map(lambda value: value if abs(value) > 1e-30 else 0.0),
    "double precision": st.floats(-1e200, 1e200).map(lambda value: value if abs(value) > 1e-200 else 0.0),
}  # fmt: skip
READERS: dict[str, Callable[[str, str], str]] = {
    **{name: partial(read_text, name) for name in ("number", "money", "percent", "integer")},
    "cast": lambda raw, kind: casts.cast(raw, column("text"), column(kind), (), 150000),
}


@pytest.mark.parametrize("kind", NUMBERS)
@ANY
@given(data=st.data())
def test_numbers_become_texts_that_every_reader_of_numbers_reads(
    database: Database, kind: str, data: st.DataObject
) -> None:
    values = data.draw(st.lists(NUMBERS[kind], min_size=30, max_size=200))
    values += [0, 1, -1]
    back = casts.back("t.value", column(kind), column("text"), (), 150000)
    with session(database) as connection:
        for name, read in READERS.items():
            if name == "integer" and kind not in ("smallint", "integer", "bigint"):
                continue
            found = there_and_back(connection, values, kind, lambda _: back, lambda raw, read=read: read(raw, kind))  # type: ignore[misc]
            assert_none_wrong(found)
            # Tiny and huge floats have more digits than are read.
            if "e" not in str(max(values, key=lambda each: abs(float(str(each))))) and kind not in (
                "real",
                "double precision",
            ):
                assert_all_back(found)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("kind", ["numeric", "real", "double precision"])
def test_text_without_digits_has_no_reverse_value(database: Database, kind: str, value: str) -> None:
    with session(database) as connection:
        down = numbers.number_text("t.value", kind)
        ((_, back, _),) = there_and_back(
            connection, [value], kind, lambda _: down, lambda raw: numbers.number(raw, kind)
        )
    assert back is None


@pytest.mark.parametrize(("value", "text"), [("12.5000", "12.5"), ("100", "100"), ("0.00", "0"), ("-0.0700", "-0.07")])
def test_numbers_have_no_zeros_behind_their_last_digit(database: Database, value: str, text: str) -> None:
    with session(database) as connection:
        down = numbers.number_text("t.value", "numeric(20,4)")
        up = numbers.number("s.value", "numeric(20,4)")
        assert there_and_back(connection, [value], "numeric(20,4)", lambda _: down, lambda _: up)[0][1] == text


PAIRS = [("integer", "bigint"), ("bigint", "integer"), ("numeric(10,2)", "integer"), ("double precision", "real"), ("real", "double precision"),
         ("numeric", "double precision"), ("double precision", "numeric"), ("numeric(6,2)", "numeric(8,4)"), ("numeric(8,4)", "real"),
         ("smallint", "numeric(5,0)"), ("real", "numeric")]  # fmt: skip


@pytest.mark.parametrize(("target", "source"), PAIRS)
@ANY
@given(data=st.data())
def test_numbers_of_another_type_are_restored_exactly_or_kept(
    database: Database, target: str, source: str, data: st.DataObject
) -> None:
    fitting = (
        st.one_of(st.integers(-9999, 9999), st.decimals(-9999, 9999, places=2)) if "(" in target else NUMBERS[target]
    )
    values = data.draw(st.lists(fitting, min_size=20, max_size=120))
    down = casts.back("t.value", column(target), column(source), (), 150000)
    up = lambda raw: casts.cast(raw, column(source), column(target), (), 150000)  # noqa: E731
    with session(database) as connection:
        found = there_and_back(connection, [0, 1, *values], target, lambda _: down, up)
    assert_none_wrong(found)
    assert_all_back(found[:2])


# -- words ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["text", "character varying(5)", "character varying(4)", "character varying(1)", "character(5)"]
)
def test_booleans_become_words_that_fit(database: Database, kind: str) -> None:
    with session(database) as connection:
        down = casts.back("t.value", column("boolean"), column(kind), (), 150000)
        assert_all_back(
            there_and_back(
                connection, [True, False], "boolean", lambda _: down, partial(read_text, "boolean", kind="boolean")
            )
        )


@ANY
@given(
    values=st.lists(
        st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8),
        min_size=20,
        max_size=80,
    )
)
def test_texts_are_restored_exactly_or_kept(database: Database, values: list[str]) -> None:
    with session(database) as connection:
        for target, source in (("text", "character varying(5)"), ("character varying(5)", "text"), ("text", "text")):
            down = casts.back("t.value", column(target), column(source), (), 150000)
            kept = [value[:5] for value in values] if "(" in target else values
            up = casts.cast("s.value", column(source), column(target), (), 150000)
            assert_none_wrong(there_and_back(connection, kept, target, lambda _, down=down: down, lambda _, up=up: up))  # type: ignore[misc]


# -- days and times --------------------------------------------------------------------------------------------------------

START, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC)


def turns(zone: str) -> list[datetime]:
    """The instants at which the zone's offset changes, to the minute, from 2000 to 2025."""
    place, found, at = ZoneInfo(zone), [], START
    while at < END:
        following = at + timedelta(days=7)
        if at.astimezone(place).utcoffset() != following.astimezone(place).utcoffset():
            low, high = at, following
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) / 2
                same = middle.astimezone(place).utcoffset() == low.astimezone(place).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high.replace(second=0, microsecond=0))
        at = following
    return found


def instants(zone: str) -> list[datetime]:
    near = [turn + timedelta(minutes=minutes) for turn in turns(zone) for minutes in range(-180, 181, 20)]
    return [*near, *(START + timedelta(hours=1117 * n, milliseconds=n) for n in range(150))]


def shown_twice_and_first(instant: datetime, zone: str) -> bool:
    local = instant.astimezone(ZoneInfo(zone))
    other = local.replace(fold=1 - local.fold)
    return local.fold == 0 and other.utcoffset() != local.utcoffset()


@pytest.mark.parametrize("zone", ZONES)
def test_local_times_are_restored_except_the_first_of_an_ambiguous_hour(database: Database, zone: str) -> None:
    source = column("timestamp without time zone")
    values = instants(zone)
    down = down_of("local_time", source, "timestamp with time zone", zone)
    with session(database) as connection:
        found = there_and_back(connection, values, "timestamptz", lambda _: down,
                               lambda raw: up("local_time", raw, source, "timestamptz", zone))  # fmt: skip
    assert_none_wrong(found)
    lost = {value for value, (_, back, _) in zip(values, found, strict=True) if back is None}
    assert lost == {value for value in values if shown_twice_and_first(value, zone)}


@pytest.mark.parametrize(
    "kind", ["timestamp without time zone", "timestamp(3) without time zone", "timestamp with time zone"]
)
def test_instants_of_utc_come_back_to_the_digit_that_the_source_holds(database: Database, kind: str) -> None:
    source = column(kind)
    values: list[object] = [
        *instants("America/New_York"),
        "infinity",
        "-infinity",
        "1582-10-15 00:00+00",
        "0044-03-15 12:00+00 BC",
    ]
    with session(database) as connection:
        down = down_of("utc", source, "timestamp with time zone")
        assert_all_back(
            there_and_back(
                connection,
                values,
                "timestamptz",
                lambda _: down,
                lambda raw: up("utc", raw, source, "timestamptz"),
            )
        )
        ((_, back, _),) = there_and_back(
            connection, ["2024-01-01 23:59:59.999999+00"], "timestamptz", lambda _: down, lambda raw: raw
        )
    assert back is not None
    assert back.startswith("2024-01-01 23:59:59.999" + ("" if "(3)" in kind else "999"))


def test_an_instant_is_a_date_only_at_midnight(database: Database) -> None:
    source = column("date")
    with session(database) as connection:
        down = down_of("utc", source, "timestamp with time zone")
        values = ["2024-03-10 00:00+00", "2024-03-10 00:00:00.000001+00", "2024-03-10 05:00+00", "infinity"]
        found = there_and_back(
            connection, values, "timestamptz", lambda _: down, lambda raw: up("utc", raw, source, "timestamptz")
        )
    assert [back for _, back, _ in found] == ["2024-03-10", None, None, "infinity"]
    assert_none_wrong(found)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "kind", ["date", "timestamp(3) without time zone", "timestamp without time zone", "timestamp with time zone"]
)
def test_days_come_back_whatever_the_clock_does_at_midnight(database: Database, kind: str, zone: str) -> None:
    source = column(kind)
    around = {(turn + timedelta(days=n)).date() for turn in turns(zone) for n in (-1, 0, 1)}
    values: list[object] = [*sorted(around | {date(2000, 1, 1) + timedelta(days=37 * n) for n in range(250)})]
    values += ["infinity", "-infinity"]
    down = down_of("local_day", source, "date", zone)
    with session(database) as connection:
        found = there_and_back(
            connection,
            values,
            "date",
            lambda _: down,
            lambda raw: up("local_day", raw, source, "date", zone),
        )
    assert_none_wrong(found)
    lost = [value for value, (_, back, _) in zip(values, found, strict=True) if back is None]
    # Samoa went over the date line, and had no 30 December 2011.
    assert lost == ([date(2011, 12, 30)] if (zone, kind) == ("Pacific/Apia", "timestamp with time zone") else [])


@pytest.mark.parametrize("kind", ["timestamp without time zone", "timestamp with time zone"])
def test_days_beyond_timestamps_have_no_reverse_value(database: Database, kind: str) -> None:
    source = column(kind)
    down = down_of("local_day", source, "date", "Pacific/Kiritimati")
    with session(database) as connection:
        found = there_and_back(
            connection,
            ["294277-01-05", "5000000-01-01", "4713-01-01 BC"],
            "date",
            lambda _: down,
            lambda raw: f"{raw}::date",
        )
    assert [back for _, back, _ in found] == [None, None, None]


TIMES = [("timestamp with time zone", "text"), ("timestamp without time zone", "text"), ("date", "text"), ("timestamp with time zone", "date"),
         ("timestamp with time zone", "timestamp(0) without time zone"), ("timestamp without time zone", "timestamp with time zone"),
         ("timestamp without time zone", "date"), ("timestamp(6) without time zone", "timestamp(2) without time zone")]  # fmt: skip


@pytest.mark.parametrize(("target", "source"), TIMES)
def test_times_of_another_type_are_restored_exactly_or_kept(database: Database, target: str, source: str) -> None:
    down = casts.back("t.value", column(target), column(source), (), 150000)
    values = [
        f"2024-0{1 + n % 9}-1{n % 8} {n % 24:02}:{7 * n % 60:02}:{n % 60:02}.{n % 4 * 250:03}" for n in range(200)
    ]
    values += ["2024-03-10 00:00:00", "2024-02-29 00:00:00"]
    up = casts.cast("s.value", column(source), column(target), (), 150000)
    with session(database) as connection:
        found = there_and_back(connection, values, target, lambda _: down, lambda _: up)
    whole = [each for each in found if "(0)" not in source and "(2)" not in source]
    assert_none_wrong(whole)
    assert_all_back(found[-2:])
