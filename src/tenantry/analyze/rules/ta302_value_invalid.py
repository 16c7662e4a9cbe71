from __future__ import annotations

from tenantry.analyze.refused_rows import RefusedRows


class ValueInvalid(RefusedRows):
    """They are quarantined. Correct the value in the source, or state a replacement in the manifest: `invalid` of the
    column's rule.
    """

    code = "TA-302"
    severity = "warning"
    area = "data"
    title = "rows hold a value that cannot be read"
    reason = "value_invalid"
