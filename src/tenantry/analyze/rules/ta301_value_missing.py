from __future__ import annotations

from tenantry.analyze.refused_rows import RefusedRows


class ValueMissing(RefusedRows):
    """They go to the quarantine. Fill the column in the source, or say in the manifest what stands in: `null` and
    `empty` of the column's rule.
    """

    code = "TA-301"
    severity = "warning"
    area = "data"
    title = "rows lack a value that the target needs"
    reason = "value_missing"
