"""Declarative models of SQLAlchemy 2, typed: a class for each table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tenantry.catalog import Column, Constraint, Index, Table
from tenantry.export.definitions import exclusion, index_keys, is_plain
from tenantry.export.form import Form
from tenantry.export.naming import attribute_names, class_names
from tenantry.export.python_text import call, docstring
from tenantry.export.sqlalchemy_types import Types
from tenantry.export.subject import Subject
from tenantry.postgres import free_name, ident

_RESERVED = ("metadata", "registry")
_IMPORTS = ("Base", "Raw")
_HEAD = """\
{docstring}

from __future__ import annotations

{imports}


class Base(DeclarativeBase):
    metadata = sa.MetaData(schema={schema!r})
"""
_RAW = '''

class Raw(sa.types.UserDefinedType[Any]):
    """A type of PostgreSQL that SQLAlchemy has none for; values are as the driver gives them."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        return self.text
'''


class Sqlalchemy(Form):
    name = "sqlalchemy"
    runs_files = False
    title = "typed declarative models of SQLAlchemy 2"
    example = "app"
    apply = "import models"
    left_out = (
        "policies, rights, triggers, functions and views: models find them in the database, which the SQL files or revisions make",
        "lists of the rows that name a row: which of them an application loads is its own choice",
    )

    def files(self, subject: Subject) -> Mapping[str, str]:
        return {"models.py": _Writer(subject).text()}


class _Writer:
    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.catalog = subject.catalog
        self.types = Types(subject.catalog)
        self.tables = [table for table in self.catalog.tables if table.partition_of is None]
        self.classes = class_names((table.name for table in self.tables), (*_IMPORTS, *self.types.names))

    def text(self) -> str:
        models = [line for table in self.tables for line in ("", "", *self._model(table))]
        body = "\n".join(
            [*self.types.definitions(), *self._sequences(), *self._tables_of_others(), *models, "", *self._afterwards()]
        ).rstrip()
        head = _HEAD.format(
            docstring=docstring(
                f"The tables of schema {self.catalog.schema} as models of SQLAlchemy 2.",
                "Statements run inside a tenant's context, without which the database shows no rows: Tenantry's page `open-a-context` shows it"
                " for SQLAlchemy. Columns that clients cannot give are filled by the database (FetchedValue); columns that they cannot read"
                " are deferred.",
            ),
            imports=_imports(body),
            schema=self.catalog.schema,
        )
        return f"{head}{_RAW if 'Raw(' in body else ''}{body}\n"

    # -- what stands beside the models -------------------------------------------------------------------------------

    def _sequences(self) -> Iterator[str]:
        """Sequences that defaults draw from; those of identity columns come with the column."""
        for sequence in self.catalog.sequences:
            column = self._owner_of(sequence.owned_by)
            if column is None or column.identity is None:
                kind = {"smallint": "sa.SmallInteger()", "integer": "sa.Integer()"}.get(sequence.type)
                made = call(
                    repr(sequence.name),
                    schema=repr(sequence.schema),
                    metadata="Base.metadata",
                    data_type=kind,
                    start=sequence.start if sequence.start != 1 else None,
                    increment=sequence.increment if sequence.increment != 1 else None,
                    cycle=sequence.cycle or None,
                )
                yield f"sa.Sequence({made})"

    def _owner_of(self, owned_by: tuple[str, str] | None) -> Column | None:
        table = self.catalog.table(owned_by[0]) if owned_by is not None else None
        return table.column(owned_by[1]) if table is not None and owned_by is not None else None

    def _tables_of_others(self) -> Iterator[str]:
        """Tables of other schemas that foreign keys lead to, with the columns that they name."""
        named: dict[tuple[str, str], dict[str, str]] = {}
        for table in self.tables:
            for key in table.foreign_keys:
                if key.ref_schema is not None and key.ref_table is not None and key.ref_schema != self.catalog.schema:
                    columns = named.setdefault((key.ref_schema, key.ref_table), {})
                    for here, there in zip(key.columns, key.ref_columns, strict=True):
                        column = table.column(here)
                        assert column is not None
                        columns[there] = self.types.of(column).sql
        for (schema, name), columns in sorted(named.items()):
            listed = ", ".join(f"sa.Column({there!r}, {sql}, primary_key=True)" for there, sql in columns.items())
            yield f"# Of another schema: what the foreign keys name.\nsa.Table({name!r}, Base.metadata, {listed}, schema={schema!r})"

    def _afterwards(self) -> Iterator[str]:
        for sequence in self.catalog.sequences:
            column = self._owner_of(sequence.owned_by)
            if sequence.owned_by is not None and column is not None and column.identity is None:
                owner, name = sequence.owned_by
                sql = f"alter sequence {ident(sequence.schema, sequence.name)} owned by {ident(sequence.schema, owner, name)}"
                if owner in self.classes:
                    yield self._after_create(owner, sql)
        for table in self.catalog.tables:
            if table.partition_of is not None and table.partition_of[0] == self.catalog.schema:
                by = f" partition by {table.partition_key}" if table.partition_key else ""
                sql = f"create table {ident(table.schema, table.name)} partition of {ident(*table.partition_of)} {table.partition_bound}{by}"
                if table.partition_of[1] in self.classes:
                    yield self._after_create(table.partition_of[1], sql)

    def _after_create(self, table: str, sql: str) -> str:
        return f'\nsa.event.listen({self.classes[table]}.__table__, "after_create", sa.DDL({sql.replace("%", "%%")!r}))'

    # -- models ------------------------------------------------------------------------------------------------------

    def _model(self, table: Table) -> Iterator[str]:
        names = attribute_names((column.name for column in table.columns), _RESERVED)
        yield f"class {self.classes[table.name]}(Base):"
        yield f"    __tablename__ = {table.name!r}"
        given = [*self._constraints(table), *self._indexes(table)]
        options = {"comment": table.comment, "postgresql_partition_by": table.partition_key}
        options = {key: value for key, value in options.items() if value is not None}
        if given or options:
            yield "    __table_args__ = ("
            yield from (f"        {each}," for each in given)
            if options:
                yield f"        {options!r},"
            yield "    )"
        yield ""
        client, hidden = self.subject.given(table), self.subject.hidden(table)
        for column in table.columns:
            yield f"    {self._column(table, column, names[column.name], column.name in client, column.name in hidden)}"
        yield from self._relationships(table, names)

    def _relationships(self, table: Table, names: Mapping[str, str]) -> Iterator[str]:
        """The rows that foreign keys name, for reading: two keys share the tenant's column, which no assignment of a row may change."""
        mine, taken = self.classes[table.name], {*names.values(), *_RESERVED}
        for key in table.foreign_keys:
            if (
                key.ref_table is None
                or key.ref_schema != self.catalog.schema
                or key.inherited
                or key.ref_table not in self.classes
            ):
                continue
            column = next(
                (name for name in reversed(key.columns) if name != self.subject.project.manifest.tenant.column),
                key.columns[-1],
            )
            name = next(iter(attribute_names([re.sub(r"_?(id|Id|ID)$", "", column) or column], taken).values()))
            name = free_name(f"{name}_row" if name in taken else name, taken)
            taken.add(name)
            other = self.classes[key.ref_table]
            by = ", ".join(f"{mine}.{names[each]}" for each in key.columns)
            remote = None
            if key.ref_table == table.name:
                remote = repr(f"[{', '.join(f'{mine}.{names[each]}' for each in key.ref_columns)}]")
            options = call(foreign_keys=repr(f"[{by}]"), remote_side=remote, viewonly=True)
            yield f"    {name}: Mapped[{other} | None] = relationship({options})"

    def _column(self, table: Table, column: Column, name: str, given: bool, hidden: bool) -> str:
        kind = self.types.of(column)
        key = table.primary_key is not None and column.name in table.primary_key.columns
        first = [repr(column.name)] if name != column.name else []
        first.append(kind.sql)
        keyed: dict[str, object] = {}
        if column.generated is not None:
            first.append(f"sa.Computed({call(escaped(column.generated), persisted=column.generated_kind == 'stored')})")
        elif column.identity is not None:
            first.append(f"sa.Identity({self._identity(table, column)})")
        elif column.default is not None:
            keyed["server_default"] = f"sa.text({escaped(column.default)})"
        elif not given:
            keyed["server_default"] = "sa.FetchedValue()"
        if key:
            keyed["primary_key"] = True
            if column.identity is None and column.default is None:
                keyed["autoincrement"] = False
        if column.nullable is False and not key:
            keyed["nullable"] = False
        if hidden:
            keyed["deferred"] = True
        if column.comment is not None:
            keyed["comment"] = repr(column.comment)
        python = f"{kind.python} | None" if column.nullable else kind.python
        return f"{name}: Mapped[{python}] = mapped_column({call(*first, **keyed)})"

    def _identity(self, table: Table, column: Column) -> str:
        options: dict[str, object] = {"always": column.identity == "always"}
        sequence = next((each for each in self.catalog.sequences if each.owned_by == (table.name, column.name)), None)
        if sequence is not None:
            options["start"] = sequence.start if sequence.start != 1 else None
            options["increment"] = sequence.increment if sequence.increment != 1 else None
            options["cycle"] = sequence.cycle or None
            options["cache"] = sequence.cache if sequence.cache != 1 else None
        return call(**options)

    def _constraints(self, table: Table) -> Iterator[str]:
        for each in table.constraints:
            if each.inherited:
                continue
            made = self._constraint(each)
            if made is not None:
                yield made

    def _constraint(self, each: Constraint) -> str | None:
        columns = [repr(name) for name in each.columns]
        options: dict[str, object] = {"name": repr(each.name)}
        if each.deferrable:
            options |= {"deferrable": True, "initially": repr("DEFERRED" if each.initially_deferred else "IMMEDIATE")}
        if each.comment is not None:
            options["comment"] = repr(each.comment)
        match each.kind:
            case "primary":
                return f"sa.PrimaryKeyConstraint({call(*columns, **options)})"
            case "unique":
                options["postgresql_nulls_not_distinct"] = each.nulls_not_distinct or None
                return f"sa.UniqueConstraint({call(*columns, **options)})"
            case "check":
                return f"sa.CheckConstraint({call(escaped(each.expression or ''), **options)})"
            case "foreign":
                there = [f"{each.ref_schema}.{each.ref_table}.{name}" for name in each.ref_columns]
                deleted = each.on_delete.upper() if each.on_delete != "no action" else None
                if deleted is not None and each.on_delete_columns:
                    deleted += f" ({', '.join(ident(name) for name in each.on_delete_columns)})"
                options["ondelete"] = repr(deleted) if deleted is not None else None
                options["onupdate"] = repr(each.on_update.upper()) if each.on_update != "no action" else None
                options["match"] = repr(each.match.upper()) if each.match != "simple" else None
                return f"sa.ForeignKeyConstraint({call(list(each.columns), there, **options)})"
            case "exclusion":
                method, pairs, where = exclusion(each)
                keys = [f"(sa.text({escaped(what)}), {operator!r})" for what, operator in pairs]
                options |= {"using": repr(method), "where": f"sa.text({escaped(where)})" if where else None}
                return f"pg.ExcludeConstraint({call(*keys, **options)})"
        return None

    def _indexes(self, table: Table) -> Iterator[str]:
        for each in table.indexes:
            if each.constraint is None and not each.primary and not each.inherited:
                yield f"sa.Index({self._index(each)})"

    def _index(self, each: Index) -> str:
        plain = is_plain(each)
        keys = [
            repr(name) if plain else f"sa.text({escaped(name)})"
            for name in (each.columns if plain else index_keys(each))
            if name
        ]
        return call(
            repr(each.name),
            *keys,
            unique=each.unique or None,
            postgresql_using=repr(each.method) if each.method != "btree" else None,
            postgresql_include=repr(list(each.included)) if each.included else None,
            postgresql_where=f"sa.text({escaped(each.predicate)})" if each.predicate is not None else None,
            postgresql_nulls_not_distinct=each.nulls_not_distinct or None,
        )


def _imports(body: str) -> str:
    """The imports that the models need."""
    standard = [f"import {name}" for name in ("datetime", "decimal", "uuid") if f"{name}." in body]
    typing = [name for name in ("Any", "Literal") if f"{name}]" in body or f"{name}[" in body or f"{name} |" in body]
    if "Raw(" in body and "Any" not in typing:
        typing.insert(0, "Any")
    if typing:
        standard.append(f"from typing import {', '.join(typing)}")
    others = ["import sqlalchemy as sa"]
    if "pg." in body:
        others.append("from sqlalchemy.dialects import postgresql as pg")
    used = ", relationship" if " = relationship(" in body else ""
    others.append(f"from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column{used}")
    return "\n".join([*standard, "", *others] if standard else others)


def escaped(sql: str) -> str:
    """A literal for sa.text(), in which a colon is one of SQL's and never the beginning of a parameter."""
    return repr(sql.replace(":", "\\:"))


__all__ = ["Sqlalchemy"]
