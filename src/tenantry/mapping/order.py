"""Parents before children, in an order that is the same in every process."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import TopologicalSorter


def sorter(graph: Mapping[str, Collection[str]]) -> TopologicalSorter[str]:
    """A sorter of names by those that each waits for: sets are sorted, whose order would be another in each process."""
    return TopologicalSorter({name: sorted(parents) for name, parents in graph.items()})


__all__ = ["sorter"]
