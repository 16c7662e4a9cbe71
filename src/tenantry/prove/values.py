"""Candidate values for a column, as texts that PostgreSQL casts; trying them tells which of them a constraint takes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import uuid4

from tenantry.catalog import Catalog, Column, Table

_STRING = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"(?<![\w.'])-?\d+(?:\.\d+)?")
_LONGEST = 500
_BASE = re.compile(r"^[^(\[]+")

_TEXTS = (
    *("UTC", "", "1", "0", "a", "A", "en", "en-US", "US", "USD", "{}", "[]", "true", "active", "default", "00:00"),
    *("https://proof.invalid/", "/proof", "proof.txt", "#aabbcc", "+12025550100", "127.0.0.1", "1.0.0", "12345"),
    *("text/plain", "2001-01-01"),
)
_SAMPLES: dict[str, tuple[str, ...]] = {
    "boolean": ("true", "false"),
    "smallint": ("1", "0", "10", "100", "-1", "2001"),
    "integer": ("1", "0", "10", "100", "1000", "-1", "2001"),
    "bigint": ("1", "0", "10", "100", "1000", "-1", "2001"),
    "numeric": ("1", "0", "0.5", "10", "100", "-1"),
    "real": ("1", "0", "0.5", "100", "-1"),
    "double precision": ("1", "0", "0.5", "100", "-1"),
    "money": ("1", "0"),
    "date": ("2001-01-01", "2001-12-31", "2099-01-01", "1990-06-15"),
    "timestamp with time zone": ("2001-01-01 00:00Z", "2001-12-31 00:00Z", "2099-01-01 00:00Z"),
    "timestamp without time zone": ("2001-01-01 00:00", "2001-12-31 00:00", "2099-01-01 00:00"),
    "time without time zone": ("09:00", "17:00", "00:00"),
    "time with time zone": ("09:00Z", "17:00Z"),
    "interval": ("1 day", "1 hour", "0", "1 month"),
    "json": ("{}", "[]", '""', "1", '{"a": 1}', "[{}]"),
    "jsonb": ("{}", "[]", '""', "1", '{"a": 1}', "[{}]"),
    "inet": ("127.0.0.1", "::1"),
    "cidr": ("127.0.0.0/8",),
    "macaddr": ("00:00:5e:00:53:01",),
    "point": ("(0,0)",),
    "xml": ("<a/>",),
    "bit": ("1", "0"),
    "bit varying": ("1",),
    "tsvector": ("a",),
    "tsquery": ("a",),
    "int4range": ("[1,2)", "[1,)", "empty"),
    "int8range": ("[1,2)", "[1,)", "empty"),
    "numrange": ("[1,2)", "[1,)", "empty"),
    "daterange": ("[2001-01-01,2001-02-01)", "[2001-01-01,)", "empty"),
    "tstzrange": ("[2001-01-01 00:00Z,2001-02-01 00:00Z)", "[2001-01-01 00:00Z,)", "empty"),
    "tsrange": ("[2001-01-01,2001-02-01)", "[2001-01-01,)", "empty"),
}


def candidates(catalog: Catalog, table: Table, column: Column, conditions: Sequence[str] = ()) -> list[str]:
    """What to try, the likeliest first: fresh values, then samples of the type, and what the checks, and further conditions, name."""
    checks = [*(check.expression or "" for check in table.checks if column.name in check.columns), *conditions]
    return _of_type(catalog, column.type, column, checks)


def _of_type(catalog: Catalog, type_name: str, column: Column, checks: Sequence[str]) -> list[str]:
    if type_name.endswith("[]"):
        inner = _of_type(catalog, type_name[:-2], column, checks)[:3]
        return [*('{"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"}' for value in inner), "{}"]
    named = {(enum.schema, enum.name): enum.labels for enum in catalog.enums}
    kind = (column.type_schema, column.type_name.removeprefix("_"))
    if kind in named:
        return list(named[kind])
    domain = next((domain for domain in catalog.domains if (domain.schema, domain.name) == kind), None)
    if domain is not None and column.type_kind == "domain":
        inside = [*checks, *(check.expression or "" for check in domain.checks)]
        return _of_base(domain.base, inside)
    return _of_base(type_name, checks)


def _of_base(type_name: str, checks: Sequence[str]) -> list[str]:
    base = _BASE.match(type_name)
    name = (base.group() if base else type_name).strip()
    if "timestamp" in type_name or type_name.startswith("time"):
        name = re.sub(r"\(\d+\)", "", type_name)
    named = [text.replace("''", "'") for check in checks for text in _STRING.findall(check)]
    numbers = [text for check in checks for text in _NUMBER.findall(_STRING.sub("", check))]
    if name == "uuid":
        return [str(uuid4())]
    if name == "bytea":
        return ["\\x" + secrets.token_hex(size) for size in (32, 16, 12, 20, 64, 24, 1)]
    fresh = _fresh(name)
    samples = _SAMPLES.get(name)
    if samples is None:
        token = secrets.token_hex(8)
        texts = [f"proof {token}", f"proof-{token}@tenantry-proof.invalid", f"proof_{token}", token, token.upper()]
        sizes = [int(number) for number in numbers if number.isdigit() and 0 < int(number) <= _LONGEST]
        sized = [letter * size for size in sizes for letter in ("a", "A", "0")]
        long = [secrets.token_hex(16), secrets.token_hex(32), str(uuid4())]
        return list(dict.fromkeys([*texts, *named, *_TEXTS, *numbers, *sized, *long]))
    return list(dict.fromkeys([*fresh, *samples, *named, *_around(numbers)]))


def _around(numbers: Sequence[str]) -> list[str]:
    """The bounds that checks name, and what lies beside and between them."""
    bounds = sorted({Decimal(number) for number in numbers})
    between = [(low + high) / 2 for low, high in pairwise(bounds)]
    return [str(number) for bound in bounds for number in (bound, bound + 1, bound - 1)] + [str(n) for n in between]


def _fresh(name: str) -> list[str]:
    """Values that hardly stand in the table already, for the types that natural keys are made of."""
    if name in ("date", "timestamp with time zone", "timestamp without time zone"):
        day = date(2001, 1, 1) + timedelta(days=secrets.randbelow(9000))
        return [day.isoformat() + ("" if name == "date" else " 12:00" + ("Z" if "with time" in name else ""))]
    if name in ("smallint", "integer", "bigint", "numeric"):
        return [str(1 + secrets.randbelow(9000))]
    return []
