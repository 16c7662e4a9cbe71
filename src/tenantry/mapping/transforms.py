"""Built-in column transforms as SQL: an expression that is null where the value is invalid, and never raises.

Each takes the SQL of a raw value that is neither null nor blank. Accepted forms are stated at each function and in
docs/reference/transforms.md; anything else is invalid, never guessed. Digits beyond the target's scale make a value
invalid: nothing is rounded away. Patterns name ASCII digits and a fixed set of blanks, since what `\\d` and `\\s` mean
depends on the database's locale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tenantry.catalog import Column as CatalogColumn
from tenantry.postgres import literal, literals

_NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
_TEXT = frozenset({"text", "character varying", "character", "citext", "bpchar"})
_INTEGERS = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
# Numbers of this many digits (before the point, behind it) are exact in a binary float, and far from its limits.
_FLOATS = {"real": (4, 2), "double precision": (9, 6)}
FLOATS = frozenset(_FLOATS)
NUMBERS = frozenset({*_INTEGERS, *_FLOATS, "numeric"})
LONGEST = 255
"""Bytes of a text that may be a number, blanks included: no number of this length overflows numeric or a float."""

_BLANKS = " \t\r\n\u00a0"
_BLANK = r"[ \t\r\n\u00a0]*"
TRUE_WORDS = ("true", "t", "yes", "y", "on", "1")
FALSE_WORDS = ("false", "f", "no", "n", "off", "0")
EMAIL_LENGTH = 254
# The form that HTML's input type=email accepts, with at least one dot in the domain and no dots side by side.
EMAIL_PATTERN = (
    r"^[a-z0-9!#$%&''*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&''*+/=?^_`{|}~-]+)*"
    r"@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$"
)


# -- types -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """Digits before and after the point that a numeric type holds for certain; None: no limit."""

    whole: int | None
    scale: int | None


def base_type(name: str) -> str:
    """A type's name without its modifier: 'numeric(14,2)' → 'numeric'."""
    return re.sub(r"\(.*?\)", "", name).strip()


def is_text(column: CatalogColumn) -> bool:
    return base_type(column.type) in _TEXT or column.type_name == "citext"


def is_number(column: CatalogColumn) -> bool:
    return base_type(column.type) in NUMBERS


def text_length(type_name: str) -> int | None:
    """The characters that a text type holds; None: no limit, or no text."""
    found = re.fullmatch(r"(?:character varying|character)\((\d+)\)", type_name)
    return int(found[1]) if found else None


def precision(type_name: str) -> int:
    """Digits of a second's fraction that a time or timestamp type holds."""
    found = re.search(r"\((\d+)\)", type_name)
    return int(found[1]) if found else 6


def numeric_limits(type_name: str) -> Limits:
    if found := _NUMERIC.fullmatch(type_name):
        total, scale = int(found[1]), int(found[2])
        return Limits(total - scale, scale)
    if base_type(type_name) in _INTEGERS:
        return Limits(len(str(_INTEGERS[base_type(type_name)][1])) - 1, 0)
    if base_type(type_name) in _FLOATS:
        return Limits(*_FLOATS[base_type(type_name)])
    return Limits(None, None)


def plain_source(source: CatalogColumn, raw: str) -> str:
    """The raw value under rules that no collation bends: patterns refuse nondeterministic ones, citext folds case."""
    if is_text(source) and (source.collation is not None or base_type(source.type) not in _TEXT - {"citext"}):
        return f'{raw}::text collate "C"'
    return raw


# -- texts -----------------------------------------------------------------------------------------------------------


def trimmed(raw: str) -> str:
    return f"btrim({raw}, {_unicode(_BLANKS)})"


def trim(raw: str, type_name: str) -> str:
    """Without blanks at both ends; invalid where it is longer than the type."""
    return _no_longer(trimmed(raw), type_name)


def folded(raw: str) -> str:
    """Trimmed, and A to Z in lower case, whatever the database's locale makes of other letters."""
    return f'lower({trimmed(raw)} collate "C")'


def email(raw: str, type_name: str) -> str:
    """Trimmed and lower-cased; the form that HTML's e-mail field accepts, at most 254 characters."""
    value = folded(raw)
    longest = min(text_length(type_name) or EMAIL_LENGTH, EMAIL_LENGTH)
    return (
        f"case when octet_length({trimmed(raw)}) <= {longest} and {value} ~ '{EMAIL_PATTERN}'"
        f" then {value}::{type_name} end"
    )


def boolean(raw: str) -> str:
    """true, t, yes, y, on, 1 and false, f, no, n, off, 0; in any case, blanks around ignored."""
    word = folded(raw)
    return f"case when {word} in ({literals(TRUE_WORDS)}) then true when {word} in ({literals(FALSE_WORDS)}) then false end"


def _no_longer(value: str, type_name: str) -> str:
    length = text_length(type_name)
    if length is None:
        return f"{value}::{type_name}"
    return f"case when length({value}::text) <= {length} then {value}::{type_name} end"


def _unicode(text: str) -> str:
    return "E'" + "".join(f"\\u{ord(char):04x}" for char in text) + "'"


# -- numbers ---------------------------------------------------------------------------------------------------------


def number(
    raw: str, type_name: str, *, currency: bool = True, percent: bool = True, grouped: bool = True, whole: bool = False
) -> str:
    """`1546.27` `1,546.27` ` $ 1,322.35 ` `-$459.08` `$-459.08` `(459.08)` `+3` `.5` and, with percent, `-77%` → -0.77.

    The plain form comes first, since it is what most values have; anything else is read as numeric and then compared
    with what the type holds.

    Args:
        grouped: thousands may be parted by commas, and parentheses mean less than nought.
        whole: a fraction other than zeros is invalid, whatever the type holds.
    """
    amount = r"[0-9]+"
    if grouped:
        amount = r"(?:[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)"
    amount = rf"(?:{amount}(?:\.[0-9]*)?|\.[0-9]+)"
    forms = f"[-+]?{_BLANK}{amount}"
    if currency:
        forms = rf"(?:[-+]?{_BLANK}\$?|\${_BLANK}[-+]?){_BLANK}{amount}"
    if grouped:
        opening = rf"(?:\({_BLANK}\$?|\${_BLANK}\()" if currency else r"\("
        forms = rf"(?:{forms}|{opening}{_BLANK}{amount}{_BLANK}\))"
    cases = []
    if plain := _plain_number(type_name, whole=whole):
        cases.append(f"when {raw} ~ {literal(plain)} then {raw}::{type_name}")
        cases.extend(_common_number_cases(raw, type_name, currency=currency and grouped, percent=percent, whole=whole))
    cases.append(_number_case(raw, forms, type_name, "", whole=whole))
    if percent:
        forms = rf"(?:[-+]?{_BLANK}{amount}{_BLANK}%|\({_BLANK}{amount}{_BLANK}(?:\){_BLANK}%|%{_BLANK}\)))"
        # Not / 100: a quotient has 16 digits at least, but not all that there are.
        cases.append(_number_case(raw, forms, type_name, " * 0.01", whole=whole))
    return f"case {' '.join(cases)} end"


def integer(raw: str, type_name: str) -> str:
    """`12`, ` -3 `, `+7`, `1,200`, `(5)`, `5.00`: whole numbers that the type holds."""
    return number(raw, type_name, currency=False, percent=False, whole=True)


def exact(value: str, type_name: str) -> str:
    """A value of type numeric as the given type; null where the type cannot hold it as it is.

    `value` is named up to four times: it should be a column.
    """
    base = base_type(type_name)
    if base in _INTEGERS:
        low, high = _INTEGERS[base]
        held = f"{value} = trunc({value}) and {value} between {low} and {high}"
    elif base in _FLOATS:
        # In the float's range, and the same number again in the shortest digits that tell the float.
        least, most = ("1e-37", "1e38") if base == "real" else ("1e-300", "1e300")
        held = (
            f"case when {value} = 0 or abs({value}) >= {least} and abs({value}) < {most}"
            f" then {value}::{type_name}::text::numeric = {value} end"
        )
    else:
        limits = numeric_limits(type_name)
        if limits.whole is None:
            return f"{value}::{type_name}"
        held = f"{value} = round({value}, {limits.scale}) and abs({value}) < 1e{limits.whole}"
    return f"case when {held} then {value}::{type_name} end"


def _plain_number(type_name: str, *, whole: bool) -> str | None:
    """The pattern of digits that fit the type for certain."""
    limits = numeric_limits(type_name)
    if limits.whole is None or limits.scale is None:
        before, after = 100, 100
    else:
        before, after = limits.whole, limits.scale
    if before < 1 or after < 0:
        return None
    fraction = "" if whole or after == 0 else rf"(\.[0-9]{{1,{min(after, 100)}}})?"
    return rf"^-?[0-9]{{1,{min(before, 100)}}}{fraction}$"


def _common_number_cases(raw: str, type_name: str, *, currency: bool, percent: bool, whole: bool) -> Iterator[str]:
    """The forms that offices use most, by patterns that cost half of the full ones'. Short enough to fit for certain, they
    need no comparison with what the type holds; whatever else there is falls through to the full patterns."""
    limits = numeric_limits(type_name)
    if whole or limits.whole is None or limits.scale is None or limits.scale < 3:
        return
    fits = f"octet_length({raw}) <= {limits.whole}"
    signed = f"case when {raw} ~ '-' then -1 else 1 end"
    if currency:
        form = rf"^ *-?\$? *([0-9]+|[1-9][0-9]{{0,2}}(,[0-9]{{3}})+)(\.[0-9]{{1,{limits.scale}}})? *$"
        yield f"when {fits} and {raw} ~ {literal(form)} then ({signed} * translate({raw}, '$,- ', '')::numeric)::{type_name}"
    if percent:
        form = rf"^ *-?[0-9]+(\.[0-9]{{1,{limits.scale - 2}}})?% *$"
        yield f"when {fits} and {raw} ~ {literal(form)} then ({signed} * translate({raw}, '%- ', '')::numeric * 0.01)::{type_name}"


def _number_case(raw: str, forms: str, type_name: str, factor: str, *, whole: bool) -> str:
    pattern = literal(f"^{_BLANK}{forms}{_BLANK}$")
    digits = f"translate({raw}, {_unicode('$,()%+-' + _BLANKS)}, '')::numeric"
    signed = f"case when {raw} ~ '[-(]' then -1 else 1 end * {digits}{factor}"
    made = exact("v.n", type_name)
    if whole:
        made = f"case when v.n = trunc(v.n) then {made} end"
    return (
        f"when octet_length({raw}) <= {LONGEST} and {raw} ~ {pattern}"
        f" then (select {made} from (select {signed} offset 0) as v (n))"
    )


# -- dates and times -------------------------------------------------------------------------------------------------


def utc(raw: str, source: CatalogColumn, type_name: str) -> str:
    """A timestamp without time zone, or a date's midnight, that means UTC, as Prisma writes it."""
    return local_time(raw, source, "'UTC'", type_name)


def local_time(raw: str, source: CatalogColumn, zone: str, type_name: str) -> str:
    """A timestamp without time zone, or a date's midnight, that means the wall clock of a zone.

    A time that the clock skips is moved on by the gap; one that it shows twice is the second (standard time).
    """
    if has_zone(source):
        return f"{raw}::{type_name}"
    wall = f"{raw}::timestamp" if source.type == "date" else raw
    return f"({wall} at time zone {zone})::{type_name}"


def local_day(raw: str, source: CatalogColumn, zone: str, type_name: str) -> str:
    """The tenant's day: plain midnight is a day already; any other time of day is a UTC instant, taken to the zone."""
    if source.type == "date":
        return f"{raw}::{type_name}"
    if has_zone(source):
        return f"({raw} at time zone {zone})::{type_name}"
    return (
        f"case when {raw} = date_trunc('day', {raw}) then {raw}::{type_name}"
        f" else ({raw} at time zone 'UTC' at time zone {zone})::{type_name} end"
    )


def has_zone(column: CatalogColumn) -> bool:
    return base_type(column.type) == "timestamp with time zone"


# -- the way back ----------------------------------------------------------------------------------------------------


def number_text(value: str, type_name: str) -> str:
    """A number as the plain text that every transform for numbers reads back as the same number; null for what no text of
    digits is: NaN, infinity, and more digits than are read."""
    if base_type(type_name) in _INTEGERS:
        return f"{value}::text"
    if numeric_limits(type_name).whole is not None and base_type(type_name) == "numeric":
        return f"case when {value} <> 'NaN' then trim_scale({value})::text end"
    # The text of a float is the shortest that tells it, though perhaps with an exponent.
    number = f"{value}::text::numeric" if base_type(type_name) in _FLOATS else value
    return (
        f"(select case when v.digits ~ '^-?[0-9]' and octet_length(v.digits) <= {LONGEST} then v.digits end"
        f" from (select trim_scale({number})::text offset 0) as v (digits))"
    )


def as_text(text: str, type_name: str) -> str:
    """A text as a value of a text type; null where that is too short for it."""
    return _no_longer(f"({text})", type_name)


def boolean_text(value: str, type_name: str) -> str:
    """true or false, or their first letters where the type holds no more."""
    length = text_length(type_name)
    word = f"left({value}::text, 1)" if length is not None and length < len("false") else f"{value}::text"
    return as_text(word, type_name)


def wall_clock(value: str, source: CatalogColumn, zone: str) -> str:
    """The inverse of `utc` and `local_time`: what the clock of a zone showed at an instant, as the source's type.

    Fractions of a second that the source does not hold are cut off. Null where the clock's time would be read as another
    instant (the first of two hours that it shows twice), and for a date where it is no midnight.
    """
    to = source.type
    if has_zone(source):
        return f"{within_precision(value, to)}::{to}"
    clock = f"({within_precision(value, to)} at time zone {zone})"
    if to == "date":
        return f"(select case when v.wall = date_trunc('day', v.wall) then v.wall::date end from (select {clock} offset 0) as v (wall))"
    if zone == "'UTC'":
        return f"{clock}::{to}"
    return (
        f"(select case when v.wall at time zone {zone} = {within_precision(value, to)} then v.wall end"
        f" from (select {clock}::{to} offset 0) as v (wall))"
    )


def midnight(value: str, source: CatalogColumn, zone: str) -> str:
    """The inverse of `local_day`: a day as its plain midnight, or as the instant of its midnight in the zone.

    Null where the zone never had that day, and for days that no timestamp reaches.
    """
    to = source.type
    if to == "date":
        return value
    reached = f"not isfinite({value}) or {value} between date '4713-01-02 BC' and date '294276-12-30'"
    if not has_zone(source):
        return f"case when {reached} then {value}::{to} end"
    return (
        f"(select case when (v.moment at time zone {zone})::date = {value} then v.moment end"
        f" from (select case when {reached} then ({value}::timestamp at time zone {zone})::{to} end offset 0) as v (moment))"
    )


def within_precision(value: str, type_name: str) -> str:
    """A time without the fractions of a second that a type does not hold: cut off, since a cast would round up."""
    match precision(type_name) if "(" in type_name else 6:
        case 6:
            return value
        case 3:
            return f"date_trunc('milliseconds', {value})"
        case 0:
            return f"date_trunc('second', {value})"
        case digits:
            return f"date_bin('{10 ** (6 - digits)} microseconds', {value}, '2000-01-01')"
