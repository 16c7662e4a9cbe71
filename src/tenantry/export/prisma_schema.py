"""`schema.prisma` of a catalog: a model for each table, with relations on both sides."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tenantry.catalog import Column, Constraint, Index, Table
from tenantry.export.definitions import index_keys
from tenantry.export.naming import attribute_names, class_names
from tenantry.export.prisma_columns import PrismaColumns
from tenantry.export.subject import Subject
from tenantry.postgres import free_name, ident

_ACTIONS = {
    "no action": "NoAction",
    "restrict": "Restrict",
    "cascade": "Cascade",
    "set null": "SetNull",
    "set default": "SetDefault",
}
_METHODS = {"hash": "Hash", "gin": "Gin", "gist": "Gist", "spgist": "SpGist", "brin": "Brin"}
_SORTED = re.compile(r"(?P<name>.+?)(?P<desc> DESC)?")
_HEAD = """\
// The tables of schema {schema}. What this language cannot state is named in comments; the migrations make it.
// Queries run inside a tenant's context, without which the database shows no rows.

generator client {{
  provider = "prisma-client"
  output   = "./generated"
}}

datasource db {{
  provider = "postgresql"
  schemas  = [{quoted}]
}}
"""


@dataclass(slots=True)
class _Model:
    """A model as it is put together."""

    table: Table
    name: str
    fields: dict[str, str]
    """Field by column."""
    taken: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    relations: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    unstated: list[str] = field(default_factory=list)
    usable: bool = True

    def names(self, columns: Sequence[str]) -> str:
        return f"[{', '.join(self.fields[column] for column in columns)}]"


class PrismaSchemaText:
    """Writes the schema."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.catalog = subject.catalog
        self.columns = PrismaColumns(self.catalog)
        tables = [table for table in self.catalog.tables if table.partition_of is None]
        names = class_names((table.name for table in tables), self.columns.taken)
        self.models = {table.name: self._begun(table, names[table.name]) for table in tables}

    def text(self) -> str:
        for model in self.models.values():
            self._columns(model)
            self._keys(model)
        for model in self.models.values():
            self._relations(model)
        parts = [_HEAD.format(schema=self.catalog.schema, quoted=_quoted(self.catalog.schema))]
        parts += [self._enum(name) for name in self.columns.enums]
        parts += ["\n".join(self._model(model)) + "\n" for model in self.models.values()]
        return "\n".join(parts)

    def _begun(self, table: Table, name: str) -> _Model:
        fields = dict(attribute_names((column.name for column in table.columns), python=False))
        return _Model(table, name, fields, set(fields.values()))

    def _enum(self, of: str) -> str:
        enum = self.columns.enums[of]
        found = next(each for each in self.catalog.enums if ident(each.schema, each.name) == of)
        lines = [*_doc(found.comment, ""), f"enum {enum.name} {{"]
        for label, name in enum.labels.items():
            lines.append(f"  {name}" + (f" @map({_quoted(label)})" if name != label else ""))
        mapped = [f"  @@map({_quoted(found.name)})"] if enum.name != found.name else []
        return "\n".join([*lines, "", *mapped, f"  @@schema({_quoted(found.schema)})", "}", ""])

    def _model(self, model: _Model) -> Iterator[str]:
        table = model.table
        yield from _doc(table.comment, "")
        yield f"model {model.name} {{"
        yield from model.lines
        yield from model.relations
        yield ""
        yield from (f"  // Not stated: {each}" for each in model.unstated)
        yield from (f"  {each}" for each in model.attributes)
        if model.name != table.name:
            yield f"  @@map({_quoted(table.name)})"
        if not model.usable:
            yield "  @@ignore"
        yield f"  @@schema({_quoted(table.schema)})"
        yield "}"

    # -- columns -----------------------------------------------------------------------------------------------------

    def _columns(self, model: _Model) -> None:
        given, hidden = self.subject.given(model.table), self.subject.hidden(model.table)
        for column in model.table.columns:
            model.lines += _doc(column.comment, "  ")
            model.lines.append(f"  {self._column(model, column, column.name in given, column.name in hidden)}")
            if column.generated is not None:
                model.unstated.append(f"{column.name} is generated: {_line(column.generated)}")
            if column.identity is not None:
                model.unstated.append(f"{column.name} is generated {column.identity} as identity")

    def _column(self, model: _Model, column: Column, given: bool, hidden: bool) -> str:
        kind = self.columns.type_of(column)
        modifier = "[]" if kind.many else "?" if column.nullable else ""
        parts = [model.fields[column.name], kind.name + modifier]
        key = model.table.primary_key
        if key is not None and key.columns == (column.name,):
            parts.append("@id" + self._map(model, key.name, (), "pkey"))
        default = self.columns.default_of(column, given=given)
        parts += [default] if default else []
        if model.fields[column.name] != column.name:
            parts.append(f"@map({_quoted(column.name)})")
        parts += [kind.native] if kind.native else []
        if hidden and not kind.unsupported:
            parts.append("@ignore")
        return " ".join(parts)

    # -- keys and indexes --------------------------------------------------------------------------------------------

    def _keys(self, model: _Model) -> None:
        table = model.table
        key = table.primary_key
        if key is not None and len(key.columns) > 1:
            model.attributes.append(
                f"@@id({model.names(key.columns)}{self._map(model, key.name, (), 'pkey', comma=True)})"
            )
        for index in table.indexes:
            of = table.constraint(index.constraint) if index.constraint is not None else None
            if not index.primary and not index.inherited and (of is None or of.kind == "unique"):
                made = self._index(model, index)
                if made is None:
                    model.unstated.append(f"{'unique ' if index.unique else ''}index {index.name}")
                else:
                    model.attributes.append(made)
        model.unstated += [
            f"{'exclusion' if each.kind == 'exclusion' else 'check'} {each.name}"
            for each in table.constraints
            if each.kind in ("check", "exclusion")
        ]
        never_null = {column.name for column in table.columns if not column.nullable}
        model.usable = key is not None or any(
            index.unique and self._keys_of(index) is not None and {*index.columns} <= never_null
            for index in table.indexes
        )

    def _index(self, model: _Model, index: Index) -> str | None:
        keys = self._keys_of(index)
        if keys is None or (index.unique and index.method != "btree") or index.method not in ("btree", *_METHODS):
            return None
        listed = ", ".join(model.fields[name] + ("(sort: Desc)" if desc else "") for name, desc in keys)
        name = self._map(model, index.name, [name for name, _ in keys], "key" if index.unique else "idx", comma=True)
        kind = f", type: {_METHODS[index.method]}" if index.method in _METHODS else ""
        return f"@@{'unique' if index.unique else 'index'}([{listed}]{name}{kind})"

    @staticmethod
    def _keys_of(index: Index) -> list[tuple[str, bool]] | None:
        """The columns of an index with their order; None where it has a part that Prisma cannot state."""
        if (
            index.predicate is not None
            or index.included
            or index.nulls_not_distinct
            or None in index.columns
            or not index.valid
        ):
            return None
        if " WITH (" in index.definition:
            return None
        keys = []
        for name, text in zip(index.columns, index_keys(index), strict=True):
            assert name is not None
            if text not in (ident(name), f"{ident(name)} DESC"):
                return None
            keys.append((name, text.endswith(" DESC")))
        return keys

    @staticmethod
    def _map(model: _Model, name: str, columns: Sequence[str], suffix: str, *, comma: bool = False) -> str:
        """`map: …` where a name is not the one that Prisma would give."""
        end = f"_{suffix}"
        usual = "_".join([model.table.name, *columns]).encode()[: 63 - len(end)].decode(errors="ignore") + end
        if name == usual:
            return ""
        return f", map: {_quoted(name)}" if comma else f"(map: {_quoted(name)})"

    # -- relations ---------------------------------------------------------------------------------------------------

    def _relations(self, model: _Model) -> None:
        keys = [each for each in model.table.foreign_keys if not each.inherited]
        to = Counter(each.ref_table for each in keys)
        for key in keys:
            parent = self.models.get(key.ref_table or "") if key.ref_schema == self.catalog.schema else None
            if parent is None or not self._is_key(parent, key.ref_columns):
                model.unstated.append(f"foreign key {key.name} to {key.ref_schema}.{key.ref_table}")
                continue
            several = to[key.ref_table] > 1 or parent is model or self._also_back(model, parent)
            self._relation(model, parent, key, named=several)

    def _also_back(self, model: _Model, parent: _Model) -> bool:
        return any(each.ref_table == model.table.name for each in parent.table.foreign_keys)

    def _relation(self, model: _Model, parent: _Model, key: Constraint, *, named: bool) -> None:
        table = model.table
        columns = [column for name in key.columns if (column := table.column(name)) is not None]
        optional = any(column.nullable for column in columns)
        here = _free(self._relation_name(model, parent, key), model.taken)
        once = self._is_key(model, key.columns)
        back = _lower(model.name) if once else _plural(model)
        if named:
            back = f"{back}_{here}"
        there = _free(back, parent.taken)
        name = f"{_quoted(key.name)}, " if named else ""
        deleted = key.on_delete
        if deleted == "set null" and not all(column.nullable for column in columns):
            model.unstated.append(f"ON DELETE SET NULL ({', '.join(key.on_delete_columns)}) of {key.name}")
            deleted = "no action"
        usual = self._map(model, key.name, key.columns, "fkey", comma=True)
        if key.deferrable:
            model.unstated.append(f"{key.name} is deferrable")
        model.relations.append(
            f"  {here} {parent.name}{'?' if optional else ''} @relation({name}fields: {model.names(key.columns)}, references:"
            f" {parent.names(key.ref_columns)}, onDelete: {_ACTIONS[deleted]}, onUpdate: {_ACTIONS[key.on_update]}{usual})"
            + (" @ignore" if not parent.usable and model.usable else "")
        )
        parent.relations.append(
            f"  {there} {model.name}{'?' if once else '[]'}"
            + (f" @relation({_quoted(key.name)})" if named else "")
            + (" @ignore" if not model.usable and parent.usable else "")
        )

    def _is_key(self, model: _Model, columns: Sequence[str]) -> bool:
        """Whether a unique key that the schema states consists of these columns."""
        key = model.table.primary_key
        if key is not None and set(key.columns) == set(columns):
            return True
        return any(
            index.unique and self._keys_of(index) is not None and set(index.columns) == set(columns)
            for index in model.table.indexes
        )

    def _relation_name(self, model: _Model, parent: _Model, key: Constraint) -> str:
        """`author_id` is `author`; else the parent's name."""
        own = model.fields[key.columns[-1]]
        for ending in ("_id", "Id"):
            if own.endswith(ending) and len(own) > len(ending):
                return own[: -len(ending)]
        return _lower(parent.name)


def _free(wanted: str, taken: set[str]) -> str:
    found = free_name(wanted, taken)
    taken.add(found)
    return found


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _plural(model: _Model) -> str:
    """Tables are mostly called in the plural already."""
    return next(iter(attribute_names([_lower(model.table.name)], python=False).values()))


def _doc(text: str | None, indent: str) -> list[str]:
    return [f"{indent}/// {line}".rstrip() for line in (text or "").splitlines()]


def _line(text: str) -> str:
    return " ".join(text.split())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
