"""What this server does not serve answers as Supabase Auth does where it is switched off: with a code that says so."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tenantry.auth.server.caller import administrator, signed_in
from tenantry.auth.server.endpoint import Endpoint, Handler, answer
from tenantry.auth.server.failures import SignInRefused, invalid
from tenantry.auth.server.reading import uuid_of
from tenantry.auth.server.routes.public import PROVIDERS
from tenantry.auth.server.state import SignInServer


def _refuses(status: int, code: str, message: str) -> Handler:
    async def refuse(_server: SignInServer, _request: Request) -> Response:
        raise SignInRefused(status, code, message)

    return refuse


async def authorize(server: SignInServer, request: Request) -> Response:
    provider = request.query_params.get("provider", "")
    if provider in PROVIDERS:
        raise invalid("Unsupported provider: provider is not enabled")
    raise invalid(f"Unsupported provider: Provider {provider[:100]} could not be found")


async def callback(server: SignInServer, request: Request) -> Response:
    """Lead back to the site, which says that the sign-in with a provider failed: none has begun here."""
    state = request.query_params.get("state", "")
    if request.method == "GET" and not state:
        code, message = "bad_oauth_callback", "OAuth state parameter missing"
    elif uuid_of(state) is not None:
        code, message = "bad_oauth_state", "OAuth state not found or expired"
    else:
        code, message = "bad_oauth_state", "OAuth state parameter is invalid"
    told = {"error": "invalid_request", "error_code": code, "error_description": message}
    return RedirectResponse(f"{server.settings.site_url}?{urlencode(told)}", 303)


def _shows(content: Any) -> Handler:
    async def show(server: SignInServer, request: Request) -> Response:
        await administrator(request, server)
        return answer(content)

    return show


def _signed_in_then(status: int, code: str, message: str) -> Handler:
    async def refuse(server: SignInServer, request: Request) -> Response:
        async with server.database.connection() as unit:
            await signed_in(request, server, unit)
        raise SignInRefused(status, code, message)

    return refuse


def _administrator_then(status: int, code: str, message: str) -> Handler:
    async def refuse(server: SignInServer, request: Request) -> Response:
        await administrator(request, server)
        raise SignInRefused(status, code, message)

    return refuse


_SAML = _refuses(404, "saml_provider_disabled", "SAML 2.0 is disabled")
_PASSKEYS = _refuses(404, "passkey_disabled", "Passkeys are disabled")
_LINKING = _signed_in_then(404, "manual_linking_disabled", "Manual linking is disabled")
_OAUTH = _refuses(404, "feature_disabled", "OAuth server is disabled")
_GRANTS = _signed_in_then(404, "feature_disabled", "OAuth server is disabled")
_ADMIN_OAUTH = _administrator_then(404, "feature_disabled", "OAuth server is disabled")
_ADMIN_SSO = _administrator_then(404, "sso_provider_not_found", "SSO Identity Provider not found")
_NEW_SSO = _administrator_then(404, "saml_provider_disabled", "SAML 2.0 is disabled")
_SCIM = _refuses(404, "feature_disabled", "SCIM server is disabled")
_CUSTOM = _administrator_then(404, "feature_disabled", "Custom OAuth providers are disabled")
_NO_PASSKEY = _administrator_then(404, "validation_failed", "Passkey not found")

ENDPOINTS = (
    Endpoint("GET", "/authorize", authorize),
    Endpoint("GET", "/callback", callback),
    Endpoint("POST", "/callback", callback),
    Endpoint("GET", "/sso", _SAML),
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
    Endpoint("GET", "/admin/oauth/clients/{client_id}", _ADMIN_OAUTH),
    Endpoint("PUT", "/admin/oauth/clients/{client_id}", _ADMIN_OAUTH),
    Endpoint("DELETE", "/admin/oauth/clients/{client_id}", _ADMIN_OAUTH),
    Endpoint("POST", "/admin/oauth/clients/{client_id}/regenerate_secret", _ADMIN_OAUTH),
    Endpoint("GET", "/oauth/authorizations/{authorization_id}", _OAUTH),
    Endpoint("POST", "/oauth/authorizations/{authorization_id}/consent", _OAUTH),
    Endpoint("GET", "/scim/v2/{rest:path}", _SCIM),
    Endpoint("GET", "/admin/sso/providers", _shows({"items": []})),
    Endpoint("POST", "/admin/sso/providers", _NEW_SSO),
    Endpoint("GET", "/admin/custom-providers", _shows({"providers": []})),
    Endpoint("POST", "/admin/custom-providers", _CUSTOM),
    Endpoint("GET", "/admin/custom-providers/{identifier}", _CUSTOM),
    Endpoint("PUT", "/admin/custom-providers/{identifier}", _CUSTOM),
    Endpoint("DELETE", "/admin/custom-providers/{identifier}", _CUSTOM),
    Endpoint("GET", "/admin/users/{user_id}/passkeys", _shows([])),
    Endpoint("DELETE", "/admin/users/{user_id}/passkeys/{passkey_id}", _NO_PASSKEY),
    Endpoint("GET", "/admin/sso/providers/{idp_id}", _ADMIN_SSO),
    Endpoint("PUT", "/admin/sso/providers/{idp_id}", _ADMIN_SSO),
    Endpoint("DELETE", "/admin/sso/providers/{idp_id}", _ADMIN_SSO),
)
