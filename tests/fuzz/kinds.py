"""Kinds of plain columns: what the source holds, what the target holds of it, and the way back, all of it as texts.

A text is what PostgreSQL prints of a value (TimeZone UTC, ISO dates). What becomes of a text is worked out here, in Python, as
docs/reference/transforms.md states it, and by nothing of Tenantry's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import Enum
from random import Random


class Fate(Enum):
    """What is said of a value in place of a text."""

    INVALID = "value_invalid"
    """It cannot be read: the row goes to the quarantine."""
    STAYS = "kept"
    """There is no way back: the source keeps what it has, and the cell is listed."""


Read = Callable[[str | None], "str | Fate | None"]


def _same(text: str | None) -> str | None:
    return text


@dataclass(frozen=True)
class Kind:
    """A kind of column.

    Attributes:
        source, target: types; `{enum}` stands for an enum's name, in the schema that the column is in.
        values: literals for the source, as texts that its type reads.
        news: texts for writes of the target; those of `values` where there is none.
        rule: the column's rule in the manifest, without `from`; `{s}` stands for the source's column, `{t}` for the target's.
        up, down: there and back. Both get and give what PostgreSQL prints.
        enum: labels of an enum, which each side has as a type of its own.
        domain: what the domain is made of, likewise.
        server: how the server itself fills the source's column; nobody writes it, and what the target says of it stays there.
        check: a condition of the target over `{t}`; what breaks it is among `broken`.
    """

    name: str
    source: str
    values: tuple[str, ...]
    target: str = ""
    news: tuple[str, ...] = ()
    rule: Mapping[str, object] = field(default_factory=dict)
    up: Read = _same
    down: Read = _same
    enum: tuple[str, ...] = ()
    domain: str = ""
    server: str = ""
    fixed: str = ""
    """What the server always fills in."""
    check: str = ""
    broken: tuple[str, ...] = ()

    def give(self, rng: Random) -> str:
        return rng.choice(self.values)

    def new(self, rng: Random) -> str:
        return rng.choice(self.news or self.values)


LONG = "long " * 60
TEXTS = (
    "", " ", "plain", "it's", 'say "so"', "100%", "%s %(x)s {y} $1", "back\\slash", "Größe 42 ✓", "two\nlines", "tab\there", "null",
    "NULL", "\\N", LONG, "{a,b}", "[]", "é" * 5, "  padded  ",
)  # fmt: skip


def _number(text: str | None) -> str | Fate | None:
    """Text with `as = "number"` into numeric(14,2), for the texts below alone."""
    if text is None or not text.strip():
        return None
    known = {"1,546.27": "1546.27", " $ 1,322.35 ": "1322.35", "(459.08)": "-459.08", "-77%": "-0.77"}
    if text in known:
        return known[text]
    try:
        value = Decimal(text)
    except InvalidOperation:
        return Fate.INVALID
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or value.adjusted() > 11 or value.normalize().as_tuple().exponent < -2:  # type: ignore[operator]
        return Fate.INVALID
    return f"{value:.2f}"


def _digits(text: str | None) -> str | None:
    """Back from numeric(14,2): its digits, without zeros behind the last."""
    if text is None:
        return None
    return text.rstrip("0").rstrip(".") if "." in text else text


def _boolean(text: str | None) -> str | Fate | None:
    word = (text or "").strip().lower()
    if not word:
        return None
    if word in {"true", "t", "yes", "y", "on", "1"}:
        return "true"
    return "false" if word in {"false", "f", "no", "n", "off", "0"} else Fate.INVALID


def _mapped(words: Mapping[str, str]) -> Read:
    def read(text: str | None) -> str | Fate | None:
        if text is None:
            return None
        return words.get(text, Fate.INVALID)

    return read


def _unmapped(words: Mapping[str, str]) -> Read:
    def read(text: str | None) -> str | Fate | None:
        if text is None:
            return None
        return next((old for old, new in words.items() if new == text), Fate.STAYS)

    return read


def _zoned(text: str | None) -> str | None:
    return text if text is None or "infinity" in text else f"{text}+00"


def _unzoned(text: str | None) -> str | None:
    return text if text is None else text.removesuffix("+00")


def _small(text: str | None) -> str | Fate | None:
    return text if text is None or -32768 <= int(text) <= 32767 else Fate.INVALID


def _short(length: int) -> Read:
    def read(text: str | None) -> str | Fate | None:
        return text if text is None or len(text) <= length else Fate.INVALID

    return read


def _labels(labels: tuple[str, ...]) -> Read:
    def read(text: str | None) -> str | Fate | None:
        return text if text is None or text in labels else Fate.INVALID

    return read


def _stays(_text: str | None) -> Fate:
    return Fate.STAYS


_MOODS = ("good", "so so", "it's 'bad'", "Ünlucky", "100%")
_STATES = {"on": "active", "off": "paused", "?": "unknown"}

KINDS: tuple[Kind, ...] = (
    Kind("text", "text", TEXTS),
    Kind("varchar", "varchar(400)", TEXTS),
    Kind("char", "char(6)", ("a", "abc", "", "ünë"), down=_same),
    Kind("integer", "integer", ("0", "1", "-1", "2147483647", "-2147483648")),
    Kind("bigint", "bigint", ("0", "9223372036854775807", "-9223372036854775808")),
    Kind("smallint", "smallint", ("0", "32767", "-32768")),
    Kind("numeric", "numeric", ("0", "1.500", "-0.0000001", "NaN", "Infinity", "9" * 40, "1.0")),
    Kind("money_like", "numeric(12,2)", ("0.00", "1.50", "-9999999999.99")),
    Kind("real", "real", ("0", "1.5", "NaN", "-Infinity", "3.4028235e+38", "1e-45")),
    Kind("double", "double precision", ("0", "-0", "0.1", "NaN", "Infinity", "5e-324", "1.7976931348623157e+308")),
    Kind("boolean", "boolean", ("true", "false")),
    Kind("date", "date", ("2024-02-29", "infinity", "-infinity", "0001-01-01", "9999-12-31", "0044-03-15 BC")),
    Kind("time", "time", ("00:00:00", "24:00:00", "12:34:56.789012")),
    Kind("timetz", "timetz", ("00:00:00+00", "12:34:56.789012-03:30")),
    Kind("timestamp", "timestamp", ("2024-03-10 02:30:00", "infinity", "1999-12-31 23:59:59.999999", "0001-01-01 00:00:00 BC")),
    Kind("timestamptz", "timestamptz", ("2024-03-10 02:30:00+05", "-infinity", "1999-12-31 23:59:59.999999+00")),
    Kind("interval", "interval", ("1 mon", "30 days", "720:00:00", "-1 year 2 mons -3 days", "00:00:00", "1.000001 s")),
    Kind("uuid", "uuid", ("00000000-0000-0000-0000-000000000000", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")),
    Kind("bytea", "bytea", ("\\x", "\\x00ff", "\\x" + "ab" * 300)),
    Kind("json", "json", ('{"a": 1, "a": 2}', "null", ' [1,  2] ', '"text"', '{"b":"ü","a":"\\u00fc"}')),
    Kind("jsonb", "jsonb", ('{"a": 1, "b": [null, 1.50]}', "null", "[]", '"%s"', "1e3")),
    Kind("integers", "integer[]", ("{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={1,2}")),
    Kind("texts", "text[]", ("{}", '{a,"b c",NULL,"NULL","",it\'s}', '{{a},{b}}', '{"\\"","\\\\"}')),
    Kind("inet", "inet", ("10.0.0.1", "10.0.0.0/8", "::1")),
    Kind("macaddr", "macaddr", ("08:00:2b:01:02:03",)),
    Kind("range", "int4range", ("empty", "[1,5)", "(,5)", "[1,)", "(,)")),
    Kind("time_range", "tstzrange", ('["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")', "empty")),
    Kind("multirange", "int4multirange", ("{}", "{[1,3),[5,7)}")),
    Kind("bits", "bit varying(9)", ("", "101", "111111111")),
    Kind("tsvector", "tsvector", ("'a' 'b':2", "")),
    Kind("point", "point", ("(1,2)", "(0,-0.5)")),
    Kind("domain", "{domain}", ("0", "41"), domain="integer check (value >= 0)"),
    Kind("enum", "{enum}", _MOODS, enum=_MOODS),
    Kind("label", "text", (*_MOODS[:3], "no such label"), target="{enum}", enum=_MOODS, up=_labels(_MOODS), news=_MOODS),
    Kind("narrowed", "integer", ("7", "32767", "40000"), target="smallint", up=_small, news=("5", "-1")),
    Kind("shortened", "text", ("", "abc", "a longer one", "ünë"), target="varchar(5)", up=_short(5), news=("new", "")),
    Kind("widened", "integer", ("0", "-2147483648"), target="bigint", news=("3", "4")),
    Kind("number", "text", ("12", "1,546.27", " $ 1,322.35 ", "(459.08)", "-77%", "twelve", "1e400", "12.500"),
         target="numeric(14,2)", rule={"as": "number"}, up=_number, down=_digits, news=("1.50", "-7.00", "1000000.25")),
    Kind("switch", "text", ("yes", "No", "1", "off", "perhaps", " t "), target="boolean", rule={"as": "boolean"},
         up=_boolean, news=("true", "false")),
    Kind("moment", "timestamp", ("2024-03-10 02:30:00", "2000-01-01 00:00:00.5", "infinity"), target="timestamptz", rule={"as": "utc"},
         up=_zoned, down=_unzoned, news=("2020-02-02 02:02:02+00",)),
    Kind("state", "text", ("on", "off", "?", "odd"), target="text",
         rule={"map": _STATES},
         up=_mapped(_STATES), down=_unmapped(_STATES), news=("active", "paused", "unknown", "none of them")),
    Kind("enums", "{enum}[]", ("{}", "{good,NULL}", "{\"so so\",good,100%}", "{\"it's 'bad'\"}"), enum=_MOODS),
    Kind("computed", "integer", ("42",), news=("42", "43"), down=_stays, server="generated always as (40 + 2) stored", fixed="42"),
    Kind("counter", "integer", (), news=("7", "1000000"), down=_stays, server="generated always as identity"),
    Kind("checked", "integer", ("0", "100", "7", "-1", "101"), news=("3", "99"), check="{t} between 0 and 100", broken=("-1", "101")),
    Kind("tally", "integer", ("0", "3"), news=("5", "6")),
    Kind("role", "text", ("member", "admin")),
    Kind("shout", "text", ("a", "b c", "x%y"), target="text", rule={"up": "upper({s})"},
         up=lambda text: None if text is None else text.upper(), down=_stays, news=("NEW", "OTHER")),
    Kind("there_and_back", "text", ("a", "b'c", ""), target="text", rule={"up": "{s} || '!'", "down": "left({t}, -1)"},
         up=lambda text: None if text is None else f"{text}!",
         down=lambda text: None if text is None else text[:-1], news=("new!", "it's!")),
)  # fmt: skip

BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}
