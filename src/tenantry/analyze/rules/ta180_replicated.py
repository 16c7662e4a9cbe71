from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class Replicated(AnalysisRule):
    """Logical replication sends the changes of a source table elsewhere, for example to a warehouse or to Supabase Realtime.
    After the cut-over only writes into the target count: publish its tables, and let the subscriber read them under their
    new names and ids. Or a subscription writes a source table: from the cut-over on its writes are refused, and the
    publisher keeps its WAL until the disk is full. End the subscription before the cut-over.
    """

    code = "TA-180"
    severity = "warning"
    area = "risk"
    title = "logical replication reads or writes source tables"

    def find(self, case: Case) -> Iterator[Finding]:
        published: dict[str, list[str]] = {}
        for table in case.project.source_tables:
            for each in table.publications:
                if each.scope != "all":
                    published.setdefault(each.name, []).append(table.name)
        for name, tables in sorted(published.items()):
            yield self.finding(
                name, f"publication {name} publishes {', '.join(tables)}", count=len(tables), keys=tuple(tables[:5]),
                advice="Publish the target's tables at the cut-over, and prepare the subscribers for their names and ids.",
            )  # fmt: skip
        if fed := case.around.subscribed:
            yield self.finding(
                "subscriptions", f"a subscription writes {', '.join(fed)}", count=len(fed), keys=fed[:5],
                advice="Its writes are refused from the cut-over on. End the subscription before.",
            )  # fmt: skip
