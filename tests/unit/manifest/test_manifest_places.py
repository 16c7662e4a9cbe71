"""Every key of a TOML file is found on the line where it is written, whatever stands around it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.migration import MANIFEST
from tenantry.manifest.positions import Key, Places, written

STRANGE = (
    r'''
a.b = 1 # c = 2
"quo\"ted" . 'lite ral' = [ # [x]
  "]", ']', """
  no.key = 1
  [no.table]
""", { inner = { deep = [1, 2] }, other = "}" },
  # comment = 1
  [ 1,
    2 ]
]
text = """ \""" [a] """"
more = '''
    + "''' [b]\n c = 1 '''"
    + r"""
date = 1979-05-27T07:32:00Z
[ table . "sub table" ]
key = 1
[[list]]
name = 1
[list.inner]
x = 1
[[list.many]]
y = 1
[[list.many]]
y = 2
[[list]]
name = 2
[list."]"]
z = 1
"""
)


def paths(value: object, key: Key = ()) -> Iterator[Key]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield (*key, name)
            yield from paths(inner, (*key, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield (*key, place)
            yield from paths(inner, (*key, place))


@pytest.mark.parametrize("text", [STRANGE, MANIFEST.read_text(encoding="utf-8")], ids=["strange", "clinic"])
def test_a_keys_line_is_correct(text: str) -> None:
    places = Places("f", text)
    lines = text.split("\n")
    for path in paths(tomllib.loads(text)):
        if isinstance(path[-1], str):
            assert path[-1].replace('"', '\\"') in lines[places.line(path) - 1], path


def test_elements_of_lists_and_repeated_tables_have_lines_of_their_own() -> None:
    places = Places("f", STRANGE)
    want: dict[Key, str] = {
        ('quo"ted', "lite ral", 0): '"]"',
        ('quo"ted', "lite ral", 3): "inner",
        ('quo"ted', "lite ral", 3, "inner", "deep", 1): "inner",
        ('quo"ted', "lite ral", 4, 1): "2 ]",
        ("list", 0, "name"): "name = 1",
        ("list", 0, "many", 1, "y"): "y = 2",
        ("list", 1, "name"): "name = 2",
        ("list", 1, "]", "z"): "z = 1",
        ("list", 1, "none"): "[[list]]",
        ("none", "of", "it"): "",
    }
    lines = STRANGE.split("\n")
    for path, piece in want.items():
        assert piece in lines[places.line(path) - 1], path
    assert places.line(("list", 1)) > places.line(("list", 0))


@given(st.text(max_size=80))
def test_no_text_makes_the_scanner_fail_or_hang(text: str) -> None:
    assert Places("f", text).line(("a",)) >= 1


def test_a_key_is_written_as_one_would_write_it() -> None:
    assert written(("tables", "my table", "tenant", 0)) == 'tables."my table".tenant[0]'
    assert written(('a"b', "c")) == '"a\\"b".c'
