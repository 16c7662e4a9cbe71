"""tenantry rehearse: the whole migration on a copy of the database, before anybody touches the original."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tenantry.cli.console import AsJson, Dsn, ManifestPath, Workers, connected, err, out, print_json
from tenantry.cli.progress import Bars
from tenantry.errors import SettingsError
from tenantry.manifest import load_manifest
from tenantry.migrate.run.engine import Options
from tenantry.postgres import normalise_dsn
from tenantry.rehearse.model import Wishes
from tenantry.rehearse.report import show, write
from tenantry.rehearse.run import rehearse as run_rehearsal
from tenantry.settings import DATA_FOLDER, command, read_settings


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(rehearse)


class _Parts(Bars):
    """Bars, with a line for each part of a rehearsal when it is done."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        super().__init__(console, quiet=quiet)
        self._part: tuple[str, float] | None = None

    def stage(self, name: str) -> None:
        with self._guard:
            self._end_phase()
            if self._part is not None:
                before, begun = self._part
                self._say(f"[bold green]✓[/] [bold]{before:<22}[/] [dim]{time.monotonic() - begun:6.1f} s[/]")
            self._part = (name, time.monotonic())
        self.line(name)


def rehearse(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    copy_dsn: Annotated[
        str | None,
        typer.Option("--copy-dsn", help="An empty database of another server for the copy.", show_default=False),
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Put the copy on the embedded server, not beside the original.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Do not drop the copy in the end.")] = False,
    load: Annotated[
        float,
        typer.Option(
            help="Seconds for which each side is written all the time; 0: some writes, there and back.", min=0.0
        ),
    ] = 0.0,
    contract: Annotated[
        bool, typer.Option("--contract", help="End with the contract, instead of taking everything back.")
    ] = False,
    no_proof: Annotated[bool, typer.Option("--no-proof", help="Leave out the proof of the access matrix.")] = False,
    login: Annotated[
        str | None,
        typer.Option(
            help="Connection string of the API's login, for the proof and the invented writes (its name and password count); else"
            " the manifest's login role, with the password from PGPASSWORD or ~/.pgpass.",
            show_default=False,
        ),
    ] = None,
    max_stall: Annotated[float, typer.Option(help="Seconds for which writers may wait at the turns.", min=0.1)] = 1.0,
    workers: Workers = 2,
    jobs: Annotated[int, typer.Option(help="Connections that dump and restore.", min=1, max=32)] = 2,
    scratch: Annotated[
        Path | None,
        typer.Option(help="A folder with room for the dump.", show_default="the system's for temporary files"),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Folder for rehearsal.md, rehearsal.json and the migration's report.html.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole migration on a copy of the database: there, back, and there again. The original is only read.

    The copy is made beside the original (the login needs CREATEDB), on another server (--copy-dsn) or on the embedded one
    (--embedded); by pg_dump and pg_restore, or by template where nobody is connected. Then: analyze, migrate, invented writes in
    the source, cut over, prove, invented writes in the target, compare, roll back, compare the source with what it was, cut
    over again, take everything back. It says how long each part took, for how long writers waited, what was set aside and
    why, how much disk and WAL it took, and looks for a backup. The copy is dropped in the end, whatever happens.

    Exit code 1: something was found that would stop or spoil the migration.
    """
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    if copy_dsn and embedded:
        raise SettingsError("--copy-dsn and --embedded exclude each other.", hint="Give one of them, or none.")
    wishes = Wishes(
        options=Options(workers=workers),
        copy_dsn=normalise_dsn(copy_dsn) if copy_dsn else None,
        # Where the original itself is on the embedded server, beside it is there as well.
        embedded=settings.folder / DATA_FOLDER if embedded and not settings.embedded else None,
        keep=keep,
        load=load,
        contract=contract,
        prove=not no_proof,
        max_stall=max_stall,
        login_dsn=normalise_dsn(login) if login else None,
        jobs=jobs,
        scratch=scratch,
    )
    with connected(settings, loaded) as (address, connection):
        connection.close()
        with _Parts(err, quiet=as_json) as bars:
            result = run_rehearsal(address, loaded, wishes, bars, prefix=command())
            bars.stage("")
    if report is not None:
        write(result, report)
    if as_json:
        print_json(result.to_json())
    else:
        show(out, result, report)
    if not result.passed:
        raise typer.Exit(1)
