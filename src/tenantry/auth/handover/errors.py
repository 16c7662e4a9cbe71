"""What can go wrong when schema auth is handed over to a Supabase Auth server: TN-651 to TN-659."""

from __future__ import annotations

from tenantry.errors import TenantryError


class HandoverImpossible(TenantryError):
    """Schema auth cannot be handed over to a Supabase Auth server as it stands."""

    code = "TN-651"
    remedy = "Do what the message asks for, then run `tenantry auth handover --apply` again."
