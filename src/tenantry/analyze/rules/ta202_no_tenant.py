from __future__ import annotations

from tenantry.analyze.refused_rows import RefusedRows


class NoTenant(RefusedRows):
    """They go to the quarantine. Fill a tenant column of the row, or of the row that it hangs on."""

    code = "TA-202"
    severity = "warning"
    area = "tenancy"
    title = "rows that reach no tenant"
    reason = "tenant_missing"
