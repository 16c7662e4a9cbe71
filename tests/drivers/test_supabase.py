"""The official Node clients of Supabase Auth, unchanged, against the sign-in server: a process that runs every flow, and what it must say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tenantry.postgres import EmbeddedServer
from tests.conftest import running_server
from tests.integration.auth.mailed import mailed
from tests.integration.auth.sign_in import SITE

HERE = Path(__file__).parent / "supabase"
WELCOME = f"{SITE}/welcome"
GONE = [400, "AuthSessionMissingError"]
"""What the client makes of 403 session_not_found."""
WRONG = [400, "invalid_credentials"]

WANT: dict[str, dict[str, Any]] = {
    "signUp": {
        "weak": [422, "AuthWeakPasswordError", ["length"]],
        "sessionBefore": None,
        "unconfirmed": [400, "email_not_confirmed"],
        "replaced": ["access_denied", "otp_expired"],
        "at": WELCOME,
        "type": "signup",
        "user": ["Ada", True, True, "email"],
        "wrong": WRONG,
        "same": True,
        "bearer": "bearer",
        "claims": ["ES256", True, "authenticated", "authenticated", "aal1", "password"],
        "hidden": [True, 0],
    },
    "refresh": {
        "rotated": True,
        "tabsAgree": True,
        "stolen": [400, "refresh_token_already_used"],
        "owner": [400, "refresh_token_already_used"],
        "dead": GONE,
        "unknown": [400, "refresh_token_not_found"],
        "signsInAgain": True,
    },
    "pkce": {
        "at": WELCOME,
        "only": [["code"], []],
        "noVerifier": [400, "pkce_code_verifier_not_found"],
        "first": True,
        "used": [404, "flow_state_not_found"],
        "second": True,
        "recovery": "recovery",
        "signsIn": True,
    },
    "recovery": {
        "type": "recovery",
        "again": ["access_denied", "otp_expired"],
        "code": [403, "otp_expired"],
        "same": [422, "same_password"],
        "others": GONE,
        "old": WRONG,
        "signsIn": True,
    },
    "emailChange": {
        "exists": [422, "email_exists"],
        "waits": [True, True],
        "half": None,
        "done": [True, None, True],
        "halfByLink": [WELCOME, "Confirmation link accepted. Please proceed to confirm link sent to the other email"],
        "byLink": True,
        "oldAddress": WRONG,
    },
    "secondFactor": {
        "enrolled": ["totp", "Phone", 'data:image/svg+xml;utf-8,<?xml version="1.', True],
        "conflict": [422, "mfa_factor_name_conflict"],
        "challenge": ["totp", True],
        "wrong": [422, "mfa_verification_failed"],
        "unknown": [422, "mfa_factor_not_found"],
        "session": ["bearer", "verified"],
        "level": ["aal2", "aal2", ["otp", "totp"]],
        "listed": [1, 1, True],
        "beside": GONE,
        "before": ["aal1", "aal2"],
        "guarded": [
            [401, "insufficient_aal"],
            [403, "insufficient_aal"],
            [422, "insufficient_aal"],
            [422, "mfa_verification_failed"],
        ],
        "after": "aal2",
        "removed": True,
        "atLast": "aal1",
    },
    "signOut": {
        "local": [None, [400, "refresh_token_not_found"], True],
        "others": [True, GONE],
        "global": [GONE, GONE],
    },
    "administration": {
        "forbidden": [403, "not_admin"],
        "created": ["clinic", True],
        "exists": [422, "email_exists"],
        "pages": [[True, 2, 3], [True, 3, 3], [True, None, 3]],
        "complete": True,
        "total": True,
        "banned": [[403, "user_banned"], [400, "user_banned"], [400, "user_banned"]],
        "shown": [True, None, "email"],
        "invited": [True, None, "invite"],
        "guest": True,
        "twice": [422, "email_exists"],
        "link": ["recovery", WELCOME, True],
        "unknown": [404, "user_not_found"],
        "signedOut": GONE,
        "deleted": [[403, "user_not_found"], [404, "user_not_found"]],
    },
    "notServed": {
        "anonymous": [422, "anonymous_provider_disabled"],
        "phone": [400, "phone_provider_disabled"],
        "sso": [404, "saml_provider_disabled"],
        "idToken": [400, "provider_disabled"],
        "badToken": [403, "bad_jwt"],
        "phoneFactor": [422, "mfa_phone_enroll_not_enabled"],
        "linking": [404, "manual_linking_disabled"],
    },
    "cookies": {
        "verifierKept": True,
        "thief": [400, "pkce_code_verifier_not_found"],
        "user": True,
        "claims": [True, "aal1"],
        "tabsAgree": True,
        "goesOn": [True, True],
        "cookiesAfterSignOut": 0,
        "stolenCookie": [GONE, [400, "refresh_token_not_found"]],
        "signsInAgain": True,
    },
}
# Clients over cookies always use PKCE: a link leads back with a code.
for flow, differs in {
    "signUp": {"type": "code"},
    "refresh": {},
    "recovery": {"type": "code"},
    "emailChange": {},
    "secondFactor": {},
    "signOut": {},
}.items():
    WANT[f"{flow} with cookies"] = {**WANT[flow], **differs}

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (HERE / "node_modules").is_dir(),
    reason="Node or the clients of Supabase are not here: `make test` installs them where npm is",
)


def test_every_flow_is_answered_as_the_contract_says(servers: dict[int, EmbeddedServer]) -> None:
    """Nearly all flows run at once, in one process: that costs one start of Node, and tries concurrent requests."""
    with mailed(running_server(servers, 18)) as served:
        told = {
            "PROJECT": served.project,
            "ANON_KEY": served.anon,
            "SERVICE_KEY": served.service,
            "MAILBOX": served.mailbox.address,
            "SITE": SITE,
        }
        done = subprocess.run(
            ["node", "run.mjs"], capture_output=True, text=True, timeout=120, check=False, cwd=HERE, env={**os.environ, **told}
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = {line.pop("flow"): line for line in map(json.loads, done.stdout.splitlines())}
    assert answers == WANT
