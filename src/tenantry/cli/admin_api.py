"""Options of commands for the admin API of a hosted Supabase."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tenantry.auth_admin.client import AdminClient
from tenantry.auth_admin.values import RequestPace
from tenantry.cli.console import err
from tenantry.errors import SettingsError

_KEY = "TENANTRY_AUTH_KEY"

AUTO_CONFIRM = (
    "[yellow]warning[/] This project confirms every e-mail address at sign-up. Anyone who enters another person's address gets the"
    " profile, memberships and invitations that wait for it. Switch on the confirmation of addresses in Supabase Auth before people"
    " sign up (Email: Confirm email; GOTRUE_MAILER_AUTOCONFIRM=false)."
)

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="TENANTRY_AUTH_URL",
        help="The project's URL, such as https://project.example.",
        show_default=False,
    ),
]
Rate = Annotated[float, typer.Option(help="Requests per second.", min=0.1)]


def warn_of_auto_confirm(client: AdminClient) -> None:
    """Print it on stderr, so that --json output is not changed."""
    if client.confirms_at_sign_up():
        err.print(AUTO_CONFIRM)


def admin_client(url: str, rate: float) -> AdminClient:
    """
    Raises:
        SettingsError: the service key is not in the environment.
    """
    key = os.environ.get(_KEY, "")
    if not key:
        raise SettingsError(
            f"{_KEY} is not set.", hint="Set it to the project's service key; there is no option for it on purpose."
        )
    return AdminClient(url, key, pace=RequestPace(rate=rate))
