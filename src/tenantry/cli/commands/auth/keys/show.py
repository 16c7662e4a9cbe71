"""tenantry auth keys show: the signing keys, without their private parts."""

from __future__ import annotations

import time

from tenantry.cli.auth_options import DEFAULT_CONFIG, ConfigPath, KeysPath, keys_file, need_auth_extra
from tenantry.cli.command import command
from tenantry.cli.console import out, print_json
from tenantry.cli.options import AsJson
from tenantry.report.terminal import signing_keys as view


@command("tenantry auth keys show")
def show(keys: KeysPath = None, config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show the signing keys: their names, what each is used for now, and until when; with --json also the JWKS."""
    need_auth_extra()
    from tenantry.auth.keys import KeyFile  # noqa: PLC0415 - needs the extra

    path = keys_file(keys, config)
    found, now = KeyFile(path).keys(), time.time()
    states = found.states(now)
    if as_json:
        print_json({"file": str(path), "keys": [each.to_json() for each in states], "jwks": found.public_jwks(now)})
    else:
        view.keys(out, states)
