"""Transforms of dates and times give what the oracle wants, or refuse."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.mapping import casts
from tests.conftest import Database
from tests.integration.derivation.transforms_world import (
    ANY,
    assert_same,
    column,
    computed,
    database_each,
    pg_text,
    session,
    up,
)

__all__ = ["database_each"]


# -- dates and times ----------------------------------------------------------------------------------------------------

ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Phoenix",
    "Asia/Kathmandu",
)
EDGES = (
    *("2024-03-10 02:30:00", "2024-03-10 01:59:59.999999", "2024-03-10 03:00:00"),  # New York's gap
    *("2024-11-03 01:30:00", "2024-11-03 00:59:59", "2024-11-03 02:00:00"),  # and its overlap
    *("2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-10-06 02:15:00", "2024-04-07 01:45:00"),  # Berlin, Lord Howe
    *("2024-03-10 00:00:00", "2024-03-10 00:00:00.000001", "2024-12-31 23:59:59.999999", "2024-02-29 04:59:59"),
)
moments = st.one_of(
    st.datetimes(datetime(1970, 1, 2), datetime(2037, 12, 30)),
    st.dates(date(1970, 1, 2), date(2037, 12, 30)).map(lambda day: datetime.combine(day, time())),
    st.sampled_from([datetime.fromisoformat(text) for text in EDGES]),
)


def instant(wall: datetime, zone: str) -> datetime:
    """In a gap the clock from before it holds, in an overlap the one after."""
    first, second = (wall.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    offsets = first.utcoffset(), second.utcoffset()
    assert offsets[0] is not None
    assert offsets[1] is not None
    return (second if offsets[0] > offsets[1] else first).astimezone(UTC)


def test_days_and_walls_and_instants_are_those_of_the_zone(database_each: Database) -> None:
    wall, aware, day = column("timestamp without time zone"), column("timestamp with time zone"), column("date")
    zone = "s.value[2]"
    stamp, stamptz, plain = "s.value[1]::timestamp", "s.value[1]::timestamptz", "s.value[1]::date"

    def made(_: str) -> str:
        return (
            f"array[({up('local_day', stamp, wall, 'date', zone)})::text,"
            f" ({up('local_day', stamptz, aware, 'date', zone)})::text,"
            f" ({up('local_day', plain, day, 'date', zone)})::text,"
            f" ({up('local_time', stamp, wall, 'timestamptz', zone)} at time zone 'UTC')::text,"
            f" ({up('local_time', plain, day, 'timestamptz', zone)} at time zone 'UTC')::text,"
            f" ({up('utc', stamp, wall, 'timestamptz')} at time zone 'UTC')::text,"
            f" ({up('utc', plain, day, 'timestamptz')} at time zone 'UTC')::text,"
            f" ({casts.cast(stamptz, aware, wall, (), 150000)})::text,"
            f" ({casts.cast(stamp, wall, aware, (), 150000)} at time zone 'UTC')::text]"
        )

    def want(moment: datetime, name: str, session_zone: ZoneInfo) -> list[str]:
        at_utc = moment.replace(tzinfo=UTC)
        # A text without an offset is an instant by the session's zone: that is the test's own cast, not the transform's.
        by_session = moment.replace(tzinfo=session_zone)
        return [
            str(moment.date() if moment.time() == time() else at_utc.astimezone(ZoneInfo(name)).date()),
            str(by_session.astimezone(ZoneInfo(name)).date()),
            str(moment.date()),
            shown(instant(moment, name)),
            shown(instant(datetime.combine(moment.date(), time()), name)),
            shown(at_utc),
            shown(datetime.combine(moment.date(), time())),
            shown(by_session.astimezone(UTC)),
            shown(at_utc),
        ]

    def shown(moment: datetime) -> str:
        text = moment.replace(tzinfo=None).isoformat(" ")
        return text.rstrip("0") if "." in text else text

    with session(database_each) as connection:
        here = ZoneInfo("Pacific/Kiritimati")

        @ANY
        @given(st.lists(st.tuples(moments, st.sampled_from(ZONES)), min_size=20, max_size=150))
        def holds(values: list[tuple[datetime, str]]) -> None:
            sent = ["{" + f'"{moment.isoformat(" ")}","{name}"' + "}" for moment, name in values]
            assert_same(values, computed(connection, made, sent, "text[]"), [want(m, z, here) for m, z in values])

        holds()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_the_ends_of_time_are_carried(database_each: Database, zone: str) -> None:
    values = [
        "infinity",
        "-infinity",
        "0001-01-01 00:00:00",
        "0001-01-02 12:00:00",
        "9999-12-31 00:00:00",
        "9999-12-30 12:00:00",
    ]
    wall = column("timestamp without time zone")
    with session(database_each) as connection:
        got = computed(
            connection,
            lambda raw: f"({up('local_day', raw, wall, 'date', repr(zone))})::text",
            values,
            "timestamp",
        )
        assert got == ["infinity", "-infinity", "0001-01-01", "0001-01-02", "9999-12-31", "9999-12-30"]
        for make in (
            up("utc", "s.value", wall, "timestamptz"),
            up("local_time", "s.value", wall, "timestamptz", repr(zone)),
        ):
            sql = f"({make} at time zone '{zone}')::text"
            got = computed(connection, lambda _, sql=sql: sql, values, "timestamp")  # type: ignore[misc]
            assert got[:2] == ["infinity", "-infinity"]
            assert all(text is not None for text in got)


def test_texts_become_dates_and_times_in_iso_form_alone(database_each: Database) -> None:
    days = st.one_of(
        # Python's calendar ends with the years 1 and 9999, also for an instant with an offset.
        st.dates(date(2, 1, 1), date(9998, 12, 31)).map(date.isoformat),
        st.builds("{:04}-{:02}-{:02}".format, st.integers(2, 9998), st.integers(0, 13), st.integers(0, 32)),
        st.sampled_from(["2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "0000-01-01", "0004-02-29", "2024-2-9", "today",
                         "now", "infinity", "01/02/2024", "20240102", "2024-01-02 BC", " 2024-01-02", "２024-01-02"]),
    )  # fmt: skip
    clocks = st.one_of(
        st.times().map(time.isoformat),
        st.builds("{:02}:{:02}:{:02}".format, st.integers(0, 25), st.integers(0, 61), st.integers(0, 61)),
        st.sampled_from(["12:30", "24:00", "12:30:00.1234567", "12:30:00.1230000", "12", "12:30 PM", "12:30:00."]),
    )
    values = st.one_of(
        days, clocks, pg_text,
        st.builds("{}{}{}{}".format, days, st.sampled_from([" ", "T", "  ", ""]), clocks,
                  st.sampled_from(["", "", "Z", "+02", "-05:30", "+0530", "+16", " UTC", "+2"])),
    )  # fmt: skip
    names = ("date", "time without time zone", "timestamp without time zone", "timestamp with time zone")

    def made(raw: str) -> str:
        texts = [f"({casts.cast(raw, column('text'), column(name), (), 150000)})" for name in names]
        return f"array[{texts[0]}::text, {texts[1]}::text, {texts[2]}::text, ({texts[3]} at time zone 'UTC')::text]"

    with session(database_each) as connection:

        @ANY
        @given(st.lists(values, min_size=20, max_size=150))
        def holds(sent: list[str]) -> None:
            assert_same(sent, computed(connection, made, sent), map(want_moments, sent))

        holds()


CLOCK = r"\d\d:\d\d(:\d\d(\.\d{1,6}0*)?)?"


def want_moments(text: str) -> list[str | None]:
    """By Python's own reader of ISO 8601, for texts of the four shapes."""

    def read(shape: str, offset: bool | None) -> datetime | None:
        found = re.fullmatch(shape, text, re.ASCII)
        if found is None:
            return None
        given = text if ":" in text else text + " 00:00"
        given = re.sub(r"(\.\d{6})\d+", r"\1", given)
        given = given if re.match(r"\d{4}-", given) else "2000-01-01 " + given
        try:
            made = datetime.fromisoformat(given)
        except ValueError:
            return None
        if offset and abs(made.utcoffset() or timedelta()) >= timedelta(hours=15):
            return None
        return made.astimezone(UTC).replace(tzinfo=None) if offset else made

    def shown(moment: datetime | None) -> str | None:
        if moment is None:
            return None
        made = moment.isoformat(" ")
        return made.rstrip("0") if "." in made else made

    day = read(r"\d{4}-\d\d-\d\d", None)
    clock = read(CLOCK, None)
    clock_text = shown(clock)
    wall = read(rf"\d{{4}}-\d\d-\d\d([T ]{CLOCK})?", None)
    aware = read(rf"\d{{4}}-\d\d-\d\d[T ]{CLOCK}(Z|[-+]\d\d(:?\d\d)?)", True)
    return [
        None if day is None else str(day.date()),
        clock_text and clock_text.split(" ")[1],
        shown(wall),
        shown(aware),
    ]
