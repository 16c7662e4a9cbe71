"""tenantry lint: static checks of tenant isolation, on any database."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantry.catalog import need_schema
from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import out, print_json, print_text
from tenantry.cli.database import connected
from tenantry.cli.files import FindingFiles, write_findings
from tenantry.cli.options import (
    AsJson,
    Baseline,
    Discover,
    Dsn,
    Exceptions,
    Junit,
    ManifestPath,
    Markdown,
    Roles,
    Sarif,
    Schemas,
    TenantColumn,
    WriteBaseline,
    manifest_or_discovery,
)
from tenantry.manifest import load_manifest
from tenantry.prove.baseline import load_baseline
from tenantry.prove.evidence import lint_exceptions
from tenantry.prove.formats import as_markdown
from tenantry.prove.lint.checks import check_files
from tenantry.prove.lint.run import find_exceptions, load_exceptions, run_lint
from tenantry.prove.lint.scope import Sought
from tenantry.report.terminal import lint as view
from tenantry.settings import read_settings


@command(
    "tenantry lint --dsn postgresql://localhost/app",
    "tenantry lint --baseline lint-baseline.json",
    section=HelpSection.ISOLATION,
    exit_1="there are findings of level error that are not accepted",
)
def lint(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    schema: Schemas = None,
    role: Roles = None,
    tenant_column: TenantColumn = None,
    discover: Discover = False,
    check: Annotated[
        list[str] | None, typer.Option(help="Run only this check (repeatable).", show_default=False)
    ] = None,
    exceptions: Exceptions = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = None,
    junit: Junit = None,
    sarif: Sarif = None,
    markdown: Markdown = False,
    listed: Annotated[bool, typer.Option("--list", help="List the checks; needs no database.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find holes in tenant isolation: row-level security, policies, grants, functions, keys and roles. Works on any database.

    It only reads the catalog, in a read-only transaction; no table is read. A manifest states schema, roles and tenant column;
    without one they are discovered, and the first lines of the output say how. Each finding names the object, what is wrong, and
    how to fix it; docs/reference/checks.md says for each check what an attacker gains.

    **Errors** are ways into another tenant, **warnings** can become one (or are slow enough to look like one), **info** is worth
    knowing. Accept what is intended in `tenantry-lint.toml`, with a reason:

        [[allow]]
        check = "unique_oracle"
        object = "public.users*"
        reason = "An address has one account across all tenants."

    If there is a lot to fix, `--write-baseline FILE` records today's findings, and with `--baseline FILE` only new ones fail.
    """
    if listed:
        checks = check_files()
        if as_json:
            print_json([{"check": each.name, "level": each.level, "title": each.title} for each in checks])
        else:
            view.checks(out, checks)
        return
    settings = read_settings(dsn=dsn, manifest=manifest)
    guess = discover or bool(schema or role or tenant_column)
    manifest_or_discovery(manifest, guess)
    # The manifest names the embedded server's database, even if nothing else of it is used.
    loaded = load_manifest(settings.manifest) if settings.manifest is not None else None
    folder = loaded.folder if loaded is not None else settings.folder
    allowed = load_exceptions(exceptions) if exceptions is not None else find_exceptions(folder)
    with connected(settings, loaded) as (_, connection):
        if loaded is not None and not guess:
            need_schema(connection, loaded.target.schema_name)
        found = run_lint(
            connection,
            manifest=None if guess else loaded,
            sought=Sought(schema or (), role or (), tenant_column),
            exceptions=lint_exceptions(allowed),
            only=check,
            baseline=load_baseline(baseline) if baseline is not None else (),
        )
    results = found.results()
    write_findings(
        results,
        found.rules,
        suite="tenantry lint",
        seconds=found.seconds,
        artifact="" if guess or loaded is None else loaded.path.as_posix(),
        files=FindingFiles(write_baseline, junit, sarif),
    )
    if as_json:
        print_json(found.to_json())
    elif markdown:
        print_text(as_markdown(results, found.rules, title="Lint"))
    else:
        view.lint(out, found)
    if not found.passed and write_baseline is None:
        raise typer.Exit(1)
