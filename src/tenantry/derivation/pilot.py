"""Decides which source rows belong to a pilot run: the rows of the chosen tenants, and everything that these rows need.

- A row of a tenant's table belongs to the pilot if one of its paths to the tenant leads to a chosen one.
- People (the rows of [users] profile, where they belong to no single tenant) are included when an included row refers to
  them. The journal lists them, and a listed row stays included.
- Rows that cascade with a person or a tenant (ON DELETE CASCADE, or a required reference to a tenant's row) are included when
  every row they depend on is, or when an included row refers to them.
- All other rows without a tenant are shared, and are included as a whole.

The condition refers to source tables only: it means the same wherever it is used, and can be checked alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tenantry.derivation.keys import mapping_key, references_equal
from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import legacy_of
from tenantry.mapping.project import Mapping, Project, Reference
from tenantry.postgres import ident, literal

Kind = Literal["tenant", "people", "hanging", "shared"]


def chosen_tenant(key: str) -> str:
    """Return SQL: a tenant, given by the text of its source key, was chosen. The keys are fixed when the run starts."""
    return f"exists (select from {JOURNAL}.only c where c.tenant_key = {key})"


@dataclass(frozen=True, slots=True)
class Draw:
    """Rows of one mapping that bring referenced rows of another one into the pilot."""

    mapping: Mapping
    ref: Reference
    parent: Mapping


class Inside:
    """Compiles the condition under which a source row belongs to the pilot."""

    def __init__(
        self,
        project: Project,
        relation: Callable[[Mapping], str] | None = None,
        *,
        chosen: Callable[[str], str] = chosen_tenant,
    ) -> None:
        """
        Args:
            relation: given a mapping, the SQL of its source rows; None: the source table itself.
            chosen: given the SQL of a tenant key's text, the condition that this tenant was chosen.
        """
        self.project = project
        self._relation = relation or self._table
        self._chosen = chosen
        self._aliases = 0
        self._within: list[str] = []
        self.kinds = _kinds(project)

    def kind(self, table: str) -> Kind:
        """Classify a target table's rows."""
        return self.kinds[self.project.by_target[table][0].name]

    def condition(self, mapping: Mapping, alias: str = "s") -> str | None:
        """Return SQL over the source row `alias`; None if every row belongs to the pilot."""
        match self.kinds[mapping.name]:
            case "shared":
                return None
            case "people":
                return self.listed(mapping, alias)
            case "hanging":
                if mapping.name in self._within:
                    return self.listed(mapping, alias)
                self._within.append(mapping.name)
                needed = " and ".join(
                    f"({self._empty(ref, alias)} or {self.names(mapping, ref, alias)})"
                    for ref in _hangs_on(self.project, mapping, self.kinds)
                )
                self._within.pop()
                return f"({self.listed(mapping, alias)} or ({needed}))"
        if mapping.is_root:
            return self._chosen(mapping_key(mapping, alias))
        ways = dict.fromkeys(self._leads(mapping, path, alias) for path in mapping.tenant_paths)
        return f"({' or '.join(ways)})" if len(ways) > 1 else next(iter(ways))

    def _leads(self, mapping: Mapping, path: Reference, alias: str) -> str:
        """Return SQL: a path leads to a chosen tenant; a fallback only counts if no earlier path leads to any tenant."""
        leads = self.names(mapping, path, alias)
        if not path.fallback:
            return leads
        before = mapping.tenant_paths[: mapping.tenant_paths.index(path)]
        return " and ".join([*(f"not {self.names(mapping, each, alias, inside=False)}" for each in before), leads])

    def names(self, mapping: Mapping, ref: Reference, alias: str, *, inside: bool = True) -> str:
        """Return SQL: the reference of the row `alias` leads to a source row; with `inside`, to one that belongs to the
        pilot."""
        ways = []
        for parent in self.project.feeding(ref):
            self._aliases += 1
            other = f"in{self._aliases}"
            where = [self.same(mapping, ref, parent, alias, other)]
            if ref.onward is not None:
                where.append(self.names(parent, ref.onward, other, inside=inside))
            elif inside and (condition := self.condition(parent, other)) is not None:
                where.append(condition)
            ways.append(f"exists (select from {self.rows(parent)} {other} where {' and '.join(where)})")
        return f"({' or '.join(ways)})" if len(ways) > 1 else ways[0]

    def beyond(self, mapping: Mapping, ref: Reference, alias: str = "s") -> str:
        """Return SQL: the row refers to a row of a tenant that was not chosen."""
        return f"({self.names(mapping, ref, alias, inside=False)} and not coalesce({self.names(mapping, ref, alias)}, false))"

    def listed(self, mapping: Mapping, alias: str) -> str:
        """Return SQL: the journal lists the row as included."""
        return (
            f"exists (select from {JOURNAL}.inside l where l.mapping = {literal(mapping.name)}"
            f" and l.source_key = {mapping_key(mapping, alias)})"
        )

    def draws(self) -> Iterator[Draw]:
        """Return all references that bring rows into the pilot, to be listed in the journal."""
        for mapping in self.project:
            for ref in mapping.references:
                for parent in self.project.feeding(ref):
                    if self.kinds[parent.name] in ("people", "hanging"):
                        yield Draw(mapping, ref, parent)

    def draw(self, draw: Draw, rows: str | None = None) -> str:
        """Return the statement that lists the referenced rows; it yields no result.

        Args:
            rows: a relation that replaces the source table of the referring rows.
        """
        mapping, parent = draw.mapping, draw.parent
        limited = self.kinds[mapping.name] in ("people", "hanging")
        condition = self.listed(mapping, "s") if limited else self.condition(mapping, "s")
        where = [each for each in (condition, f"({mapping.where})" if mapping.where else None) if each is not None]
        return (
            f"insert into {JOURNAL}.inside (mapping, source_key)\n"
            f"select distinct {literal(parent.name)}, {mapping_key(parent, 'p')}\n"
            f"  from {rows or self._relation(mapping)} s join {self.rows(parent)} p"
            f" on {self.same(mapping, draw.ref, parent, 's', 'p')}\n"
            f" where {' and '.join(where) or 'true'}\non conflict do nothing"
        )

    def rows(self, mapping: Mapping) -> str:
        """Return the source rows of a mapping as a relation."""
        relation = self._relation(mapping)
        return f"(select s.* from {relation} s where {mapping.where})" if mapping.where else relation

    def same(self, mapping: Mapping, ref: Reference, parent: Mapping, alias: str, other: str) -> str:
        """Return SQL: the row `alias` refers to the row `other`; compares values if an index can be used, otherwise texts."""
        same = references_equal(mapping.source, ref.columns, parent.source, ref.by, alias, other)
        return f"{ref.holds(alias)} and {same}" if ref.only else same

    def _table(self, mapping: Mapping) -> str:
        return ident(self.project.source.schema, mapping.source.name)

    @staticmethod
    def _empty(ref: Reference, alias: str) -> str:
        return " or ".join(f"{alias}.{ident(name)} is null" for name in ref.columns)


def not_carried(project: Project, mapping: Mapping, alias: str = "s") -> str:
    """Return SQL: a source row is neither in the target nor in the journal's lists, so the rest of a run still has to copy
    it."""
    target, key = ident(project.target.schema, mapping.target.name), mapping_key(mapping, alias)
    legacy = legacy_of(mapping, key)
    name = literal(mapping.name)
    return (
        f"not exists (select from {target} t where t.legacy_id = {legacy})"
        f" and not exists (select from {JOURNAL}.quarantine q where q.mapping = {name} and q.source_key = {key} and q.state = 'open')"
        f" and not exists (select from {JOURNAL}.merged m where m.mapping = {name} and m.source_key = {key})"
    )


def restriction(project: Project, mapping: Mapping) -> str | None:
    """Return SQL over the source row `s`: the rows that a copy has to read; None for all."""
    if project.subset is None:
        return None
    if project.subset.state == "rest":
        return not_carried(project, mapping)
    return Inside(project).condition(mapping)


# -- kinds -------------------------------------------------------------------------------------------------------------


def _kinds(project: Project) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {
        mapping.name: "tenant" if mapping.scoped or mapping.is_root else "people" if mapping.profile else "shared"
        for mapping in project
    }
    found = True
    while found:
        found = False
        for mapping in project:
            if kinds[mapping.name] == "shared" and any(
                _goes_with(project, mapping, ref, kinds) for ref in mapping.references
            ):
                kinds[mapping.name] = "hanging"
                found = True
    return kinds


def _hangs_on(project: Project, mapping: Mapping, kinds: dict[str, Kind]) -> list[Reference]:
    """Return what must belong to the pilot for a row without a tenant to belong to it."""
    return [
        ref
        for ref in mapping.references
        if ref.parent != mapping.target.name
        and (
            _goes_with(project, mapping, ref, kinds)
            or any(kinds[parent.name] in ("people", "hanging") for parent in project.feeding(ref))
        )
    ]


def _goes_with(project: Project, mapping: Mapping, ref: Reference, kinds: dict[str, Kind]) -> bool:
    """Whether a row without a tenant depends on the row it refers to."""
    above = {kinds[parent.name] for parent in project.feeding(ref)}
    if "shared" in above or ref.parent == mapping.target.name:
        return False
    column = next((each for each in mapping.columns if each.reference == ref), None)
    if "tenant" in above and column is not None and not column.nullable:
        return True
    sources = {parent.source.name for parent in project.feeding(ref)}
    return any(
        set(ref.columns) <= set(fk.columns) and fk.ref_table in sources and fk.on_delete == "cascade"
        for fk in mapping.source.foreign_keys
    ) or any(
        column is not None and column.name in fk.columns and fk.on_delete == "cascade"
        for fk in mapping.target.foreign_keys
    )


__all__ = ["Draw", "Inside", "Kind", "chosen_tenant", "not_carried", "restriction"]
