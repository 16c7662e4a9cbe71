"""The log of what users and administrators did to accounts: auth.audit_log_entries, in Supabase Auth's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Json

from tenantry.auth.server.accounts import SignInAccount
from tenantry.auth.server.database import Unit

_KINDS = {
    "login": "account",
    "logout": "account",
    "invite_accepted": "account",
    "user_signedup": "team",
    "user_invited": "team",
    "user_deleted": "team",
    "user_modified": "user",
    "user_recovery_requested": "user",
    "user_reauthenticate_requested": "user",
    "user_confirmation_requested": "user",
    "user_repeated_signup": "user",
    "user_updated_password": "user",
    "token_revoked": "token",
    "token_refreshed": "token",
    "factor_in_progress": "factor",
    "factor_unenrolled": "factor",
    "challenge_created": "factor",
    "verification_attempted": "factor",
    "factor_deleted": "factor",
    "recovery_codes_deleted": "factor",
    "factor_updated": "factor",
    "mfa_code_login": "factor",
}


def payload(action: str, actor: SignInAccount | str, traits: Mapping[str, Any] | None = None) -> Json:
    """Return the entry's content.

    Args:
        actor: the account, or the role of an administrator's token.
        traits: more about the action; never a secret.
    """
    if isinstance(actor, SignInAccount):
        who: dict[str, Any] = {
            "actor_id": str(actor.id),
            "actor_username": actor.email,
            "actor_via_sso": bool(actor.row["is_sso_user"]),
        }
    else:
        who = {"actor_id": "00000000-0000-0000-0000-000000000000", "actor_username": actor, "actor_via_sso": False}
    return Json({"action": action, **who, "log_type": _KINDS[action], **({"traits": dict(traits)} if traits else {})})


async def note(unit: Unit, action: str, actor: SignInAccount | str, traits: Mapping[str, Any] | None = None) -> None:
    await unit.run("limits.note", payload=payload(action, actor, traits))


__all__ = ["note", "payload"]
