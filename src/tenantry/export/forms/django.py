"""Models of Django 5.2 or later, over tables that Django does not manage."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from tenantry.catalog import Column, Constraint, Table
from tenantry.export.django_fields import DjangoField, DjangoFields
from tenantry.export.form import Form
from tenantry.export.naming import class_names
from tenantry.export.python_text import docstring
from tenantry.export.subject import Subject
from tenantry.postgres import free_name

_TAKEN = (
    "pk",
    "objects",
    "Meta",
    "save",
    "delete",
    "clean",
    "full_clean",
    "check",
    "refresh_from_db",
    "validate_unique",
)
_HEAD = '''\
{docstring}

from __future__ import annotations

import re
from typing import Any

from django.contrib.postgres import fields as pg
from django.db import models
from django.db.models.expressions import RawSQL


class FromDatabase:
    """A column that the database fills: an INSERT leaves it out and reads it back, an UPDATE leaves it alone."""

    generated = True
    db_returning = True


class KeyFromDatabase(FromDatabase):
    """The same in a primary key, of which Django allows no generated column."""

    generated = False


class Rows(models.QuerySet):
    """Leaves columns that the database fills out of an INSERT: it may not even name them."""

    def _insert(self, objs: Any, fields: Any, **options: Any) -> Any:
        return super()._insert(objs, [field for field in fields if not isinstance(field, FromDatabase)], **options)


class TypedField(models.TextField):
    """A column of a type that Django has no field for; values are as the driver gives and takes them."""

    def __init__(self, type: str, *args: Any, **kwargs: Any) -> None:
        self.type = type
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, [self.type, *args], kwargs

    def db_type(self, connection: Any) -> str:
        return self.type

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> Any:
        return value


class LabelField(TypedField):
    """A column of an enum."""


class LabelsField(pg.ArrayField):
    """An array of an enum's labels, which the driver gives as text."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = re.findall(r'"((?:[^"\\\\]|\\\\.)*)"|([^{{}},]+)', value)
        return [bare or re.sub(r"\\\\(.)", r"\\1", quoted) for quoted, bare in found]
'''


class Django(Form):
    name = "django"
    runs_files = False
    title = "models of Django 5.2, over tables that Django does not manage"
    example = "app"
    apply = "put the file into an app of INSTALLED_APPS, with django.contrib.postgres beside it"
    left_out = (
        "tables: managed = False, the SQL files make them, since Django has no words for policies, schemas and composite foreign keys",
        "columns that clients cannot read, which each query would name",
        "indexes, checks and exclusions, and tables without a key",
    )

    def files(self, subject: Subject) -> Mapping[str, str]:
        return {"models.py": _Writer(subject).text()}


class _Writer:
    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.catalog = subject.catalog
        self.fields = DjangoFields(subject.catalog)
        self.tables = [table for table in self.catalog.tables if table.partition_of is None and table.row_key]
        own = ("FromDatabase", "KeyFromDatabase", "Rows", "TypedField", "LabelField", "LabelsField", "RawSQL", "Any")
        self.classes = class_names((table.name for table in self.tables), own)
        self.from_database: dict[tuple[str, str], str] = {}
        self.names = {table.name: _names(table) for table in self.tables}
        self.attributes: dict[str, dict[str, str]] = {}
        """By table and column: what a row has the column's value as."""

    def text(self) -> str:
        for table in self.tables:
            relations = self._relations(table)
            self.attributes[table.name] = {
                column: f"{relations[column][0]}_id" if column in relations else name
                for column, name in self.names[table.name].items()
            }
        models = [line for table in self.tables for line in ("", "", *self._model(table))]
        head = _HEAD.format(
            docstring=docstring(
                f"The tables of schema {self.catalog.schema} as models of Django 5.2 or later.",
                "Queries run inside a tenant's context, without which the database shows no rows: Tenantry's page `open-a-context` shows it for"
                " Django. Django does not manage these tables.",
            )
        )
        kinds = [
            f'\n\nclass {name}({mixin}, {kind}):\n    """A {kind.rpartition(".")[2]} that the database fills."""'
            for (mixin, kind), name in self.from_database.items()
        ]
        return "\n".join([head.rstrip(), *kinds, *models]).rstrip() + "\n"

    def _model(self, table: Table) -> Iterator[str]:
        key = table.row_key
        assert key is not None
        given, hidden = self.subject.given(table), self.subject.hidden(table)
        relations = self._relations(table)
        yield f"class {self.classes[table.name]}(models.Model):"
        if len(key) > 1:
            yield f"    pk = models.CompositePrimaryKey({', '.join(repr(self.attributes[table.name][name]) for name in key)})"
        for column in table.columns:
            if column.name in hidden:
                yield f"    # {column.name}: clients cannot read it."
                continue
            options = self._options(column, single=key == (column.name,), given=column.name in given)
            if column.name in relations:
                name, to, related = relations[column.name]
                kind = (
                    "OneToOneField" if self._is_unique(table, column.name) and key != (column.name,) else "ForeignKey"
                )
                yield f"    {name} = " + DjangoField(f"models.{kind}", (repr(to), "models.DO_NOTHING")).written(
                    db_column=repr(column.name), related_name=related, **options
                )
                continue
            field = self.fields.of(column)
            name = self.names[table.name][column.name]
            if name != column.name:
                options["db_column"] = repr(column.name)
            if self._filled(column, column.name in given):
                field = DjangoField(self._filled_kind(field.kind, column.name in key), field.arguments, field.options)
            yield f"    {name} = {field.written(**options)}"
        yield from self._composite(table, hidden)
        yield "    objects = Rows.as_manager()"
        yield ""
        yield from self._meta(table, hidden)

    @staticmethod
    def _filled(column: Column, given: bool) -> bool:
        return not given or column.generated is not None or column.identity == "always"

    def _filled_kind(self, kind: str, key: bool) -> str:
        mixin = "KeyFromDatabase" if key else "FromDatabase"
        return self.from_database.setdefault((mixin, kind), f"Database{'Key' if key else ''}{kind.rpartition('.')[2]}")

    def _options(self, column: Column, *, single: bool, given: bool) -> dict[str, object]:
        options: dict[str, object] = {}
        if single:
            options["primary_key"] = True
        elif column.nullable:
            options |= {"null": True, "blank": True}
        if column.default is not None and not self._filled(column, given):
            options["db_default"] = f"RawSQL({column.default.replace('%', '%%')!r}, [])"
        if column.comment is not None:
            options["db_comment"] = repr(column.comment)
        return options

    def _meta(self, table: Table, hidden: frozenset[str]) -> Iterator[str]:
        yield "    class Meta:"
        yield "        managed = False"
        yield "        base_manager_name = 'objects'"
        yield f"        db_table = {_table_name(table)!r}"
        if table.comment is not None:
            yield f"        db_table_comment = {table.comment!r}"
        unique = [
            f"            models.UniqueConstraint(fields={[self._field(table, name) for name in each.columns]!r}, name={each.name!r}),"
            for each in table.constraints
            if each.kind in ("unique", "primary") and len(each.columns) > 1 and not hidden & {*each.columns}
            if not each.nulls_not_distinct
        ]
        if unique:
            yield "        constraints = ["
            yield from unique
            yield "        ]"

    def _field(self, table: Table, column: str) -> str:
        relations = self._relations(table)
        return relations[column][0] if column in relations else self.names[table.name][column]

    # -- relations ---------------------------------------------------------------------------------------------------

    def _relations(self, table: Table) -> dict[str, tuple[str, str, object]]:
        """By column that alone leads to a table with a key of one column: the field, the model, and the name of the way back."""
        found: dict[str, tuple[str, str, object]] = {}
        given, hidden = self.subject.given(table), self.subject.hidden(table)
        taken = set(self.names[table.name].values())
        keys = [key for key in table.foreign_keys if len(key.columns) == 1 and self._leads_to_key(key)]
        to = Counter(key.ref_table for key in table.foreign_keys)
        for key in keys:
            (column,) = key.columns
            of = table.column(column)
            assert of is not None
            if column in found or column in hidden or self._filled(of, column in given):
                continue
            name = self.names[table.name][column]
            name = name[:-3] if name.endswith("_id") and len(name) > 3 else name
            if name != self.names[table.name][column] and name in taken:
                name = self.names[table.name][column]
            taken.add(name)
            related = repr("+") if to[key.ref_table] > 1 or key.ref_table == table.name else self._way_back(table, key)
            found[column] = (name, self.classes[key.ref_table or ""], related)
        return found

    def _way_back(self, table: Table, key: Constraint) -> str | None:
        """A name where the usual one, the model's in lower case, is that of a field."""
        parent = self.catalog.table(key.ref_table or "")
        assert parent is not None
        usual = self.classes[table.name].lower()
        own = {*self.names[parent.name].values()}
        own |= {name[:-3] for name in own if name.endswith("_id")}
        return repr(f"{usual}_rows") if {usual, f"{usual}_set"} & own else None

    def _leads_to_key(self, key: Constraint) -> bool:
        parent = self.catalog.table(key.ref_table or "") if key.ref_schema == self.catalog.schema else None
        return parent is not None and parent.name in self.classes and parent.row_key == key.ref_columns

    def _is_unique(self, table: Table, column: str) -> bool:
        return any(each.columns == (column,) for each in table.uniques)

    def _composite(self, table: Table, hidden: frozenset[str]) -> Iterator[str]:
        """Foreign keys over several columns, which Django follows by ForeignObject."""
        taken = {*self.names[table.name].values(), *self.attributes[table.name].values()}
        taken |= {name for name, _, _ in self._relations(table).values()}
        for key in table.foreign_keys:
            parent = self.catalog.table(key.ref_table or "") if key.ref_schema == self.catalog.schema else None
            if len(key.columns) == 1 or parent is None or parent.name not in self.classes or hidden & {*key.columns}:
                continue
            last = self.names[table.name][key.columns[-1]]
            name = last[:-3] if last.endswith("_id") and len(last) > 3 else f"{last}_row"
            if name in taken:
                continue
            taken.add(name)
            here = [self._field(table, column) for column in key.columns]
            there = [self._field(parent, column) for column in key.ref_columns]
            null = (
                ", null=True"
                if any((of := table.column(each)) is not None and of.nullable for each in key.columns)
                else ""
            )
            yield (
                f"    {name} = models.ForeignObject({self.classes[parent.name]!r}, models.DO_NOTHING, from_fields={here!r},"
                f" to_fields={there!r}, related_name='+'{null})"
            )


def _names(table: Table) -> dict[str, str]:
    """Fields end in no underscore and have no two of them."""
    found: dict[str, str] = {}
    for column in table.columns:
        wanted = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", column.name)).strip("_") or "column"
        wanted = f"c_{wanted}" if wanted[0].isdecimal() else wanted
        wanted = f"{wanted}_field" if wanted in _TAKEN or keyword.iskeyword(wanted) else wanted
        found[column.name] = free_name(wanted, {*found.values()})
    return found


def _table_name(table: Table) -> str:
    """With the schema: Django takes a name that begins and ends with quotes as it is."""
    return ".".join('"{}"'.format(part.replace('"', '""')) for part in (table.schema, table.name))


__all__ = ["Django"]
