"""Changes accounts for administrators: each call is one transaction, with an entry in the audit log for each account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tenantry.auth.errors import AccountUnknown
from tenantry.auth.users.find import Connection, block
from tenantry.auth.users.links import LinkSettings, OneTimeLink, new_link


def ban_users(connection: Connection, ids: Sequence[UUID], until: datetime) -> tuple[int, int]:
    """Let none of these accounts sign in until then, and end their sessions; return how many were banned, and how many sessions ended."""
    with connection.transaction():
        return _changed(connection, "ban", ids, "user_modified", "user", until=until), sign_out_users(connection, ids)


def unban_users(connection: Connection, ids: Sequence[UUID]) -> int:
    """Lift bans; return how many accounts were changed."""
    return _changed(connection, "ban", ids, "user_modified", "user", until=None)


def sign_out_users(connection: Connection, ids: Sequence[UUID]) -> int:
    """End all sessions of these accounts, with their refresh tokens; return how many sessions ended."""
    return _changed(connection, "sign_out", ids, "logout", "account")


def sign_out_everyone(connection: Connection) -> int:
    """End all sessions of all accounts; return how many."""
    with connection.transaction():
        ended = connection.execute(block("sign_out_everyone")).rowcount
        connection.execute(block("note_everyone"), {"sessions": ended})
    return ended


def one_time_link(connection: Connection, account: UUID, kind: str, settings: LinkSettings) -> OneTimeLink:
    """Make a link for an account: `recovery` lets its password be set, `invite` also confirms its address. Earlier links of the kind
    stop working.

    Raises:
        AccountUnknown: the account is deleted, banned or of SSO, has no address, or (invite) its address is confirmed already.
    """
    with connection.transaction():
        row = connection.execute(block("link_user"), {"id": account, "invite": kind == "invite"}).fetchone()
        email, reason = row if row is not None else ("", "it does not exist")
        if reason is not None:
            raise AccountUnknown(
                f"No link can be made for account {account}: {reason}.", hint="`tenantry auth users show` shows it."
            )
        made = new_link(kind, email, settings)
        values = {"id": account, "hash": made.token_hash, "email": email.lower()}
        kept, token = (
            ("keep_invitation", "confirmation_token") if kind == "invite" else ("keep_recovery", "recovery_token")
        )
        connection.execute(block(kept), values)
        connection.execute(block("keep_token"), {**values, "type": token})
        action = ("user_invited", "team") if kind == "invite" else ("user_recovery_requested", "user")
        connection.execute(block("note"), {"ids": [account], "action": action[0], "type": action[1]})
    return made


def _changed(connection: Connection, name: str, ids: Sequence[UUID], action: str, kind: str, **values: object) -> int:
    with connection.transaction():
        count = connection.execute(block(name), {"ids": list(ids), **values}).rowcount
        connection.execute(block("note"), {"ids": list(ids), "action": action, "type": kind})
    return count
