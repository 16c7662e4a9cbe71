from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import event_triggers, own_schemas
from tenantry.journal.names import JOURNAL


class NoTablesHere(AnalysisRule):
    """The run makes tables of its own. Let the event trigger leave out the schemas of the run and temporary tables, or
    disable it for as long as the run lasts.
    """

    code = "TA-123"
    severity = "blocker"
    area = "risk"
    title = "tables cannot be made here, or an event trigger hides rows of temporary tables"

    def find(self, case: Case) -> Iterator[Finding]:
        around, schemas = case.around, own_schemas(case.project)
        triggers = event_triggers(around)
        if around.refused:
            yield self.finding(
                JOURNAL, f"tables cannot be made here: {around.refused}",
                advice=f"It may be the {triggers}: let it leave out the schemas {schemas}, or disable it for the time of the run."
                if around.listeners else "Mend the cause.",
            )  # fmt: skip
        elif around.temporary.forced:
            yield self.finding(
                JOURNAL, f"{triggers}: row-level security is forced upon temporary tables",
                advice="The rows that a run works with would be hidden from it. Let it leave out temporary tables, or disable it for the"
                " time of the run (alter event trigger … disable).",
            )  # fmt: skip
