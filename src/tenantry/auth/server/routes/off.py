"""What this server does not serve answers as Supabase Auth does where it is switched off, never with 404 or 500."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tenantry.auth.server.caller import administrator, signed_in
from tenantry.auth.server.endpoint import Endpoint, Handler
from tenantry.auth.server.failures import SignInRefused, invalid
from tenantry.auth.server.state import SignInServer


def _refuses(status: int, code: str, message: str) -> Handler:
    async def refuse(_server: SignInServer, _request: Request) -> Response:
        raise SignInRefused(status, code, message)

    return refuse


async def authorize(server: SignInServer, request: Request) -> Response:
    provider = request.query_params.get("provider", "")
    raise invalid(
        "Unsupported provider: provider is not enabled"
        if provider
        else "Unsupported provider: Provider could not be found"
    )


async def callback(server: SignInServer, request: Request) -> Response:
    raise SignInRefused(400, "bad_oauth_callback", "OAuth state parameter missing")


def _signed_in_then(status: int, code: str, message: str) -> Handler:
    async def refuse(server: SignInServer, request: Request) -> Response:
        async with server.database.connection() as unit:
            await signed_in(request, server, unit)
        raise SignInRefused(status, code, message)

    return refuse


def _administrator_then(status: int, code: str, message: str) -> Handler:
    async def refuse(server: SignInServer, request: Request) -> Response:
        administrator(request, server)
        raise SignInRefused(status, code, message)

    return refuse


_SAML = _refuses(404, "saml_provider_disabled", "SAML 2.0 is disabled")
_PASSKEYS = _refuses(404, "passkey_disabled", "Passkeys are disabled")
_LINKING = _signed_in_then(404, "manual_linking_disabled", "Manual linking is disabled")
_OAUTH = _refuses(404, "feature_disabled", "OAuth server is disabled")
_GRANTS = _signed_in_then(404, "feature_disabled", "OAuth server is disabled")
_ADMIN_OAUTH = _administrator_then(404, "feature_disabled", "OAuth server is disabled")
_ADMIN_SSO = _administrator_then(404, "sso_provider_not_found", "No such SSO provider")

ENDPOINTS = (
    Endpoint("GET", "/authorize", authorize),
    Endpoint("GET", "/callback", callback),
    Endpoint("POST", "/callback", callback),
    Endpoint("POST", "/sso", _SAML),
    Endpoint("GET", "/sso/saml/metadata", _SAML),
    Endpoint("POST", "/sso/saml/acs", _SAML),
    Endpoint("POST", "/passkeys/authentication/options", _PASSKEYS),
    Endpoint("POST", "/passkeys/authentication/verify", _PASSKEYS),
    Endpoint("POST", "/passkeys/registration/options", _PASSKEYS),
    Endpoint("POST", "/passkeys/registration/verify", _PASSKEYS),
    Endpoint("GET", "/passkeys", _PASSKEYS),
    Endpoint("PATCH", "/passkeys/{passkey_id}", _PASSKEYS),
    Endpoint("DELETE", "/passkeys/{passkey_id}", _PASSKEYS),
    Endpoint("GET", "/user/identities/authorize", _LINKING),
    Endpoint("DELETE", "/user/identities/{identity_id}", _LINKING),
    Endpoint("GET", "/user/oauth/grants", _GRANTS),
    Endpoint("DELETE", "/user/oauth/grants", _GRANTS),
    Endpoint("GET", "/.well-known/oauth-authorization-server", _OAUTH),
    Endpoint("GET", "/oauth/authorize", _OAUTH),
    Endpoint("POST", "/oauth/token", _OAUTH),
    Endpoint("GET", "/oauth/userinfo", _OAUTH),
    Endpoint("POST", "/oauth/clients/register", _OAUTH),
    Endpoint("GET", "/admin/oauth/clients", _ADMIN_OAUTH),
    Endpoint("POST", "/admin/oauth/clients", _ADMIN_OAUTH),
    Endpoint("GET", "/admin/sso/providers/{idp_id}", _ADMIN_SSO),
    Endpoint("PUT", "/admin/sso/providers/{idp_id}", _ADMIN_SSO),
    Endpoint("DELETE", "/admin/sso/providers/{idp_id}", _ADMIN_SSO),
)
