"""Fields of Django for columns."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.catalog import Catalog, Column
from tenantry.export.definitions import type_parts
from tenantry.export.python_text import call
from tenantry.postgres import ident

_PLAIN = {
    "smallint": "models.SmallIntegerField", "integer": "models.IntegerField", "bigint": "models.BigIntegerField", "text": "models.TextField",
    "boolean": "models.BooleanField", "uuid": "models.UUIDField", "date": "models.DateField", "double precision": "models.FloatField",
    "real": "models.FloatField", "bytea": "models.BinaryField", "json": "models.JSONField", "jsonb": "models.JSONField",
    "interval": "models.DurationField", "timestamp with time zone": "models.DateTimeField",
    "timestamp without time zone": "models.DateTimeField", "time without time zone": "models.TimeField",
    "inet": "models.GenericIPAddressField", "int4range": "pg.IntegerRangeField", "int8range": "pg.BigIntegerRangeField",
    "numrange": "pg.DecimalRangeField", "daterange": "pg.DateRangeField", "tstzrange": "pg.DateTimeRangeField",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DjangoField:
    """A class and its own arguments: `models.CharField`, {"max_length": 80}."""

    kind: str
    arguments: tuple[str, ...] = ()
    options: tuple[tuple[str, object], ...] = ()

    def written(self, **more: object) -> str:
        return f"{self.kind}({call(*self.arguments, **dict(self.options), **more)})"


class DjangoFields:
    """What a catalog's columns are in Django."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.enums = {ident(each.schema, each.name): each for each in catalog.enums}
        self.domains = {ident(each.schema, each.name): each for each in catalog.domains}

    def of(self, column: Column) -> DjangoField:
        return self._of(column.type)

    def _of(self, text: str) -> DjangoField:
        parts = type_parts(text)
        if parts.dimensions:
            inner = self._of(text[: text.index("[")])
            if parts.dimensions > 1:
                return DjangoField("TypedField", (repr(text),))
            kind = "LabelsField" if inner.kind == "LabelField" else "pg.ArrayField"
            return DjangoField(kind, (inner.written(),))
        if parts.name in self.enums:
            labels = [(label, label) for label in self.enums[parts.name].labels]
            return DjangoField("LabelField", (repr(parts.name),), (("choices", repr(labels)),))
        if parts.name in self.domains:
            return self._of(self.domains[parts.name].base)
        if parts.name == "character varying" and parts.arguments:
            return DjangoField("models.CharField", (), (("max_length", parts.arguments[0]),))
        if parts.name == "numeric" and parts.arguments:
            digits, places = (*parts.arguments, 0)[:2]
            return DjangoField("models.DecimalField", (), (("max_digits", digits), ("decimal_places", places)))
        if parts.name in ("character varying", "citext"):
            return DjangoField("models.TextField")
        found = _PLAIN.get(parts.name)
        return DjangoField(found) if found is not None else DjangoField("TypedField", (repr(text),))
