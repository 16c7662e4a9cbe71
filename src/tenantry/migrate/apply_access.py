"""Compares the access of a live database with its manifest, and repairs it in one transaction with short lock timeouts."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import errors as pg

from tenantry.access import missing_roles
from tenantry.access.diff import changes, differences
from tenantry.access.difference import AccessChange, AccessDifference
from tenantry.access.read_live import LiveAccess, WantedTrigger, lock_holders, read_live, trigger_states
from tenantry.accounts.sync import functions_sql, wanted_triggers
from tenantry.catalog import has_schema, read_catalog
from tenantry.errors import NotReady, RightsMissing, RolesMissing, SourceLocked
from tenantry.ids.translations import merged_into_function
from tenantry.journal.journal import Connection, Run, last_run
from tenantry.manifest import Manifest
from tenantry.mapping import Project, resolve
from tenantry.mapping.check_access import resolve_access
from tenantry.migrate.session.prepare import prepare
from tenantry.postgres import explain, ident

LOCK_TIMEOUT = "900ms"
"""Below deadlock_timeout, so that a deadlock never ends an application's transaction."""


@dataclass(frozen=True, slots=True)
class AccessComparison:
    """A database compared with its manifest.

    Attributes:
        writes: whether clients have their rights to write: after the cut-over, and without a run.
    """

    project: Project
    live: LiveAccess
    writes: bool
    differences: tuple[AccessDifference, ...]

    def changes(self) -> tuple[AccessChange, ...]:
        """The changes that repair the differences, as far as statements can do it."""
        return changes(self.project, self.differences)


def compare_access(connection: Connection, manifest: Manifest) -> AccessComparison:
    """Return the differences between the database and its manifest. Read-only.

    Raises:
        RolesMissing, SchemaMissing
    """
    missing = missing_roles(connection, manifest)
    if missing:
        raise RolesMissing(
            f"The cluster has no role {', '.join(missing)}.",
            hint="Ask a superuser, or a role with CREATEROLE, to run the script that `tenantry roles --sql` prints.",
            detail={"missing": list(missing)},
        )
    project = resolve_access(manifest, read_catalog(connection, manifest.target.schema_name))
    live, writes = read_live(connection, project), has_writes(connection)
    engine = [*functions_sql(project), *_of_ids(connection, manifest, project)]
    triggers = trigger_states(connection, _in_step(connection, project))
    found = differences(project, live, writes=writes, engine=engine, triggers=triggers)
    return AccessComparison(project, live, writes, found)


def _in_step(connection: Connection, project: Project) -> tuple[WantedTrigger, ...]:
    """The triggers that keep accounts and profiles synchronized, between the cut-over and a way back."""
    run = last_run(connection)
    return wanted_triggers(project, run.migrator) if run is not None and run.is_over else ()


def _of_ids(connection: Connection, manifest: Manifest, live: Project) -> list[str]:
    """Return the statements of the id functions that decide who may look up which id; a run's mappings define them."""
    run = last_run(connection)
    if run is None:
        return []
    return [merged_into_function(resolve(manifest, run.source_catalog, live.target))]


def access_project(connection: Connection, manifest: Manifest) -> Project:
    """Resolve the project with the live target if it exists; otherwise as the manifest's files make it."""
    schema = manifest.target.schema_name
    if has_schema(connection, schema):
        return resolve_access(manifest, read_catalog(connection, schema))
    return prepare(connection, manifest).project


def check_secured(run: Run | None) -> None:
    """Refuse repairs until the run has made its policies: earlier they would block it.

    Raises:
        NotReady: the run has not made its policies yet.
    """
    if run is not None and not run.is_over and run.status != "ready":
        raise NotReady(
            f"Run {run.id} has not created the policies yet: it is {run.status}, in phase {run.phase}. Nothing was changed.",
            hint="Run `tenantry migrate`: it resumes the run and creates the policies from the manifest.",
        )


def has_writes(connection: Connection) -> bool:
    """Whether clients have their rights to write: after the cut-over, and without a run."""
    run = last_run(connection)
    return run is None or run.is_over


def apply_changes(
    connection: Connection,
    live: LiveAccess,
    changes: Sequence[AccessChange],
    *,
    patience: float = 60.0,
    notice: Callable[[str], None] = lambda _: None,
) -> int:
    """Apply all changes or none, as the owner of the tables; return the number of attempts.

    An attempt waits at most LOCK_TIMEOUT for each lock, then releases the queue behind it; attempts repeat, with jitter, for
    `patience` seconds.

    Raises:
        SourceLocked: other sessions hold locks (named in the message); nothing was changed.
        RightsMissing: the login may not act as the owner.
    """
    deadline = time.monotonic() + patience
    tries = 0
    while True:
        tries += 1
        try:
            with connection.transaction():
                _become(connection, live.owner)
                connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'".encode())
                connection.execute("set local search_path = pg_catalog")
                for change in changes:
                    for statement in change.statements:
                        connection.execute(statement.encode())
            return tries
        except (pg.LockNotAvailable, pg.DeadlockDetected):
            said = "; ".join(_holders(connection, live, changes)) or "a session that has just released it"
            if time.monotonic() > deadline:
                raise SourceLocked(
                    f"The tables could not be locked within {patience:.0f} s. Blocked by: {said}. Nothing was changed.",
                    hint="End those transactions (select pg_terminate_backend(pid)), or wait for a quiet time, and run the same"
                    " command again.",
                ) from None
            if tries == 1:
                notice(f"Waiting for locks: {said}")
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - jitter
        except psycopg.Error as error:
            raise explain(error, "correcting the access; nothing was changed") from error


def _become(connection: Connection, owner: str) -> None:
    row = connection.execute("select current_user::text").fetchone()
    if row == (owner,):
        return
    try:
        connection.execute(f"set local role {ident(owner)}".encode())
    except pg.InsufficientPrivilege:
        raise RightsMissing(
            f"The tables belong to {owner}, and this login may not act as {owner}. Nothing was changed.",
            hint=f"Connect as {owner}, or ask a superuser to run: grant {ident(owner)} to … ;",
        ) from None


def _holders(connection: Connection, live: LiveAccess, changes: Sequence[AccessChange]) -> list[str]:
    tables = sorted({change.on for change in changes})
    rows = lock_holders(connection, live.target.schema, tables)
    return [
        f"pid {pid} ({application or 'no name'}, {state}, in a transaction for {seconds:.0f} s)"
        for pid, application, state, seconds in rows
    ]
