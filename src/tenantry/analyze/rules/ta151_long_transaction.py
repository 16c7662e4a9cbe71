from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class LongTransaction(AnalysisRule):
    """The run cannot create triggers, and cannot cut over, while such a transaction is open. Begin when no such work is
    running; or, if the application leaves transactions idle, limit them with `idle_in_transaction_session_timeout`.
    """

    code = "TA-151"
    severity = "warning"
    area = "risk"
    title = "a long transaction has locked source tables"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.around.at_work.transactions:
            if not each.gid:
                age = "for more than a second" if each.seconds is None else f"for {each.seconds:.0f} s"
                yield self.finding(
                    each.table, f"{each.who} has been in a transaction {age} that has locked {', '.join(each.tables)}",
                    advice="While such a transaction is open, the run can create no triggers there, and cannot cut over: it waits, retries"
                    " and gives up. "
                    + (
                        "The application leaves it open and idle: let it end its transactions, or limit them"
                        " (idle_in_transaction_session_timeout)."
                        if each.idle
                        else "Begin the run, and cut over, when no such work is running."
                    ),
                )  # fmt: skip
