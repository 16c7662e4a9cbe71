"""Sorts parents before children, in the same order in every process."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import TopologicalSorter


def sorter(graph: Mapping[str, Collection[str]]) -> TopologicalSorter[str]:
    """Build a topological sorter from names and their prerequisites; sorts the sets, whose order differs between
    processes."""
    return TopologicalSorter({name: sorted(parents) for name, parents in graph.items()})


__all__ = ["sorter"]
