"""Runs the whole migration on a copy of the database, before the original is changed: forward, back, and forward again.

The copy goes through every step of the real migration, while synthetic writes over another login simulate
an application. The results (durations, locks, sizes, problems) are values; nothing is printed here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg

from tenantry.dbcopy.duplicate import duplicated
from tenantry.dbcopy.maker import CopyReports
from tenantry.dbcopy.original import Original, reading
from tenantry.errors import (
    JournalMismatch,
    LoginShared,
    RightsMissing,
    RunInterrupted,
    TargetNotOurs,
)
from tenantry.journal.journal import Connection, journal_exists, last_run
from tenantry.manifest import Manifest
from tenantry.migrate.session.backups import look_for_backups
from tenantry.migrate.session.guard import check_login
from tenantry.postgres import explain
from tenantry.rehearse.model import Rehearsal, RehearsalProblem, RehearsalStage, Wishes
from tenantry.rehearse.stages import run_stages
from tenantry.rehearse.watching import RehearsalWatcher, Unwatched


def rehearse(
    dsn: str,
    manifest: Manifest,
    wishes: Wishes | None = None,
    watcher: RehearsalWatcher | None = None,
    *,
    prefix: str = "tenantry",
) -> Rehearsal:
    """Rehearse the migration of a database on a copy, which is dropped at the end, also after errors.

    Args:
        prefix: the program's name in commands of the report.

    Raises:
        TenantryError: no copy could be made; nothing was left behind. A failure on the copy is no error, but a problem.
        RunInterrupted: it was stopped; the copy was dropped.
    """
    wishes, watcher = wishes or Wishes(), watcher or Unwatched()
    begun = time.monotonic()
    left: list[str] = []
    watcher.stage("copy")
    try:
        with reading(dsn, manifest) as (connection, original):
            _check(connection, original, manifest)
            result = Rehearsal(
                manifest.name,
                original.database,
                original.size,
                original.version,
                datetime.now(UTC).isoformat(timespec="seconds"),
                look_for_backups(connection),
                kept=wishes.keep,
            )
            result.problems += _rights(connection, original)
            if result.backups.severity == "blocker":
                result.problems.append(RehearsalProblem("backups", result.backups.title, result.backups.advice))
            reports = CopyReports(watcher.notice, watcher.count, left)
            with duplicated(connection, original, manifest, wishes.copy_options, reports) as copy:
                result.copy = copy
                result.notes += copy.notes
                run_stages(copy, manifest, wishes, watcher, result, prefix)
            if left:
                result.left = tuple(left)
                result.notes.append(_left_over(left))
            result.seconds = time.monotonic() - begun
            return result
    except psycopg.Error as error:
        raise explain(error, "making the copy to rehearse on") from error
    except (KeyboardInterrupt, RunInterrupted):
        state = f". {_left_over(left)}" if left else "." if wishes.keep else ", and the copy was dropped."
        raise RunInterrupted(
            f"Interrupted. The original was only read{state}",
            hint="Run the same command again to rehearse from the beginning.",
        ) from None


def _left_over(left: Sequence[str]) -> str:
    return f"The copy could not be removed: {'; '.join(left)}. It is marked, and the next rehearsal removes it."


def _check(connection: Connection, original: Original, manifest: Manifest) -> None:
    """Check that the original is in the state in which the migration will begin.

    Raises:
        JournalMismatch, TargetNotOurs
    """
    if journal_exists(connection):
        run = last_run(connection)
        state = f" ({run.status}, phase {run.phase})" if run is not None else ""
        raise JournalMismatch(
            f"A run of Tenantry is already in progress in {original.database}{state}. A rehearsal needs a database without a run.",
            hint="`tenantry status` shows the run. After `tenantry rollback --everything` a rehearsal is possible.",
        )
    schema = manifest.target.schema_name
    if connection.execute("select from pg_namespace where nspname = %s", [schema]).fetchone() is not None:
        raise TargetNotOurs(
            f"The target schema {schema!r} exists in database {original.database!r}, and no run of Tenantry created it.",
            hint=f"Give another name in [target] schema, or drop it if it is a leftover (drop schema {schema} cascade).",
        )


def _rights(connection: Connection, original: Original) -> list[RehearsalProblem]:
    """Return missing rights on the original, which the copy does not show since the login owns it."""
    found = [
        RehearsalProblem(
            "original",
            f"The login {original.login} lacks a right in the original: {lacking}.",
            "ALTER TABLE … OWNER TO …, or membership in the owner; GRANT CREATE ON DATABASE … TO ….",
            RightsMissing.code,
        )
        for lacking in original.lacking
    ]
    try:
        check_login(connection, None, original.login)
    except LoginShared as error:
        found.append(RehearsalProblem("original", error.message, error.hint, error.code))
    return found


__all__ = ["Rehearsal", "RehearsalProblem", "RehearsalStage", "Wishes", "rehearse"]
