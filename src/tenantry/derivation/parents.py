"""The parents that a derived row refers to: pairs of old and new id, read from the target or derived from the source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from tenantry.derivation.derived import Reading
from tenantry.derivation.ids import constant_tenant_sql, new_id_sql
from tenantry.derivation.keys import mapping_key, plain_text, reference_text
from tenantry.derivation.pilot import Inside
from tenantry.derivation.reverse.moved import standing
from tenantry.derivation.reverse.strangers import without_strangers
from tenantry.derivation.rows import effective_source, merge_keys, qualified_order
from tenantry.derivation.tenant_values import all_values, known_tenants, tenants_of_values
from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.mapping.project import ROW_ID, Mapping, Project, Reference, plain_name
from tenantry.postgres import ident, literal

_VALUES = "tenant_values"


class ParentPairs(ABC):
    """What a derivation needs to know about other mappings' rows.

    Subclasses define how a row is derived; in PREVIEW a parent's own derivation tells whether it has problems.
    """

    def __init__(
        self,
        project: Project,
        reading: Reading,
        *,
        corrected: frozenset[str] = frozenset(),
        strangers: frozenset[str] = frozenset(),
    ) -> None:
        """
        Args:
            corrected: mappings with rows corrected in the quarantine; VERIFY reads these in corrected form.
            strangers: target tables with rows that COPY must not use as parents.
        """
        self.project = project
        self.reading = reading
        self._corrected = corrected
        self._strangers = strangers
        self._source = project.source.schema
        self._target = project.target.schema
        self._tenant = project.manifest.tenant
        self._common: dict[str, str] = {}
        # In a pilot run, only rows that belong to it are derived.
        self._inside = Inside(project, self._relation) if project.trial and reading is not Reading.PREVIEW else None

    def _relation(self, mapping: Mapping) -> str:
        if mapping.name in self._corrected:
            return effective_source(self.project, mapping)
        return ident(self._source, mapping.source.name)

    def _named(self, mapping: Mapping, ref: Reference) -> str:
        """Return the value of a reference as the text under which `_pairs` lists its parent."""
        return reference_text(self.project, mapping, ref, "s")

    def _pairs(self, ref: Reference, *, inside: bool = False, plain: bool = False) -> str:
        """Return (old, new, tenant) of a reference's parents; with `inside` only those that belong to the pilot, with `plain`
        without checking them for problems."""
        if ref.by_value:
            return self._tenants_by_value()
        if ref.onward is not None:
            return self._pairs_onward(ref, ref.onward, inside=inside, plain=plain)
        if self.reading is Reading.COPY and not ref.late:
            made = self._pairs_from_target(ref)
        else:
            made = self._pairs_from_source(ref, inside=inside, plain=plain)
        if not ref.several:
            return made
        bad = ", bool_or(z.bad) as bad" if self.reading is Reading.PREVIEW else ""
        return (
            f"(select z.old, min(z.new::text)::{self.project.feeding(ref)[0].id_type} as new, min(z.tenant::text)::uuid as tenant,"
            f" min(z.tenant::text) <> max(z.tenant::text) as torn{bad} from {made} z group by z.old)"
        )

    def _pairs_onward(self, ref: Reference, onward: Reference, *, inside: bool, plain: bool) -> str:
        """Return (old, new, tenant) of parents that have no tenant themselves: it is the one to which their own source row
        leads."""
        (parent,) = self.project.feeding(ref)
        here = self._pairs(replace(ref, onward=None), inside=inside, plain=plain)
        there = self._pairs(onward, inside=inside, plain=plain)
        torn = ", q.torn" if onward.torn else ""
        more = ", b.bad" if self.reading is Reading.PREVIEW else ""
        more += ", coalesce(h.torn, false) as torn" if onward.torn else ""
        return (
            f"(select b.old, b.new, h.tenant{more} from {here} b left join (select {plain_text(parent.source, 'p', ref.by)} as old,"
            f" q.tenant{torn} from {self._relation(parent)} p left join {there} q"
            f" on q.old = {reference_text(self.project, parent, onward, 'p')}) h on h.old = b.old)"
        )

    def _tenants_by_value(self) -> str:
        """Return (old, new, tenant) of tenants that are made from values."""
        if self.reading is not Reading.PREVIEW:
            return f"(select v.key as old, v.tenant as new, v.tenant from {known_tenants(self.project)} v)"
        return f"(select v.key as old, v.tenant as new, v.tenant, false as bad from {self._values_of_source()} v)"

    def _values_of_source(self) -> str:
        """Return (key, tenant, value) of the tenants that the source's values mean, before they are listed."""
        self._common.setdefault(_VALUES, tenants_of_values(self.project, all_values(self.project)))
        return _VALUES

    def _pairs_from_target(self, ref: Reference) -> str:
        selects = []
        for parent in self.project.feeding(ref):
            table = ident(self._target, parent.target.name)
            if parent.target.name in self._strangers:
                table = without_strangers(self.project, parent.target.name)
            tenant = self._tenant_of("t", parent)
            own = parent.key == ref.by
            legacy, where = source_key(parent), from_part(parent, " where")
            if own:
                selects.append(f"select {legacy} as old, t.id as new, {tenant} as tenant from {table} t{where}")
            else:
                old = plain_text(parent.source, "p", ref.by)
                selects.append(
                    f"select {old} as old, t.id as new, {tenant} as tenant from {table} t"
                    f" join {ident(self._source, parent.source.name)} p on {self._key(parent, 'p')} = {legacy}{where}"
                )
            if parent.merge is not None:
                into = legacy_of(parent, "m.into_key")
                selects.append(
                    f"select m.source_key, t.id, {tenant} from {JOURNAL}.merged m join {table} t on t.legacy_id = {into}"
                    f" where m.mapping = {literal(parent.name)}"
                )
        return "(" + " union all ".join(selects) + ")"

    def _pairs_from_source(self, ref: Reference, *, inside: bool = False, plain: bool = False) -> str:
        names = []
        for parent in self.project.feeding(ref):
            first = "pi" if inside else "p"
            name = plain_name(first, parent.name, *(() if ref.by == parent.key else ("by", *ref.by)))
            unjudged = plain or self._common.get(name) == ""
            if unjudged:
                name = plain_name("p", parent.name, "plain", *ref.by)
            if name not in self._common:
                self._common[name] = ""  # keeps its position ahead of any expression that refers to it again
                body = self._source_pairs(parent, ref.by, plain=unjudged, inside=inside)
                del self._common[name]
                self._common[name] = body
            names.append(ident(name))
        if len(names) == 1:
            return names[0]
        return "(" + " union all ".join(f"select * from {name}" for name in names) + ")"

    def _source_pairs(self, parent: Mapping, by: Sequence[str], *, plain: bool, inside: bool = False) -> str:
        """Compute parents from the source alone: in PREVIEW with `bad`, in VERIFY with merged rows replaced by the surviving
        row.

        Args:
            plain: in PREVIEW, do not check for problems: for circular references, where the check would not end.
        """
        old = plain_text(parent.source, "s", by)
        relation = self._relation(parent)
        if self.reading is Reading.PREVIEW and not plain:
            body = self._select(parent, relation, "true")
            tenant = self._tenant_of("d", parent)
            new, bad = "d.id", f"d.{parent.ours('problems')} is not null"
            if parent.merge is not None:
                keys = merge_keys(parent, "d")
                new = f"first_value(d.id) over (partition by {keys}, {bad} order by {qualified_order(parent, 'd')})"
            if tuple(by) == parent.key:
                return f"select d.{parent.ours('key')} as old, {new} as new, {tenant} as tenant, {bad} as bad from (\n{body}\n) d"
            return (
                f"select {old} as old, d.id as new, {tenant} as tenant, {bad} as bad\n"
                f"  from {relation} s join (\n{body}\n) d on d.{parent.ours('key')} = {self._key(parent)}"
            )
        key = self._key(parent)
        merges = parent.merge is not None and self.reading is not Reading.PREVIEW
        merged = (
            ""
            if not merges
            else f"left join {JOURNAL}.merged m on m.mapping = {literal(parent.name)} and m.source_key = {key}"
        )
        survivor = key if not merges else f"coalesce(m.into_key, {key})"
        new = new_id_sql(self.project.manifest, parent, survivor)
        references = {path.alias: path for path in parent.tenant_paths}
        if parent.is_root:
            tenant = new
        elif parent.scoped:
            tenant = self._tenant_by_ways(parent)
        else:
            tenant = "null::uuid"
        joins = "".join(
            f"\n  left join {self._pairs(path, plain=plain and not inside)} {alias} on {alias}.old = {self._named(parent, path)}"
            for alias, path in references.items()
        )
        bad = ", false as bad" if plain else ""
        # If several mappings share a table, each split off by a condition, each has its own rows.
        placed = f"({parent.where})" if parent.where else ""
        if self.reading is not Reading.PREVIEW:
            placed = standing(self.project, parent, key)
        conditions = [placed] if placed else []
        if inside and self._inside is not None and (condition := self._inside.condition(parent)) is not None:
            conditions.append(condition)
        where = f"\n where {' and '.join(conditions)}" if conditions else ""
        return f"select {old} as old, {new} as new, {tenant} as tenant{bad}\n  from {relation} s {merged}{joins}{where}"

    def _tenant_of(self, alias: str, mapping: Mapping) -> str:
        if mapping.is_root:
            return f"{alias}.{ident(ROW_ID)}"
        return f"{alias}.{ident(self._tenant.column)}" if mapping.scoped else "null::uuid"

    def _tenant_by_ways(self, mapping: Mapping) -> str:
        """Return the tenant of a row that has one, over the joins of its paths; the constant tenant if it has no path."""
        if not mapping.tenant_paths:
            return constant_tenant_sql(self.project.manifest)
        # A path that is also a reference is joined once.
        return f"coalesce({', '.join(dict.fromkeys(f'{path.alias}.tenant' for path in mapping.tenant_paths))})"

    def _key(self, mapping: Mapping, alias: str = "s") -> str:
        return mapping_key(mapping, alias)

    @abstractmethod
    def _select(self, mapping: Mapping, relation: str, condition: str) -> str:
        """Select one row for each row of a source relation."""
