"""tenantry auth serve: the sign-in server."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantry.cli.auth_options import DEFAULT_CONFIG, ConfigPath, auth_values
from tenantry.cli.command import command
from tenantry.cli.console import err, print_json


@command("tenantry auth serve", "tenantry auth serve --config auth.env --port 9999", "tenantry auth serve --check")
def serve(
    config: ConfigPath = DEFAULT_CONFIG,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on. Default: 9999.", show_default=False, min=0, max=65535)
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Check settings, keys, database and port, then end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object when the server listens.")] = False,
) -> None:
    """Serve sign-in over schema auth, with the contract of Supabase Auth: clients of Supabase work unchanged.

    Settings come from the environment, then from the settings file, under the names that Supabase Auth gives them (GOTRUE_SITE_URL,
    GOTRUE_SMTP_HOST …). Limits and codes are in the database, so several servers can run at once. Ctrl-C, or SIGTERM, completes the
    requests under way.
    """
    values = dict(auth_values(config))
    from tenantry.auth.keys import load_keys  # noqa: PLC0415
    from tenantry.auth.server import serve as server  # noqa: PLC0415 - needs the extra
    from tenantry.auth.settings import sign_in_settings  # noqa: PLC0415

    if host is not None:
        values["GOTRUE_API_HOST"] = host
    if port is not None:
        values["GOTRUE_API_PORT"] = str(port)
    settings = sign_in_settings(values)
    load_keys(None, values).keys()
    listening = server.bound_socket(settings.host, settings.port)
    with listening:
        server.check_database(settings)
        actual = listening.getsockname()[1]
        if settings.port != actual and not settings.external_url:
            values["GOTRUE_API_PORT"] = str(actual)
        url = sign_in_settings(values).base_url
        mails = server.outbox_of(values) is not None
        if as_json:
            print_json({"url": url, "port": actual, "mails": mails, "serving": not check})
        else:
            err.print(f"Sign-in {'can be served' if check else 'is served'} at {url} (port {actual}).")
            if not mails and not settings.autoconfirm:
                err.print(
                    "No mail server is set (GOTRUE_SMTP_HOST), so nobody can confirm an address. `tenantry auth mail` catches mails on this"
                    " machine; GOTRUE_MAILER_AUTOCONFIRM=true needs none."
                )
        if not check:
            server.serve(values, listening)
