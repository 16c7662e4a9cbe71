"""The preparation of every command: the catalogs, the resolved manifest, the plan, and the existing run, if any."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from tenantry.access import missing_roles
from tenantry.catalog import Catalog, read_catalog
from tenantry.catalog.build import build_catalog
from tenantry.catalog.hidden import need_rows_of
from tenantry.catalog.reader import estimates, has_schema
from tenantry.errors import JournalMismatch, RolesMissing, TargetNotOurs
from tenantry.journal.journal import Connection, Journal, Run, last_run
from tenantry.journal.names import JOURNAL
from tenantry.manifest import Manifest, manifest_digest, target_files
from tenantry.mapping import Project, resolve
from tenantry.migrate.session import pilot as subset
from tenantry.migrate.session.reserved_names import check_names
from tenantry.migrate.session.try_expressions import check_expressions, check_widths
from tenantry.migrate.session.visibility import source_names
from tenantry.plan import Environment, Plan, before_the_run, build_plan, read_environment, trial_prerequisites
from tenantry.postgres import explain
from tenantry.postgres.ours import need_our_schema


@dataclass(frozen=True, slots=True)
class Prepared:
    """A manifest resolved against a database."""

    project: Project
    environment: Environment
    plan: Plan
    files: tuple[Path, ...]
    run: Run | None
    chosen: subset.Chosen | None = None
    """The tenants of a pilot that is about to begin."""


def prepare(connection: Connection, manifest: Manifest, *, only: str | None = None, names: bool = True) -> Prepared:
    """Read both sides and plan. Nothing is changed: the target's files run in a transaction that is rolled back.

    Args:
        only: a condition over the tenants' source table: a new run migrates these tenants first.
        names: refuse objects with reserved names; analysis only lists them.

    Raises:
        SchemaMissing, ManifestError, TargetNotOurs, TargetFilesWrong, JournalMismatch, RolesMissing, RightsMissing, SubsetWrong
    """
    try:
        return _prepare(connection, manifest, only, names)
    except psycopg.Error as error:
        raise explain(error, "reading the schemas") from error


def _prepare(connection: Connection, manifest: Manifest, only: str | None, names: bool) -> Prepared:
    environment = read_environment(connection)
    files = target_files(manifest)
    run = last_run(connection)
    schema = manifest.target.schema_name
    if run is not None:
        check_journal(run, manifest)
        if only is not None:
            subset.same_subset(run, only)
        target = run.target_catalog
        environment = before_the_run(environment, {row[0] for row in Journal(run.id).say(connection, "steps")})
        source = _with_sizes(connection, run.source_catalog)
    else:
        source = read_catalog(connection, manifest.source.schema_name)
        need_our_schema(connection)
        if has_schema(connection, schema):
            raise TargetNotOurs(
                f"The target schema {schema!r} exists in database {environment.database!r}, and no run of Tenantry created it."
                " Nothing was changed.",
                hint="Give another name in [target] schema, or drop it if it is a leftover"
                f" (drop schema {schema} cascade). Tenantry never writes into a schema that it did not create.",
            )
        missing = missing_roles(connection, manifest)
        if missing:
            raise RolesMissing(
                f"The database roles {', '.join(missing)} do not exist on this server.",
                hint="Ask a DBA to review and run the script once: tenantry roles --sql | psql …; a superuser can run"
                " `tenantry roles --apply`.",
            )
        before = trial_prerequisites(manifest, environment, files, has_schema=has_schema(connection, JOURNAL))
        target = build_catalog(connection, schema=schema, files=files, before=before)
    project = resolve(manifest, source, target)
    if run is None:
        if names:
            check_names(connection, project)
        check_widths(project)
        check_expressions(connection, project)
    chosen = None
    if run is not None:
        project = replace(project, subset=subset.of_run(run))
    elif only is not None:
        need_rows_of(connection, source_names(project))
        chosen = subset.choose(connection, project, only)
        project = replace(project, subset=chosen.subset)
    return Prepared(project, environment, build_plan(project, environment, files), files, run, chosen)


def _with_sizes(connection: Connection, catalog: Catalog) -> Catalog:
    """Return a run's source as the run found it, with the present numbers of rows. Tables that are gone keep theirs: each command
    decides what it may do without them."""
    now = estimates(connection, catalog.schema)
    return replace(
        catalog,
        tables=tuple(replace(table, row_estimate=now.get(table.name, table.row_estimate)) for table in catalog.tables),
    )


def check_journal(run: Run, manifest: Manifest) -> None:
    """Check that the journal belongs to this manifest and its target files.

    Raises:
        JournalMismatch: with the differences.
    """
    if run.name != manifest.name or run.target_schema != manifest.target.schema_name:
        raise JournalMismatch(
            f"The journal in this database belongs to manifest {run.name!r} (target {run.target_schema}), not to"
            f" {manifest.name!r} (target {manifest.target.schema_name}).",
            hint=f"Use the manifest that the run was started with: {run.manifest_path}.",
        )
    if run.manifest_digest != manifest_digest(manifest):
        started = f"{run.started_at:%Y-%m-%d %H:%M}"
        raise JournalMismatch(
            f"The manifest or its target files have changed since the run of {started} was begun ({run.status}). Nothing was done.",
            hint="Restore the files and run the same command again. Or, to start over with the new ones: restore them, run"
            " `tenantry rollback --everything`,"
            " change the files again, and run `tenantry migrate`."
            if run.direction == "forward"
            else "The run has been cut over. Restore the files; later changes of the target are ordinary"
            " migrations of the application.",
            detail={"run": run.id, "digest": run.manifest_digest},
        )
