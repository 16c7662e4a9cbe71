"""SQL that finds rows by an id of either form, for callers who see one tenant and for callers who see all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import indent

from tenantry.catalog import Table
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.mapping.project import LEGACY_ID, ROW_ID
from tenantry.postgres import ident, literal, literals, short_name

UUID = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"


def names_taken(project: Project) -> Iterator[tuple[str, tuple[Mapping, ...]]]:
    """Return every name that callers may use, with its mappings: a target table, or one of its several sources."""
    for table, mappings in project.by_target.items():
        if any(mapping.keeps_ids for mapping in mappings):
            continue  # there is nothing to look up
        yield table, mappings
        if len(mappings) > 1:
            yield from ((mapping.name, (mapping,)) for mapping in mappings)


def counter_sequences(table: str, form: str) -> tuple[str, str]:
    return (
        ident(JOURNAL, short_name("id_uses", form, table)),
        ident(JOURNAL, short_name("id_times", form, table)),
    )


def _leads(table: Table, column: str) -> bool:
    return any(index.columns[:1] == (column,) and index.predicate is None for index in table.indexes)


def find_rows(project: Project, table: Table, column: str, condition: str, *, apart: bool, what: str) -> str:
    """Return a statement that finds rows `t`.

    Args:
        column: the column to search.
        apart: for a caller who sees every tenant: search tenant by tenant if no index of the table begins with the column. As
            long as there is one (until the contract step Tenantry has one over old ids), the server uses that.
        what: what is selected.
    """
    name = ident(table.schema, table.name)
    tenant = table.column(project.manifest.tenant.column)
    if not apart or tenant is None or project.root_table.name == table.name or _leads(table, column):
        return f"select {what} from {name} as t where {condition}"
    key, root = ident(tenant.name), ident(project.root_table.schema, project.root_table.name)
    found = f"select {what} from {root} as c join {name} as t on t.{key} = c.{ROW_ID} where {condition}"
    if tenant.nullable:
        found += f"\nunion all\nselect {what} from {name} as t where t.{key} is null and {condition}"
    return found


def keys_condition(mappings: Sequence[Mapping], old: str) -> str:
    """Return a condition over legacy_id: the source's old id with each prefix that the target may have added."""
    keys = list(dict.fromkeys([old, *(legacy_of(m, old) for m in mappings if m.legacy_prefix)]))
    return f"= {old}" if len(keys) == 1 else f"= any (array[{', '.join(keys)}])"


def of_one_source(mappings: Sequence[Mapping], name: str) -> str:
    """Restrict a target table's rows to those of the named source."""
    if name != mappings[0].name or not mappings[0].legacy_prefix:
        return ""
    return from_part(mappings[0], " and")


def bare_old_id(mappings: Sequence[Mapping]) -> str:
    """Return a row's old id as in the source."""
    cases = "".join(f"{from_part(m, ' when')} then {source_key(m)}" for m in mappings if m.legacy_prefix)
    return f"case{cases} else t.{LEGACY_ID} end" if cases else f"t.{LEGACY_ID}"


def unless_ambiguous(project: Project, mappings: Sequence[Mapping], name: str, *, apart: bool) -> str:
    """Return the id of the row with an old id; several sources may have the same one."""
    table = mappings[0].target
    condition = f"t.{LEGACY_ID} {keys_condition(mappings, 'id_of.old')}{of_one_source(mappings, name)}"
    if len(mappings) == 1:
        return find_rows(project, table, LEGACY_ID, condition, apart=apart, what=f"t.{ROW_ID}") + "\nlimit 1"
    found = find_rows(project, table, LEGACY_ID, condition, apart=apart, what=f"t.{ROW_ID}")
    return f"select array_agg(distinct x.{ROW_ID}) from (\n{indent(found, '    ')}) as x"


def by_role(clients: str, others: str) -> str:
    if clients == others:
        return f"{clients};"
    return f"if me.is_client then\n{indent(clients, '    ')};\nelse\n{indent(others, '    ')};\nend if;"


def case_branches(branches: Sequence[tuple[str, str]], level: str = "    ") -> str:
    return "\n".join(f"{level}when {literal(name)} then\n{indent(body, level + '    ')}" for name, body in branches)


def no_such_table(project: Project) -> str:
    known = ", ".join(name for name, _ in names_taken(project))
    return (
        "    else\n        raise exception 'there are no ids of a table %', coalesce(quote_literal(target_table), 'null')\n"
        f"            using errcode = 'invalid_parameter_value', hint = {literal(f'Name a target table that has a source: {known}.')};"
    )


def is_client_sql(project: Project) -> str:
    roles = project.manifest.database_roles
    return f"is_client constant boolean := current_user in ({literals((roles.anon, roles.authenticated))});"


def select_into(statement: str, variable: str) -> str:
    """Turn a statement into an assignment."""
    return f"{variable} := (\n{indent(statement, '    ')})"


__all__ = [
    "UUID",
    "bare_old_id",
    "by_role",
    "case_branches",
    "counter_sequences",
    "find_rows",
    "is_client_sql",
    "keys_condition",
    "names_taken",
    "no_such_table",
    "of_one_source",
    "select_into",
    "unless_ambiguous",
]
