from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import event_triggers, own_schemas
from tenantry.journal.names import JOURNAL


class NoTablesHere(AnalysisRule):
    """The run creates tables. Exclude the schemas of the run and temporary tables in the event trigger, or disable it during
    the run.
    """

    code = "TA-123"
    severity = "blocker"
    area = "risk"
    title = "the run cannot create tables, or an event trigger hides rows of temporary tables"

    def find(self, case: Case) -> Iterator[Finding]:
        around, schemas = case.around, own_schemas(case.project)
        triggers = event_triggers(around)
        if around.refused:
            yield self.finding(
                JOURNAL, f"the run cannot create tables: {around.refused}",
                advice=f"The cause may be the {triggers}: exclude the schemas {schemas} in it, or disable it during the run."
                if around.listeners else "Fix the cause.",
            )  # fmt: skip
        elif around.temporary.forced:
            yield self.finding(
                JOURNAL, f"{triggers}: row-level security is forced upon temporary tables",
                advice="The rows that a run works with would be hidden from it. Let it leave out temporary tables, or disable it for the"
                " time of the run (alter event trigger … disable).",
            )  # fmt: skip
