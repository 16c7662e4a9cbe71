from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import target_columns
from tenantry.catalog import Index
from tenantry.mapping import Mapping, Project
from tenantry.mapping.project import ROW_ID

_EQUALITY = ("btree", "hash")
"""Methods that find equal values."""


class IndexLeftBehind(AnalysisRule):
    """No index of the target begins with the same columns, behind the tenant column. Queries that it serves would read whole
    tables after the cut-over. `tenantry analyze --queries` shows the plans of queries on both sides. Unique keys are TA-175.
    """

    code = "TA-183"
    severity = "notice"
    area = "risk"
    title = "an index of the source has no counterpart in the target"

    def find(self, case: Case) -> Iterator[Finding]:
        for table in case.project.source_tables:
            for index in table.indexes:
                if not index.unique and index.valid and None not in index.columns:
                    for mapping in case.project.of_source(table.name)[:1]:
                        if _missing(case.project, mapping, index):
                            columns = ", ".join(str(name) for name in index.columns)
                            yield self.finding(
                                mapping.target.name, f"index {index.name} ({index.method}: {columns}) has no counterpart in the target",
                                advice="Add it to the target's files if queries need it: the tenant column first, except for other"
                                " methods than btree.",
                            )  # fmt: skip


def _missing(project: Project, mapping: Mapping, index: Index) -> bool:
    made = [target_columns(project, mapping, str(name)) for name in index.columns]
    if not all(made):
        return False
    tenant = project.manifest.tenant.column
    made = [rest for names in made if (rest := names - {tenant})]
    if index.method in _EQUALITY and any(ROW_ID in names for names in made):
        return False  # the row's key finds it
    for other in mapping.target.indexes:
        names = [name for name in other.columns if name != tenant][: len(made)]
        serves = len(names) == len(made) and all(name in options for name, options in zip(names, made, strict=True))
        if other.method in (index.method, *(["btree"] if index.method in _EQUALITY else [])) and serves:
            return False
    return True
