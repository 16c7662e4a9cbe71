"""Numbers in texts: the accepted forms, and the range that a type holds without rounding."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.mapping.values.texts import BLANKS, escaped
from tenantry.mapping.values.type_names import FLOATS, INTEGERS, base_type, numeric_limits
from tenantry.postgres import literal

LONGEST = 255
"""Maximum bytes of a text that may be a number, blanks included: no number of this length overflows numeric or a float."""
_BLANK = r"[ \t\r\n\u00a0]*"


def number(
    raw: str, type_name: str, *, currency: bool = True, percent: bool = True, grouped: bool = True, whole: bool = False
) -> str:
    """`1546.27` `1,546.27` ` $ 1,322.35 ` `-$459.08` `$-459.08` `(459.08)` `+3` `.5` and, with percent, `-77%` → -0.77.

    The plain form is tried first, because most values have it; any other is read as numeric and then compared with the type's
    range.

    Args:
        grouped: commas may separate thousands, and parentheses mean a negative number.
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
        # Not / 100: a quotient has at least 16 digits, but not always all of them.
        cases.append(_number_case(raw, forms, type_name, " * 0.01", whole=whole))
    return f"case {' '.join(cases)} end"


def exact(value: str, type_name: str) -> str:
    """Convert a numeric value to the given type; null if the type cannot hold it exactly.

    `value` is used up to four times, so it should be a column.
    """
    base = base_type(type_name)
    if base in INTEGERS:
        low, high = INTEGERS[base]
        held = f"{value} = trunc({value}) and {value} between {low} and {high}"
    elif base in FLOATS:
        # Within the float's range, and the same number again in the float's shortest exact digits.
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
    """Return the pattern of digits that always fit the type."""
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
    """Return expressions for the most common forms, with patterns that cost half as much as the full ones. They are short
    enough to always fit, so they need no range check; all other values fall through to the full patterns."""
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
    digits = f"translate({raw}, {escaped('$,()%+-' + BLANKS)}, '')::numeric"
    signed = f"case when {raw} ~ '[-(]' then -1 else 1 end * {digits}{factor}"
    made = exact("v.n", type_name)
    if whole:
        made = f"case when v.n = trunc(v.n) then {made} end"
    return (
        f"when octet_length({raw}) <= {LONGEST} and {raw} ~ {pattern}"
        f" then (select {made} from (select {signed} offset 0) as v (n))"
    )


def number_text(value: str, type_name: str) -> str:
    """Return a number as plain text that every numeric transform reads back as the same number; null for values without such
    a text: NaN, infinity, and more digits than are read."""
    if base_type(type_name) in INTEGERS:
        return f"{value}::text"
    if numeric_limits(type_name).whole is not None and base_type(type_name) == "numeric":
        return f"case when {value} <> 'NaN' then trim_scale({value})::text end"
    # The text of a float is the shortest exact one, but may have an exponent.
    number = f"{value}::text::numeric" if base_type(type_name) in FLOATS else value
    return (
        f"(select case when v.digits ~ '^-?[0-9]' and octet_length(v.digits) <= {LONGEST} then v.digits end"
        f" from (select trim_scale({number})::text offset 0) as v (digits))"
    )
