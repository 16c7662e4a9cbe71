from __future__ import annotations

from tenantry.analyze.refused_rows import RefusedRows


class ParentQuarantined(RefusedRows):
    """They are quarantined with it, and admitted with it."""

    code = "TA-304"
    severity = "notice"
    area = "data"
    title = "rows refer to a row that is itself in quarantine"
    reason = "parent_quarantined"
