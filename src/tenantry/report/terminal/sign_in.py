"""The sign-in server's installation, and the accounts of its users, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tenantry.auth.users import AccountLine
from tenantry.report.foreign_text import escape
from tenantry.report.terminal.table_layout import new_table

if TYPE_CHECKING:  # its packages are an extra
    from tenantry.auth.install.initialize import InitDone


def installed(console: Console, done: InitDone, login: str) -> None:
    """What was created, what was there, and what to run next."""
    database, setup = done.setup.database, done.setup
    console.print(f"Schema auth: {'was there' if database.schema == 'ours' else 'created or completed'}.")
    console.print(
        f"Login {escape(login)}: {'created' if database.created_login else 'was there'}; {len(database.granted)} rights granted"
        f"{'' if database.granted else ', since it has them'}."
    )
    for right in database.excess:
        console.print(f"[yellow]Note:[/] the login has a right that the server does not need: {escape(right)}.")
    if setup.keys is not None:
        console.print(f"Signing key: {escape(setup.keys)} {'created' if setup.created_keys else 'was there'}.")
    console.print(f"Settings: {escape(setup.settings)} {'written' if setup.created_settings else 'were there'}.")
    if setup.elsewhere:
        console.print("[yellow]Note:[/] DATABASE_URL there names another database, host or login than this one.")
    if done.administrator is not None:
        made = done.administrator.created
        console.print(
            f"Administrator {done.administrator.id}: "
            + (
                "created; whoever has the link sets the password."
                if made
                else "was there; `tenantry auth users reset` makes a new link."
            )
        )
    if done.token_file is not None:
        console.print(
            f"Service token: written to {escape(done.token_file)}. Whoever has it may do everything with every account."
        )
    console.print(f"Next: tenantry auth serve --config {escape(setup.settings)}")


def accounts(console: Console, found: Sequence[AccountLine], now: datetime | None = None) -> None:
    """One line for each account, with what keeps it from signing in."""
    at = now or datetime.now(UTC)
    table = new_table("id", "e-mail", "state", "last sign-in (UTC)", "sessions", "second factor")
    for each in found:
        last = f"{each.last_sign_in_at:%Y-%m-%d %H:%M}" if each.last_sign_in_at else ""
        table.add_row(
            str(each.id),
            escape(each.email or each.phone or ""),
            _state(each, at),
            last,
            str(each.sessions),
            "yes" if each.second_factor else "",
        )
    console.print(table)


def account(console: Console, shown: dict[str, Any]) -> None:
    """All that is known about one account, but for its sessions one line for each fact."""
    for name, value in shown.items():
        if name not in ("sessions", "identities", "factors") and value not in (None, "", {}):
            console.print(f"{name.replace('_', ' ')}: {escape(value)}", soft_wrap=True)
    for name in ("identities", "factors", "sessions"):
        for each in shown[name]:
            facts = ", ".join(f"{key} {value}" for key, value in each.items() if value not in (None, ""))
            console.print(f"{name}: {escape(facts)}", soft_wrap=True)


def _state(each: AccountLine, now: datetime) -> str:
    if each.deleted_at is not None:
        return "deleted"
    if each.banned_until is not None and each.banned_until > now:
        return "banned"
    if each.is_anonymous:
        return "anonymous"
    return "" if each.email_confirmed_at is not None else "unconfirmed"


__all__ = ["account", "accounts", "installed"]
