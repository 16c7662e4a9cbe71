from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import target_columns
from tenantry.catalog import Index, Table
from tenantry.mapping import Mapping, Project


class Uniqueness(AnalysisRule):
    """A unique key of the source becomes unique per tenant (info), or stays unique over all tenants (notice): then one tenant
    can find out from the error whether another has a value, and cannot use it. If no key of the target has its columns, the
    target accepts duplicates, and a rollback after the cut-over cannot write them into the source: they become conflicts
    (warning). Add the key to the target's files, with the tenant column if it must only be unique within a tenant.
    """

    code = "TA-175"
    severity = "warning"
    area = "tenancy"
    title = "a unique key becomes unique per tenant, stays global, or has no counterpart"

    def find(self, case: Case) -> Iterator[Finding]:
        for table in case.project.source_tables:
            mappings = case.project.of_source(table.name)
            for index in table.indexes:
                if index.unique and not index.primary and None not in index.columns:
                    yield from self._of_key(case.project, table, index, mappings)

    def _of_key(self, project: Project, table: Table, index: Index, mappings: tuple[Mapping, ...]) -> Iterator[Finding]:
        columns = [name for name in index.columns if name is not None]
        if table.primary_key is None and tuple(columns) == table.row_key:
            return
        for mapping in mappings:
            made = [target_columns(project, mapping, name) for name in columns]
            if not all(made) or mapping.is_root:
                continue
            tenant = project.manifest.tenant.column
            shape = f"({', '.join(columns)})"
            kept = [set(_names(each)) for each in mapping.target.indexes if each.unique]
            if any(_covers(found - {tenant}, made) and tenant in found for found in kept):
                yield self.finding(
                    mapping.target.name, f"unique key {index.name} {shape} becomes unique per tenant", severity="info"
                )
            elif any(_covers(found, made) for found in kept):
                if mapping.scoped:
                    yield self.finding(
                        mapping.target.name, f"unique key {index.name} {shape} stays unique over all tenants", severity="notice",
                        advice="Intended for values such as addresses of sites. Otherwise put the tenant column first into the key.",
                    )  # fmt: skip
            else:
                yield self.finding(
                    mapping.target.name, f"unique key {index.name} {shape} has no counterpart in the target",
                    advice="Add it to the target's files (with the tenant column), or accept that a rollback reports duplicates as"
                    " conflicts.",
                )  # fmt: skip
            return


def _covers(key: set[str], made: list[set[str]]) -> bool:
    """Whether a key has exactly one column for each source column, and no other."""
    names = [options & key for options in made]
    return all(names) and set().union(*names) == key


def _names(index: Index) -> Iterator[str]:
    yield from (name for name in index.columns if name is not None)
