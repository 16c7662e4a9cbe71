"""tenantry rehearse: the whole migration on a copy of the database."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import run_address
from tenantry.cli.options import (
    AsJson,
    CopyDsn,
    Dsn,
    Embedded,
    ManifestPath,
    MaxWritePause,
    Workers,
    embedded_folder,
    one_copy,
)
from tenantry.cli.progress import Bars
from tenantry.migrate.run.engine import Options
from tenantry.postgres import normalise_dsn
from tenantry.rehearse.model import Wishes
from tenantry.rehearse.report import show, write
from tenantry.rehearse.run import rehearse as run_rehearsal
from tenantry.settings import command as program
from tenantry.settings import read_settings


class _Stages(Bars):
    """Bars, with a line for each stage of a rehearsal when it is done."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        super().__init__(console, quiet=quiet)
        self._stage: tuple[str, float] | None = None

    def stage(self, name: str) -> None:
        with self._guard:
            self._end_phase()
            if self._stage is not None:
                before, begun = self._stage
                self._say(f"[bold green]✓[/] [bold]{before:<22}[/] [dim]{time.monotonic() - begun:6.1f} s[/]")
            self._stage = (name, time.monotonic())
        self.line(name)


@command(
    "tenantry rehearse",
    "tenantry rehearse --load 60 --report rehearsal",
    section=HelpSection.BEFORE,
    exit_1="something was found that would stop or spoil the migration",
)
def rehearse(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    copy_dsn: CopyDsn = None,
    embedded: Embedded = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the copy instead of dropping it at the end.")] = False,
    load: Annotated[
        float,
        typer.Option(
            help="Seconds of continuous synthetic writes on each side; 0: a few writes in each direction.", min=0.0
        ),
    ] = 0.0,
    contract: Annotated[
        bool, typer.Option("--contract", help="End with `contract` instead of undoing everything.")
    ] = False,
    no_proof: Annotated[bool, typer.Option("--no-proof", help="Skip the proof of the access matrix.")] = False,
    login: Annotated[
        str | None,
        typer.Option(
            help="Connection string of the API's login, for the proof and the synthetic writes (only its name and password are used)."
            " Default: the manifest's login role, with the password from PGPASSWORD or ~/.pgpass.",
            show_default=False,
        ),
    ] = None,
    max_write_pause: MaxWritePause = 1.0,
    workers: Workers = 2,
    jobs: Annotated[int, typer.Option(help="Parallel connections of pg_dump and pg_restore.", min=1, max=32)] = 2,
    scratch: Annotated[
        Path | None,
        typer.Option(help="Folder with room for the dump.", show_default="the system's folder for temporary files"),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Folder for rehearsal.md, rehearsal.json and the migration's report.html.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole migration on a copy of the database: over, back, and over again. The original is only read.

    The copy is made on the same server (the login needs CREATEDB), in another database (--copy-dsn) or on the embedded server
    (--embedded); by pg_dump and pg_restore, or from a template if no other session is connected. Then the rehearsal runs: analyze,
    migrate, synthetic writes in the source, cutover, prove, synthetic writes in the target, verify, rollback, comparison of the
    source with its earlier state, cutover again, rollback of everything.

    It reports the time of each stage, the write pauses, the rows that were set aside and why, the disk space and WAL used, and
    whether a backup was found. The copy is dropped at the end, whatever happens.
    """
    one_copy(copy_dsn, embedded)
    settings = read_settings(dsn=dsn, manifest=manifest)
    wishes = Wishes(
        options=Options(workers=workers),
        copy_dsn=normalise_dsn(copy_dsn) if copy_dsn else None,
        embedded=embedded_folder(settings, embedded),
        keep=keep,
        load=load,
        contract=contract,
        prove=not no_proof,
        max_stall=max_write_pause,
        login_dsn=normalise_dsn(login) if login else None,
        jobs=jobs,
        scratch=scratch,
    )
    with run_address(dsn, manifest) as (address, loaded), _Stages(err, quiet=as_json) as bars:
        result = run_rehearsal(address, loaded, wishes, bars, prefix=program())
        bars.stage("")
    if report is not None:
        write(result, report)
    if as_json:
        print_json(result.to_json())
    else:
        show(out, result, report)
    if not result.passed:
        raise typer.Exit(1)
