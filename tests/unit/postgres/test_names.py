"""Names that are not in use yet."""

from __future__ import annotations

import pytest

from tenantry.postgres import free_name


@pytest.mark.parametrize(
    ("wanted", "taken", "options", "found"),
    [
        ("role", [], {}, "role"),
        ("role", ["role", "role_2"], {}, "role_3"),
        ("table-Users", ["table-users"], {"mark": "-", "fold": str.lower}, "table-Users-2"),
        ("x" * 70, [], {"limit": 63}, "x" * 63),
        ("x" * 70, ["x" * 63], {"limit": 63}, "x" * 59 + "_2"),
    ],
)
def test_a_taken_name_gets_the_first_free_number(
    wanted: str, taken: list[str], options: dict[str, object], found: str
) -> None:
    assert free_name(wanted, taken, **options) == found  # type: ignore[arg-type]
