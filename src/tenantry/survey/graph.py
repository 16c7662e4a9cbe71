"""The references of a database as a graph, and the paths through it to the tenant."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from tenantry.catalog import Catalog
from tenantry.survey.keys import prefixes_of
from tenantry.survey.model import FoundReference, ReferenceHop, TenantPath

MOST_HOPS = 5
MOST_PATHS = 6


class Graph:
    """Edges from child tables to their parents; a join can only follow those that a plain column holds."""

    def __init__(self, catalog: Catalog, references: Sequence[FoundReference]) -> None:
        self.prefixes = prefixes_of([table.name for table in catalog.tables])
        """See keys.prefixes_of."""
        self._forward: dict[str, list[ReferenceHop]] = defaultdict(list)
        self._backward: dict[str, list[ReferenceHop]] = defaultdict(list)
        self._parent_columns: dict[ReferenceHop, tuple[str, ...]] = {}
        for each in references:
            child = each.place.table
            if each.place.form != "value" or each.when is not None or child == each.parent:
                continue
            hop = ReferenceHop(child, each.columns, each.parent)
            if hop in self._forward[child]:
                continue
            self._forward[child].append(hop)
            self._parent_columns[hop] = each.parent_columns
            table = catalog.table(child)
            unique = table is not None and any(
                index.unique and index.predicate is None and set(index.columns) <= set(each.columns)
                for index in table.indexes
            )
            if unique:
                back = ReferenceHop(each.parent, each.columns, child, backwards=True)
                self._backward[each.parent].append(back)
                self._parent_columns[back] = each.parent_columns

    def parent_columns(self, hop: ReferenceHop) -> tuple[str, ...]:
        return self._parent_columns[hop]

    def is_unique(self, hop: ReferenceHop) -> bool:
        """Whether at most one row of the child names each row of the parent."""
        return any(back.to == hop.table and back.columns == hop.columns for back in self._backward[hop.to])

    def parents(self, table: str) -> list[ReferenceHop]:
        return self._forward[table]

    def children(self, table: str) -> list[ReferenceHop]:
        return [hop for hops in self._forward.values() for hop in hops if hop.to == table]

    def reaching(self, root: str) -> set[str]:
        """Return the tables from which forward references lead to this one, at any distance; includes itself."""
        found, queue = {root}, deque([root])
        back = defaultdict(set)
        for hops in self._forward.values():
            for hop in hops:
                back[hop.to].add(hop.table)
        while queue:
            for child in back[queue.popleft()] - found:
                found.add(child)
                queue.append(child)
        return found

    def paths(self, table: str, root: str, *, without: Iterable[str] = ()) -> list[TenantPath]:
        """Return the simple paths from a table to the root, shortest first; a path against a unique key only if there is no
        other."""
        if table == root:
            return [TenantPath(table, ())]
        for backwards in (False, True):
            found = self._paths(table, root, set(without) - {table, root}, backwards=backwards)
            if found:
                return found
        return []

    def paths_against(self, table: str, root: str) -> list[TenantPath]:
        """Return the simple paths from a table to the root that begin with rows that name the table's row at most once."""
        found = self._paths(table, root, set(), backwards=True)
        return [path for path in found if path.hops[0].backwards]

    def _paths(self, table: str, root: str, without: set[str], *, backwards: bool) -> list[TenantPath]:
        found: list[TenantPath] = []
        queue: deque[tuple[str, tuple[ReferenceHop, ...], frozenset[str]]] = deque([(table, (), frozenset((table,)))])
        steps = 0
        while queue and len(found) < MOST_PATHS and steps < 5000:
            at, hops, seen = queue.popleft()
            steps += 1
            if len(hops) == MOST_HOPS:
                continue
            once = any(hop.backwards for hop in hops)
            for hop in [*self._forward[at], *(self._backward[at] if backwards and not once else ())]:
                if hop.to == root:
                    found.append(TenantPath(table, (*hops, hop)))
                elif hop.to not in seen and hop.to not in without:
                    queue.append((hop.to, (*hops, hop), seen | {hop.to}))
        return found[:MOST_PATHS]
