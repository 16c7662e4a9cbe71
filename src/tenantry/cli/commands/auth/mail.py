"""tenantry auth mail: catch the mails of a development server."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from tenantry.cli.auth_options import need_auth_extra
from tenantry.cli.command import command
from tenantry.cli.console import err, print_json
from tenantry.cli.options import AsJson


@command("tenantry auth mail", "tenantry auth mail --smtp-port 2525 --web-port 8825", exit_1="")
def mail(
    smtp_port: Annotated[int, typer.Option(help="Port for mails, on 127.0.0.1.", min=1, max=65535)] = 1025,
    web_port: Annotated[int, typer.Option(help="Port of the page, on 127.0.0.1.", min=1, max=65535)] = 8025,
    keep: Annotated[int, typer.Option(help="Mails that are kept, the newest.", min=1, max=100_000)] = 500,
    as_json: AsJson = False,
) -> None:
    """Catch mails in development, and show them on a page. Nothing is sent on; Ctrl-C ends it and forgets the mails.

    Set GOTRUE_SMTP_HOST=127.0.0.1 and GOTRUE_SMTP_PORT=1025 for the sign-in server. Tests read /api/messages, and
    /api/messages?to=ADDRESS. With --json the addresses are printed as one object when both ports are open.
    """
    need_auth_extra()
    from tenantry.auth.mail.catcher import HOST, catch_mails  # noqa: PLC0415 - needs the extra

    def started(smtp: int, web: int) -> None:
        if as_json:
            print_json({"smtp": {"host": HOST, "port": smtp}, "page": f"http://{HOST}:{web}/"}, one_line=True)
        else:
            err.print(f"Mails: {HOST}:{smtp}. Page: http://{HOST}:{web}/ (Ctrl-C ends it)")

    with suppress(KeyboardInterrupt):
        catch_mails(smtp_port, web_port, keep=keep, started=started)
