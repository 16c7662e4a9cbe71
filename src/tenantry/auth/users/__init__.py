"""Accounts for administrators, directly over the database: list, show, ban, sign out, and one-time links."""

from tenantry.auth.users.changes import (
    ban_users,
    one_time_link,
    sign_out_everyone,
    sign_out_users,
    unban_users,
)
from tenantry.auth.users.find import AccountLine, UserPage, find_users, list_accounts, need_accounts, show_account
from tenantry.auth.users.links import LinkSettings, OneTimeLink

__all__ = [
    "AccountLine",
    "LinkSettings",
    "OneTimeLink",
    "UserPage",
    "ban_users",
    "find_users",
    "list_accounts",
    "need_accounts",
    "one_time_link",
    "show_account",
    "sign_out_everyone",
    "sign_out_users",
    "unban_users",
]
