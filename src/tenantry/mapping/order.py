"""Sorts parents before children, in the same order in every process. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from tenantry.mapping.project import Mapping, Reference


def sorter(graph: MappingType[str, Collection[str]]) -> TopologicalSorter[str]:
    """Build a topological sorter from names and their prerequisites; sorts the sets, whose order differs between
    processes."""
    return TopologicalSorter({name: sorted(parents) for name, parents in graph.items()})


def in_order(mappings: Sequence[Mapping]) -> list[Mapping]:
    """Sort parents first. References inside a cycle (also within one table) are marked as late."""
    by_target: dict[str, list[Mapping]] = {}
    for mapping in mappings:
        by_target.setdefault(mapping.target.name, []).append(mapping)
    edges = {name: {parent for m in group for parent in m.parents()} for name, group in by_target.items()}
    late: set[tuple[str, str]] = set()

    def tenants_from(name: str) -> set[str]:
        """Return where the tenants of late parents are looked up if they are computed from the source."""
        found: set[str] = set()
        stack = [parent for child, parent in late if child == name]
        while stack:
            parent = stack.pop()
            for path in (path for mapping in by_target.get(parent, ()) for path in mapping.tenant_paths):
                if (parent, path.parent) in late:
                    stack.append(path.parent)
                else:
                    found.add(path.parent)
        return found

    while True:
        graph = {
            name: {
                parent for parent in parents | tenants_from(name) if (name, parent) not in late and parent in by_target
            }
            for name, parents in edges.items()
        }
        try:
            order = list(sorter(graph).static_order())
            break
        except CycleError as error:
            cycle: list[str] = error.args[1]  # each is a parent of the next
            late.add((cycle[1], cycle[0]) if len(cycle) > 1 else (cycle[0], cycle[0]))
    result = []
    for name in order:
        for mapping in by_target[name]:
            marks = {
                ref.alias: _marked(ref, name, late)
                for ref in (*mapping.references, *mapping.tenant_paths)
                if any((name, hop.parent) in late for hop in ref.hops())
            }
            if marks:
                mapping = replace(  # noqa: PLW2901
                    mapping,
                    tenants_from=tuple(sorted(tenants_from(name))),
                    references=tuple(marks.get(ref.alias, ref) for ref in mapping.references),
                    tenant_paths=tuple(marks.get(ref.alias, ref) for ref in mapping.tenant_paths),
                    columns=tuple(
                        replace(column, reference=marks.get(column.reference.alias, column.reference))
                        if column.reference is not None
                        else column
                        for column in mapping.columns
                    ),
                )
            result.append(mapping)
    return result


def _marked(ref: Reference, name: str, late: set[tuple[str, str]]) -> Reference:
    onward = _marked(ref.onward, name, late) if ref.onward is not None else None
    return replace(ref, late=(name, ref.parent) in late, onward=onward)


__all__ = ["in_order", "sorter"]
