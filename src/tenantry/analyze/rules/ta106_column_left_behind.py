from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import columns_used


class ColumnLeftBehind(AnalysisRule):
    """No target column is made from it, and no expression of the manifest reads it. Give it a target column, or accept that
    its values stay in the source and are dropped with it. A column that only an inheritance child has is not migrated either.
    """

    code = "TA-106"
    severity = "warning"
    area = "schema"
    title = "a source column is not migrated"

    def find(self, case: Case) -> Iterator[Finding]:
        project = case.project
        for table in project.source_tables:
            used = columns_used(project, table)
            for column in table.columns:
                if column.name not in used and column.generated is None:
                    yield self.finding(
                        table.name, f"column {column.name} is not migrated", column=column.name,
                        advice="Give it a target column, or accept that it stays in the source only.",
                    )  # fmt: skip
        for table in project.source_tables:
            own = {column.name for column in table.columns}
            for each in table.below if table.kind != "partitioned" else ():
                child = project.source.table(each.name) if each.schema == project.source.schema else None
                for column in child.columns if child is not None else ():
                    if column.name not in own:
                        yield self.finding(
                            each.name, f"column {column.name} is not migrated", column=column.name,
                            advice=f"{table.name} does not have it. Keep it elsewhere, or accept that it stays in the source only.",
                        )  # fmt: skip
