"""What a migration changes for an application that names tables and columns of the source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from tenantry.mapping import MappedColumn, Project
from tenantry.mapping import Mapping as TableMapping


@dataclass(frozen=True, slots=True)
class ChangedColumn:
    """A column of the source that the target does not have as it was; `what` says what changes."""

    table: str
    column: str
    what: str


@dataclass(frozen=True)
class SchemaChanges:
    """All changes of the tables of a source.

    Attributes:
        columns: by table and column.
        tables: by table, what changes for every query of it.
        known: all columns of every table, to tell whose column an unqualified name is.
    """

    schema: str
    target: str
    columns: Mapping[tuple[str, str], ChangedColumn]
    tables: Mapping[str, str]
    known: Mapping[str, frozenset[str]]

    @cached_property
    def by_name(self) -> Mapping[str, tuple[ChangedColumn, ...]]:
        """The changed columns of each name, whatever their table."""
        found: dict[str, tuple[ChangedColumn, ...]] = {}
        for each in self.columns.values():
            found[each.column] = (*found.get(each.column, ()), each)
        return found

    def of(self, table: str) -> tuple[ChangedColumn, ...]:
        return tuple(each for (name, _), each in self.columns.items() if name == table)


def schema_changes(project: Project) -> SchemaChanges:
    """Return the changes of a project's source tables; pure."""
    columns: dict[tuple[str, str], ChangedColumn] = {}
    tables: dict[str, str] = {}
    for table in project.source_tables:
        fed = project.of_source(table.name)
        if not fed:
            tables[table.name] = "is not migrated"
            continue
        names = ", ".join(dict.fromkeys(each.target.name for each in fed))
        scoped = any(each.scoped for each in fed)
        moved = "" if names == table.name else f"becomes {names}; "
        tables[table.name] = moved + ("rows need the caller's tenant" if scoped else "is in another schema")
        for column in table.columns:
            said = [what for each in fed if (what := _change(each, column.name, column.type))]
            kept = any(_made_of(each, column.name) for each in fed)
            if said or not kept:
                what = "; ".join(dict.fromkeys(said)) or "is dropped"
                columns[table.name, column.name] = ChangedColumn(table.name, column.name, what)
    known = {table.name: frozenset(each.name for each in table.columns) for table in project.source_tables}
    return SchemaChanges(project.source.schema, project.target.schema, columns, tables, known)


def _made_of(mapping: TableMapping, column: str) -> list[MappedColumn]:
    """Return the target columns that a source column fills."""
    found = [each for each in mapping.columns if each.source == column]
    found += [each for each in mapping.columns if each.reference is not None and column in each.reference.columns]
    if column in mapping.key:
        found += [each for each in mapping.columns if each.kind == "id"]
    found += [
        each
        for each in mapping.columns
        if each.kind == "tenant" and any(column in path.columns for path in mapping.tenant_paths)
    ]
    return list({each.name: each for each in found}.values())


def _change(mapping: TableMapping, column: str, type: str) -> str:
    """Return what one mapping makes of a source column, if an application has to know."""
    said = []
    for made in _made_of(mapping, column):
        name = f"{mapping.target.name}.{made.name}" if made.name != column else ""
        match made.kind:
            case "id":
                said.append(f"id: {type} becomes {made.type}" + (f" in {name}" if name else ""))
            case "reference" | "tenant":
                said.append(f"reference: {type} becomes {made.type}" + (f" in {name}" if name else ""))
            case "json_ids":
                said.append("ids inside get new values" + (f", in {name}" if name else ""))
            case "legacy" | "account":
                continue
            case _:
                if made.type != type:
                    said.append(f"type: {type} becomes {made.type}" + (f" in {name}" if name else ""))
                elif name:
                    said.append(f"is renamed to {name}")
    return "; ".join(said)
