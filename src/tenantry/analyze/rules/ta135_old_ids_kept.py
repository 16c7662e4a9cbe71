from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import carried_pairs
from tenantry.mapping import Mapping, Project


class OldIdsKept(AnalysisRule):
    """A foreign key of the source leads from it to a migrated table, and the manifest has `ref = false` or another rule for
    the column. To convert the ids, write `ref = "<target table>"` and use `uuid` in the target.
    """

    code = "TA-135"
    severity = "warning"
    area = "schema"
    title = "a column keeps old ids of a table"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping, column, _, _ in carried_pairs(case.project):
            named = _row_named(case.project, mapping, column.source or "")
            if named and column.kind == "value":
                yield self.finding(
                    mapping.target.name, f"{column.name} keeps old ids of {named}", column=column.name,
                    advice=f'To convert them to new ids: ref = "{named}", and a uuid in the target.',
                )  # fmt: skip


def _row_named(project: Project, mapping: Mapping, column: str) -> str:
    """Return the target table whose old ids a source column holds by a foreign key; empty if it refers to no row by its
    key."""
    for fk in mapping.source.foreign_keys:
        if fk.columns == (column,) and fk.ref_schema == project.source.schema:
            for parent in project.of_source(fk.ref_table or ""):
                if parent.key == fk.ref_columns:
                    return parent.target.name
    return ""
