from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class LongTransaction(AnalysisRule):
    """The run can set no triggers, and cannot be cut over, as long as one such transaction is open. Begin when no work
    of that kind is going on; or, where the application leaves it open and idle, bound it with
    `idle_in_transaction_session_timeout`.
    """

    code = "TA-151"
    severity = "warning"
    area = "risk"
    title = "a transaction that has locked source tables has been open for long"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.around.at_work.transactions:
            if not each.gid:
                age = "for more than a second" if each.seconds is None else f"for {each.seconds:.0f} s"
                yield self.finding(
                    each.table, f"{each.who} has been in a transaction {age} that has locked {', '.join(each.tables)}",
                    advice="As long as one such transaction is open, the run can set no triggers there, and cannot be cut over: it waits, tries"
                    " again, and gives up. "
                    + (
                        "The application leaves it open and does nothing: let it end its transactions, or bound them"
                        " (idle_in_transaction_session_timeout)."
                        if each.idle
                        else "Begin the run, and cut over, when no work of that kind is going on."
                    ),
                )  # fmt: skip
