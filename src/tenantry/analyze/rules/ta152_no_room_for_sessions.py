from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import SESSIONS


class NoRoomForSessions(AnalysisRule):
    """The limit of the role, the database or the server is nearly reached. Raise it, or close unneeded sessions. `tenantry
    migrate --workers 1` needs one session less.
    """

    code = "TA-152"
    severity = "warning"
    area = "risk"
    title = "a connection limit leaves no room for the sessions of a run"

    def find(self, case: Case) -> Iterator[Finding]:
        for limit in case.around.at_work.limits:
            fix = "raise max_connections" if limit.what == "the server" else f"alter {limit.what} connection limit …"
            yield self.finding(
                "", f"{limit.what} may have {limit.most} sessions, and {limit.used} are in use: a run needs {SESSIONS}",
                advice=f"It would stop with TN-207 halfway. Before the run, {fix}, or close unneeded sessions;"
                " `tenantry migrate --workers 1` needs one less.",
            )  # fmt: skip
