"""tenantry auth keys rotate: a new signing key, without a failing request."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from tenantry.cli.auth_options import DEFAULT_CONFIG, ConfigPath, KeysPath, auth_values, keys_file
from tenantry.cli.command import command
from tenantry.cli.console import err, print_json
from tenantry.cli.options import AsJson
from tenantry.errors import SettingsError
from tenantry.report.foreign_text import escape
from tenantry.report.terminal import signing_keys as view


@command(
    "tenantry auth keys rotate",
    "tenantry auth keys rotate --leaked",
    exit_1="an earlier rotation is not finished",
)
def rotate(
    keys: KeysPath = None,
    config: ConfigPath = DEFAULT_CONFIG,
    algorithm: Annotated[
        str | None, typer.Option(help="ES256 or RS256. Default: that of the current key.", show_default=False)
    ] = None,
    leaked: Annotated[
        bool,
        typer.Option(
            "--leaked",
            help="The keys are no secret any more: every token is refused from now on, everyone signs in again.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create a new signing key. It is published at once, and signs when no cache of the JWKS lacks it.

    The key before it verifies until its last token has expired; GOTRUE_JWT_EXP says how long tokens live. With --leaked the new key
    signs at once and is the only one. Applications that keep the JWKS refuse new tokens until they fetch it again.
    """
    values = auth_values(config)
    from tenantry.auth.keys import rotate as rotate_keys  # noqa: PLC0415 - needs the extra

    path = keys_file(keys, config)
    lifetime = values.get("GOTRUE_JWT_EXP") or values.get("JWT_EXP") or "3600"
    if not lifetime.isdecimal():
        raise SettingsError("GOTRUE_JWT_EXP is not a number of seconds.")
    rotated = rotate_keys(path, algorithm=algorithm, longest_token=int(lifetime), leaked=leaked)
    states = rotated.states(time.time())
    if as_json:
        print_json({"file": str(path), "keys": [each.to_json() for each in states]})
        return
    view.keys(err, states)
    err.print(f"{escape(path)} was rewritten; running servers read it within a second.")
