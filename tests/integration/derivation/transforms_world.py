"""Values computed by the server, and what the oracle in Python wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tenantry.catalog import Column
from tenantry.catalog.table import TypeKind
from tenantry.mapping.transform import Between
from tenantry.mapping.transforms import transforms
from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, fresh_database, running_server, version_parameters

ANY = settings(
    max_examples=12,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""Few examples, of many values each: a value costs a row, an example a query. A failure lists the values, unshrunk."""

Make = Callable[[str], str]
"""From the SQL of a raw value to that of the transformed one."""


@pytest.fixture(scope="module")
def database(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    with fresh_database(running_server(servers, 18)) as made:
        yield made


@pytest.fixture(scope="module", params=version_parameters())
def database_each(servers: dict[int, EmbeddedServer], request: pytest.FixtureRequest) -> Iterator[Database]:
    """One for all tests: what they create has names of its own."""
    with fresh_database(running_server(servers, request.param)) as made:
        yield made


@contextmanager
def session(database: Database) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection whose own time zone and float digits must not matter."""
    with database.connect() as connection:
        connection.execute("set timezone = 'Pacific/Kiritimati'")
        yield connection


def computed(
    connection: psycopg.Connection[tuple[Any, ...]], make: Make, values: Sequence[object], source: str = "text"
) -> list[Any]:
    """What the SQL makes of each value, in one statement."""
    expression = make("s.value").replace("%", "%%")
    rows = connection.execute(
        f"select {expression} from unnest(%s::text[]) with ordinality as u (value, place)"
        f" cross join lateral (select value::{source}) as s (value) order by place".encode(),
        [[None if value is None else str(value) for value in values]],
    )
    return [row[0] for row in rows]


def assert_same(values: Iterable[object], got: Iterable[object], want: Iterable[object]) -> None:
    wrong = [
        f"{value!r}: got {made!r}, want {expected!r}"
        for value, made, expected in zip(values, got, want, strict=True)
        if made != expected or (made is None) != (expected is None)
    ]
    assert wrong == [], "\n".join(wrong[:20])


def column(type_name: str, kind: TypeKind = "base", **more: Any) -> Column:
    return Column("value", type_name, kind, **{"type_name": type_name, **more})


def up(name: str, raw: str, source: Column, target: str, zone: str = "'UTC'") -> str:
    """What a transform makes of a value.

    Args:
        zone: SQL.
    """
    return transforms()[name].up(raw, Between(source, column(target), zone))


digits = st.text("0123456789", min_size=1, max_size=14)
pieces = st.tuples(
    st.sampled_from(["", "", "", " ", "\u00a0", "\t "]),
    st.sampled_from(["", "", "", "-", "+", "$", "-$", "$-", "$ ", "- ", "(", "($", "$(", "--", "(-", "€"]),
    st.one_of(digits, st.builds("{:,}".format, st.integers(0, 10**15)), st.just("")),
    st.one_of(
        st.just(""), st.just("."), st.builds(".{}".format, digits), st.builds(".{}00".format, st.integers(0, 99))
    ),
    st.sampled_from(["", "", "", "%", ")", "%)", ")%", " %", "-", " ", "e5", "\u00a0", " )"]),
).map("".join)
pg_text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
near_numbers = st.text("0123456789.,$%()+- \t\n\u00a0eENaIf٣５", max_size=20)
texts = st.lists(st.one_of(pieces, pieces, near_numbers, pg_text), min_size=20, max_size=150)
