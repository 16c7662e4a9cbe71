from __future__ import annotations

from tenantry.analyze.refused_rows import RefusedRows


class CheckBroken(RefusedRows):
    """They go to the quarantine. Change the columns that the check names."""

    code = "TA-305"
    severity = "warning"
    area = "data"
    title = "rows break a check of the target table"
    reason = "rule_broken"
