"""tenantry prove: lint, matrix and attacks, and one table of what was covered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json, print_text, written
from tenantry.cli.database import connected, run_address
from tenantry.cli.files import FindingFiles, write_findings
from tenantry.cli.options import (
    AsJson,
    Baseline,
    CopyDsn,
    Discover,
    Dsn,
    Embedded,
    Exceptions,
    Junit,
    ManifestPath,
    Markdown,
    Roles,
    Sarif,
    Schemas,
    TenantColumn,
    WriteBaseline,
    embedded_folder,
    manifest_or_discovery,
    one_copy,
)
from tenantry.cli.progress import Bars
from tenantry.dbcopy.maker import CopyOptions
from tenantry.errors import SettingsError, nearest
from tenantry.manifest import load_manifest
from tenantry.mapping import Project
from tenantry.postgres import normalise_dsn
from tenantry.prove.baseline import load_baseline
from tenantry.prove.evidence import PARTS, Part, ProofEvidence, ProofOptions, gather_found, gather_target
from tenantry.prove.lint.run import Allowed, find_exceptions, load_exceptions
from tenantry.prove.lint.scope import Sought
from tenantry.report.evidence import evidence_markdown, write_evidence
from tenantry.report.terminal import prove as view
from tenantry.settings import Settings, read_settings


@command(
    "tenantry prove",
    "tenantry prove --copy --html proof.html",
    section=HelpSection.ISOLATION,
    exit_1="isolation does not hold, or nothing could be tried",
)
def prove(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    copy: Annotated[
        bool,
        typer.Option("--copy", help="Prove a temporary copy of the database: every attack is executed there."),
    ] = False,
    copy_dsn: CopyDsn = None,
    embedded: Embedded = False,
    login: Annotated[
        str | None,
        typer.Option(
            help="Run the matrix over the API's login: its connection string, or 'auto' for the manifest's login role on the same"
            " server, with the password from PGPASSWORD or ~/.pgpass. Synthetic rows are committed for this, then removed.",
            show_default=False,
        ),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(help="Run only this part: lint, matrix or attacks (repeatable).", show_default=False),
    ] = None,
    discover: Discover = False,
    schema: Schemas = None,
    role: Roles = None,
    tenant_column: TenantColumn = None,
    exceptions: Exceptions = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Also fail for what PostgreSQL allows every caller, such as EXPLAIN and LOCK."),
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write an HTML page to this file.", show_default=False, dir_okay=False)
    ] = None,
    junit: Junit = None,
    sarif: Sarif = None,
    markdown: Markdown = False,
    as_json: AsJson = False,
) -> None:
    """Prove that tenants are isolated: static checks, every cell of the access matrix executed, and attacks.

    **In place**, the default, is safe on a production database. The catalog is linted. The matrix (role × table × command × whose
    row) is executed as each role in turn, in one transaction of the owner, with rows of synthetic tenants that no other session
    sees, and rolled back. For each attack it is checked whether any privilege would allow it. What a rollback leaves behind (gaps
    in sequences, WAL) is reported; tables whose triggers act outside the transaction are left out and named.

    **--copy** makes a temporary copy (the login needs CREATEDB and CREATEROLE) and commits rows there. The matrix runs over a login
    like the application's, and all attacks of docs/reference/attacks.md are executed, with real logins and second sessions.

    **Without a manifest** (or with --discover) tenants, roles and memberships are discovered; the first lines of the output say how.
    Existing rows are used to try whether any caller can reach another tenant's rows, and functions are called with that tenant's
    ids. With --copy this is done on a copy of the schema, with synthetic rows. If nothing could be tried, nothing is proved.

    Some attacks reveal no row, and no schema can prevent them: callers who run their own SQL can EXPLAIN it, see how many rows were
    filtered, and lock the rows that they may delete. They are reported as accepted; with --strict they fail.

    Accept what is intended in `tenantry-lint.toml`, with a reason: `check` is the name of a check or an attack, or `matrix`. Whatever
    was not tried is listed.
    """
    settings = read_settings(dsn=dsn, manifest=manifest)
    parts = _parts(part)
    found = discover or bool(schema or role or tenant_column) or settings.manifest is None
    manifest_or_discovery(manifest, found)
    _check(found, copy=copy, copy_dsn=copy_dsn, embedded=embedded, login=login)
    known = load_baseline(baseline) if baseline is not None else frozenset()
    project: Project | None = None
    if found:
        options = ProofOptions(parts, on_copy=copy, exceptions=_exceptions(exceptions, settings.folder), baseline=known)
        evidence = _discovered(settings, Sought(schema or (), role or (), tenant_column), options, quiet=as_json)
    else:
        with run_address(dsn, manifest) as (address, loaded), Bars(err, quiet=as_json) as bars:
            evidence, project = gather_target(
                loaded,
                owner_dsn=address,
                login=login,
                options=ProofOptions(
                    parts,
                    on_copy=copy or embedded or copy_dsn is not None,
                    copy=CopyOptions(
                        normalise_dsn(copy_dsn) if copy_dsn else None, embedded_folder(settings, embedded)
                    ),
                    exceptions=_exceptions(exceptions, loaded.folder),
                    baseline=known,
                    strict=strict,
                    progress=bars.count,
                    notice=bars.notice,
                ),
            )
    if html is not None:
        write_evidence(evidence, project, html)
        written(html)
    write_findings(
        evidence.results(),
        evidence.rules(),
        suite="tenantry prove",
        seconds=evidence.seconds,
        artifact=project.manifest.path.as_posix() if project is not None else "",
        files=FindingFiles(write_baseline, junit, sarif),
    )
    if as_json:
        print_json(evidence.to_json())
    elif markdown:
        print_text(evidence_markdown(evidence))
    else:
        view.evidence(out, evidence)
    if not evidence.passed and (write_baseline is None or evidence.unproved):
        raise typer.Exit(1)


def _check(found: bool, *, copy: bool, copy_dsn: str | None, embedded: bool, login: str | None) -> None:
    """
    Raises:
        SettingsError: options that exclude each other.
    """
    if found and (copy_dsn or embedded or login):
        raise SettingsError(
            "Without a manifest the proof is made in place, or on a copy on the same server.",
            hint="Leave out --copy-dsn, --embedded and --login, or write a manifest: `tenantry plan --help` says what it is for.",
        )
    if (copy or copy_dsn or embedded) and login:
        raise SettingsError(
            "--login proves the database itself, --copy a copy of it.", hint="Give the one or the other."
        )
    one_copy(copy_dsn, embedded)


def _parts(asked: list[str] | None) -> tuple[Part, ...]:
    for name in asked or ():
        if name not in PARTS:
            near = nearest(name, PARTS)
            raise SettingsError(
                f"There is no part {name!r} of a proof.",
                hint=(f"Did you mean {near!r}? " if near else "") + f"The parts are {', '.join(PARTS)}.",
            )
    return tuple(each for each in PARTS if not asked or each in asked)


def _exceptions(given: Path | None, folder: Path) -> tuple[Allowed, ...]:
    return load_exceptions(given) if given is not None else find_exceptions(folder)


def _discovered(settings: Settings, sought: Sought, options: ProofOptions, *, quiet: bool) -> ProofEvidence:
    # The manifest names the embedded server's database, even if nothing else of it is used.
    loaded = load_manifest(settings.manifest) if settings.manifest is not None else None
    with connected(settings, loaded) as (address, _), Bars(err, quiet=quiet) as bars:
        return gather_found(address, sought, replace(options, progress=bars.count))
