"""Types and defaults of columns in the schema language of Prisma."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tenantry.catalog import Catalog, Column, EnumType
from tenantry.export.definitions import type_parts
from tenantry.export.naming import attribute_names, class_names
from tenantry.postgres import ident

_PLAIN = {
    "text": "String", "boolean": "Boolean", "integer": "Int", "bigint": "BigInt", "double precision": "Float", "jsonb": "Json",
    "bytea": "Bytes", "smallint": "Int @db.SmallInt", "real": "Float @db.Real", "uuid": "String @db.Uuid", "xml": "String @db.Xml",
    "inet": "String @db.Inet", "date": "DateTime @db.Date", "json": "Json @db.Json", "oid": "Int @db.Oid", "money": "Decimal @db.Money",
    "citext": "String @db.Citext",
}  # fmt: skip
_WITH_ARGUMENTS = {
    "character varying": "String @db.VarChar", "character": "String @db.Char", "bit": "String @db.Bit", "bit varying": "String @db.VarBit",
    "numeric": "Decimal @db.Decimal", "timestamp with time zone": "DateTime @db.Timestamptz",
    "timestamp without time zone": "DateTime @db.Timestamp", "time with time zone": "DateTime @db.Timetz",
    "time without time zone": "DateTime @db.Time",
}  # fmt: skip
_LITERAL = re.compile(r"'((?:[^']|'')*)'(?:::[^']+)?")
_NUMBER = re.compile(r"\(?(-?\d+(?:\.\d+)?)\)?(?:::[\w ]+)?|'(-?\d+(?:\.\d+)?)'::[\w ]+")
_RESERVED = frozenset(
    ("Prisma", "PrismaClient", "String", "Int", "Boolean", "Float", "Decimal", "DateTime", "Json", "Bytes", "BigInt")
)


@dataclass(frozen=True, slots=True)
class PrismaEnumText:
    """An enum's name and those of its labels, which Prisma restricts to letters, digits and underscores."""

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PrismaType:
    """`String`, and behind the modifier `@db.Uuid`."""

    name: str
    native: str = ""
    many: bool = False

    @property
    def unsupported(self) -> bool:
        return self.name.startswith("Unsupported(")


class PrismaColumns:
    """What a catalog's columns are in Prisma."""

    def __init__(self, catalog: Catalog) -> None:
        names = class_names((each.name for each in catalog.enums), _RESERVED)
        self.enums = {ident(each.schema, each.name): _enum(each, names[each.name]) for each in catalog.enums}
        self.taken = (*_RESERVED, *names.values())

    def type_of(self, column: Column) -> PrismaType:
        parts = type_parts(column.type)
        plain = column.type.partition("[")[0]
        found = self._base(plain, parts.name, parts.arguments)
        if parts.dimensions > 1 or (found is None and parts.dimensions):
            return PrismaType(f"Unsupported({_quoted(column.type)})")
        if found is None:
            return PrismaType(f"Unsupported({_quoted(plain)})")
        name, _, native = found.partition(" ")
        return PrismaType(name, native, bool(parts.dimensions))

    def _base(self, plain: str, name: str, arguments: tuple[int, ...]) -> str | None:
        if name in self.enums:
            return self.enums[name].name
        if name in _WITH_ARGUMENTS:
            return _WITH_ARGUMENTS[name] + (f"({', '.join(map(str, arguments))})" if arguments else "")
        return _PLAIN.get(plain)

    def default_of(self, column: Column, *, given: bool) -> str:
        """`@default(…)`; empty without one. What the database makes is `dbgenerated`: the client leaves it out and reads it back."""
        kind = self.type_of(column)
        if column.identity is not None or (column.default or "").startswith("nextval("):
            return "@default(autoincrement())" if kind.name in ("Int", "BigInt") else "@default(dbgenerated())"
        if column.generated is not None or (column.default is None and not given and not column.nullable):
            return "@default(dbgenerated())"
        if column.default is None or column.default.startswith("NULL"):
            return ""
        # A value that stands here is sent by the client, who may not give every column.
        plain = self._plain(kind, column) if given and not kind.many and not kind.unsupported else None
        return f"@default({plain})" if plain is not None else f"@default(dbgenerated({_quoted(column.default)}))"

    def _plain(self, kind: PrismaType, column: Column) -> str | None:
        """A default as Prisma writes values; None where it is an expression."""
        default = column.default or ""
        if kind.name == "Boolean" and default in ("true", "false"):
            return default
        if kind.name in ("Int", "BigInt", "Float", "Decimal"):
            number = _NUMBER.fullmatch(default)
            return number[1] or number[2] if number is not None and kind.native != "@db.Money" else None
        text = _LITERAL.fullmatch(default)
        if text is None:
            return None
        value = text[1].replace("''", "'")
        enum = self.enums.get(type_parts(column.type).name)
        if enum is not None:
            return enum.labels.get(value)
        return _quoted(value) if kind.name in ("String", "Json") and kind.native in ("", "@db.Json") else None


def _enum(enum: EnumType, name: str) -> PrismaEnumText:
    return PrismaEnumText(name, attribute_names(enum.labels, python=False))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


__all__ = ["PrismaColumns", "PrismaEnumText", "PrismaType"]
