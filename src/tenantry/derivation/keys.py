"""Finds rows of a source table by the texts of their keys: compares as PostgreSQL compares the key, and never raises an
error.

A text need not be a valid key: target-native rows have ids of their own there, which are neither numbers nor pairs. Equal
values need not have equal texts: citext, a nondeterministic collation, numeric (1.0, 1.00) and character(n) treat different
texts as one value. So a row is found by the key's own type and operator, and accepted only if its text is identical.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tenantry.catalog import Catalog, Table
from tenantry.catalog import Column as CatalogColumn
from tenantry.derivation.ids import key_sql
from tenantry.derivation.tenant_values import value_key
from tenantry.mapping import casts
from tenantry.mapping.project import Mapping, Project, Reference
from tenantry.mapping.types import enum_labels, into_column, plain_column
from tenantry.mapping.values.type_names import base_type, is_text, text_length
from tenantry.postgres import ident, literal

_TEXT = CatalogColumn("key", "text", type_name="text")
_INTEGERS = {"smallint": 4, "integer": 9, "bigint": 18}
"""Number of digits that always fit."""
_UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_UUID_LENGTH = 36
_EXACT = {*_INTEGERS, "uuid", "text", "character varying"}
"""Types whose equal values have equal texts, and whose values `_typed` can read from the text alone."""


def mapping_key(mapping: Mapping, alias: str = "s") -> str:
    """Return the SQL of a source row's key as text, compared byte by byte."""
    first = mapping.source.column(mapping.key[0])
    assert first is not None
    if len(mapping.key) == 1 and (first.collation is not None or first.type_kind == "domain"):
        return f'({alias}.{ident(mapping.key[0])}::text collate "C")'
    return key_sql(alias, mapping.key, is_text=is_text(first) and first.type == "text")


def key_parts_sql(catalog: Catalog, mapping: Mapping, key: str) -> list[str]:
    """Return the typed columns of a source key from its text; null, never an error, if the text is not a valid key."""
    columns = [mapping.source.column(name) for name in mapping.key]
    texts = [key]
    if len(columns) > 1:
        string = r'"(?:[^"\\]|\\.)*"'
        array = literal(f"^\\[{string}(?:, {string}){{{len(columns) - 1}}}\\]$")
        texts = [f"(case when {key} ~ {array} then ({key})::jsonb ->> {i} end)" for i in range(len(columns))]
    return [_typed(text, column, catalog) for text, column in zip(texts, columns, strict=True) if column is not None]


def same_key(catalog: Catalog, mapping: Mapping, alias: str, key: str) -> str:
    """Return a condition that finds a source row by the text of its key, using the key's index."""
    parts = key_parts_sql(catalog, mapping, key)
    columns = [column for name in mapping.key if (column := mapping.source.column(name)) is not None]
    found = [equal(column, f"{alias}.{ident(column.name)}", part) for column, part in zip(columns, parts, strict=True)]
    if not all(exact(column, catalog) for column in columns):
        found.append(f'{mapping_key(mapping, alias)} = {key} collate "C"')
    return " and ".join(found)


def key_takes(catalog: Catalog, mapping: Mapping) -> bool:
    """Whether a new id can be a key of the source table: a kept one, or a uuid."""
    if mapping.keeps_ids:
        return True
    column = mapping.source.column(mapping.key[0])
    if len(mapping.key) > 1 or column is None:
        return False
    plain = plain_column(column, catalog)
    if base_type(plain.type) == "uuid":
        return True
    length = text_length(plain.type)
    return is_text(plain) and (length is None or length >= _UUID_LENGTH)


def exact(column: CatalogColumn, catalog: Catalog) -> bool:
    """Whether equal values of a column have equal texts, and a text survives being read as a value and written again."""
    plain = plain_column(column, catalog)
    return column.collation is None and (base_type(plain.type) in _EXACT or plain.type_kind == "enum")


def equal(column: CatalogColumn, one: str, other: str) -> str:
    """Return a condition that two values are equal according to a column's type. The operator of an extension's type, such as
    citext, is qualified with its schema, so the search path does not matter."""
    return f"{one} {operator(column, '=')} {other}"


def operator(column: CatalogColumn, name: str) -> str:
    """Return an operator of a column's type."""
    if column.type_kind == "base" and column.type_schema != "pg_catalog":
        return f"operator({ident(column.type_schema)}.{name})"
    return name


def _typed(text: str, column: CatalogColumn, catalog: Catalog) -> str:
    plain = plain_column(column, catalog)
    base = base_type(plain.type)
    to = plain.type
    if plain.type_kind == "enum" and (labels := enum_labels(plain, catalog)):
        made = casts.cast(text, _TEXT, plain, labels, catalog.server_version)
    elif base == "text" and plain.type_kind == "base":
        made = text
    elif (length := text_length(to)) is not None:
        made = f"case when length({text}) <= {length} then ({text})::{to} end"
    elif is_text(plain):
        made = f"({text})::{to}"
    elif base in _INTEGERS:
        digits = _INTEGERS[base]
        least, most = (
            -(2 ** (16 * 2 ** list(_INTEGERS).index(base) - 1)),
            2 ** (16 * 2 ** list(_INTEGERS).index(base) - 1) - 1,
        )
        # With one digit more a number may overflow, which only a wider type can detect.
        made = (
            f"case when {text} ~ '^(0|-?[1-9][0-9]{{0,{digits - 1}}})$' then ({text})::{to}"
            f" when {text} ~ '^-?[1-9][0-9]{{{digits}}}$' then"
            f" case when ({text})::numeric between {least} and {most} then ({text})::{to} end end"
        )
    elif base == "uuid":
        made = f"case when {text} ~ '{_UUID}' then ({text})::uuid end"
    else:
        return f"case when {readable(text, column.type, catalog.server_version)} then ({text})::{column.type} end"
    return into_column(made, column, catalog)


def readable(text: str, to: str, server_version: int) -> str:
    """Return a condition that a type can read a text. Before PostgreSQL 16 a function in the journal's schema tries it."""
    if server_version >= 160000:
        return f"pg_input_is_valid({text}, {literal(to)})"
    return f"tenantry.readable({text}, {literal(to)})"


# -- references ----------------------------------------------------------------------------------------------------------


def reference_text(project: Project, child: Mapping, ref: Reference, alias: str) -> str:
    """Return the text of the key that a reference names, spelled as in its parent: `Ann` if the row has `ann` and the key's
    type treats both as equal. Null if no such parent exists."""
    if holds := ref.holds(alias):
        return f"case when {holds} then {reference_text(project, child, replace(ref, only=None), alias)} end"
    if ref.by_value:
        return value_key(project, f"{alias}.{ident(ref.columns[0])}")
    plain = plain_text(child.source, alias, ref.columns)
    looked_up = []
    for parent in dict.fromkeys(feeding.source for feeding in project.feeding(ref)):
        if equal_by_text(project.source, child.source, ref.columns, parent, ref.by):
            return plain
        same = references_equal(child.source, ref.columns, parent, ref.by, alias, "named_row")
        looked_up.append(
            f"(select {plain_text(parent, 'named_row', ref.by)} from {ident(project.source.schema, parent.name)} named_row"
            f" where {same} limit 1)"
        )
    return looked_up[0] if len(looked_up) == 1 else f"coalesce({', '.join(looked_up)})"


def plain_text(table: Table, alias: str, columns: Sequence[str]) -> str:
    """Return the values of some columns as one text, built as in `key_sql` and compared byte by byte."""
    column = table.column(columns[0])
    made = key_sql(alias, columns, is_text=False)
    own = len(columns) == 1 and column is not None and (column.collation is not None or column.type_kind == "domain")
    return f'({made} collate "C")' if own else made


def equal_by_text(catalog: Catalog, child: Table, columns: Sequence[str], parent: Table, by: Sequence[str]) -> bool:
    """Whether values of two tables' columns are equal exactly when their texts are, or no server operator can compare them
    otherwise."""
    pairs = _pairs(child, columns, parent, by)
    if not all(comparable(mine, theirs) for mine, theirs in pairs):
        return True
    return all(_steady(mine, catalog) and _steady(theirs, catalog) for mine, theirs in pairs)


def references_equal(
    child: Table, columns: Sequence[str], parent: Table, by: Sequence[str], alias: str, other: str
) -> str:
    """Return a condition that a row refers to another one by these columns: compared as the key's type does, using its
    index."""
    return " and ".join(
        equal(theirs, f"{other}.{ident(theirs.name)}", f"{alias}.{ident(mine.name)}")
        if comparable(mine, theirs)
        else f"{plain_text(parent, other, (theirs.name,))} = {plain_text(child, alias, (mine.name,))}"
        for mine, theirs in _pairs(child, columns, parent, by)
    )


def comparable(mine: CatalogColumn, theirs: CatalogColumn) -> bool:
    """Whether a reference can be compared with its parent's columns without a cast, so that their index can be used."""
    one, other = base_type(mine.type), base_type(theirs.type)
    if mine.type == theirs.type or (one == other and mine.type_kind == theirs.type_kind == "base"):
        return True
    numbers = (*_INTEGERS, "numeric")
    if one in numbers and other in numbers:
        # The server would cast the key to numeric and use no index.
        return one != "numeric"
    plain = ("text", "character varying")
    return one in plain and other in plain


def _pairs(
    child: Table, columns: Sequence[str], parent: Table, by: Sequence[str]
) -> list[tuple[CatalogColumn, CatalogColumn]]:
    found = []
    for here, there in zip(columns, by, strict=True):
        mine, theirs = child.column(here), parent.column(there)
        if mine is not None and theirs is not None:
            found.append((mine, theirs))
    return found


_STEADY = {
    *_EXACT, "character", "boolean", "bytea", "date", "time without time zone", "timestamp with time zone",
    "timestamp without time zone",
}  # fmt: skip


def _steady(column: CatalogColumn, catalog: Catalog) -> bool:
    """Whether equal values have equal texts. The server's own collations distinguish any two texts; a user's collation may
    not."""
    plain = plain_column(column, catalog)
    if "." in (column.collation or "") or _domain_collation(column, catalog):
        return False
    return plain.type_kind == "enum" or (plain.type_kind == "base" and base_type(plain.type) in _STEADY)


def _domain_collation(column: CatalogColumn, catalog: Catalog) -> bool:
    domain = catalog.domain(column.type_name) if column.type_kind == "domain" else None
    return domain is not None and domain.collation is not None
