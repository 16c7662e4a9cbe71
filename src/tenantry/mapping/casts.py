"""Plain casts as SQL: the value unchanged, or null if the target's type cannot hold it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tenantry.catalog import Column as CatalogColumn
from tenantry.mapping.values.numbers import exact, number, number_text
from tenantry.mapping.values.texts import as_text, boolean, boolean_text
from tenantry.mapping.values.times import instant, wall_clock, within_precision
from tenantry.mapping.values.type_names import (
    NUMBERS,
    base_type,
    is_number,
    is_text,
    numeric_limits,
    precision,
    text_length,
)
from tenantry.postgres import literal, literals

_DATES = ("date", "timestamp without time zone", "timestamp with time zone")
_TIMES = ("time without time zone", "time with time zone")
_FAMILIES: dict[str, str] = {
    **dict.fromkeys(NUMBERS, "number"),
    **dict.fromkeys(_DATES, "date"),
    **dict.fromkeys(_TIMES, "time"),
    **{name: name for name in ("boolean", "uuid", "bytea", "interval", "inet")},
    **dict.fromkeys(("json", "jsonb"), "json"),
}

# Only ISO 8601: other forms that PostgreSQL reads ('today', 01/02/2024) are ambiguous or depend on settings.
_DAY = (
    r"(?!0000)(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
_OFFSET = r"(?:Z|[-+](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)"
# PostgreSQL prints this word in capitals; only texts and quoted names can contain the same letters.
_VALUE = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\bVALUE\b""")
_UUID = r"^[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$"


def cast(raw: str, source: CatalogColumn, target: CatalogColumn, labels: tuple[str, ...], server_version: int) -> str:
    """Return the value unchanged; null if the target's type cannot hold it.

    Args:
        raw: the value; its type is not a domain.
        labels: the labels of the target's type if it is an enum.
        server_version: in libpq's form; before 160000 the server cannot test whether a type can read a text.
    """
    if source.type == target.type:
        return raw
    to = target.type
    if target.type_kind == "enum" and labels:
        text = raw if is_text(source) else f"{raw}::text"
        return f"case when {text} in ({literals(labels)}) then {text}::{to} end"
    if (length := text_length(to)) is not None:
        return f"case when length({raw}::text) <= {length} then {raw}::{to} end"
    if is_text(source):
        return f"{raw}::{to}" if is_text(target) else _from_text(raw, to, server_version)
    if is_number(source) and is_number(target):
        return _renumbered(raw, source, to)
    pair = (base_type(source.type), base_type(to))
    match pair:
        case (_, "boolean") if is_number(source):
            return f"case when {raw} = 0 then false when {raw} = 1 then true end"
        case ("boolean", _) if is_number(target):
            return f"{raw}::integer::{to}"
        case ("json", "jsonb"):
            return f"case when {_fits_jsonb(f'{raw}::text', server_version)} then {raw}::jsonb end"
        case (("date" | "timestamp without time zone"), "timestamp with time zone"):
            return instant(raw, source, "'UTC'", to)
        case ("timestamp with time zone", "timestamp without time zone"):
            return f"({raw} at time zone 'UTC')::{to}"
    if source.type_kind == target.type_kind and target.type_kind in ("range", "composite", "enum"):
        # User-defined types have no cast between them: each reads the other's text.
        return _readable(f"{raw}::text", to, server_version)
    return f"{raw}::{to}"


def back(value: str, target: CatalogColumn, source: CatalogColumn, labels: tuple[str, ...], server_version: int) -> str:
    """Invert a cast: convert a target value to a source value from which the cast makes the same value again; null if none
    exists.

    Args:
        value: its type is not a domain, nor is the source's.
        labels: the labels of the source's type if it is an enum.
    """
    if source.type == target.type:
        return value
    held, wanted = base_type(target.type), base_type(source.type)
    if is_text(source) and not is_text(target):
        if is_number(target):
            return as_text(number_text(value, target.type), source.type)
        if held == "boolean":
            return boolean_text(value, source.type)
        if held == "timestamp with time zone":
            return as_text(f"({value} at time zone 'UTC')::text || '+00'", source.type)
        return as_text(f"{value}::text", source.type)
    if (held, wanted) == ("real", "double precision"):
        # The shortest exact digits, as in the forward direction; some servers read a few of these slightly off.
        there = f"{value}::text::{source.type}"
        return f"case when ({there})::text::numeric = {value}::text::numeric then {there} end"
    if (held, wanted) == ("double precision", "real"):
        fits = f"abs({value}) < 3e38 and ({value} = 0 or abs({value}) > 1e-37) and {value}::{source.type}::{target.type} = {value}"
        return f"case when {value} in ('NaN', 'Infinity', '-Infinity') or ({fits}) then {value}::{source.type} end"
    if held == "timestamp with time zone" and wanted in _DATES:
        return wall_clock(value, source, "'UTC'")
    if held == "timestamp without time zone" and wanted == "timestamp with time zone":
        return f"({within_precision(value, source.type)} at time zone 'UTC')::{source.type}"
    if held == "timestamp without time zone" and wanted == "timestamp without time zone":
        return f"{within_precision(value, source.type)}::{source.type}"
    if held == "timestamp without time zone" and wanted == "date":
        return f"case when {value} = date_trunc('day', {value}) then {value}::date end"
    return cast(value, target, source, labels, server_version)


def loses(source: CatalogColumn, target: CatalogColumn) -> bool:
    """Whether a plain cast drops part of the value, so that the manifest must say how to convert it."""
    before, after = base_type(source.type), base_type(target.type)
    if before.startswith("timestamp") and (after == "date" or after in _TIMES):
        return True
    fractions = (before.startswith("timestamp") and after.startswith("timestamp")) or (
        before in _TIMES and after in _TIMES
    )
    return fractions and precision(source.type) > precision(target.type)


def impossible(source: CatalogColumn, target: CatalogColumn) -> bool:
    """Whether PostgreSQL has no cast between the types, or none that preserves the meaning."""
    if is_text(source) or is_text(target) or source.type == target.type:
        return False
    if (source.type_kind == "array") != (target.type_kind == "array"):
        return True
    own = ("enum", "range", "composite")
    if target.type_kind in own or source.type_kind in own:
        return source.type_kind != target.type_kind
    before, after = _FAMILIES.get(base_type(source.type)), _FAMILIES.get(base_type(target.type))
    if before is None or after is None or before == after:
        return False
    return (before, after) not in {("number", "boolean"), ("boolean", "number"), ("date", "time"), ("time", "interval")}


def _from_text(raw: str, to: str, server_version: int) -> str:
    base = base_type(to)
    fraction = rf"(?:\.[0-9]{{1,{precision(to)}}}0*)?" if precision(to) else r"(?:\.0+)?"
    clock = rf"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9]{fraction})?"
    patterns = {
        "uuid": _UUID,
        "date": f"^{_DAY}$",
        "time without time zone": f"^{clock}$",
        "timestamp without time zone": f"^{_DAY}(?:[T ]{clock})?$",
        "timestamp with time zone": f"^{_DAY}[T ]{clock}{_OFFSET}$",
    }
    if base in NUMBERS:
        return number(raw, to, currency=False, percent=False, grouped=False)
    if base == "boolean":
        return boolean(raw)
    if base in patterns:
        return f"case when octet_length({raw}) <= 64 and {raw} ~ {literal(patterns[base])} then {raw}::{to} end"
    return _readable(raw, to, server_version)


def _readable(text: str, to: str, server_version: int) -> str:
    if server_version >= 160000:
        return f"case when pg_input_is_valid({text}, {literal(to)}) then {text}::{to} end"
    return f"{text}::{to}"


_BACKSLASH = literal("\\\\")
_ZERO, _HALF = literal(r"\\u0000"), literal(r"\\u[dD][89a-fA-F]")
_PAIR = literal(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_STRING = literal(r'"(?:[^"\\]|\\.)*"')


def _fits_jsonb(text: str, server_version: int) -> str:
    """Return a condition that jsonb accepts a text that json accepted: jsonb rejects the escape of character 0, unpaired
    surrogates, and numbers that numeric cannot hold."""
    if server_version >= 160000:
        return f"pg_input_is_valid({text}, 'jsonb')"
    # Backslashes occur in strings only, and two in a row are an escaped backslash, which escapes nothing else.
    escapes = f"replace({text}, {_BACKSLASH}, '')"
    return (
        f"{escapes} !~ {_ZERO} and regexp_replace({escapes}, {_PAIR}, '', 'g') !~ {_HALF}"
        f" and {_outside_strings(text)} !~ '[eE][-+]?0*[0-9]{{5}}'"
    )


def _outside_strings(text: str) -> str:
    """Return a JSON document's text without its strings, keys included."""
    return f"regexp_replace({text}, {_STRING}, '', 'g')"


def doubled_keys(raw: str, made: str) -> str:
    """Return a condition that a json document repeats a key within one object (jsonb keeps the last): each key has one
    colon."""
    before, after = (
        f"(length({_outside_strings(text)}) - length(replace({_outside_strings(text)}, ':', '')))"
        for text in ("v.json", "v.jsonb")
    )
    return f"(select {before} > {after} from (select {raw}::text, ({made})::text offset 0) as v (json, jsonb))"


def _renumbered(raw: str, source: CatalogColumn, to: str) -> str:
    before, after = base_type(source.type), base_type(to)
    if _widens(before, source.type, after, to):
        return f"{raw}::{to}"
    # The text of a float is the shortest exact one; a cast to numeric would keep 15 digits and drop the rest.
    value = f"{raw}::text::numeric" if before in ("real", "double precision") else f"{raw}::numeric"
    return exact(value, to) if after != "numeric" or numeric_limits(to).whole is not None else value


def _widens(before: str, source_type: str, after: str, to: str) -> bool:
    """Whether every value of one type is a value of the other."""
    sizes = ("smallint", "integer", "bigint")
    if before in sizes and after in sizes:
        return sizes.index(before) <= sizes.index(after)
    if before in sizes and after == "double precision":
        return before != "bigint"
    if before in sizes and after == "real":
        return before == "smallint"
    if (before, after) == ("real", "double precision"):
        return True
    if after != "numeric" or before in ("real", "double precision"):
        return False
    have, want = numeric_limits(source_type), numeric_limits(to)
    if want.whole is None or want.scale is None:
        return True
    if have.whole is None or have.scale is None:
        return False
    digits = {"smallint": 5, "integer": 10, "bigint": 19}.get(before, have.whole)
    return digits <= want.whole and have.scale <= want.scale


def into_domain(made: str, domain: str, checks: Sequence[str]) -> str:
    """Convert a value of a domain's base type to the domain; null if a check rejects it, for which the cast would raise an
    error.

    Args:
        checks: the expressions of the checks of the domain, and of domains it is based on, over VALUE.
    """
    held = ["v.made is not null", *(f"({_VALUE.sub(_made, check)}) is not false" for check in checks)]
    return (
        f"(select case when {' and '.join(held)} then v.made::{domain} end from (select {made} offset 0) as v (made))"
    )


def _made(found: re.Match[str]) -> str:
    return "v.made" if found[0] == "VALUE" else found[0]
