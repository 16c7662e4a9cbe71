from __future__ import annotations

from tenantry.analyze.refused_rows import RefusedRows


class TenantsDisagree(RefusedRows):
    """They are quarantined. Decide to which tenant such a row belongs, and correct the wrong reference."""

    code = "TA-203"
    severity = "warning"
    area = "tenancy"
    title = "rows whose references lead to different tenants"
    reason = "tenant_conflict"
