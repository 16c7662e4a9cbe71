"""Analyzes a database that has no manifest: its survey, and the findings of the migration that a draft would be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from tenantry.analyze import Finding, analyze, gather, look_around
from tenantry.analyze.finding import Evidence
from tenantry.analyze.probes.evidence import PROBE_TIMEOUT
from tenantry.catalog import read_catalog
from tenantry.draft.check import project_of_files
from tenantry.draft.make import make_draft
from tenantry.draft.model import DraftOptions
from tenantry.errors import SettingsError, TenantryError
from tenantry.mapping import Project
from tenantry.survey import Survey, survey


@dataclass(frozen=True, slots=True)
class Preview:
    """A survey, with the analysis of the drafted migration.

    Attributes:
        project: the drafted migration; None if there is none.
        not_drafted: why there is no draft to analyze; empty if there is one.
    """

    survey: Survey
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    not_drafted: str = ""
    project: Project | None = None


def preview(
    connection: psycopg.Connection[Any],
    schema: str,
    options: DraftOptions,
    *,
    most_rows: int,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> Preview:
    """Survey a database and analyze its drafted migration; everything is rolled back. On a standby, or for a login that must
    not create schemas, only the survey is returned.

    Raises:
        SchemaMissing: the schema does not exist.
    """
    found = survey(connection, schema, tenant=options.tenant, users=options.users, progress=progress)
    connection.rollback()
    try:
        need_tenant_and_users(found, options)
        drafted = make_draft(read_catalog(connection, schema), found, options)
        project = project_of_files(connection, drafted.files)
        total = len(project.mappings)
        done = iter(range(total + 1))
        evidence = gather(
            connection,
            project,
            most_rows=most_rows,
            timeout=PROBE_TIMEOUT,
            progress=lambda _name, _rows: progress("analyzing tables", next(done), total),
        )
        progress("analyzing tables", total, total)
        findings = tuple(analyze(project, evidence, look_around(connection, project)))
        return Preview(found, findings, evidence, project=project)
    except TenantryError as error:
        return Preview(found, not_drafted=str(error))


def need_tenant_and_users(found: Survey, options: DraftOptions) -> None:
    """
    Raises:
        SettingsError: no table can be the tenant's, or no table of people who sign in was found.
    """
    if options.users is None and not found.users:
        raise SettingsError(
            "No table of people who sign in was found.",
            hint="Name it with --users. `tenantry analyze` shows what was found.",
        )
    tenant = found.tenant
    stated = options.tenant is not None or options.person or options.constant
    if not stated and tenant is None:
        raise SettingsError(
            "No table was found whose rows could be the tenants.",
            hint="Name it with --tenant TABLE, take each person for a tenant with --person, or everything for one with --tenant constant."
            " `tenantry analyze` shows the candidates.",
        )
