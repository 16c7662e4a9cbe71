from __future__ import annotations

from tenantry.analyze.refused_rows import RefusedRows


class CheckBroken(RefusedRows):
    """They are quarantined. Change the columns that the check names."""

    code = "TA-305"
    severity = "warning"
    area = "data"
    title = "rows violate a check of the target table"
    reason = "rule_broken"
