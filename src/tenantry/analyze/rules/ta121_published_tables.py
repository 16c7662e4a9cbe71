from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import own_schemas


class PublishedTables(AnalysisRule):
    """Its subscribers see the journal, which holds originals of rows, and the target. Let them leave out the two
    schemas, or publish the tables by name.
    """

    code = "TA-121"
    severity = "warning"
    area = "risk"
    title = "a publication of all tables publishes what the run makes"

    def find(self, case: Case) -> Iterator[Finding]:
        schemas = own_schemas(case.project)
        for publisher in case.around.publishers:
            yield self.finding(
                publisher.name, f"publication FOR ALL TABLES: what the run makes in schemas {schemas} is published too",
                advice="Subscribers and tools that read the replication stream see the journal, which holds originals of rows, and the"
                f" target. Let them leave out the schemas {schemas}, or publish the tables by name.",
            )  # fmt: skip
