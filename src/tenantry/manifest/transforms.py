"""Built-in column transforms as SQL: an expression that is null where the value is invalid, and never raises.

Each takes the SQL of a raw value that is neither null nor blank. Accepted forms are stated at each function; anything
else is invalid, never guessed. Digits beyond the target's scale make a value invalid: nothing is rounded away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tenantry.catalog import Column as CatalogColumn
from tenantry.postgres import literal, literals

_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_TEXT = frozenset({"text", "character varying", "character", "citext", "bpchar"})
_INTEGERS = {"smallint": 4, "integer": 9, "bigint": 18}
_BLANKS = " \t\r\n\u00a0"
TRUE_WORDS = ("true", "t", "yes", "y", "on", "1")
FALSE_WORDS = ("false", "f", "no", "n", "off", "0")
# The form that HTML's input type=email accepts, with at least one dot in the domain and no dots side by side.
EMAIL_PATTERN = (
    r"^[a-z0-9!#$%&''*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&''*+/=?^_`{|}~-]+)*"
    r"@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Digits before and after the point that a numeric type holds; None: no limit."""

    whole: int | None
    scale: int | None


def base_type(name: str) -> str:
    """A type's name without its modifier: 'numeric(14,2)' → 'numeric'."""
    return re.sub(r"\(.*?\)", "", name).strip()


def is_text(column: CatalogColumn) -> bool:
    return base_type(column.type) in _TEXT


def numeric_limits(type_name: str) -> Limits:
    if found := _NUMERIC.fullmatch(type_name):
        precision, scale = int(found[1]), int(found[2])
        return Limits(precision - scale, scale)
    if base_type(type_name) in _INTEGERS:
        return Limits(_INTEGERS[base_type(type_name)], 0)
    return Limits(None, None)


def trimmed(raw: str) -> str:
    return f"btrim({raw}, {_unicode(_BLANKS)})"


def _unicode(text: str) -> str:
    return "E'" + "".join(f"\\u{ord(char):04x}" for char in text) + "'"


def number(raw: str, type_name: str, *, currency: bool = True, percent: bool = True) -> str:
    """`1546.27` `1,546.27` ` $ 1,322.35 ` `-$459.08` `$-459.08` `(459.08)` `+3` `.5` and, with percent, `-77%` → -0.77."""
    limits = numeric_limits(type_name)
    whole = f"{{1,{limits.whole}}}" if limits.whole is not None else "+"
    groups = f"{{0,{(limits.whole - 1) // 3}}}" if limits.whole is not None else "*"

    def digits(scale: int | None) -> str:
        if scale == 0:
            fraction = r"(\.0*)?"
        else:
            fraction = r"(\.\d*)?" if scale is None else rf"(\.\d{{0,{scale}}}0*)?"
        lone = "" if scale == 0 else (r"|\.\d+" if scale is None else rf"|\.\d{{1,{scale}}}0*")
        return rf"((\d{whole}|\d{{1,3}}(,\d{{3}}){groups}){fraction}{lone})"

    plain = rf"^-?\d{whole}" + (
        "$" if limits.scale == 0 else r"(\.\d+)?$" if limits.scale is None else rf"(\.\d{{1,{limits.scale}}})?$"
    )
    sign = r"\$?\s*" if currency else ""
    amount = digits(limits.scale)
    forms = rf"[-+]?\s*{sign}{amount}|{sign}[-+]?\s*{amount}|\(\s*{sign}{amount}\s*\)|{sign}\(\s*{amount}\s*\)"
    blank = r"[\s\u00a0]*"
    strip = _unicode("$,()%+-" + _BLANKS)
    signed = f"case when {raw} ~ '[-(]' then -1 else 1 end"
    magnitude = f"translate({raw}, {strip}, '')::numeric"
    cases = [
        f"when {raw} ~ {literal(plain)} then {raw}::{type_name}",
        f"when {raw} ~ {literal(f'^{blank}({forms}){blank}$')} then ({signed} * {magnitude})::{type_name}",
    ]
    if percent:
        scale = None if limits.scale is None else max(limits.scale - 2, 0)
        pattern = literal(rf"^{blank}([-+]?\s*{digits(scale)}|\(\s*{digits(scale)}\s*\))\s*%{blank}$")
        cases.append(f"when {raw} ~ {pattern} then ({signed} * {magnitude} / 100)::{type_name}")
    return f"case {' '.join(cases)} end"


def integer(raw: str, type_name: str) -> str:
    """`12`, ` -3 `, `+7`, `1,200`: whole numbers that fit the type for certain."""
    return number(raw, type_name, currency=False, percent=False)


def boolean(raw: str) -> str:
    """true, t, yes, y, on, 1 and false, f, no, n, off, 0; in any case, blanks around ignored."""
    word = f"lower({trimmed(raw)})"
    return f"case when {word} in ({literals(TRUE_WORDS)}) then true when {word} in ({literals(FALSE_WORDS)}) then false end"


def email(raw: str, type_name: str) -> str:
    """Trimmed and lower-cased; the form that HTML's e-mail field accepts, at most 254 characters."""
    value = f"lower({trimmed(raw)})"
    return (
        f"case when {value} ~ '{EMAIL_PATTERN}' and length({trimmed(raw)}) <= 254 then {value}::{type_name} end"
    )


def utc(raw: str, source: CatalogColumn, type_name: str) -> str:
    """A timestamp without time zone that means UTC, as Prisma writes it."""
    if base_type(source.type) == "timestamp without time zone" or source.type.startswith("timestamp("):
        return f"({raw} at time zone 'UTC')::{type_name}"
    return f"{raw}::{type_name}"


def local_time(raw: str, zone: str, type_name: str) -> str:
    """A timestamp without time zone that means the tenant's wall clock."""
    return f"({raw} at time zone {zone})::{type_name}"


def local_day(raw: str, source: CatalogColumn, zone: str, type_name: str) -> str:
    """The tenant's day: plain midnight is a day already; any other time of day is a UTC instant, taken to the zone."""
    if source.type == "date":
        return f"{raw}::{type_name}"
    if "with time zone" in source.type:
        return f"({raw} at time zone {zone})::{type_name}"
    return (
        f"case when {raw} = date_trunc('day', {raw}) then {raw}::{type_name}"
        f" else ({raw} at time zone 'UTC' at time zone {zone})::{type_name} end"
    )


def cast(raw: str, source: CatalogColumn, target: CatalogColumn, labels: tuple[str, ...], server_version: int) -> str:
    """The value carried over as it is; null where the target's type cannot hold it."""
    if source.type == target.type and target.type_kind != "domain":
        return raw
    to = target.type
    if target.type_kind == "enum":
        text = raw if is_text(source) else f"{raw}::text"
        return f"case when {text} in ({literals(labels)}) then {text}::{to} end"
    if found := re.fullmatch(r"(?:character varying|character)\((\d+)\)", to):
        return f"case when length({raw}::text) <= {found[1]} then {raw}::{to} end"
    limits = numeric_limits(to)
    if is_text(source):
        if base_type(to) in _TEXT:
            return f"{raw}::{to}"
        if limits.whole is not None or base_type(to) == "numeric":
            return number(raw, to, currency=False, percent=False)
        if to == "boolean":
            return boolean(raw)
        if server_version >= 160000:
            return f"case when pg_input_is_valid({raw}, {literal(to)}) then {raw}::{to} end"
        return f"{raw}::{to}"
    if base_type(to) == "numeric" and limits.scale is not None:
        value = f"{raw}::numeric"
        return (
            f"case when abs({value}) < 1e{limits.whole} and round({value}, {limits.scale}) = {value}"
            f" then {value}::{to} end"
        )
    if to == "timestamp with time zone" or to.startswith("timestamp("):
        return utc(raw, source, to)
    return f"{raw}::{to}"


LOSSY = {("timestamp", "date"), ("timestamp", "time"), ("double precision", "integer"), ("numeric", "integer")}
"""Base types between which a plain cast drops part of the value: the manifest must say how."""


def loses(source: CatalogColumn, target: CatalogColumn) -> bool:
    pair = (base_type(source.type).split(" with")[0], base_type(target.type).split(" with")[0])
    return pair in LOSSY
