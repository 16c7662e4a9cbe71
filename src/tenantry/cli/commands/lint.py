"""tenantry lint: the static checks of isolation, on any database."""

from __future__ import annotations

import json
from typing import Annotated

import psycopg
import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

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
from tenantry.errors import SchemaMissing, SettingsError
from tenantry.manifest import Manifest, load_manifest
from tenantry.prove.baseline import REASON, load_baseline, save_baseline
from tenantry.prove.evidence import lint_exceptions
from tenantry.prove.faults import faults, plain
from tenantry.prove.formats import as_junit, as_markdown, as_sarif
from tenantry.prove.lint.checks import LEVELS, check_files
from tenantry.prove.lint.run import Lint, find_exceptions, load_exceptions, run_lint
from tenantry.report.faults import STYLE, show_faults
from tenantry.settings import read_settings


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(lint)


def lint(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    schema: Annotated[
        list[str] | None,
        typer.Option(
            help="Look at this schema (again for more); else at those in which clients have rights.", show_default=False
        ),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="Take this role for a client (again for more); else anon, authenticated, and logins that own nothing.",
            show_default=False,
        ),
    ] = None,
    tenant_column: Annotated[
        str | None,
        typer.Option(
            help="The column that holds the tenant; else the one that references one table from most.",
            show_default=False,
        ),
    ] = None,
    discover: Annotated[
        bool, typer.Option("--discover", help="Find out what is what, also where there is a manifest.")
    ] = False,
    check: Annotated[
        list[str] | None, typer.Option(help="Make this check only (again for more).", show_default=False)
    ] = None,
    exceptions: Exceptions = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = None,
    junit: Junit = None,
    sarif: Sarif = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the checks, without a database.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for holes in the isolation of tenants: row-level security, policies, grants, functions, keys, roles. Any database will do.

    Reads the catalog only: no table is touched, in a transaction that is read-only and rolled back. A manifest says which schema,
    roles and tenant column are meant; without one they are found, and the first lines say how. Every finding names the object,
    what is wrong, and how to mend it; docs/reference/checks.md says for each check what an attacker gains.

    **Errors** are ways into another tenant, **warnings** are ways to one (or slow enough to be one), **info** is worth knowing.
    What is meant to be so goes into `tenantry-lint.toml`, with its reason:

        [[allow]]
        check = "unique_oracle"
        object = "public.users*"
        reason = "An address has one account, whichever tenants it is in."

    Where there is much to mend, `--write-baseline FILE` writes down what is found today, and `--baseline FILE` lets only new findings fail.

    Exit code 0: no error stands; 1: one does; 2: wrong usage.
    """
    if listed:
        _list(as_json)
        return
    settings = read_settings(dsn=dsn, manifest=manifest)
    guess = discover or bool(schema or role or tenant_column)
    if guess and manifest is not None:
        raise SettingsError(
            "--manifest says what is meant; --schema, --role, --tenant-column and --discover find it out.",
            hint="Give the one or the others.",
        )
    # The database of the embedded server is named by the manifest, also where nothing else is taken from it.
    loaded = load_manifest(settings.manifest) if settings.manifest is not None else None
    folder = loaded.folder if loaded is not None else settings.folder
    allowed = load_exceptions(exceptions) if exceptions is not None else find_exceptions(folder)
    with connected(settings, loaded) as (_, connection):
        if loaded is not None and not guess:
            _need_schema(connection, loaded)
        found = run_lint(
            connection,
            manifest=None if guess else loaded,
            schemas=schema or (),
            roles=role or (),
            tenant_column=tenant_column,
            exceptions=lint_exceptions(allowed),
            only=check,
            baseline=load_baseline(baseline) if baseline is not None else (),
        )
    results = found.results()
    if write_baseline is not None:
        count = save_baseline(results, write_baseline)
        err.print(f"Written: {write_baseline}, with {count} accepted findings")
    if junit is not None:
        junit.write_text(as_junit(results, suite="tenantry lint", seconds=found.seconds), encoding="utf-8")
        err.print(f"Written: {junit}")
    if sarif is not None:
        artifact = "" if guess or loaded is None else loaded.path.as_posix()
        content = as_sarif(results, found.rules, artifact=artifact)
        sarif.write_text(json.dumps(content, indent=1), encoding="utf-8")
        err.print(f"Written: {sarif}")
    if as_json:
        print_json(found.to_json())
    elif markdown:
        print(as_markdown(results, found.rules, title="Lint"))  # noqa: T201 - not for rich: it would wrap the lines
    else:
        _show(found)
    if not found.passed and write_baseline is None:
        raise typer.Exit(1)


def _need_schema(connection: psycopg.Connection[tuple[object, ...]], manifest: Manifest) -> None:
    rows = connection.execute("select nspname::text from pg_namespace where nspname !~ '^pg_' order by 1").fetchall()
    there = [str(row[0]) for row in rows]
    if manifest.target.schema_name not in there:
        raise SchemaMissing(manifest.target.schema_name, connection.info.dbname, there)


def _list(as_json: bool) -> None:
    if as_json:
        print_json([{"check": each.name, "level": each.level, "title": each.title} for each in check_files()])
        return
    table = _table("check", "level", "what holds where nothing is found")
    for each in check_files():
        table.add_row(each.name, Text(each.level, style=STYLE[each.level]), escape(each.title))
    out.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("level", "check"))
    return table


def _show(found: Lint) -> None:
    for sentence in found.scope.sentences:
        out.print(f"[dim]{escape(sentence)}[/]")
    show_faults(out, faults(found.results(), found.rules))
    out.print()
    based = [by for _, by in found.allowed if by.reason == REASON]
    for finding, by in found.allowed:
        if by.reason != REASON:
            out.print(f"[dim]allowed: {escape(plain(str(finding)))}. {escape(by.reason)}[/]")
    if based:
        out.print(
            f"[dim]{len(based)} finding{'s are' if len(based) != 1 else ' is'} in the baseline (--json lists them).[/]"
        )
    for each in found.unused:
        out.print(f"[yellow]not needed any more:[/] the exception {escape(str(each))}")
    for reason in found.unread:
        out.print(f"[yellow]not looked at:[/] {escape(reason)}")
    counts = found.counts
    said = ", ".join(f"{counts[level]} {level}" for level in LEVELS)
    out.print(f"{counts['checks']} checks in {found.seconds:.1f} s: {said}; {counts['allowed']} allowed.")
    if found.not_applicable:
        reasons: dict[str, list[str]] = {}
        for name, reason in found.not_applicable:
            reasons.setdefault(reason, []).append(name)
        said = "; ".join(f"{', '.join(names)}, since {reason}" for reason, names in reasons.items())
        out.print(f"[dim]Not applicable: {escape(said)}.[/]")
