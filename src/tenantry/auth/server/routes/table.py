"""All endpoints of the server."""

from __future__ import annotations

from tenantry.auth.server.endpoint import Endpoint
from tenantry.auth.server.routes import (
    admin_links,
    admin_users,
    factors,
    logout,
    mails,
    off,
    public,
    signup,
    token,
    user,
    verify,
)

ENDPOINTS: tuple[Endpoint, ...] = (
    *public.ENDPOINTS,
    *signup.ENDPOINTS,
    *token.ENDPOINTS,
    *user.ENDPOINTS,
    *logout.ENDPOINTS,
    *mails.ENDPOINTS,
    *verify.ENDPOINTS,
    *factors.ENDPOINTS,
    *admin_users.ENDPOINTS,
    *admin_links.ENDPOINTS,
    *off.ENDPOINTS,
)

__all__ = ["ENDPOINTS"]
