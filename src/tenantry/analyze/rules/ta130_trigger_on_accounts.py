from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class TriggerOnAccounts(AnalysisRule):
    """Such a function often creates the profile of a new account. From the cut-over on, its writes are skipped because the
    source is read-only; sign-ups keep working. Let Tenantry create the profiles (`in_step = true` in `[users]`), or give the
    accounts a trigger that writes the target.
    """

    code = "TA-130"
    severity = "warning"
    area = "risk"
    title = "a trigger on the accounts writes a source table"

    def find(self, case: Case) -> Iterator[Finding]:
        users = case.project.manifest.users
        for each in case.around.outsiders:
            for table in each.writes if each.accounts else ():
                own = (
                    "in_step = true creates the profiles of new accounts; for other effects of the function,"
                    if users is not None and users.in_step
                    else "Let Tenantry create the profiles of new accounts (in_step = true in [users]), or"
                )
                yield self.finding(
                    table, f"is written by trigger {each.trigger} on {each.table} (function {each.function})",
                    advice="Its writes there are skipped from the cut-over on, and for accounts that the run creates; sign-ups"
                    f" keep working. {own} give {each.table} a trigger whose function writes {case.project.target.schema}.",
                )  # fmt: skip
