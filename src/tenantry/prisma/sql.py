"""The SQL that `prisma migrate` makes of a schema, constraint names included (Prisma 6 and later)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenantry.errors import PrismaSchemaWrong
from tenantry.postgres import ident, literal
from tenantry.prisma.model import Attribute, Call, PrismaField, PrismaModel, PrismaSchema

_SCALARS = {
    "String": "text", "Boolean": "boolean", "Int": "integer", "BigInt": "bigint", "Float": "double precision",
    "Decimal": "decimal(65,30)", "DateTime": "timestamp(3)", "Json": "jsonb", "Bytes": "bytea",
}  # fmt: skip
_NATIVE = {
    "Text": "text", "VarChar": "varchar", "Char": "char", "Bit": "bit", "VarBit": "varbit", "Uuid": "uuid", "Xml": "xml",
    "Inet": "inet", "Citext": "citext", "SmallInt": "smallint", "Integer": "integer", "BigInt": "bigint", "Oid": "oid",
    "DoublePrecision": "double precision", "Real": "real", "Decimal": "decimal", "Money": "money", "Timestamp": "timestamp",
    "Timestamptz": "timestamptz", "Date": "date", "Time": "time", "Timetz": "timetz", "Json": "json", "JsonB": "jsonb",
    "ByteA": "bytea", "Boolean": "boolean",
}  # fmt: skip
_SERIAL = {"integer": "serial", "bigint": "bigserial", "smallint": "smallserial"}
_ACTIONS = {
    "Cascade": "cascade", "Restrict": "restrict", "NoAction": "no action", "SetNull": "set null", "SetDefault": "set default",
}  # fmt: skip
_LONGEST = 63


@dataclass(slots=True)
class _Script:
    enums: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


def prisma_sql(schema: PrismaSchema) -> str:
    """Statements that make the schema's types, tables, indexes and foreign keys in the schema on the search path.

    Raises:
        PrismaSchemaWrong: a type, a field or an attribute that does not exist.
    """
    script = _Script()
    script.enums += [f"create extension if not exists {ident(name)};" for name in schema.extensions]
    for enum in schema.enums:
        labels = ", ".join(literal(label) for _, label in enum.labels)
        script.enums.append(f"create type {ident(enum.type)} as enum ({labels});")
    for model in schema.models:
        _model(schema, model, script)
    for name, one, other in _many_to_many(schema):
        _join_table(schema, name, one, other, script)
    return "\n\n".join([*script.enums, *script.tables, *script.indexes, *script.keys]) + "\n"


def _model(schema: PrismaSchema, model: PrismaModel, script: _Script) -> None:
    columns = [_column(schema, model, each) for each in model.fields if not _is_relation(schema, each)]
    key = _primary_key(model)
    if key is not None:
        fields, name = key
        columns.append(f"constraint {ident(name)} primary key ({', '.join(ident(each) for each in fields)})")
    script.tables.append(f"create table {ident(model.table)} (\n    " + ",\n    ".join(columns) + "\n);")
    script.indexes += _indexes(model)
    if schema.relation_mode != "prisma":
        script.keys += _foreign_keys(schema, model)


# -- columns -----------------------------------------------------------------------------------------------------------


def _is_relation(schema: PrismaSchema, each: PrismaField) -> bool:
    return not each.unsupported and schema.model(each.type) is not None


def _type(schema: PrismaSchema, model: PrismaModel, each: PrismaField) -> str:
    if each.unsupported:
        return each.type
    native = next((a for a in each.attributes if a.name.startswith("db.")), None)
    enum = schema.enum(each.type)
    if native is not None:
        name = native.name.removeprefix("db.")
        if name not in _NATIVE:
            raise _wrong(model, each, f"@db.{name} is no type of PostgreSQL")
        arguments = ",".join(str(value) for value in native.plain)
        base = _NATIVE[name] + (f"({arguments})" if arguments else "")
    elif enum is not None:
        base = ident(enum.type)
    elif each.type in _SCALARS:
        base = _SCALARS[each.type]
    else:
        raise _wrong(model, each, f"{each.type} is neither a scalar type nor a model nor an enum")
    default = each.attribute("default")
    if (
        default is not None
        and isinstance(default.get("value", 0), Call)
        and default.get("value", 0).name == "autoincrement"
    ):
        base = _SERIAL.get(base, base)
    return base + ("[]" if each.many else "")


def _column(schema: PrismaSchema, model: PrismaModel, each: PrismaField) -> str:
    text = f"{ident(each.column)} {_type(schema, model, each)}"
    if not each.optional and not each.many:
        text += " not null"
    default = _default(schema, model, each)
    return text + (f" default {default}" if default else "")


def _default(schema: PrismaSchema, model: PrismaModel, each: PrismaField) -> str:
    """SQL of a default; empty where Prisma's client makes the value."""
    given = each.attribute("default")
    if given is None:
        return ""
    value = given.get("value", 0)
    if isinstance(value, list):
        elements = ", ".join(_literal(schema, model, each, one) for one in value)
        return f"array[{elements}]::{_type(schema, model, each)}"
    if isinstance(value, Call):
        if value.name == "now":
            return "current_timestamp"
        if value.name == "dbgenerated":
            return str(value.first) if value.first else ""
        if value.arguments is not None:  # autoincrement(), uuid(), cuid(), ulid(), nanoid(): not the database's
            return ""
    return _literal(schema, model, each, value)


def _literal(schema: PrismaSchema, model: PrismaModel, each: PrismaField, value: Any) -> str:
    if isinstance(value, Call):
        if value.name in ("true", "false"):
            return value.name
        enum = schema.enum(each.type)
        label = next((label for name, label in enum.labels if name == value.name), None) if enum else None
        if label is None:
            raise _wrong(model, each, f"the default {value.name} is not a value of {each.type}")
        return literal(label)
    if each.type in ("Int", "BigInt", "Float", "Decimal") and not isinstance(value, list):
        return str(value)
    if each.type == "Bytes":
        return f"decode({literal(str(value))}, 'base64')"
    return literal(str(value))


def _wrong(model: PrismaModel, each: PrismaField, what: str) -> PrismaSchemaWrong:
    return PrismaSchemaWrong(
        f"line {each.line}: {model.name}.{each.name}: {what}.", hint="`prisma validate` checks the whole schema."
    )


# -- keys and indexes --------------------------------------------------------------------------------------------------


def _primary_key(model: PrismaModel) -> tuple[list[str], str] | None:
    for each in model.fields:
        given = each.attribute("id")
        if given is not None:
            return [each.column], str(given.get("map") or _name(model.table, (), "pkey"))
    for given in model.all("id"):
        columns = [name for name, _ in _parts(model, given)]
        return columns, str(given.get("map") or _name(model.table, (), "pkey"))
    return None


def _parts(model: PrismaModel, given: Attribute) -> list[tuple[str, str]]:
    """The columns of an index, with what follows each: operator class and order."""
    found = []
    for each in given.get("fields", 0) or []:
        part = each if isinstance(each, Call) else Call(str(each))
        column = model.field(part.name)
        if column is None:
            raise PrismaSchemaWrong(
                f"line {model.line}: {model.name}: @@{given.name} names the field {part.name}, which does not exist.",
                hint="Name a field of the model.",
            )
        options = {key: value for key, value in part.arguments or () if key}
        ops, sort = options.get("ops"), options.get("sort")
        more = ""
        if isinstance(ops, Call):
            more += f" {ops.first if ops.name == 'raw' else _operators(ops.name)}"
        if isinstance(sort, Call) and sort.name == "Desc":
            more += " desc"
        found.append((column.column, more))
    return found


def _operators(name: str) -> str:
    """JsonbPathOps is jsonb_path_ops."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _indexes(model: PrismaModel) -> Iterator[str]:
    table = ident(model.table)
    for each in model.fields:
        given = each.attribute("unique")
        if given is not None:
            name = str(given.get("map") or _name(model.table, (each.column,), "key"))
            sort = given.get("sort")
            order = " desc" if isinstance(sort, Call) and sort.name == "Desc" else ""
            yield f"create unique index {ident(name)} on {table} ({ident(each.column)}{order});"
    for given in model.attributes:
        if given.name not in ("unique", "index"):
            continue
        parts = _parts(model, given)
        unique = given.name == "unique"
        name = str(given.get("map") or _name(model.table, [column for column, _ in parts], "key" if unique else "idx"))
        method = given.get("type")
        using = f" using {_METHODS.get(method.name, method.name.lower())}" if isinstance(method, Call) else ""
        listed = ", ".join(f"{ident(column)}{more}" for column, more in parts)
        yield f"create {'unique ' if unique else ''}index {ident(name)} on {table}{using} ({listed});"


_METHODS = {"BTree": "btree", "Hash": "hash", "Gist": "gist", "Gin": "gin", "SpGist": "spgist", "Brin": "brin"}


def _name(table: str, columns: Sequence[str], suffix: str) -> str:
    """As Prisma names a constraint: what is too long loses its end before the suffix."""
    joined, end = "_".join([table, *columns]), f"_{suffix}"
    kept = joined.encode()[: _LONGEST - len(end)].decode(errors="ignore")
    return kept + end


# -- relations ---------------------------------------------------------------------------------------------------------


def _foreign_keys(schema: PrismaSchema, model: PrismaModel) -> Iterator[str]:
    for each in model.fields:
        relation = each.attribute("relation")
        if relation is None or not _is_relation(schema, each) or not relation.get("fields"):
            continue
        parent = schema.model(each.type)
        assert parent is not None
        here = [_column_of(model, part, each) for part in relation.get("fields")]
        there = [_column_of(parent, part, each) for part in relation.get("references") or []]
        optional = any(field.optional for field in model.fields if field.column in here)
        on_delete, on_update = relation.get("onDelete"), relation.get("onUpdate")
        deletes = _ACTIONS[on_delete.name] if isinstance(on_delete, Call) else "set null" if optional else "restrict"
        updates = _ACTIONS[on_update.name] if isinstance(on_update, Call) else "cascade"
        name = str(relation.get("map") or _name(model.table, here, "fkey"))
        yield _key(model.table, name, here, parent.table, there, deletes, updates)


def _column_of(model: PrismaModel, part: Any, each: PrismaField) -> str:
    name = part.name if isinstance(part, Call) else str(part)
    found = model.field(name)
    if found is None:
        raise _wrong(model, each, f"@relation names the field {name}, which {model.name} does not have")
    return found.column


def _key(
    table: str, name: str, here: Sequence[str], parent: str, there: Sequence[str], deletes: str, updates: str
) -> str:
    return (
        f"alter table {ident(table)} add constraint {ident(name)} foreign key ({', '.join(map(ident, here))})"
        f" references {ident(parent)} ({', '.join(map(ident, there))}) on delete {deletes} on update {updates};"
    )


def _many_to_many(schema: PrismaSchema) -> Iterator[tuple[str, PrismaModel, PrismaModel]]:
    """Implicit relations: lists on both sides. The table is called after the relation, or after both models."""
    seen: set[str] = set()
    for model in schema.models:
        for each in model.fields:
            other = schema.model(each.type)
            if not each.many or other is None:
                continue
            name = _relation_name(each)
            back = [
                one for one in other.fields
                if one.many and one.type == model.name and _relation_name(one) == name and (other is not model or one is not each)
            ]  # fmt: skip
            if not back:
                continue
            first, second = sorted((model, other), key=lambda one: one.name)
            table = f"_{name or f'{first.name}To{second.name}'}"
            if table not in seen:
                seen.add(table)
                yield table, first, second


def _relation_name(each: PrismaField) -> str:
    relation = each.attribute("relation")
    name = relation.get("name", 0) if relation is not None else None
    return name if isinstance(name, str) else ""


def _join_table(schema: PrismaSchema, name: str, one: PrismaModel, other: PrismaModel, script: _Script) -> None:
    columns, keys = [], []
    for letter, model in (("A", one), ("B", other)):
        key = next((each for each in model.fields if each.attribute("id") is not None), None)
        if key is None:
            raise PrismaSchemaWrong(
                f"line {model.line}: {model.name} has no single @id, which an implicit many-to-many relation needs.",
                hint="Write the table between them as a model.",
            )
        plain = _type(schema, model, key)
        plain = next((base for base, serial in _SERIAL.items() if serial == plain), plain)
        columns.append(f'"{letter}" {plain} not null')
        keys.append(
            _key(name, _name(name, (letter,), "fkey"), (letter,), model.table, (key.column,), "cascade", "cascade")
        )
    columns.append(f'constraint {ident(_name(name, (), "AB_pkey"))} primary key ("A", "B")')
    script.tables.append(f"create table {ident(name)} (\n    " + ",\n    ".join(columns) + "\n);")
    script.indexes.append(f'create index {ident(_name(name, (), "B_index"))} on {ident(name)} ("B");')
    if schema.relation_mode != "prisma":
        script.keys += keys
