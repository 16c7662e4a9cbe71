from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import carried_pairs
from tenantry.mapping import Mapping, Project


class OldIdsKept(AnalysisRule):
    """A foreign key of the source leads from it to a table that is carried over, and the manifest says `ref = false`
    or gives the column another rule. Where the ids are to become the new ones: `ref = "<target table>"`, and a
    `uuid` in the target.
    """

    code = "TA-135"
    severity = "warning"
    area = "schema"
    title = "a column carries old ids of a table as they are"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping, column, _, _ in carried_pairs(case.project):
            named = _row_named(case.project, mapping, column.source or "")
            if named and column.kind == "value":
                yield self.finding(
                    mapping.target.name, f"{column.name} holds old ids of {named}, as they are", column=column.name,
                    advice=f'Where they are to become the new ones: ref = "{named}", and a uuid in the target.',
                )  # fmt: skip


def _row_named(project: Project, mapping: Mapping, column: str) -> str:
    """The target table whose old ids a source column holds by a foreign key; empty where it names no row by its key."""
    for fk in mapping.source.foreign_keys:
        if fk.columns == (column,) and fk.ref_schema == project.source.schema:
            for parent in project.of_source(fk.ref_table or ""):
                if parent.key == fk.ref_columns:
                    return parent.target.name
    return ""
