"""JSON that clients wrote is read, or kept as text, and never ends a command."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tenantry.postgres.json_text import read_json

DEEP = "[" * 3000 + "]" * 3000


@pytest.mark.parametrize(
    "text", ["1", "null", '"a"', "[]", "{}", '{"a": [1, 2.5, {"b": "x,]}:\\""}], "c": null}', " [ 1 , [ ] ] "]
)
def test_what_python_reads_is_read_alike(text: str) -> None:
    assert read_json(text) == read_json(text.encode()) == json.loads(text)


def test_what_python_refuses_stays_whole() -> None:
    many = "7" * 10_000
    assert read_json(f'{{"n": {many}, "m": 1e400}}') == {"n": Decimal(many), "m": Decimal("1e400")}
    assert read_json(f'{{"id": 4, "e\\"]": {DEEP}, "x": "[[", "y": [{{"z": 1}}]}}') == {
        "id": 4, 'e"]': DEEP, "x": "[[", "y": [{"z": 1}],
    }  # fmt: skip
    assert read_json(f'[1, {DEEP}, "a"]') == [1, DEEP, "a"]
    assert read_json(DEEP) == [DEEP[1:-1]]
    assert read_json('"' + "[" * 500 + '"') == "[" * 500
    assert read_json('{"a": 1.10}', parse_float=Decimal) == {"a": Decimal("1.10")}
