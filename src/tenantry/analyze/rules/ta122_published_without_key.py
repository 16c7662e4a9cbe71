from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.postgres import ident


class PublishedWithoutKey(AnalysisRule):
    """PostgreSQL refuses updates and deletes of a published table that has no replica identity. Give the table a
    primary key, or `replica identity full`.
    """

    code = "TA-122"
    severity = "blocker"
    area = "risk"
    title = "a publication would refuse changes of a target table without a primary key"

    def find(self, case: Case) -> Iterator[Finding]:
        for publisher in case.around.publishers:
            for table in case.project.target.tables if publisher.changes else ():
                if table.primary_key is None and table.replica_identity not in ("full", "index"):
                    yield self.finding(
                        table.name, f"has no primary key, so that publication {publisher.name} refuses its updates and deletes",
                        advice="Give the table a primary key in the target's files, or write there: alter table"
                        f" {ident(table.name)} replica identity full.",
                    )  # fmt: skip
