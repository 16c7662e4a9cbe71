from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import own_schemas


class PublishedTables(AnalysisRule):
    """Its subscribers see the target, and the journal, which holds originals of rows. Exclude the two schemas on the
    subscribers, or publish the tables by name.
    """

    code = "TA-121"
    severity = "warning"
    area = "risk"
    title = "a publication of all tables publishes the tables of the run"

    def find(self, case: Case) -> Iterator[Finding]:
        schemas = own_schemas(case.project)
        for publisher in case.around.publishers:
            yield self.finding(
                publisher.name, f"publication FOR ALL TABLES: the run's tables in schemas {schemas} are published, too",
                advice="Subscribers and tools that read the replication stream see the journal, which holds originals of rows, and the"
                f" target. Exclude the schemas {schemas} there, or publish the tables by name.",
            )  # fmt: skip
