"""Finds signs that the server has backups, as far as a connection can show them.

SQL cannot tell whether a backup can be restored. It shows signs: WAL that is archived, a base backup that
ended, a service that makes backups itself. All signs are reported, and also what remains unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg.rows import dict_row

from tenantry.analyze import Severity
from tenantry.journal.journal import Connection
from tenantry.postgres import load_blocks

_OLD_BASE = 8 * 86400
_OLD_ARCHIVE = 86400

_SERVICES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Amazon RDS or Aurora": (("rds",), ("rds_superuser",)),
    "Google Cloud SQL": (("cloudsql",), ("cloudsqlsuperuser",)),
    "Google AlloyDB": (("alloydb",), ("alloydbsuperuser",)),
    "Azure Database for PostgreSQL": (("azure",), ("azure_pg_admin",)),
    "Supabase": (("supautils",), ("supabase_admin",)),
    "Neon": (("neon",), ("neon_superuser",)),
    "DigitalOcean": ((), ("doadmin",)),
    "Aiven": ((), ("avnadmin",)),
    "Crunchy Bridge": (("crunchy",), ("crunchy_superuser",)),
}
"""Service → prefixes of settings' names, and roles, that only it has. The first match decides."""


@dataclass(frozen=True, slots=True)
class Backups:
    """What a server's settings and statistics show about its backups.

    Attributes:
        severity: blocker: WAL cannot be archived at the moment, so that the disk fills up, and a migration writes much WAL;
            warning: no sign of a backup, or only a bad one; notice: some signs; info: a base backup and the
            archiving of WAL were seen.
        title: in one sentence.
        seen, unknown: the observed signs, and what a connection cannot show.
        advice: what to do.
        service: the managed service that the server seems to belong to, or empty.
    """

    severity: Severity
    title: str
    seen: tuple[str, ...]
    unknown: tuple[str, ...]
    advice: str
    service: str = ""

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def look_for_backups(connection: Connection) -> Backups:
    """Read the settings and statistics about backups. Read-only; needs no rights, but sees more with pg_monitor."""
    blocks = load_blocks("tenantry.migrate.session", "backups")
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(blocks["look"]).fetchone()
        assert found is not None
        base = None
        if found["may_list_wal"]:
            row = cursor.execute(blocks["base_backup"]).fetchone()
            base = next(iter(row.values())) if row is not None else None
    return judge(found, base)


def judge(found: Mapping[str, Any], base: float | None) -> Backups:
    """Judge the observed signs.

    Args:
        found: the columns of the block `look`.
        base: seconds since the last base backup ended, or None if none is known.
    """
    service = managed_service(found["prefixes"], found["roles"])
    archives = found["archive_mode"] != "off" and found["has_command"]
    seen: list[str] = []
    if service:
        seen.append(f"This looks like {service}: it makes its own backups, which cannot be seen from here.")
    if archives:
        tool = f" ({found['archive_tool'].lower()})" if found["archive_tool"] else ""
        last = f"last {_ago(found['archived_ago'])}" if found["archived_ago"] is not None else "none so far"
        seen.append(f"WAL is archived{tool}: {found['archived']:,} files since the statistics were reset, {last}.")
        if found["failing"]:
            seen.append(
                f"Archiving FAILS: the last attempt, {_ago(found['failed_ago'])}, did not succeed; {found['failed']:,}"
                " attempts have failed."
            )
    elif found["archive_mode"] != "off":
        seen.append("archive_mode is on, but there is no archive_command and no archive_library: WAL accumulates.")
    else:
        seen.append("WAL is not archived (archive_mode is off): point-in-time recovery is not possible.")
    if base is not None:
        seen.append(f"A base backup ended {_ago(base)}.")
    if found["running"]:
        seen.append("A base backup is in progress.")
    if found["receivers"]:
        seen.append(f"{found['receivers']} WAL receiver(s) are connected; backup programs use these.")
    if found["standbys"]:
        seen.append(
            f"{found['standbys']} standby(s) are connected: they are no backup, since they replicate every mistake."
        )
    seen += [f"Replication slot {slot} has no consumer: WAL accumulates behind it." for slot in found["idle_slots"]]
    if found["standby"]:
        seen.append("This server is itself a standby.")
    if service:
        title = f"{service} makes backups; check there when the last one was made, and whether it can be restored."
        severity: Severity = "notice"
        advice = f"Make a snapshot in {service} before the migration, and find out how to restore it."
    else:
        severity, title, advice = _verdict(found, base, archives)
    return Backups(severity, title, tuple(seen), tuple(_unknown(found, base)), advice, service)


def _verdict(found: Mapping[str, Any], base: float | None, archives: bool) -> tuple[Severity, str, str]:
    restore = "Restore the newest backup once before the migration, on another server: only this proves that it works."
    dump = "Make one before the migration (pg_dump --format=directory, or pg_basebackup), and restore it on another server."
    if found["archive_mode"] != "off" and (found["failing"] or not archives):
        return (
            "blocker",
            "WAL cannot be archived at the moment: it accumulates until the disk is full, and a migration writes much of it.",
            "Repair archiving first (the server's log says what fails), and wait until pg_stat_archiver shows successes.",
        )
    receives = bool(found["receivers"])
    recent = found["archived_ago"] is not None and found["archived_ago"] < _OLD_ARCHIVE
    if base is not None and base < _OLD_BASE and ((archives and recent) or receives):
        return "info", "There is a base backup, and WAL is archived.", restore
    if base is not None and base < _OLD_BASE:
        return "notice", "There is a base backup, but later writes could not be restored.", restore
    if archives and recent:
        return "notice", "WAL is archived, but that is useful only together with a base backup.", restore
    if receives or found["running"]:
        return "notice", "A backup program is connected.", restore
    if archives:
        return "warning", "WAL archiving is on, but nothing was archived for a day or longer.", restore
    return "warning", "No backup was found.", dump


def _unknown(found: Mapping[str, Any], base: float | None) -> list[str]:
    said = [
        "Whether any backup can be restored, and how long that takes.",
        "Dumps and snapshots of disks leave no trace here.",
    ]
    if base is None:
        said.append(
            "When the last base backup was made"
            + ("." if found["may_list_wal"] else " (members of pg_monitor could see more).")
        )
    return said


def managed_service(prefixes: Sequence[str], roles: Sequence[str]) -> str:
    """Return the service that a server with these settings and roles belongs to, or an empty string."""
    for service, (settings, names) in _SERVICES.items():
        if set(settings) & set(prefixes) or set(names) & set(roles):
            return service
    return ""


def backup_lines(backups: Backups) -> list[str]:
    """Return the result for people, line by line, without markup."""
    word = {"blocker": "Backups: STOP.", "warning": "Backups: attention.", "notice": "Backups:", "info": "Backups:"}
    return [
        f"{word[backups.severity]} {backups.title}",
        *(f"  seen: {line}" for line in backups.seen),
        *(f"  cannot be known from here: {line}" for line in backups.unknown),
        f"  to do: {backups.advice}",
    ]


def _ago(seconds: float) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return f"{max(seconds, 0):.0f} seconds ago"


__all__ = ["Backups", "backup_lines", "judge", "look_for_backups", "managed_service"]
