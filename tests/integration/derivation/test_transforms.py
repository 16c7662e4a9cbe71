"""The SQL of every built-in transform equals an oracle in Python for any value, on every version, and never raises."""

from __future__ import annotations

import decimal
import json
import re
import struct
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.catalog import Column, read_catalog
from tenantry.mapping import casts
from tenantry.mapping.id_transform import IdTransform
from tenantry.mapping.transforms import transforms
from tenantry.mapping.values import numbers
from tenantry.mapping.values.texts import FALSE_WORDS, TRUE_WORDS, plain_source
from tests.conftest import Database
from tests.integration.derivation.transforms_world import (
    ANY,
    Make,
    assert_same,
    column,
    computed,
    database,
    database_each,
    pg_text,
    session,
    texts,
    up,
)

__all__ = ["database", "database_each"]


PAGE = Path(__file__).parents[3] / "docs" / "reference" / "transforms.md"

EXACT = decimal.Context(prec=600)
BLANKS = " \t\r\n\u00a0"


TEXT = column("text")


# -- texts that could be numbers ---------------------------------------------------------------------------------------

NASTY = (
    *("1546.27", "1,546.27", " $ 1,322.35 ", "-$459.08", "$-459.08", "$ - 459.08", "(459.08)", "$(459.08)", "($ 459.08 )"),
    *("+3", "-3", "- 3", ".5", "-.5", "5.", "+", "-", "", ".", ",", "$", "%", "()", "( )", "($)", "$()", "(-5)", "(+5)", "-(5)"),
    *("--5", "+-5", "5-", "5$", "$$5", "1,54,6.27", "1,,2", ",1", "1,", "0,123", "00,123", "1,234", "12,34", "1234,567"),
    *("1.234,56", "1 234", "1'234", "1_000", "1e5", "1E5", "1e-5", "0x1F", "NaN", "nan", "Infinity", "-Infinity", "inf"),
    *("٣", "５", "１２３", "Ⅻ", "½", "1\u00a0", "\u00a01", "1\u20032", "\u20031", "1\u202f", "\ufeff1", "\v1", "1\f", "1\u2212"),
    *("\u22125", "5\u066b5", "€5", "£5", "5%", "-77%", "(77%)", "(77)%", "77 %", "%5", "$5%", "5%%", "(5%", "5)%", "5.5%"),
    *("0.01%", "0.001%", "100%", "1,200%", "9" * 250, "9" * 300, "0." + "9" * 250, "0" * 300, "1." + "0" * 240),
    *("9" * 131_073, "0." + "0" * 20_000 + "1", " " * 300 + "1", "1" + " " * 300, "000000000000000000000000012.50"),
    *("999999999999.99", "1000000000000", "999999999999.995", "9,999,999,999,999", "999,999,999,999.99", "12.340000"),
    *("32767", "32768", "-32768", "-32769", "2147483647", "2147483648", "-2147483648", "-2147483649"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "-0", "+0.00", "5.00"),
    *("12345678901234.5678%", "99999999999999.9999%", "3.4e38", "0." + "0" * 40 + "1", "16777217", "0.1", "9007199254740993"),
    *("it's 5", 'a"b', "\\5", "5\\", "$1", "null", "\n5\n", "5\n6", "1;2", "—", "😀5", "5\u0300", "\x1f5", "\x7f"),
)  # fmt: skip


def amount(text: str, *, grouped: bool) -> Decimal | None:
    """Digits, perhaps with commas, and a point: read character by character, unlike the SQL, which uses patterns."""
    whole, _, fraction = text.partition(".")
    if not set(whole) <= set("0123456789,") or not set(fraction) <= set("0123456789"):
        return None
    if not whole:
        return EXACT.create_decimal("0." + fraction) if fraction else None
    groups = whole.split(",")
    good = groups[0][:1] not in ("", "0") and len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    if len(groups) > 1 and not (grouped and good):
        return None
    return EXACT.create_decimal("".join(groups) + "." + (fraction or "0"))


def read_number(text: str, *, currency: bool, percent: bool, grouped: bool) -> Decimal | None:
    """The number that a text means, whatever a type holds of it."""
    if len(text.encode()) > numbers.LONGEST:
        return None
    inner = text.strip(BLANKS)
    factor = Decimal(1)
    if percent and inner.endswith(("%", ")")) and "%" in inner and "$" not in inner:
        factor = Decimal("0.01")
        if inner.endswith("%"):
            inner = inner[:-1].rstrip(BLANKS)
        elif inner.startswith("(") and inner[:-1].rstrip(BLANKS).endswith("%"):
            inner = inner[:-1].rstrip(BLANKS)[:-1] + ")"
    start = next((place for place, char in enumerate(inner) if char in "0123456789."), len(inner))
    before = "".join(char for char in inner[:start] if char not in BLANKS)
    rest = inner[start:]
    if before in ("(", "($", "$("):
        if not grouped or not rest.endswith(")"):
            return None
        rest, sign = rest[:-1].rstrip(BLANKS), -1
    elif before in ("", "+", "-", "$", "+$", "-$", "$+", "$-"):
        sign = -1 if "-" in before else 1
    else:
        return None
    if "$" in before and not currency:
        return None
    found = amount(rest, grouped=grouped)
    return None if found is None else EXACT.multiply(EXACT.multiply(found, factor), Decimal(sign))


INTEGERS = {"smallint": 15, "integer": 31, "bigint": 63}


def held(value: Decimal | None, type_name: str) -> object:
    """The value as the type holds it; None where it would be rounded, or does not fit."""
    if value is None:
        return None
    if type_name in INTEGERS:
        limit = 2 ** INTEGERS[type_name]
        return int(value) if value == value.to_integral_value() and -limit <= value < limit else None
    if type_name in ("double precision", "real"):
        return as_float(value, single=type_name == "real")
    if found := re.fullmatch(r"numeric\((\d+),(-?\d+)\)", type_name):
        precision, scale = int(found[1]), int(found[2])
        rounded = value.quantize(Decimal(1).scaleb(-scale), context=EXACT)
        return value if rounded == value and value.copy_abs() < Decimal(10) ** (precision - scale) else None
    return value


def as_float(value: Decimal, *, single: bool) -> float | None:
    """The number, if it is what PostgreSQL prints of its float: the shortest digits strictly nearer to it than to others."""
    least, most = (Decimal("1e-37"), Decimal("1e38")) if single else (Decimal("1e-300"), Decimal("1e300"))
    if value == 0:
        return 0.0
    if not least <= value.copy_abs() < most:
        return None
    kind, size = ("f", "I") if single else ("d", "Q")
    binary: float = struct.unpack(kind, struct.pack(kind, float(value.copy_abs())))[0]
    bits = struct.unpack(size, struct.pack(kind, binary))[0]
    for places in range(1, 18):
        shortest = EXACT.create_decimal(f"{binary:.{places}g}")
        above = shortest > EXACT.create_decimal(binary)
        neighbour = struct.unpack(kind, struct.pack(size, bits + (1 if above else -1)))[0]
        gap = EXACT.abs(EXACT.subtract(EXACT.create_decimal(neighbour), EXACT.create_decimal(binary)))
        if EXACT.abs(EXACT.subtract(shortest, EXACT.create_decimal(binary))) * 2 < gap:
            return float(value) if shortest == value.copy_abs() else None
    raise AssertionError(value)


TYPES = (
    *(
        "numeric(14,2)",
        "numeric(15,2)",
        "numeric(18,4)",
        "numeric(3,0)",
        "numeric(2,2)",
        "numeric(2,4)",
        "numeric(5,-2)",
    ),
    *("numeric", "smallint", "integer", "bigint", "double precision", "real"),
)

READERS: dict[str, dict[str, bool]] = {
    "number": {"currency": True, "percent": True, "grouped": True},
    "money": {"currency": True, "percent": False, "grouped": True},
    "percent": {"currency": False, "percent": True, "grouped": True},
    "cast": {"currency": False, "percent": False, "grouped": False},
}


def number_sql(reader: str, type_name: str) -> Make:
    if reader == "cast":
        return lambda raw: casts.cast(raw, column("text"), column(type_name), (), 150000)
    return lambda raw: up(reader, raw, column("text"), type_name)


def want_number(reader: str, type_name: str, text: str) -> object:
    if reader == "integer":
        value = read_number(text, currency=False, percent=False, grouped=True)
        return held(value, type_name) if value is not None and value == value.to_integral_value() else None
    return held(read_number(text, **READERS[reader]), type_name)


def all_numbers(reader: str) -> Make:
    """Every type in one statement."""
    made = [number_sql(reader, type_name) for type_name in TYPES]
    return lambda raw: "array[" + ", ".join(f"({make(raw)})::text" for make in made) + "]"


def as_read(texts: Sequence[str | None]) -> list[object]:
    return [
        None if text is None else float(text) if type_name in ("real", "double precision") else Decimal(text)
        for text, type_name in zip(texts, TYPES, strict=True)
    ]


@pytest.mark.parametrize("reader", [*READERS, "integer"])
def test_numbers_are_read_exactly_or_refused_in_every_type(database_each: Database, reader: str) -> None:
    with session(database_each) as connection:

        @ANY
        @given(texts)
        def holds(values: list[str]) -> None:
            got = [as_read(each) for each in computed(connection, all_numbers(reader), values)]
            assert_same(values, got, [[want_number(reader, name, text) for name in TYPES] for text in values])

        holds()
        got = [as_read(each) for each in computed(connection, all_numbers(reader), NASTY)]
        assert_same(NASTY, got, [[want_number(reader, name, text) for name in TYPES] for text in NASTY])


def test_the_oracle_of_numbers_follows_the_reference() -> None:
    """Two wrong readers could agree; this says what is meant by hand."""
    want = {
        "1,546.27": "1546.27", " $ 1,322.35 ": "1322.35", "-$459.08": "-459.08", "(459.08)": "-459.08", "-77%": "-0.77",
        "+3": "3", ".5": "0.5", "5.": "5", "(-5)": None, "--5": None, "1,54,6.27": None, "1,,2": None, "0,123": None,
        "1e5": None, "NaN": None, "٣": None, "()": None, "%": None,
    }  # fmt: skip
    got = {text: read_number(text, currency=True, percent=True, grouped=True) for text in want}
    assert got == {text: None if value is None else Decimal(value) for text, value in want.items()}


@given(st.sampled_from(TYPES))
def test_the_plain_number_is_the_first_branch(type_name: str) -> None:
    made = up("number", "s.value", column("text"), type_name)
    if type_name in ("numeric(2,2)", "numeric(2,4)", "numeric(5,-2)"):  # they have no plain form
        assert "octet_length" in made
    else:
        assert re.match(r"case when s\.value ~ '\^-\?\[0-9\]\{1,\d+\}[^']*\$' then s\.value::", made)


# -- texts --------------------------------------------------------------------------------------------------------------


def lower_ascii(text: str) -> str:
    return "".join(chr(ord(char) + 32) if "A" <= char <= "Z" else char for char in text)


def want_boolean(text: str) -> bool | None:
    word = lower_ascii(text.strip(BLANKS))
    if word in ("true", "t", "yes", "y", "on", "1"):
        return True
    return False if word in ("false", "f", "no", "n", "off", "0") else None


def want_email(text: str, longest: int = 254) -> str | None:
    address = lower_ascii(text.strip(BLANKS))
    local, at, domain = address.rpartition("@")
    letters = set("abcdefghijklmnopqrstuvwxyz0123456789")
    atoms, labels = local.split("."), domain.split(".")
    good = (
        at == "@"
        and len(address.encode()) <= longest
        and all(atom and set(atom) <= letters | set("!#$%&'*+/=?^_`{|}~-") for atom in atoms)
        and len(labels) > 1
        and all(
            label and len(label) <= 63 and set(label) <= letters | {"-"} and label[0] != "-" and label[-1] != "-"
            for label in labels
        )
    )
    return address if good else None


words = st.sampled_from([*TRUE_WORDS, *FALSE_WORDS, "TRUE", " Yes\u00a0", "oN", "ja", "1.0", "2", "ı", "K"])
addresses = st.one_of(
    st.builds("{}{}@{}.{}{}".format, st.sampled_from(["", " ", "\u00a0", "."]), st.text("aB.1+'-", max_size=6),
              st.text("aZ-0.", max_size=6), st.text("coK\u212a-", max_size=4), st.sampled_from(["", " ", "\n", ".", "\t "])),
    st.emails(),
)  # fmt: skip
ADDRESSES = (
    *("Ana@X.org", "a@b", "a@b.c", "a..b@c.d", ".a@b.c", "a.@b.c", "a@b..c", "a@-b.c", "a@b-.c", "a b@c.d", "a@b@c.d", "@b.c"),
    *("o'brien@x.org", "a@" + "b" * 63 + ".c", "a@" + "b" * 64 + ".c", "a" * 250 + "@b.c", "a" * 249 + "@b.cd", "ä@b.c"),
    *("a@\u212ab.c", "a@b.c\n", "a@b.c\nx", "\u00a0a@b.c\u00a0", "a@[127.0.0.1]", '"a b"@c.d', "a\\@b.c", "İ@b.c"),
)  # fmt: skip


def test_words_addresses_and_trimmed_texts_are_read_or_refused(database_each: Database) -> None:
    with session(database_each) as connection:

        def made(raw: str) -> str:
            return (
                f"array[({up('boolean', raw, TEXT, 'boolean')})::text, {up('email', raw, TEXT, 'text')},"
                f" {up('email', raw, TEXT, 'character varying(12)')}, {up('trim', raw, TEXT, 'text')},"
                f" {up('trim', raw, TEXT, 'character varying(3)')},"
                f" {casts.cast(raw, column('text'), column('character varying(3)'), (), 180000)}]"
            )

        def want(text: str) -> list[object]:
            flag, bare = want_boolean(text), text.strip(BLANKS)
            return [
                None if flag is None else str(flag).lower(),
                want_email(text),
                want_email(text, 12),
                bare,
                bare if len(bare) <= 3 else None,
                text if len(text) <= 3 else None,
            ]

        @ANY
        @given(st.lists(st.one_of(words, addresses, pg_text), min_size=20, max_size=150))
        def holds(values: list[str]) -> None:
            assert_same(values, computed(connection, made, values), map(want, values))

        holds()
        assert_same(ADDRESSES, computed(connection, made, ADDRESSES), map(want, ADDRESSES))


def test_texts_become_labels_of_an_enum_or_are_refused_whatever_the_collation(database_each: Database) -> None:
    with session(database_each) as connection:
        connection.execute("create type mood as enum ('good', 'it''s', 'So So')")
        target = column("mood", "enum", type_schema="public")
        labels = ("good", "it's", "So So")
        plain = column("text")

        @ANY
        @given(st.lists(st.one_of(st.sampled_from([*labels, "GOOD", "good ", ""]), pg_text), min_size=20, max_size=100))
        def holds(values: list[str]) -> None:
            got = computed(connection, lambda raw: f"({casts.cast(raw, plain, target, labels, 150000)})::text", values)
            assert_same(values, got, [text if text in labels else None for text in values])

        holds()


def test_a_case_insensitive_collation_has_no_effect(database_each: Database) -> None:
    with session(database_each) as connection:
        try:
            connection.execute(
                "create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
            )
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("these binaries were built without ICU")
        connection.execute("create type one_mood as enum ('good')")
        connection.execute('create table t (value text collate "ci")')
        values = ["good", "GOOD", " Ana@X.org ", "1,200", "YES"]
        connection.execute("insert into t select unnest(%s::text[])", [values])
        source = column("text", collation="ci")
        raw = plain_source(source, "s.value")
        got = connection.execute(
            f"select ({casts.cast(raw, source, column('one_mood', 'enum'), ('good',), 180000)})::text,"
            f" {up('email', raw, TEXT, 'text')}, {up('number', raw, TEXT, 'integer')}, {up('boolean', raw, TEXT, 'boolean')} from t s".encode()
        ).fetchall()
        assert got == [
            ("good", None, None, None),
            (None, None, None, None),
            (None, "ana@x.org", None, None),
            (None, None, 1200, None),
            (None, None, None, True),
        ]


# -- numbers between types ----------------------------------------------------------------------------------------------

WHOLE = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([s * 2**b + d for s in (1, -1) for b in (15, 31, 53) for d in (-1, 0, 1)]),
    st.integers(-100, 100),
)
FRACTIONS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18, places=6),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000, places=2),
    st.sampled_from([Decimal(text) for text in ("0", "0.1", "1e30", "-1e-20", "999999999999.99", "1e12", "12.345")]),
)
SOURCES: dict[str, st.SearchStrategy[object]] = {
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": WHOLE,
    "numeric(14,4)": st.decimals(min_value=-(10**9), max_value=10**9, places=4, allow_nan=False, allow_infinity=False),
    "numeric": FRACTIONS,
    "double precision": st.one_of(
        st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e6, 1e6), st.integers(-9, 9)
    ),
}


@pytest.mark.parametrize("source", SOURCES)
def test_numbers_go_into_other_types_exactly_or_are_refused(database_each: Database, source: str) -> None:
    with session(database_each) as connection:
        made = [casts.cast("s.value", column(source), column(name), (), 150000) for name in TYPES]

        @ANY
        @given(st.lists(SOURCES[source], min_size=20, max_size=150))
        def holds(values: list[object]) -> None:
            shown = computed(connection, lambda raw: f"{raw}::text", [str(value) for value in values], source)
            got = computed(
                connection, lambda _: "array[" + ", ".join(f"({m})::text" for m in made) + "]", shown, source
            )
            want = [[want_cast(EXACT.create_decimal(text), source, name) for name in TYPES] for text in shown]
            assert_same(shown, [as_read(each) for each in got], want)

        holds()


def want_cast(value: Decimal, source: str, target: str) -> object:
    if source == target == "double precision":
        return float(value)
    if target == "double precision" and value != 0 and not Decimal("1e-300") <= value.copy_abs() < Decimal("1e300"):
        return None
    return held(value, target)


def test_nan_is_refused_by_types_without_it(database_each: Database) -> None:
    with session(database_each) as connection:
        for source in ("double precision", "numeric", "real"):
            for target in ("integer", "numeric(14,2)"):
                made = casts.cast("s.value", column(source), column(target), (), 150000)
                got = computed(connection, lambda _, made=made: made, ["NaN", "Infinity", "-Infinity"], source)  # type: ignore[misc]
                assert got == [None, None, None]


# -- what a server alone can read ---------------------------------------------------------------------------------------


def test_other_texts_are_asked_of_the_server_where_it_can_tell(database: Database) -> None:
    values = ["{}", "[1", "null", "a", '{"a": 1}']
    with session(database) as connection:
        cast = casts.cast("s.value", column("text"), column("jsonb"), (), 180000)
        assert computed(connection, lambda _: f"({cast})::text", values) == ["{}", None, "null", None, '{"a": 1}']


def test_uuids_are_read_in_every_form_but_with_braces(database_each: Database) -> None:
    one = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    values = [
        one,
        one.upper(),
        one.replace("-", ""),
        "{" + one + "}",
        one[:-1],
        one + "0",
        "a0eebc99_9c0b_4ef8_bb6d_6bb9bd380a11",
        "",
    ]
    with session(database_each) as connection:
        cast = casts.cast("s.value", column("text"), column("uuid"), (), 150000)
        assert computed(connection, lambda _: f"({cast})::text", values) == [
            one,
            one,
            one,
            None,
            None,
            None,
            None,
            None,
        ]


def test_a_domain_refuses_by_null_what_its_checks_refuse(database_each: Database) -> None:
    with session(database_each) as connection:
        connection.execute("create domain part as numeric(5,4) not null check (value >= 0)")
        connection.execute("create domain share as part check (value <= 1) check (value::text <> 'VALUE')")
        domains = read_catalog(connection, "public").domains
        checks = [check.expression or "" for domain in domains for check in domain.checks]
        assert len(checks) == 3
        made = casts.into_domain(up("number", "s.value", column("text"), "numeric(5,4)"), "share", checks)
        values = ["0.5", "50%", "x", "1.00001", "1.5", "-1"]
        assert computed(connection, lambda _: made, values) == [Decimal("0.5"), Decimal("0.5"), None, None, None, None]


def test_flags_and_numbers_become_one_another_without_a_guess(database_each: Database) -> None:
    with session(database_each) as connection:
        for source in ("smallint", "integer", "bigint", "numeric"):
            cast = casts.cast("s.value", column(source), column("boolean"), (), 150000)
            assert computed(connection, lambda _, cast=cast: cast, [0, 1, 2, -1], source) == [False, True, None, None]  # type: ignore[misc]
        for target in ("smallint", "integer", "bigint", "numeric(3,1)"):
            cast = casts.cast("s.value", column("boolean"), column(target), (), 150000)
            assert computed(connection, lambda _, cast=cast: cast, ["true", "false"], "boolean") == [1, 0]  # type: ignore[misc]


# -- the reference ------------------------------------------------------------------------------------------------------


def examples() -> Iterator[tuple[str, str, str, list[tuple[str, str | None]]]]:
    """(source type, transform, target type, [(given, want)]) of every table of the page that holds examples."""
    tables: list[list[list[str]]] = [[]]
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            tables[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif tables[-1]:
            tables.append([])
    for table in tables:
        if table and " into " in table[0][1]:
            transform, _, target = table[0][1].partition(" into ")
            rows = [(json.loads(given.strip("` ")), made.strip("` ")) for given, made in table[2:]]
            yield table[0][0].strip(), transform, target, [(g, None if w.startswith("refused") else w) for g, w in rows]


def documented(transform: str, source: Column, target: str) -> str:
    name, _, zone = transform.partition(" in ")
    if name in transforms():
        return up(name, "s.value", source, target, f"'{zone}'")
    assert name == "cast"
    return casts.cast("s.value", source, column(target), (), 150000)


def test_the_examples_of_the_reference_are_true(database_each: Database) -> None:
    with session(database_each) as connection:
        connection.execute("set timezone = 'UTC'")
        for source, transform, target, rows in examples():
            made = documented(transform, column(source), target)
            got = computed(connection, lambda _, made=made: f"({made})::text", [given for given, _ in rows], source)  # type: ignore[misc]
            assert_same([f"{given} as {transform} into {target}" for given, _ in rows], got, [want for _, want in rows])


def test_every_transform_has_a_section_and_examples_in_the_reference() -> None:
    headings = set(re.findall(r"^## (\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    shown = {transform.split(" ")[0] for _, transform, _, _ in examples()}
    assert headings == set(transforms())
    assert shown == set(transforms()) - {
        name for name, each in transforms().items() if isinstance(each, IdTransform)
    } | {"cast"}
