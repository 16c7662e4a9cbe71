"""Prints a schema for people: a data dictionary in Markdown.

Pure and deterministic: equal schemas give equal text without sizes, versions or dates, so it can be committed and compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from tenantry.catalog.model import Catalog, Column, Constraint, EnumType, Index, Table, View
from tenantry.postgres.sql import free_name, ident

_NOT_IN_ANCHORS = re.compile(r"[^A-Za-z0-9]+")


def dictionary_markdown(catalog: Catalog, *, title: str) -> str:
    """Return the data dictionary of a schema: contents, then every table, view, enum and domain.

    Partitions are listed under their parent and have no section of their own.
    """
    anchors = _anchors(catalog)
    tables = [table for table in catalog.tables if not _is_leaf(catalog, table)]
    blocks = [f"# {_prose(title)}"]
    if catalog.comment:
        blocks.append(_prose(catalog.comment))
    blocks.append(_contents(catalog, tables, anchors))
    if tables:
        blocks.append("## Tables")
        blocks.extend(block for table in tables for block in _table(catalog, table, anchors))
    if catalog.views:
        blocks.append("## Views")
        blocks.extend(block for view in catalog.views for block in _view(catalog, view, anchors))
    if catalog.enums:
        blocks.append("## Enums")
        blocks.extend(block for enum in catalog.enums for block in _enum(enum, anchors))
    if catalog.domains:
        blocks.extend(["## Domains", _domains(catalog)])
    return "\n\n".join(blocks) + "\n"


def _contents(catalog: Catalog, tables: Iterable[Table], anchors: Mapping[tuple[str, str], str]) -> str:
    lines = ["## Contents", ""]
    for heading, kind, items in (
        ("Tables", "table", [(table.name, table.comment) for table in tables]),
        ("Views", "view", [(view.name, view.comment) for view in catalog.views]),
        ("Enums", "enum", [(enum.name, enum.comment) for enum in catalog.enums]),
    ):
        if items:
            lines.append(f"- {heading} ({len(items)})")
        for name, comment in items:
            about = f": {_prose(_first_sentence(comment))}" if comment else ""
            lines.append(f"  - [{_prose(name)}](#{anchors[kind, name]}){about}")
    if catalog.domains:
        lines.append(f"- [Domains](#domains) ({len(catalog.domains)})")
    return "\n".join(lines)


def _table(catalog: Catalog, table: Table, anchors: Mapping[tuple[str, str], str]) -> Iterator[str]:
    yield _heading(table.name, anchors["table", table.name])
    if table.comment:
        yield _prose(table.comment)
    yield _columns(catalog, table.columns, anchors)
    facts = [
        *_keys(table),
        *(_reference(catalog, key, anchors) for key in table.foreign_keys),
        *_referrers(catalog, table, anchors),
        *(_index(index) for index in table.indexes if index.constraint is None),
        *(_check(check) for check in table.checks),
        *_partitions(catalog, table),
        _policies(table),
    ]
    yield "\n".join(f"- {fact}" for fact in facts)


def _columns(catalog: Catalog, columns: Iterable[Column], anchors: Mapping[tuple[str, str], str]) -> str:
    lines = ["| Column | Type | Null | Default | Comment |", "| --- | --- | --- | --- | --- |"]
    for column in columns:
        kind = _code(column.type)
        if column.type_kind == "enum" and column.type_schema == catalog.schema:
            kind = f"[{kind}](#{anchors.get(('enum', column.type_name), 'enums')})"
        cells = (
            _code(column.name),
            kind,
            "yes" if column.nullable else "no",
            _value(column),
            _prose(column.comment or ""),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _value(column: Column) -> str:
    if column.identity:
        return f"identity, {column.identity}"
    if column.generated:
        return f"generated, {column.generated_kind}: {_code(column.generated)}"
    return _code(column.default) if column.default else ""


def _keys(table: Table) -> Iterator[str]:
    if table.primary_key is None:
        yield "No primary key" + (f"; rows are identified by {_codes(table.row_key)}" if table.row_key else "")
    else:
        yield f"Primary key: {_codes(table.primary_key.columns)}"
    for unique in table.uniques:
        yield f"Unique: {_codes(unique.columns)}" + (", nulls not distinct" if unique.nulls_not_distinct else "")
    for other in table.constraints:
        if other.kind == "exclusion":
            yield f"Exclusion: {_code(other.definition)}"


def _reference(catalog: Catalog, key: Constraint, anchors: Mapping[tuple[str, str], str]) -> str:
    schema, name = key.ref_schema or "", key.ref_table or ""
    label = _prose(name) if schema == catalog.schema else _code(ident(schema, name))
    anchor = anchors.get(("table", name)) if schema == catalog.schema else None
    to = f"[{label}](#{anchor})" if anchor else label
    rest = [f"on update {key.on_update}"] if key.on_update != "no action" else []
    if key.on_delete != "no action":
        only = f" ({_codes(key.on_delete_columns)})" if key.on_delete_columns else ""
        rest.append(f"on delete {key.on_delete}{only}")
    if key.deferrable:
        rest.append("initially deferred" if key.initially_deferred else "deferrable")
    if not key.validated:
        rest.append("not validated")
    return "References: " + ", ".join([f"{_codes(key.columns)} to {to} ({_codes(key.ref_columns)})", *rest])


def _referrers(catalog: Catalog, table: Table, anchors: Mapping[tuple[str, str], str]) -> Iterator[str]:
    links = [
        f"[{_prose(other.name)}](#{anchors['table', other.name]}) ({_codes(key.columns)})"
        for other, key in catalog.references_to(table.name)
        if not _is_leaf(catalog, other)
    ]
    if links:
        yield "Referenced by: " + ", ".join(links)


def _index(index: Index) -> str:
    keys = ", ".join("an expression" if column is None else _code(column) for column in index.columns)
    kind = "Unique index" if index.unique else "Index"
    covering = f", with {_codes(index.included)}" if index.included else ""
    where = f", where {_code(index.predicate)}" if index.predicate else ""
    method = "" if index.method == "btree" else f" ({index.method})"
    return f"{kind}{method}: {_code(index.name)} over {keys}{covering}{where}" + ("" if index.valid else ", not valid")


def _check(check: Constraint) -> str:
    return f"Check: {_code(check.name)} {_code(check.expression or '')}" + (
        "" if check.validated else ", not validated"
    )


def _partitions(catalog: Catalog, table: Table) -> Iterator[str]:
    if table.partition_key is None:
        return
    yield f"{_code(table.name)} is partitioned by {_code(table.partition_key)}"
    for leaf in catalog.tables:
        if leaf.partition_of == (table.schema, table.name):
            yield f"Partition of {_code(table.name)}: {_code(leaf.name)} {_code(leaf.partition_bound or '')}"
            yield from _partitions(catalog, leaf)


def _policies(table: Table) -> str:
    count = len(table.policies)
    policies = f"{count} {'policy' if count == 1 else 'policies'}"
    if not table.rls_enabled:
        return "Row-level security: off" + (f" (its {policies} without effect)" if count else "")
    return f"Row-level security: {'forced' if table.rls_forced else 'on'}, {policies}"


def _view(catalog: Catalog, view: View, anchors: Mapping[tuple[str, str], str]) -> Iterator[str]:
    yield _heading(view.name, anchors["view", view.name])
    if view.comment:
        yield _prose(view.comment)
    yield _columns(catalog, view.columns, anchors)
    facts = ["Materialized"] if view.materialized else []
    facts.extend(f"Option: {_code(option)}" for option in view.options)
    reads = [_code(name if schema == catalog.schema else ident(schema, name)) for schema, name in view.depends_on]
    if reads:
        facts.append(f"Reads: {', '.join(reads)}")
    if facts:
        yield "\n".join(f"- {fact}" for fact in facts)


def _enum(enum: EnumType, anchors: Mapping[tuple[str, str], str]) -> Iterator[str]:
    yield _heading(enum.name, anchors["enum", enum.name])
    if enum.comment:
        yield _prose(enum.comment)
    yield f"Labels, in order: {_codes(enum.labels)}" if enum.labels else "No labels"


def _domains(catalog: Catalog) -> str:
    lines = ["| Domain | Type | Null | Default | Checks | Comment |", "| --- | --- | --- | --- | --- | --- |"]
    for domain in catalog.domains:
        cells = (
            _code(domain.name),
            _code(domain.base),
            "yes" if domain.nullable else "no",
            _code(domain.default) if domain.default else "",
            _codes(check.expression or "" for check in domain.checks),
            _prose(domain.comment or ""),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _is_leaf(catalog: Catalog, table: Table) -> bool:
    """Whether a table is listed under a parent: it is a partition of a table of this schema."""
    return table.partition_of is not None and table.partition_of[0] == catalog.schema


def _anchors(catalog: Catalog) -> dict[tuple[str, str], str]:
    """Return an anchor for each table, view and enum that has a section; names that differ only in punctuation stay
    distinct."""
    named = [
        *(("table", table.name) for table in catalog.tables if not _is_leaf(catalog, table)),
        *(("view", view.name) for view in catalog.views),
        *(("enum", enum.name) for enum in catalog.enums),
    ]
    anchors: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for kind, name in named:
        anchor = f"{kind}-{_NOT_IN_ANCHORS.sub('-', name).strip('-')}".rstrip("-")
        anchor = free_name(anchor, taken, mark="-", fold=str.lower)
        taken.add(anchor.lower())
        anchors[kind, name] = anchor
    return anchors


def _heading(name: str, anchor: str) -> str:
    return f'<a id="{anchor}"></a>\n\n### {_prose(name)}'


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s|\n", text.strip(), maxsplit=1)[0]


def _prose(text: str) -> str:
    """Return text on one line, with the special characters of Markdown and HTML escaped."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]])", r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;")


def _code(text: str) -> str:
    line = " ".join(text.split())
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}" if longest else f"`{line}`"


def _codes(items: Iterable[str]) -> str:
    return ", ".join(_code(item) for item in items)
