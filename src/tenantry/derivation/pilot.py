"""Which source rows belong to a trial: those of the tenants that were chosen, with everything that their rows need.

- Rows of a tenant's tables belong to it when one of their ways to the tenant leads to a chosen one.
- People (the rows of [users] profile, where they belong to no single tenant) come along when a row that comes along names them; the
  journal lists them, and who is listed stays.
- Rows that go with a person or a tenant (ON DELETE CASCADE, or a required reference to a tenant's row) come along when all whom
  they hang on do, or when a row that comes along names them.
- All other rows without a tenant are shared, and come as a whole.

The condition names source tables only, so that it is the same wherever it is asked, and can be checked by itself.
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
    """SQL: whether a tenant, by the text of its source key, was chosen; the keys are fixed when the run starts."""
    return f"exists (select from {JOURNAL}.only c where c.tenant_key = {key})"


@dataclass(frozen=True, slots=True)
class Draw:
    """Rows of one mapping that bring rows of another one along."""

    mapping: Mapping
    ref: Reference
    parent: Mapping


class Inside:
    """Compiles the condition under which a source row belongs to the trial."""

    def __init__(
        self,
        project: Project,
        relation: Callable[[Mapping], str] | None = None,
        *,
        chosen: Callable[[str], str] = chosen_tenant,
    ) -> None:
        """
        Args:
            relation: the SQL of a mapping's source rows; None: the source table as it stands.
            chosen: the condition that a tenant is chosen, by the SQL of its key's text.
        """
        self.project = project
        self._relation = relation or self._table
        self._chosen = chosen
        self._aliases = 0
        self._within: list[str] = []
        self.kinds = _kinds(project)

    def kind(self, table: str) -> Kind:
        """The kind of a target table's rows."""
        return self.kinds[self.project.by_target[table][0].name]

    def condition(self, mapping: Mapping, alias: str = "s") -> str | None:
        """SQL over the source row `alias`; None where every row belongs to the trial."""
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
        ways = dict.fromkeys(self.names(mapping, path, alias) for path in mapping.tenant_paths)
        return f"({' or '.join(ways)})" if len(ways) > 1 else next(iter(ways))

    def names(self, mapping: Mapping, ref: Reference, alias: str, *, inside: bool = True) -> str:
        """SQL: whether the row `alias` names a row of the source by a reference; with `inside` one that belongs to the trial."""
        ways = []
        for parent in self.project.feeding(ref):
            self._aliases += 1
            other = f"in{self._aliases}"
            where = [self.same(mapping, ref, parent, alias, other)]
            if inside and (condition := self.condition(parent, other)) is not None:
                where.append(condition)
            ways.append(f"exists (select from {self.rows(parent)} {other} where {' and '.join(where)})")
        return f"({' or '.join(ways)})" if len(ways) > 1 else ways[0]

    def beyond(self, mapping: Mapping, ref: Reference, alias: str = "s") -> str:
        """SQL: whether the row names one of a tenant that was not chosen."""
        return f"({self.names(mapping, ref, alias, inside=False)} and not coalesce({self.names(mapping, ref, alias)}, false))"

    def listed(self, mapping: Mapping, alias: str) -> str:
        """SQL: whether the journal lists the row as one that comes along."""
        return (
            f"exists (select from {JOURNAL}.inside l where l.mapping = {literal(mapping.name)}"
            f" and l.source_key = {mapping_key(mapping, alias)})"
        )

    def draws(self) -> Iterator[Draw]:
        """All references by which rows come along that the journal lists."""
        for mapping in self.project:
            for ref in mapping.references:
                for parent in self.project.feeding(ref):
                    if self.kinds[parent.name] in ("people", "hanging"):
                        yield Draw(mapping, ref, parent)

    def draw(self, draw: Draw, rows: str | None = None) -> str:
        """The statement that lists what rows name; yields nothing.

        Args:
            rows: a relation that takes the place of the naming rows' source table.
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
        """The source rows of a mapping, as a relation."""
        relation = self._relation(mapping)
        return f"(select s.* from {relation} s where {mapping.where})" if mapping.where else relation

    def same(self, mapping: Mapping, ref: Reference, parent: Mapping, alias: str, other: str) -> str:
        """SQL: that the row `alias` names the row `other`; by values where an index may serve, else by texts."""
        return references_equal(mapping.source, ref.columns, parent.source, ref.by, alias, other)

    def _table(self, mapping: Mapping) -> str:
        return ident(self.project.source.schema, mapping.source.name)

    @staticmethod
    def _empty(ref: Reference, alias: str) -> str:
        return " or ".join(f"{alias}.{ident(name)} is null" for name in ref.columns)


def not_carried(project: Project, mapping: Mapping, alias: str = "s") -> str:
    """SQL: a source row is neither in the target nor in the journal's lists; what the rest of a run has still to copy."""
    target, key = ident(project.target.schema, mapping.target.name), mapping_key(mapping, alias)
    legacy = legacy_of(mapping, key)
    name = literal(mapping.name)
    return (
        f"not exists (select from {target} t where t.legacy_id = {legacy})"
        f" and not exists (select from {JOURNAL}.quarantine q where q.mapping = {name} and q.source_key = {key} and q.state = 'open')"
        f" and not exists (select from {JOURNAL}.merged m where m.mapping = {name} and m.source_key = {key})"
    )


def restriction(project: Project, mapping: Mapping) -> str | None:
    """SQL over the source row `s`: which rows a copy has to look at; None for all."""
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
    """What must belong to the trial so that a row without a tenant does."""
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
    """Whether a row without a tenant is nothing without the one that it names."""
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
