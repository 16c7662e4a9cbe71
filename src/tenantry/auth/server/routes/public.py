"""GET /health, /settings and the public keys: what everybody may know."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tenantry.auth.keys import CACHE_SECONDS
from tenantry.auth.server.endpoint import Endpoint, answer
from tenantry.auth.server.state import SignInServer

PROVIDERS = (
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "kakao",
    "keycloak",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "slack",
    "slack_oidc",
    "snapchat",
    "spotify",
    "twitch",
    "twitter",
    "workos",
    "zoom",
)
"""Social providers that Supabase Auth knows: all are switched off here."""


async def health(server: SignInServer, request: Request) -> Response:
    """Answer that the process is there; the database is looked at by /ready."""
    return answer(
        {
            "version": f"tenantry-{version('tenantry')}",
            "name": "GoTrue",
            "description": "Tenantry's sign-in server, with the contract of Supabase Auth",
        }
    )


async def ready(server: SignInServer, request: Request) -> Response:
    """Answer 200 if the database answers and a key signs; else the error says which does not."""
    await server.database.one("accounts.ready")
    server.keys.keys().current(datetime.now(UTC).timestamp())
    return answer({"database": "ok", "keys": "ok"})


async def settings(server: SignInServer, request: Request) -> Response:
    told = server.settings
    return answer(
        {
            "external": {
                "anonymous_users": told.anonymous_users,
                **dict.fromkeys(PROVIDERS, False),
                "email": told.email_enabled,
                "phone": False,
            },
            "disable_signup": told.signup_disabled,
            "mailer_autoconfirm": told.autoconfirm,
            "phone_autoconfirm": False,
            "sms_provider": "",
            "saml_enabled": False,
            "saml_private_key_next_configured": False,
            "passkeys_enabled": False,
        }
    )


async def jwks(server: SignInServer, request: Request) -> Response:
    document = server.keys.keys().public_jwks(datetime.now(UTC).timestamp())
    return JSONResponse(document, headers={"Cache-Control": f"public, max-age={CACHE_SECONDS}"})


async def openid_configuration(server: SignInServer, request: Request) -> Response:
    issuer = server.settings.issuer
    return JSONResponse(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "userinfo_endpoint": f"{issuer}/oauth/userinfo",
            "scopes_supported": ["openid", "profile", "email", "phone", "offline_access"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "claims_supported": [
                *("sub", "aud", "iss", "exp", "iat", "auth_time", "nonce", "email", "email_verified"),
                *("phone_number", "phone_number_verified", "name", "picture", "preferred_username", "updated_at"),
            ],
            "code_challenge_methods_supported": ["S256", "plain"],
        },
        headers={"Cache-Control": f"public, max-age={CACHE_SECONDS}"},
    )


ENDPOINTS = (
    Endpoint("GET", "/health", health),
    Endpoint("GET", "/ready", ready),
    Endpoint("GET", "/settings", settings),
    Endpoint("GET", "/.well-known/jwks.json", jwks),
    Endpoint("GET", "/.well-known/openid-configuration", openid_configuration),
)
