from __future__ import annotations

from tenantry.analyze.refused_rows import RefusedRows


class DeadReference(RefusedRows):
    """They are quarantined. Correct the reference in the source, or state a replacement in the manifest: `orphan` of the
    column's rule.
    """

    code = "TA-303"
    severity = "warning"
    area = "data"
    title = "rows refer to a row that does not exist"
    reason = "reference_missing"
