from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.catalog import Table


class Partitions(AnalysisRule):
    """A source table is partitioned, and its counterpart is not, or otherwise. A job that creates partitions or drops old ones
    needs a counterpart for the target: a new partition, or a DELETE. Do not detach partitions of the source during a
    migration: their rows vanish without a change that could be recorded.
    """

    code = "TA-181"
    severity = "notice"
    area = "schema"
    title = "a source table is partitioned"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping in case.project:
            before, after = mapping.source, mapping.target
            if before.kind == "partitioned":
                yield self.finding(
                    after.name, f"{before.name} is partitioned {_by(before)}; {after.name} is {_by(after) or 'one table'}",
                    count=len(before.below),
                    advice="Give jobs that create or drop partitions a counterpart, and detach none of the source during the migration.",
                )  # fmt: skip


def _by(table: Table) -> str:
    return f"by {table.partition_key}" if table.partition_key else ""
