"""The facts about a project that replay needs: which mappings depend on which. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from tenantry.accounts.decide import profile_mapping
from tenantry.catalog import Table
from tenantry.derivation.pilot import Draw, Inside
from tenantry.mapping import Mapping, Project, Reference
from tenantry.postgres import ident


@dataclass(frozen=True)
class Child:
    """A mapping whose rows reference those of another one.

    Attributes:
        column: the target column that holds the reference, if there is one.
        enforced: the source has a valid foreign key for it, so that no row can be older than the referenced row.
        lenient: a fallback replaces a missing row.
    """

    position: int
    mapping: Mapping
    ref: Reference
    column: str | None
    enforced: bool
    lenient: bool
    through: tuple[tuple[Mapping, Reference], ...] = ()
    """The child's row reaches the parent through rows that have no tenant: these, from the child on, and where each leads."""


@dataclass(frozen=True)
class Acting:
    """A foreign key between mapped tables that deletes or changes the children when the parent is deleted."""

    child: str
    columns: tuple[str, ...]
    parent: str
    referenced: tuple[str, ...]


class ReplayFacts:
    """Facts about a project, each computed once.

    Attributes:
        positions: mapping name → its index among the project's mappings; temporary tables are named by it.
        profiles: the mapping that makes users' profiles, if there is one.
        pilot: only some tenants are migrated.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.positions = {mapping.name: i for i, mapping in enumerate(project.mappings)}
        self.profiles = profile_mapping(project)
        self.pilot = bool(project.trial)

    def tenant(self, mapping: Mapping, alias: str) -> str:
        """Return SQL of the tenant of a target row."""
        if mapping.is_root:
            return f"{alias}.id"
        return f"{alias}.{ident(self.project.manifest.tenant.column)}" if mapping.scoped else "null::uuid"

    @cached_property
    def children(self) -> Sequence[Sequence[Child]]:
        """By position, the mappings whose rows reference those of the mapping."""
        found: list[list[Child]] = [[] for _ in self.project.mappings]
        for position, mapping in enumerate(self.project.mappings):
            known = set()
            for ref in (*mapping.references, *mapping.tenant_paths):
                for parent in self.project.feeding(ref):
                    if (ref.columns, parent.name, ref.by) not in known:
                        known.add((ref.columns, parent.name, ref.by))
                        found[self.positions[parent.name]].append(_child(position, mapping, ref, parent))
            for path in mapping.tenant_paths:
                for through in self._through(path):
                    for parent in self.project.feeding(through[-1][1]):
                        child = Child(position, mapping, path, None, enforced=False, lenient=False, through=through)
                        found[self.positions[parent.name]].append(child)
        return found

    def _through(self, path: Reference) -> Iterator[tuple[tuple[Mapping, Reference], ...]]:
        """Yield, for each reference that leads on from a row without a tenant, the rows up to there."""
        found: tuple[tuple[Mapping, Reference], ...] = ()
        for hop in path.hops():
            if hop.onward is not None:
                (parent,) = self.project.feeding(hop)
                found = (*found, (parent, hop.onward))
                yield found

    @cached_property
    def documented(self) -> frozenset[int]:
        """Mappings whose ids occur in documents of others."""
        return frozenset(
            self.positions[parent.name]
            for mapping in self.project.mappings
            for column in mapping.columns
            for each in column.ids
            for parent in self.project.by_target[each.parent]
        )

    @cached_property
    def naming(self) -> frozenset[int]:
        """Mappings whose rows say by a column that is not their key to which tenant other rows belong: what they named before a change
        is not known."""
        return frozenset(
            self.positions[parent.name]
            for mapping in self.project.mappings
            for path in mapping.tenant_paths
            for hop in path.hops()
            if hop.backward or hop.onward is not None
            for parent in self.project.feeding(hop)
            if hop.onward is not None or hop.by != parent.key
        )

    @cached_property
    def source_decides(self) -> frozenset[int]:
        """Mappings whose rows count as parents, with the tenant that their source row leads to, even while they are in quarantine:
        documents name them, or references of a cycle do; and the mappings through which they reach their tenant."""
        found: set[int] = set()
        queue = [*self.documented, *self._late_parents()]
        while queue:
            position = queue.pop()
            if position in found:
                continue
            found.add(position)
            queue += [
                self.positions[parent.name]
                for path in self.project.mappings[position].tenant_paths
                for hop in path.hops()
                for parent in self.project.feeding(hop)
            ]
        return frozenset(found)

    def _late_parents(self) -> Iterator[int]:
        for mapping in self.project.mappings:
            for ref in (*mapping.references, *mapping.tenant_paths):
                for hop in ref.hops():
                    if hop.late:
                        yield from (self.positions[parent.name] for parent in self.project.feeding(hop))

    def is_parent(self, position: int) -> bool:
        """Whether other rows depend on a mapping's rows."""
        return (
            bool(self.children[position])
            or position in self.documented
            or (self.project.mappings[position].is_root and bool(self.tenant_columns))
        )

    @cached_property
    def tenant_columns(self) -> tuple[str, ...]:
        """The columns of the tenant's row that some derivation reads."""
        root = self.project.root_table
        texts = [
            text
            for mapping in self.project.mappings
            for column in mapping.columns
            if column.zoned
            for text in (column.value, column.fallback, column.missing, column.present)
            if text
        ]
        return tuple(
            column.name for column in root.columns if any(f"tenant.{ident(column.name)}" in text for text in texts)
        )

    @cached_property
    def acting(self) -> Sequence[Acting]:
        """Foreign keys whose deletes cascade to children or change them."""
        fed = self.project.by_target
        tables: Sequence[Table] = self.project.target.tables
        return [
            Acting(table.name, fk.columns, str(fk.ref_table), fk.ref_columns)
            for table in tables
            if table.name in fed
            for fk in table.foreign_keys
            if fk.ref_schema == self.project.target.schema
            and fk.ref_table in fed
            and fk.on_delete in ("cascade", "set null", "set default")
        ]

    @cached_property
    def draws(self) -> dict[int, list[Draw]]:
        """By position, the references through which rows of a pilot bring along rows without a tenant."""
        found: dict[int, list[Draw]] = {position: [] for position in range(len(self.project.mappings))}
        for draw in Inside(self.project).draws():
            found[self.positions[draw.mapping.name]].append(draw)
        return found


def _child(position: int, mapping: Mapping, ref: Reference, parent: Mapping) -> Child:
    column = next(
        (
            c.name
            for c in mapping.columns
            if c.reference is not None
            and c.reference.columns == ref.columns
            and c.reference.parent == ref.parent
            and c.fallback is None
        ),
        None,
    )
    enforced = any(
        sorted(zip(fk.columns, fk.ref_columns, strict=True)) == sorted(zip(ref.columns, ref.by, strict=True))
        and fk.ref_table == parent.source.name
        and fk.validated
        and fk.enforced
        for fk in mapping.source.foreign_keys
    )
    lenient = any(
        c.orphan is not None and c.reference is not None and c.reference.columns == ref.columns for c in mapping.columns
    )
    return Child(position, mapping, ref, column, enforced, lenient)
