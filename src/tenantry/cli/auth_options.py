"""What the commands of `tenantry auth` share: the packages that they need, and where settings and keys are."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tenantry.auth.errors import AuthPackagesMissing, SigningKeysWrong

_NEEDED = (
    "aiosmtpd",
    "aiosmtplib",
    "bcrypt",
    "cryptography",
    "dotenv",
    "joserfc",
    "pyotp",
    "segno",
    "starlette",
    "uvicorn",
)

ConfigPath = Annotated[
    Path,
    typer.Option(
        "--config", "-c", help="Settings file that `tenantry auth init` wrote.", envvar="TENANTRY_AUTH_CONFIG"
    ),
]
KeysPath = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        help="File of signing keys. Default: what GOTRUE_JWT_KEYS_FILE names, in the environment or the settings file.",
        show_default=False,
    ),
]
DEFAULT_CONFIG = Path("auth.env")


def need_auth_extra() -> None:
    """
    Raises:
        AuthPackagesMissing: a package of the extra `auth` is not installed.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise AuthPackagesMissing(f"Sign-in needs packages that are not installed: {', '.join(missing)}.")


def auth_values(config: Path) -> Mapping[str, str]:
    """Return the settings of the environment, and of the file what the environment lacks. The default file may be missing.

    Raises:
        AuthPackagesMissing
        SettingsError: the file cannot be read.
    """
    need_auth_extra()
    from tenantry.auth.settings import read_values  # noqa: PLC0415 - needs the extra

    return read_values(os.environ, config if config != DEFAULT_CONFIG or config.exists() else None)


def keys_file(keys: Path | None, config: Path) -> Path:
    """Return the path of the file of signing keys.

    Raises:
        SigningKeysWrong: neither the option nor the settings name one.
    """
    if keys is not None:
        return keys
    values = auth_values(config)
    named = values.get("GOTRUE_JWT_KEYS_FILE") or values.get("JWT_KEYS_FILE")
    if not named:
        raise SigningKeysWrong(
            "No file of signing keys is named.",
            hint="Give it with --keys, or in GOTRUE_JWT_KEYS_FILE. Keys of GOTRUE_JWT_KEYS are rotated where they are kept.",
        )
    return Path(named)
