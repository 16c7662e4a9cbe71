from __future__ import annotations

from tenantry.analyze.refused_rows import RefusedRows


class NoTenant(RefusedRows):
    """They are quarantined. Fill a tenant column of the row, or of the row that owns it."""

    code = "TA-202"
    severity = "warning"
    area = "tenancy"
    title = "rows that reach no tenant"
    reason = "tenant_missing"
