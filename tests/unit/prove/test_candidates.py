"""The server is asked about a value only where its answer is in doubt."""

from __future__ import annotations

import pytest

from tenantry.prove.fixtures.candidates import surely_cast


@pytest.mark.parametrize(
    ("type_name", "sure", "doubtful"),
    [
        ("text", ("", "proof 1", "{"), ()),
        ("smallint", ("1", "-1", "2001"), ("", "32768", "99999", "1.5", "true", "١")),
        ("date", ("2001-01-01", "2004-02-29"), ("", "2001-02-29", "2001-13-01", "today", "infinity")),
        ("timestamp with time zone", ("2001-01-01 00:00Z", "2007-05-06 12:00Z"), ("2001-02-30 12:00Z", "1 day")),
        ("character varying(5)", (), ("proof 1",)),
        ("app.email", (), ("proof@example.invalid",)),
    ],
)
def test_values_that_every_server_accepts_are_known(
    type_name: str, sure: tuple[str, ...], doubtful: tuple[str, ...]
) -> None:
    assert [value for value in (*sure, *doubtful) if surely_cast(type_name, value)] == list(sure)
