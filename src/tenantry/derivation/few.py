"""Derives a few rows as the verification does, and reads only the parents that they refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from graphlib import CycleError

from tenantry.derivation.derived import Derivation, Reading
from tenantry.derivation.forward import Deriver
from tenantry.derivation.keys import comparable, operator
from tenantry.mapping.order import sorter
from tenantry.mapping.project import Mapping, Project, Reference
from tenantry.postgres import ident, idents


def derive_few(project: Project, mapping: Mapping, rows: str, wanted: str, corrected: frozenset[str]) -> Derivation:
    """Compile the derivation of a few rows of a mapping.

    Args:
        rows: a relation that yields these rows.
        wanted: a relation with the same references that can be read several times, such as a temporary table.
        corrected: mappings with rows that were corrected in the quarantine.
    """
    return _Near(project, corrected, _near(project, mapping, wanted)).derive(mapping, rows=rows)


def tenants_of(project: Project, mapping: Mapping, rows: str, wanted: str, corrected: frozenset[str]) -> str:
    """Return a statement (key, tenant): the tenant of each row according to the source alone, including rows that the
    manifest's conditions or the quarantine exclude. For mappings with a tenant."""
    tenant = next(column for column in mapping.columns if column.kind == "tenant")
    bare = replace(mapping, where=None, merge=None, columns=(tenant,), references=())
    derivation = _Whose(project, corrected, _near(project, bare, wanted)).derive(bare, rows=rows)
    return derivation.statement(
        f"select d.{mapping.ours('key')} as key, d.{ident(tenant.name)}::text as tenant from derived d"
    )


class _Near(Deriver):
    """Derives a few rows; reads only the parents that they refer to."""

    def __init__(self, project: Project, corrected: frozenset[str], near: dict[str, str]) -> None:
        super().__init__(project, Reading.VERIFY, corrected=corrected)
        self._near = near

    def _relation(self, mapping: Mapping) -> str:
        if mapping.name in self._near and mapping.name not in self._corrected:
            return self._near[mapping.name]
        return super()._relation(mapping)


class _Whose(_Near):
    """Derives the tenants of all rows, even if these rows or their parents are excluded."""

    def _carried(self, mapping: Mapping) -> str:
        del mapping
        return "true"

    def _source_pairs(self, parent: Mapping, by: Sequence[str], *, plain: bool, inside: bool = False) -> str:
        return super()._source_pairs(replace(parent, where=None), by, plain=plain, inside=inside)


def _near(project: Project, mapping: Mapping, rows: str) -> dict[str, str]:
    """Return, for each mapping with parents of these rows or rows on their path to the tenant, a relation of just those
    rows."""
    wanted: dict[str, list[tuple[str, Reference]]] = {}
    graph: dict[str, set[str]] = {}
    stack: list[Mapping] = []
    # Paths lead on from rows that have no tenant themselves.
    onward: dict[str, dict[Reference, None]] = {}
    for path in (path for each in project for path in each.tenant_paths):
        for hop in path.hops():
            for parent in project.feeding(hop):
                if hop.onward is not None:
                    onward.setdefault(parent.name, {})[hop.onward] = None
    for ref in dict.fromkeys((*mapping.references, *mapping.tenant_paths)):
        for parent in project.feeding(ref):
            wanted.setdefault(parent.name, []).append(("", ref))
            stack.append(parent)
    while stack:
        child = stack.pop()
        if child.name in graph:
            continue
        graph[child.name] = set()
        for path in (*child.tenant_paths, *onward.get(child.name, ())):
            for parent in project.feeding(path):
                wanted.setdefault(parent.name, []).append((child.name, path))
                graph[child.name].add(parent.name)
                stack.append(parent)
    made: dict[str, str] = {}
    try:
        order = [name for name in reversed(list(sorter(graph).static_order())) if name in wanted]
    except CycleError:
        return {}
    for name in order:
        parent = project.mapping(name)
        table = ident(project.source.schema, parent.source.name)
        asked = wanted[name]
        by = asked[0][1].by
        if any(ref.by != by for _, ref in asked) or not all(
            _comparable(parent, ref, mapping if not child else project.mapping(child)) for child, ref in asked
        ):
            made[name] = table
            continue
        keys = " union ".join(
            f"select {idents(ref.columns, prefix='c')} from {made[child] if child else rows} c" for child, ref in asked
        )
        made[name] = f"(select p.* from {table} p where ({idents(by, prefix='p')}) in ({keys}))"
    return made


def _comparable(parent: Mapping, ref: Reference, child: Mapping) -> bool:
    """Whether the server's own operator can compare a reference with its parent by an index."""
    pairs = [
        (child.source.column(here), parent.source.column(there))
        for here, there in zip(ref.columns, ref.by, strict=True)
    ]
    return all(
        mine is not None and theirs is not None and comparable(mine, theirs) and operator(theirs, "=") == "="
        for mine, theirs in pairs
    )
