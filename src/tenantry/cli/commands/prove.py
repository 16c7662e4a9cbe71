"""tenantry prove: lint, matrix and attacks, and one table of what was covered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tenantry.catalog import read_catalog
from tenantry.cli.console import (
    AsJson,
    Baseline,
    Dsn,
    Exceptions,
    Junit,
    ManifestPath,
    Sarif,
    WriteBaseline,
    connected,
    err,
    out,
    print_json,
)
from tenantry.cli.progress import Bars
from tenantry.errors import SettingsError, nearest
from tenantry.manifest import load_manifest
from tenantry.mapping import Project
from tenantry.mapping.check_access import resolve_access
from tenantry.migrate.apply_access import has_writes
from tenantry.postgres import normalise_dsn, with_parameters
from tenantry.prove.baseline import load_baseline, save_baseline
from tenantry.prove.evidence import PARTS, Evidence, Part, gather, gather_found
from tenantry.prove.formats import as_junit, as_sarif
from tenantry.prove.lint.run import Allowed, find_exceptions, load_exceptions
from tenantry.report.evidence import evidence_markdown, show, write_evidence
from tenantry.settings import DATA_FOLDER, Settings, read_settings


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(prove)


def prove(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    copy: Annotated[
        bool,
        typer.Option("--copy", help="On a copy of the database, made and dropped here: every attack is tried there."),
    ] = False,
    copy_dsn: Annotated[
        str | None,
        typer.Option("--copy-dsn", help="An empty database of another server for the copy.", show_default=False),
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Put the copy on the embedded server, not beside the original.")
    ] = False,
    login: Annotated[
        str | None,
        typer.Option(
            help="Execute the matrix over the API's login: its connection string, or 'auto' for the manifest's login role on the"
            " same server, with the password from PGPASSWORD or ~/.pgpass. Invented rows are committed then, and removed.",
            show_default=False,
        ),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(help="Only this part: lint, matrix or attacks (again for more).", show_default=False),
    ] = None,
    discover: Annotated[
        bool, typer.Option("--discover", help="Find out what is what, also where there is a manifest.")
    ] = False,
    schema: Annotated[
        list[str] | None,
        typer.Option(help="Without a manifest: look at this schema (again for more).", show_default=False),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="Without a manifest: take this role for a client (again for more).", show_default=False),
    ] = None,
    tenant_column: Annotated[
        str | None, typer.Option(help="Without a manifest: the column that holds the tenant.", show_default=False)
    ] = None,
    exceptions: Exceptions = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail also for what PostgreSQL lets every caller do, as to explain and to lock."),
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page to this file.", show_default=False, dir_okay=False)
    ] = None,
    junit: Junit = None,
    sarif: Sarif = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the proof as Markdown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prove that tenants are isolated: static checks, every cell of the access matrix executed, and attacks.

    **In place**, the default, production may be proved: the catalog is linted; the matrix (role × table × command × whose row) is
    executed in one transaction of the owner, with rows of invented tenants that nobody else ever sees, as each role in turn, and
    rolled back; of each attack it is asked whether some right would allow it. What a rollback leaves (gaps in sequences, WAL) is
    said, and tables whose triggers act outside of a transaction are left out and named.

    With **--copy** a copy is made (the login needs CREATEDB and CREATEROLE), rows are committed there, the matrix runs over a
    login like the application's, and all attacks of docs/reference/attacks.md are tried, with real logins and second sessions.

    **Without a manifest** (or with --discover) tenants, roles and memberships are found out, the first lines say how, and it is
    tried, on the rows that are there, whether anybody reaches rows of a tenant that is not his; functions are called with its ids.
    With **--copy** that is done on a copy of the schema, with invented rows. Where nothing could be tried, nothing was proved: exit 1.

    Some attacks gain no row, and no schema prevents them: whoever runs statements of his own may explain them, see what was passed
    over, and lock what he may delete. They are told as accepted; with --strict they fail.

    What is meant to be so goes into `tenantry-lint.toml`, with its reason: `check` is a check's or an attack's name, or `matrix`.

    Exit code 0: everything that was tried holds, and what was not tried is listed; 1: something does not; 2: wrong usage.
    """
    settings = read_settings(dsn=dsn, manifest=manifest)
    parts = _parts(part)
    found = discover or bool(schema or role or tenant_column) or settings.manifest is None
    if found and manifest is not None:
        raise SettingsError(
            "--manifest says what is meant; --schema, --role, --tenant-column and --discover find it out.",
            hint="Give the one or the others.",
        )
    if found and (copy_dsn or embedded or login):
        raise SettingsError(
            "Without a manifest the proof is made in place, or on a copy beside the original.",
            hint="Leave out --copy-dsn, --embedded and --login, or write a manifest: `tenantry plan --help` says what it is for.",
        )
    if (copy or copy_dsn or embedded) and login:
        raise SettingsError(
            "--login proves the database itself, --copy a copy of it.", hint="Give the one or the other."
        )
    if copy_dsn and embedded:
        raise SettingsError("--copy-dsn and --embedded exclude each other.", hint="Give one of them, or none.")
    known = load_baseline(baseline) if baseline is not None else frozenset()
    if found:
        allowed = _exceptions(exceptions, settings.folder)
        evidence = _found(settings, parts, allowed, known, schema, role, tenant_column, on_copy=copy, quiet=as_json)
        project = None
    else:
        evidence, project = _meant(
            settings,
            parts,
            exceptions,
            login,
            on_copy=copy or embedded or copy_dsn is not None,
            copy_dsn=copy_dsn,
            embedded=embedded,
            strict=strict,
            known=known,
            quiet=as_json,
        )
    if write_baseline is not None:
        count = save_baseline(evidence.results(), write_baseline)
        err.print(f"Written: {write_baseline}, with {count} accepted findings")
    if html is not None:
        write_evidence(evidence, project, html)
        err.print(f"Written: {html}")
    if junit is not None:
        junit.write_text(
            as_junit(evidence.results(), suite="tenantry prove", seconds=evidence.seconds), encoding="utf-8"
        )
        err.print(f"Written: {junit}")
    if sarif is not None:
        artifact = project.manifest.path.as_posix() if project is not None else ""
        content = as_sarif(evidence.results(), evidence.rules(), artifact=artifact)
        sarif.write_text(json.dumps(content, indent=1), encoding="utf-8")
        err.print(f"Written: {sarif}")
    if as_json:
        print_json(evidence.to_json())
    elif markdown:
        print(evidence_markdown(evidence))  # noqa: T201 - not for rich: it would wrap the lines
    else:
        show(out, evidence)
    if not evidence.passed and (write_baseline is None or evidence.unproved):
        raise typer.Exit(1)


def _parts(asked: list[str] | None) -> tuple[Part, ...]:
    for name in asked or ():
        if name not in PARTS:
            near = nearest(name, PARTS)
            raise SettingsError(
                f"There is no part {name!r} of a proof.",
                hint=(f"Did you mean {near!r}? " if near else "") + f"The parts are {', '.join(PARTS)}.",
            )
    return tuple(each for each in PARTS if not asked or each in asked)


def _exceptions(file: Path | None, folder: Path) -> tuple[Allowed, ...]:
    return load_exceptions(file) if file is not None else find_exceptions(folder)


def _meant(
    settings: Settings,
    parts: tuple[Part, ...],
    exceptions: Path | None,
    login: str | None,
    *,
    on_copy: bool,
    copy_dsn: str | None,
    embedded: bool,
    strict: bool,
    known: frozenset[str],
    quiet: bool,
) -> tuple[Evidence, Project]:
    loaded = load_manifest(settings.need_manifest())
    with connected(settings, loaded) as (address, connection), Bars(err, quiet=quiet) as bars:
        # The target as it stands; whether a run made it, and whether the source is still there, does not matter.
        project = resolve_access(loaded, read_catalog(connection, loaded.target.schema_name))
        writes = has_writes(connection)
        connection.close()  # a copy by template wants nobody connected
        login_dsn = normalise_dsn(login) if login and login != "auto" else None
        if login == "auto":
            # Without options: they may name a role that this login cannot become.
            login_dsn = with_parameters(address, user=loaded.database_roles.login, options="")
        evidence = gather(
            project,
            owner_dsn=address,
            login_dsn=login_dsn,
            on_copy=on_copy,
            copy_dsn=normalise_dsn(copy_dsn) if copy_dsn else None,
            # Where the original itself is on the embedded server, beside it is there as well.
            embedded=settings.folder / DATA_FOLDER if embedded and not settings.embedded else None,
            parts=parts,
            exceptions=_exceptions(exceptions, loaded.folder),
            writes=writes,
            strict=strict,
            baseline=known,
            progress=bars.count,
            notice=bars.notice,
        )
    return evidence, project


def _found(
    settings: Settings,
    parts: tuple[Part, ...],
    allowed: tuple[Allowed, ...],
    known: frozenset[str],
    schema: list[str] | None,
    role: list[str] | None,
    tenant_column: str | None,
    *,
    on_copy: bool,
    quiet: bool,
) -> Evidence:
    # The database of the embedded server is named by the manifest, also where nothing else is taken from it.
    loaded = load_manifest(settings.manifest) if settings.manifest is not None else None
    with connected(settings, loaded) as (address, _), Bars(err, quiet=quiet) as bars:
        return gather_found(
            address,
            schemas=schema or (),
            roles=role or (),
            tenant_column=tenant_column,
            parts=parts,
            exceptions=allowed,
            baseline=known,
            on_copy=on_copy,
            progress=bars.count,
        )
