"""Types of columns as SQLAlchemy and Python write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tenantry.catalog import Catalog, Column
from tenantry.export.definitions import type_parts
from tenantry.export.naming import class_names
from tenantry.export.python_text import call
from tenantry.postgres import ident


@dataclass(frozen=True, slots=True)
class ColumnType:
    """`sql` makes SQLAlchemy's type, `python` is the annotation."""

    sql: str
    python: str


_PLAIN = {
    "smallint": ColumnType("sa.SmallInteger()", "int"),
    "integer": ColumnType("sa.Integer()", "int"),
    "bigint": ColumnType("sa.BigInteger()", "int"),
    "text": ColumnType("sa.Text()", "str"),
    "boolean": ColumnType("sa.Boolean()", "bool"),
    "uuid": ColumnType("sa.Uuid()", "uuid.UUID"),
    "date": ColumnType("sa.Date()", "datetime.date"),
    "double precision": ColumnType("sa.Double()", "float"),
    "real": ColumnType("sa.REAL()", "float"),
    "bytea": ColumnType("sa.LargeBinary()", "bytes"),
    "json": ColumnType("pg.JSON()", "Any"),
    "jsonb": ColumnType("pg.JSONB()", "Any"),
    "money": ColumnType("pg.MONEY()", "str"),
    "inet": ColumnType("pg.INET()", "Any"),
    "cidr": ColumnType("pg.CIDR()", "Any"),
    "macaddr": ColumnType("pg.MACADDR()", "str"),
    "oid": ColumnType("pg.OID()", "int"),
    "tsvector": ColumnType("pg.TSVECTOR()", "str"),
    "tsquery": ColumnType("pg.TSQUERY()", "str"),
    "int4range": ColumnType("pg.INT4RANGE()", "pg.Range[int]"),
    "int8range": ColumnType("pg.INT8RANGE()", "pg.Range[int]"),
    "numrange": ColumnType("pg.NUMRANGE()", "pg.Range[decimal.Decimal]"),
    "daterange": ColumnType("pg.DATERANGE()", "pg.Range[datetime.date]"),
    "tsrange": ColumnType("pg.TSRANGE()", "pg.Range[datetime.datetime]"),
    "tstzrange": ColumnType("pg.TSTZRANGE()", "pg.Range[datetime.datetime]"),
}
_TIMES = {
    "timestamp with time zone": ("TIMESTAMP", True, "datetime.datetime"),
    "timestamp without time zone": ("TIMESTAMP", False, "datetime.datetime"),
    "time with time zone": ("TIME", True, "datetime.time"),
    "time without time zone": ("TIME", False, "datetime.time"),
}


class Types:
    """The types of a catalog. Enums are lists of labels with a Literal, domains are named; both stand before the models."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        named = class_names([*(each.name for each in catalog.enums), *(each.name for each in catalog.domains)])
        self.enums = {ident(each.schema, each.name): named[each.name] for each in catalog.enums}
        self.domains = {ident(each.schema, each.name): named[each.name] for each in catalog.domains}
        self.names = tuple(name for each in named.values() for name in (each, _variable(each)))

    def definitions(self) -> Iterator[str]:
        for enum in self.catalog.enums:
            name = self.enums[ident(enum.schema, enum.name)]
            labels = ", ".join(map(repr, enum.labels))
            yield f"\n{name} = Literal[{labels}]"
            options = call(name=repr(enum.name), schema=repr(enum.schema), metadata="Base.metadata")
            yield f"{_variable(name)} = pg.ENUM({labels}, {options})"
        for domain in self.catalog.domains:
            name = self.domains[ident(domain.schema, domain.name)]
            base = self._of(domain.base)
            check = domain.checks[0] if len(domain.checks) == 1 else None
            options = call(
                schema=repr(domain.schema),
                metadata="Base.metadata",
                not_null=True if not domain.nullable else None,
                default=f"sa.text({domain.default.replace(':', chr(92) + ':')!r})"
                if domain.default is not None
                else None,
                constraint_name=repr(check.name) if check is not None else None,
                check=f"sa.text({(check.expression or '').replace(':', chr(92) + ':')!r})"
                if check is not None
                else None,
                create_type=False if len(domain.checks) > 1 else None,
            )
            yield f"\n{_variable(name)} = pg.DOMAIN({domain.name!r}, {base.sql}, {options})"

    def of(self, column: Column) -> ColumnType:
        return self._of(column.type, column.collation)

    def _of(self, text: str, collation: str | None = None) -> ColumnType:
        parts = type_parts(text)
        if parts.dimensions:
            inner = self._of(text[: text.index("[")])
            python = inner.python
            for _ in range(parts.dimensions):
                python = f"list[{python}]"
            more = f", dimensions={parts.dimensions}" if parts.dimensions > 1 else ""
            return ColumnType(f"pg.ARRAY({inner.sql}{more})", python)
        if parts.name in self.enums:
            name = self.enums[parts.name]
            return ColumnType(_variable(name), name)
        if parts.name in self.domains:
            domain = next(each for each in self.catalog.domains if ident(each.schema, each.name) == parts.name)
            return ColumnType(_variable(self.domains[parts.name]), self._of(domain.base).python)
        return self._base(text, collation)

    def _base(self, text: str, collation: str | None) -> ColumnType:
        parts = type_parts(text)
        given = [str(each) for each in parts.arguments]
        if collation is not None and parts.name in ("text", "character varying", "character"):
            kind = {"text": "Text", "character varying": "String", "character": "CHAR"}[parts.name]
            return ColumnType(f"sa.{kind}({call(*given, collation=repr(collation))})", "str")
        if parts.name == "character varying":
            return ColumnType(f"sa.String({call(*given)})", "str")
        if parts.name == "character":
            return ColumnType(f"sa.CHAR({call(*given)})", "str")
        if parts.name == "numeric":
            return ColumnType(f"sa.Numeric({call(*given)})", "decimal.Decimal")
        if parts.name in _TIMES:
            kind, zone, python = _TIMES[parts.name]
            precision = parts.arguments[0] if parts.arguments else None
            if precision is None and kind == "TIMESTAMP":
                return ColumnType(f"sa.DateTime({call(timezone=zone or None)})", python)
            return ColumnType(f"pg.{kind}({call(timezone=zone or None, precision=precision)})", python)
        if parts.name == "interval":
            return ColumnType(f"pg.INTERVAL({call(precision=given[0] if given else None)})", "datetime.timedelta")
        if parts.name in ("bit", "bit varying"):
            return ColumnType(f"pg.BIT({call(*given, varying=True if parts.name != 'bit' else None)})", "str")
        return _PLAIN.get(text, ColumnType(f"Raw({text!r})", "Any"))


def _variable(name: str) -> str:
    """The name of the type's value beside that of its Literal."""
    return f"{name}Type"
