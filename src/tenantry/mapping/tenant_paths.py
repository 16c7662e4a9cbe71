"""Resolves the paths from a source's rows to their tenant. Pure."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import replace
from graphlib import CycleError

from tenantry.catalog import Table
from tenantry.manifest.model import ColumnRule, SourceRule
from tenantry.manifest.positions import Key
from tenantry.manifest.scalars import FirstHop, first_hop
from tenantry.mapping.order import sorter
from tenantry.mapping.project import Mapping, Reference, plain_name
from tenantry.mapping.references import is_unique
from tenantry.mapping.source_checks import SourceChecks


def tenant_paths(
    checks: SourceChecks, source: Table, part: SourceRule, references: MappingType[str, Reference], key: Key
) -> tuple[Reference, ...]:
    paths: list[Reference] = []
    stated: list[tuple[Key, str]] = [((*key, "tenant", place), text) for place, text in enumerate(part.tenant)]
    ways = stated or [((*key, "tenant"), text) for text in _default_paths(checks, source)]
    fallbacks: dict[Key, str] = {(*key, "fallback", place): text for place, text in enumerate(part.fallback)}
    for path_key, text in (*ways, *fallbacks.items()):
        kind = "e" if path_key in fallbacks else "t"
        if (pair := _pair(part, text)) is not None:
            more = _pair_paths(checks, source, text, pair, path_key, kind)
            paths.extend(replace(each, fallback=path_key in fallbacks) for each in more)
            continue
        path = _path(checks, source, part, references, text, path_key, kind)
        if path is not None:
            # A path that is also a reference must lead to the same tenant, whatever its name.
            known = path in references.values()
            paths.append(replace(path, fallback=True) if path_key in fallbacks and not known else path)
    return tuple(paths)


def _pair(part: SourceRule, text: str) -> ColumnRule | None:
    """Return the rule of a polymorphic pair whose column this path names, if it names one and no table."""
    return next(
        (
            rule
            for name, rule in part.columns.items()
            if rule.transform == "polymorphic" and (rule.source or name) == text.strip()
        ),
        None,
    )


def _pair_paths(
    checks: SourceChecks, source: Table, column: str, pair: ColumnRule, key: Key, kind: str
) -> list[Reference]:
    """Return a path for each type of a polymorphic pair whose rows have a tenant."""
    column = column.strip()
    if checks.need_column(source, column, key) is None or not pair.type or source.column(pair.type) is None:
        return []  # the column's rule reports the type
    paths = []
    for place, (value, parent) in enumerate((pair.ids or {}).items()):
        feeding = checks.parent_of(parent) if isinstance(parent, str) else None
        if not isinstance(parent, str) or feeding is None or feeding.row_key is None or len(feeding.row_key) != 1:
            continue  # the same
        if parent == checks.manifest.tenant.table or checks.has_tenant(parent):
            alias = plain_name(f"{kind}k{place}", column)
            paths.append(Reference(alias, (column,), parent, feeding.row_key, column=column, only=(pair.type, value)))
    if not paths:
        checks.say(key, f"no type of {column} leads to a table with a {checks.manifest.tenant.column}")
    return paths


def _path(
    checks: SourceChecks,
    source: Table,
    part: SourceRule,
    references: MappingType[str, Reference],
    text: str,
    key: Key,
    kind: str,
) -> Reference | None:
    """Return the path of this text from a row to its tenant; None if it does not fit, which is reported."""
    tenant, hop = checks.manifest.tenant, first_hop(text)
    column, to = hop.column, hop.table
    if hop.onward and checks.target.table(f"{to}.{hop.onward}") is not None:  # a name with a dot
        to, hop = f"{to}.{hop.onward}", FirstHop(column, to)
    if checks.need_column(source, column, key) is None or (to and checks.target_table(to, key) is None):
        return None
    known = next((ref for ref in references.values() if ref.named_by == column), None)
    path: Reference | None
    if hop.naming:
        path = _backward_path(checks, column, to, hop.naming, key)
    elif to == tenant.table and tenant.values is not None and checks.parent_of(to) is None:
        return Reference(plain_name("v", column), (column,), to, (), column=column, by_value=True)
    elif to:
        feeding = checks.parent_of(to)
        if feeding is None:
            checks.say(key, f"{to} is a new table without a source")
            return None
        path = checks.references.leading(source, part, column, to, feeding, plain_name(kind, column), key)
        if path is not None and known is not None and replace(known, alias=path.alias) == path and not hop.onward:
            path = known  # so that the manifest's rules for the reference apply to the path, too
    elif known is not None:
        path = known
    else:
        path = checks.references.way(source, part, column, plain_name(kind, column))
        if path is None:
            checks.say(
                key, f'{source.name}.{column} has no foreign key; say where it leads: "{column} -> <target table>"'
            )
    if path is None:
        return None
    if path.parent == tenant.table or checks.has_tenant(path.parent):
        if hop.onward:
            checks.say(key, f'{path.parent} leads to a tenant itself; end the path there: "{column} -> {path.parent}"')
            return None
        return path
    if hop.onward:
        return _leading_on(checks, path, hop.onward, key)
    if checks.target.table(path.parent) is not None:  # otherwise reported where that table is named
        on = (
            ""
            if hop.naming
            else f'; if its rows lead on to one, name their column: "{column} -> {path.parent}.<source column>"'
        )
        checks.say(key, f"{path.parent} has no {tenant.column}, so {column} does not lead to a tenant{on}")
    return None


def _leading_on(checks: SourceChecks, path: Reference, onward: str, key: Key) -> Reference | None:
    """Return a path through a table without a tenant, with its rest from that table's source."""
    parts = checks.manifest.tables[path.parent].parts().values()
    feeding = [(table, part) for part in parts if (table := checks.source.table(part.source)) is not None]
    through = [(table, part) for table, part in feeding if path.source in (None, table.name)]
    if len(through) != 1:
        checks.say(key, f"{path.parent} has several sources, so that the path cannot lead through it")
        return None
    table, part = through[0]
    rest = _path(checks, table, part, {}, onward, key, "o")
    if rest is None:
        return None
    name = plain_name(path.alias[0], *path.columns, path.parent, *(each for hop in rest.hops() for each in hop.columns))
    return replace(path, alias=name, source=table.name, onward=rest)


def _backward_path(checks: SourceChecks, column: str, name: str, naming: str, key: Key) -> Reference | None:
    """Return the path from a row to the rows of another table's source that name it in the column `naming`."""
    rule = checks.manifest.tables.get(name)
    if rule is None:
        return None
    feeding = [table for part in rule.parts().values() if (table := checks.source.table(part.source)) is not None]
    if not feeding:
        checks.say(key, f"{name} is a new table without a source")
        return None
    found = next((table for table in feeding if table.column(naming) is not None), None)
    if found is None:
        checks.need_column(feeding[0], naming, key)
        return None
    return Reference(
        plain_name("n", name, naming),
        (column,),
        name,
        (naming,),
        source=found.name,
        column=column,
        backward=True,
        several=not is_unique(found, naming),
    )


def _default_paths(checks: SourceChecks, source: Table) -> Sequence[str]:
    """Return the default path: the foreign key to the tenant table itself, if there is one."""
    return [
        fk.columns[-1]
        for fk in source.foreign_keys
        if checks.primary.get(fk.ref_table or "") == checks.manifest.tenant.table
    ]


def check_tenant_paths(checks: SourceChecks, mappings: Sequence[Mapping]) -> None:
    """Report paths to the tenant that lead back to the table itself."""
    leads: dict[str, set[str]] = {}
    for mapping in mappings:
        leads.setdefault(mapping.target.name, set()).update(
            hop.parent for path in mapping.tenant_paths for hop in path.hops() if hop.onward is None
        )
    try:
        sorter(leads).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        checks.say(
            ("tables", circle[0], "tenant"),
            f"the path to the tenant is a cycle: {' -> '.join(reversed(circle))}; name a column that leads out of it"
            " (fill it in the source first if only some rows have it)",
        )


__all__ = ["check_tenant_paths", "tenant_paths"]
