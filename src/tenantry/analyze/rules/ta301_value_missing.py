from __future__ import annotations

from tenantry.analyze.refused_rows import RefusedRows


class ValueMissing(RefusedRows):
    """They are quarantined. Fill the column in the source, or state a replacement in the manifest: `null` and `empty` of the
    column's rule.
    """

    code = "TA-301"
    severity = "warning"
    area = "data"
    title = "rows lack a value that the target needs"
    reason = "value_missing"
