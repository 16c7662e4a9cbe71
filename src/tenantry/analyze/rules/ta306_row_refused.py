from __future__ import annotations

from tenantry.analyze.refused_rows import RefusedRows


class RowRefused(RefusedRows):
    """They are quarantined. The detail has the server's reason."""

    code = "TA-306"
    severity = "warning"
    area = "data"
    title = "rows that the target refuses for another reason"
    reason = None
