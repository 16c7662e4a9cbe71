"""Resolves the paths from a source's rows to their tenant. Pure."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import replace
from graphlib import CycleError

from tenantry.catalog import Table
from tenantry.manifest.model import SourceRule
from tenantry.manifest.positions import Key
from tenantry.mapping.order import sorter
from tenantry.mapping.project import Mapping, Reference, plain_name
from tenantry.mapping.references import is_unique
from tenantry.mapping.source_checks import SourceChecks


def tenant_paths(
    checks: SourceChecks, source: Table, part: SourceRule, references: MappingType[str, Reference], key: Key
) -> tuple[Reference, ...]:
    paths: list[Reference] = []
    tenant = checks.manifest.tenant
    stated: list[tuple[Key, str]] = [((*key, "tenant", place), text) for place, text in enumerate(part.tenant)]
    ways = stated or [((*key, "tenant"), text) for text in _default_paths(checks, source)]
    fallbacks: dict[Key, str] = {(*key, "fallback", place): text for place, text in enumerate(part.fallback)}
    for path_key, text in (*ways, *fallbacks.items()):
        kind = "e" if path_key in fallbacks else "t"
        backward = "<-" in text
        column, _, to = (piece.strip() for piece in text.partition("<-" if backward else "->"))
        if checks.need_column(source, column, path_key) is None:
            continue
        known = next((ref for ref in references.values() if ref.named_by == column), None)
        path: Reference | None
        if backward:
            path = _backward_path(checks, column, to, path_key)
            if path is None:
                continue
        elif to:
            if checks.target_table(to, path_key) is None:
                continue
            feeding = checks.parent_of(to)
            if feeding is None and to == tenant.table and tenant.values is not None:
                way = Reference(plain_name("v", column), (column,), to, (), column=column, by_value=True)
                paths.append(replace(way, fallback=path_key in fallbacks))
                continue
            if feeding is None:
                checks.say(path_key, f"{to} is a new table without a source")
                continue
            path = checks.references.leading(source, part, column, to, feeding, plain_name(kind, column), path_key)
            if path is None:
                continue
            if known is not None and replace(known, alias=path.alias) == path:
                path = known  # so that the manifest's rules for the reference apply to the path, too
        elif known is not None:
            path = known
        else:
            path = checks.references.way(source, part, column, plain_name(kind, column))
            if path is None:
                checks.say(
                    path_key,
                    f'{source.name}.{column} has no foreign key; say where it leads: "{column} -> <target table>"',
                )
                continue
        if path.parent != tenant.table and not checks.has_tenant(path.parent):
            if checks.target.table(path.parent) is None:
                continue  # reported where that table is named
            checks.say(path_key, f"{path.parent} has no {tenant.column}, so {column} does not lead to a tenant")
            continue
        # A path that is also a reference must lead to the same tenant, whatever its name.
        paths.append(replace(path, fallback=True) if path_key in fallbacks and path != known else path)
    return tuple(paths)


def _backward_path(checks: SourceChecks, column: str, there: str, key: Key) -> Reference | None:
    """Return the path from a row to the rows of another table that name it: `there` is `<target table>.<source column>`."""
    name, _, naming = (piece.strip() for piece in there.partition("."))
    rule = checks.manifest.tables.get(name)
    if checks.target_table(name, key) is None or rule is None:
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
        leads.setdefault(mapping.target.name, set()).update(path.parent for path in mapping.tenant_paths)
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
