from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.postgres import literal


class PreparedTransaction(AnalysisRule):
    """It holds its locks until it is ended with `COMMIT PREPARED` or `ROLLBACK PREPARED`. Where it has written
    source tables the run can set no triggers there; otherwise it is a notice, since it keeps VACUUM from its work.
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
                    advice=("It holds its locks until somebody ends it, however long that takes: the run can set no triggers there, and cannot"
                    " be cut over. " if each.tables else "It keeps VACUUM from its work, and nobody may know of it. ")
                    + f"Run commit prepared {name} or rollback prepared {name} in this database.",
                )  # fmt: skip
