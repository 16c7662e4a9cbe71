from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class ScheduledJob(AnalysisRule):
    """A job of pg_cron names source tables. After the cut-over its writes are refused, and what it reads no longer changes.
    Write its counterpart for the target, as a role that may see every tenant, and switch both at the cut-over
    (`cron.alter_job`).
    """

    code = "TA-177"
    severity = "warning"
    area = "risk"
    title = "a scheduled job uses source tables"

    def find(self, case: Case) -> Iterator[Finding]:
        for job in case.around.jobs:
            yield self.finding(
                job.name, f"job {job.name} ({job.schedule}) uses {', '.join(job.tables)}", keys=job.tables,
                advice="Write a counterpart for the target, and switch both at the cut-over.",
            )  # fmt: skip
