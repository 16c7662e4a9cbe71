"""Samples of converted values: for each transformed column a few values before and after, and how many cannot be converted.

The statement is that of the copy, with the transforms' own SQL, over a bounded number of rows. It only reads: the target's
types are created in a transaction that is rolled back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import psycopg

from tenantry.catalog.build import type_statements
from tenantry.derivation.derived import Derivation, Reading
from tenantry.derivation.forward import Deriver
from tenantry.derivation.keys import mapping_key
from tenantry.mapping import MappedColumn, Mapping, Project
from tenantry.mapping.reasons import read, written
from tenantry.postgres import about, ident, literal

Connection = psycopg.Connection[tuple[Any, ...]]

ROWS = 20_000
"""Rows of a mapping that are looked at, at most."""
SHOWN = 5
_DISTINCT_AMONG = 500
_TIMEOUT = "5s"
_MOST_TEXT = 80
_SAMPLE = "tenantry_sample"

_PERSONAL = re.compile(
    r"(^|_)(name|first_?name|last_?name|surname|full_?name|display_?name|username|login|e?_?mail|phone|mobile|fax|address|street|city|zip"
    r"|postal_?code|birth_?(day|date)?|dob|gender|ssn|passport|iban|card|ip|avatar|photo|picture|salary|diagnosis|token|secret|hash"
    r"|password|key)(_|$)",
    re.IGNORECASE,
)
_FREE_TEXT = re.compile(r"^(text|character varying|varchar|character|bpchar|citext|jsonb?|xml|bytea|hstore)\b")
_COLUMNS = re.compile(r"""'(?:[^']|'')*'|\bs\.(?:"((?:[^"]|"")+)"|([A-Za-z_][\w$]*))""")


@dataclass(frozen=True, slots=True)
class ValueSample:
    """A value before and after its conversion, as text; None is null."""

    before: str | None
    after: str | None
    converts: bool = True


@dataclass(frozen=True, slots=True)
class ColumnSample:
    """What a transform does to the values of one column.

    Attributes:
        source: the source columns that it reads.
        looked_at: number of rows that were converted; all, unless `sampled`.
        unconvertible: how many of them have a value that cannot be converted, or none where one is needed.
        masked: letters are shown as x and digits as 9.
        why_not: why there are no samples, such as a transform in Python.
    """

    mapping: str
    column: str
    source: tuple[str, ...]
    becomes: str
    samples: tuple[ValueSample, ...] = ()
    looked_at: int = 0
    sampled: bool = False
    unconvertible: int = 0
    masked: bool = False
    why_not: str = ""

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def take_samples(
    connection: Connection, project: Project, *, personal: bool = False, rows: int = ROWS
) -> tuple[ColumnSample, ...]:
    """Convert some rows of every mapping.

    Args:
        personal: show values of columns that may hold personal data; secrets are never shown.
        rows: how many rows of a mapping to look at, at most.
    """
    found: list[ColumnSample] = []
    with connection.transaction(force_rollback=True):
        if (
            connection.execute("select from pg_namespace where nspname = %s", [project.target.schema]).fetchone()
            is None
        ):
            for statement in type_statements(project.target):
                connection.execute(statement.encode())
        connection.execute("select set_config('statement_timeout', %s, true)", [_TIMEOUT])
        for mapping in project:
            columns = tuple(each for each in mapping.columns if is_transformed(each))
            if not columns:
                continue
            try:
                with about(str(mapping)), connection.transaction():
                    found += _samples(connection, project, mapping, columns, rows=rows, personal=personal)
            except psycopg.Error as error:
                late = isinstance(error, psycopg.errors.QueryCanceled)
                why = "the statement took too long" if late else "the statement failed"
                found += [_column(mapping, each, why_not=f"{why}; `tenantry analyze` names it") for each in columns]
    return tuple(found)


def is_transformed(column: MappedColumn) -> bool:
    """Whether a column's values are more than copied: converted, computed, or ids that change."""
    if column.kind == "value":
        return not re.fullmatch(r's\.("[^"]+"|[a-z_][\w$]*)', column.value)
    return column.kind in ("id", "python", "json_ids")


def masked(value: str) -> str:
    """Return the shape of a text: letters as x, digits as 9, all other signs as they are."""
    return "".join("9" if sign.isdigit() else "x" if sign.isalpha() else sign for sign in value)


def may_be_personal(mapping: Mapping, column: MappedColumn) -> bool:
    """Whether values may say something about a person: by a column's name, or because they stay text that anyone can write."""
    names = (column.name, *source_columns(mapping, column))
    if any(_PERSONAL.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)) for name in names):
        return True
    return column.kind != "id" and _FREE_TEXT.match(column.type) is not None


def source_columns(mapping: Mapping, column: MappedColumn) -> tuple[str, ...]:
    """Return the source columns that a column is made from; the row's key for an id."""
    if column.kind == "id":
        return mapping.key
    if column.source is not None:
        return (column.source,)
    named = ((quoted or "").replace('""', '"') or plain for quoted, plain in _COLUMNS.findall(column.value))
    return tuple(dict.fromkeys(name for name in named if name and mapping.source.column(name) is not None))


# -- parts -------------------------------------------------------------------------------------------------------------


def _column(mapping: Mapping, column: MappedColumn, **more: Any) -> ColumnSample:
    return ColumnSample(mapping.name, column.name, source_columns(mapping, column), column.type, **more)


def _samples(
    connection: Connection,
    project: Project,
    mapping: Mapping,
    columns: tuple[MappedColumn, ...],
    *,
    rows: int,
    personal: bool,
) -> Iterator[ColumnSample]:
    shown = tuple(each for each in columns if each.kind in ("value", "id"))
    sampled = mapping.source.row_estimate > rows
    found = connection.execute(_statement(project, mapping, shown, rows, sampled).encode()).fetchall()
    looked_at, pairs, counts = 0, dict[str, list[ValueSample]](), dict[str, int]()
    for kind, name, before, after, number in found:
        match kind:
            case "rows":
                looked_at = int(number)
            case "problem":
                reason, _, column = read(str(name)).partition(":")
                if reason in ("value_invalid", "value_missing"):
                    counts[column] = counts.get(column, 0) + int(number)
            case _:
                pairs.setdefault(str(name), []).append(ValueSample(before, after, converts=kind == "sample"))
    for each in columns:
        if each not in shown:
            why = (
                "converted in Python during the run"
                if each.kind == "python"
                else "ids in documents get their new values during the copy"
            )
            yield _column(mapping, each, why_not=why)
            continue
        hide = not personal and may_be_personal(mapping, each)
        yield _column(
            mapping, each, samples=tuple(_shown(pairs.get(each.name, ()), secret=mapping.is_secret(each), hide=hide)),
            looked_at=looked_at, sampled=sampled or looked_at >= rows, unconvertible=counts.get(each.name, 0), masked=hide,
        )  # fmt: skip


def _shown(samples: Iterable[ValueSample], *, secret: bool, hide: bool) -> Iterator[ValueSample]:
    def text(value: str | None) -> str | None:
        if value is None:
            return None
        if secret:
            return "(secret)"
        short = value if len(value) <= _MOST_TEXT else f"{value[:_MOST_TEXT]}…"
        return masked(short) if hide else short

    # The value that cannot be converted comes first.
    for each in sorted(samples, key=lambda sample: sample.converts)[:SHOWN]:
        yield replace(each, before=text(each.before), after=text(each.after))


def _statement(project: Project, mapping: Mapping, columns: tuple[MappedColumn, ...], rows: int, sampled: bool) -> str:
    """Build one statement: rows of (kind, name, before, after, number)."""
    table = ident(project.source.schema, mapping.source.name)
    part = (
        f" tablesample system ({min(100.0, 200 * rows / mapping.source.row_estimate):.6f}) repeatable (1)"
        if sampled
        else ""
    )
    derivation: Derivation = Deriver(project, Reading.PREVIEW).derive(mapping, rows=_SAMPLE)
    derivation = replace(
        derivation, common=((_SAMPLE, f"select * from {table}{part} limit {rows}"), *derivation.common)
    )
    key, problems = (f"d.{mapping.ours(name)}" for name in ("key", "problems"))
    pairs = ", ".join(
        f"({_before(mapping, each)}) as b{number}, (d.{ident(each.name)})::text as a{number}"
        for number, each in enumerate(columns)
    )
    joined = (
        f"select {problems} as problems{', ' if pairs else ''}{pairs}\n"
        f"  from derived d join {_SAMPLE} s on {mapping_key(mapping)} = {key}"
    )
    parts = [
        "select 'rows', '', null, null, count(*) from derived",
        f"select 'problem', p.problem, null, null, count(*) from derived d"
        f" cross join lateral regexp_split_to_table({problems}, ';') p (problem) group by 2",
    ]
    for number, each in enumerate(columns):
        name, bad = literal(each.name), _bad(each)
        parts += [
            f"(select 'refused', {name}, j.b{number}, j.a{number}, 1 from joined j where {bad} limit 2)",
            f"(select distinct 'sample', {name}, k.b{number}, k.a{number}, 1 from (select * from joined j"
            f" where j.b{number} is not null and not coalesce({bad}, false) limit {_DISTINCT_AMONG}) k limit {SHOWN})",
        ]
    return derivation.statement("\nunion all\n".join(parts), more=[("joined", joined)], few=True)


def _before(mapping: Mapping, column: MappedColumn) -> str:
    names = source_columns(mapping, column)
    if len(names) == 1:
        return f"s.{ident(names[0])}::text"
    listed = ", ".join(f"{literal(name)}, s.{ident(name)}" for name in names)
    return f"json_build_object({listed})::text" if names else "null::text"


def _bad(column: MappedColumn) -> str:
    codes = ", ".join(literal(written(f"{reason}:{column.name}")) for reason in ("value_invalid", "value_missing"))
    return f"string_to_array(j.problems, ';') && array[{codes}]::text[]"
