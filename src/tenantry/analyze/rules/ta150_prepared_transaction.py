from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.postgres import literal


class PreparedTransaction(AnalysisRule):
    """It holds its locks until it ends with `COMMIT PREPARED` or `ROLLBACK PREPARED`. If it has written source tables, the
    run cannot create triggers there; otherwise it is a notice, because it prevents VACUUM from removing rows.
    """

    code = "TA-150"
    severity = "warning"
    area = "risk"
    title = "a prepared transaction is open in this database"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.around.at_work.transactions:
            if each.gid:
                name = literal(each.gid)
                locked = f", has written {', '.join(each.tables)}" if each.tables else ", has locked no source table"
                yield self.finding(
                    each.table, f"{each.who}, prepared {each.seconds or 0:.0f} s ago{locked}",
                    severity="warning" if each.tables else "notice",
                    advice=("It holds its locks until someone ends it: meanwhile the run can create no triggers there, and cannot"
                    " be cut over. " if each.tables else "It prevents VACUUM from removing rows, and may be forgotten. ")
                    + f"Run commit prepared {name} or rollback prepared {name} in this database.",
                )  # fmt: skip
