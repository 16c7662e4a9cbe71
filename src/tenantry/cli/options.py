"""Options that several commands share, and the formats of durations and times."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from tenantry.errors import SettingsError
from tenantry.settings import DATA_FOLDER, Settings

RENAMED = {
    "--again": "--retry-refused",
    "--back": "--reverse",
    "--grace": "--dual-write",
    "--lock-patience": "--retry-locks-for",
    "--look": "--watch-for",
    "--max-stall": "--max-write-pause",
    "--patience": "--retry-for",
    "--unknown": "--on-unknown",
}
"""Former names of options, which still work: hidden, and with a notice."""

Dsn = Annotated[
    str | None,
    typer.Option("--dsn", help="Connection string of the database: a URL, or key=value pairs.", show_default=False),
]
ManifestPath = Annotated[
    Path | None, typer.Option("--manifest", "-m", help="Path of the manifest, tenantry.toml.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Workers = Annotated[int, typer.Option("--workers", "-w", min=1, max=32, help="Number of parallel connections.")]
Limit = Annotated[int, typer.Option(help="Maximum number of rows to print; 0 prints all.", min=0)]
PrismaPath = Annotated[
    Path | None,
    typer.Option("--prisma", help="Read the schema from schema.prisma, or a folder of such files.", show_default=False),
]
SqlFiles = Annotated[
    list[Path] | None,
    typer.Option("--sql", help="Read the schema from SQL files, or a folder of them (repeatable).", show_default=False),
]
TenantTable = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        help="Without a manifest: the table whose rows are the tenants, `table.column` if each value is one, or `constant` if everything"
        " belongs to one.",
        show_default=False,
    ),
]
UsersTable = Annotated[
    str | None,
    typer.Option("--users", help="Without a manifest: the table of the people who sign in.", show_default=False),
]

# -- switching over ----------------------------------------------------------------------------------------------------

MaxWritePause = Annotated[
    float,
    typer.Option(
        "--max-write-pause",
        help="Longest write pause in seconds; an attempt that takes longer is rolled back and retried.",
        min=0.1,
    ),
]
RetryFor = Annotated[float, typer.Option("--retry-for", help="Seconds for which failed attempts are retried.", min=0.0)]

# -- lint and prove ----------------------------------------------------------------------------------------------------

Schemas = Annotated[
    list[str] | None,
    typer.Option(
        "--schema",
        help="Without a manifest: check this schema (repeatable). Default: every schema that clients have privileges in.",
        show_default=False,
    ),
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        help="Without a manifest: treat this role as a client (repeatable). Default: anon, authenticated, and logins that own"
        " nothing.",
        show_default=False,
    ),
]
TenantColumn = Annotated[
    str | None,
    typer.Option(
        help="Without a manifest: the column that holds the tenant. Default: the column that most tables share as a reference to"
        " the same table.",
        show_default=False,
    ),
]
Discover = Annotated[
    bool, typer.Option("--discover", help="Discover schemas, roles and tenants even if there is a manifest.")
]
Exceptions = Annotated[
    Path | None,
    typer.Option(
        help="File of accepted exceptions.", show_default="tenantry-lint.toml next to the manifest, or in this folder"
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        help="Accept the findings that this file lists: only new ones fail.", show_default=False, dir_okay=False
    ),
]
WriteBaseline = Annotated[
    Path | None,
    typer.Option(
        "--write-baseline",
        help="Write today's findings to this file, for --baseline, and accept them.",
        show_default=False,
        dir_okay=False,
    ),
]
Junit = Annotated[
    Path | None, typer.Option(help="Also write JUnit XML to this file.", show_default=False, dir_okay=False)
]
Sarif = Annotated[
    Path | None, typer.Option(help="Also write SARIF 2.1.0 to this file.", show_default=False, dir_okay=False)
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown.")]

# -- copies of the database --------------------------------------------------------------------------------------------

CopyDsn = Annotated[
    str | None,
    typer.Option(
        "--copy-dsn", help="Put the copy into this empty database, for example on another server.", show_default=False
    ),
]
Embedded = Annotated[
    bool, typer.Option("--embedded", help="Put the copy on the embedded server instead of the database's own server.")
]

# -- values ------------------------------------------------------------------------------------------------------------

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def duration(text: str) -> float:
    """Seconds of '90', '90s', '15min', '1h', '2d'.

    Raises:
        typer.BadParameter
    """
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz").strip()
    unit = text.strip()[len(number) :].strip() or "s"
    try:
        return float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        raise typer.BadParameter(f"{text!r} is not a duration; write 90s, 15min, 1h or 2d") from None


def moment(text: str) -> float:
    """Seconds since the epoch of '23:30' (the next one, local time) or an ISO date with time.

    Raises:
        typer.BadParameter
    """
    now = datetime.now().astimezone()
    try:
        if len(text) <= 5 and ":" in text:
            hour, minute = (int(part) for part in text.split(":"))
            at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return at.timestamp() + (86400 if at <= now else 0)
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo is not None else at.astimezone()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time; write 23:30, or 2030-01-31T23:30") from None
    if at <= now:
        raise typer.BadParameter(f"{text} is in the past")
    return at.timestamp()


def manifest_or_discovery(manifest: Path | None, discovery: bool) -> None:
    """
    Raises:
        SettingsError: both are given.
    """
    if discovery and manifest is not None:
        raise SettingsError(
            "--manifest states schema, roles and tenants; --schema, --role, --tenant-column and --discover find them.",
            hint="Give the one or the others.",
        )


def one_copy(copy_dsn: str | None, embedded: bool) -> None:
    """
    Raises:
        SettingsError: two destinations are given for one copy.
    """
    if copy_dsn and embedded:
        raise SettingsError("--copy-dsn and --embedded exclude each other.", hint="Give one of them, or none.")


def embedded_folder(settings: Settings, embedded: bool) -> Path | None:
    """Return where the embedded server keeps a copy; None: with the original, which may itself be on the embedded server."""
    return settings.folder / DATA_FOLDER if embedded and not settings.embedded else None
