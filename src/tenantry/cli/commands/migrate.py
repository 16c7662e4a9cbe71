"""tenantry migrate: the run up to the cut-over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import connected
from tenantry.cli.following import keep_synchronized
from tenantry.cli.missing import MissingRows
from tenantry.cli.options import AsJson, Dsn, ManifestPath, Workers
from tenantry.cli.progress import Bars
from tenantry.cli.stopping import stoppable
from tenantry.manifest import Manifest, load_manifest
from tenantry.migrate.run.engine import Migration, Options, Outcome
from tenantry.migrate.session.backups import backup_lines, look_for_backups
from tenantry.migrate.session.prepare import Prepared, prepare
from tenantry.migrate.switch.cutover import readiness
from tenantry.prove.evidence import ProofEvidence, ProofOptions, gather_target
from tenantry.prove.lint.run import find_exceptions
from tenantry.report.collect import Duration, RunResults, build_report
from tenantry.report.html import write_report
from tenantry.report.terminal import prove as proof_view
from tenantry.report.terminal.migrate import accounts, readiness_lines
from tenantry.report.terminal.report import report_summary
from tenantry.report.terminal.switch import followed
from tenantry.review.signature import Signed, check_signature, read_signature, signature_file
from tenantry.settings import command as program
from tenantry.settings import read_settings


@command(
    "tenantry migrate",
    "tenantry migrate --only \"clinics.id in ('c1', 'c2')\"",
    section=HelpSection.RUN,
    exit_1="the run is not ready for the cut-over, or the proof failed",
)
def migrate(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Migrate a pilot subset of tenants first: a condition on their source table, such as \"clinics.id in ('c1', 'c2')\".",
            show_default=False,
        ),
    ] = None,
    rest: Annotated[bool, typer.Option("--rest", help="Extend a pilot that is ready to all other tenants.")] = False,
    prove: Annotated[
        bool, typer.Option("--prove", help="When ready, prove the target in place, like `tenantry prove`.")
    ] = False,
    workers: Workers = 2,
    chunk_rows: Annotated[int, typer.Option(help="Source rows of the smallest key range.", min=1)] = 10_000,
    retry_locks_for: Annotated[
        float, typer.Option(help="Seconds for which a table lock is retried while triggers are created.")
    ] = 60,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="When ready, keep the target synchronized until stopped, like `tenantry replay`."
        ),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Folder for report.html and report.json.", show_default=False)
    ] = None,
    signed: Annotated[
        bool, typer.Option("--signed", help="Refuse to begin unless the plan was signed with `tenantry plan sign`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the plan up to the cut-over: expand, capture, copy, replay, verify, secure. The application keeps reading and writing.

    It can be stopped or killed at any moment: rerun it, and it resumes from its journal. At the end it reports whether the run is
    ready; the next step is `tenantry cutover`. `tenantry rollback --everything` undoes it all.

    **--only** migrates some tenants as a pilot, with the people that their rows reference and all rows that tenants share. A pilot
    is compared, secured and kept synchronized like any run, but it is never cut over. Its tenants are fixed when the run begins:
    rerun without --only to resume it. **--rest** then adds all other tenants in the same run; `tenantry rollback --everything`
    undoes the pilot.

    If the plan was signed (`tenantry plan sign`), a new run begins only if manifest and source are still the signed ones. With
    **--signed**, or `[plan] signed = true` in the manifest, it needs a signed plan.
    """
    if only is not None and rest:
        raise typer.BadParameter("--only begins a pilot, --rest extends it: give one of them", param_hint="--rest")
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    options = Options(workers=workers, chunk_rows=chunk_rows, lock_patience=retry_locks_for)
    with connected(settings, loaded) as (address, connection):
        with Bars(err, quiet=as_json) as bars:
            for line in backup_lines(look_for_backups(connection)):
                bars.notice(line)
            outcome = Migration(
                address, loaded, options, bars, only=only, rest=rest, approve=_approval(loaded, only, required=signed)
            ).run()
        prepared = prepare(connection, loaded)
        content = _report(connection, prepared, outcome)
        state = readiness(connection, prepared)
        content["readiness"] = asdict(state)
        if report is not None:
            write_report(content, report)
        if not as_json:
            accounts(out, outcome)
            report_summary(out, content, str(report) if report is not None else None)
            readiness_lines(out, state)
        connection.close()
        proved = _prove(address, loaded, content, as_json=as_json) if prove else None
        holds = proved is None or proved.passed
        missing = _follow(address, loaded, content, as_json=as_json) if follow and holds else None
    if as_json:
        print_json(content)
    if missing is not None:
        missing.end()
    if not holds or not (state.ready or state.trial):
        raise typer.Exit(1)


def _approval(manifest: Manifest, only: str | None, *, required: bool) -> Callable[[Prepared], None]:
    """Return the check of the signed plan, which a new run makes before it begins."""
    file = signature_file(manifest.path)

    def check(prepared: Prepared) -> None:
        now = Signed(prepared.plan.digest(), prepared.plan.manifest_digest, prepared.project.source, only)
        check_signature(read_signature(file), now, required=required or manifest.plan.signed, file=file)

    return check


def _report(connection: psycopg.Connection[Any], prepared: Prepared, outcome: Outcome) -> dict[str, Any]:
    return build_report(
        connection,
        prepared.project,
        plan=prepared.plan,
        results=RunResults(
            outcome=outcome,
            durations=[Duration(timing.phase, round(timing.seconds, 2)) for timing in outcome.timings],
        ),
        command_prefix=program(),
    )


def _prove(address: str, manifest: Manifest, content: dict[str, Any], *, as_json: bool) -> ProofEvidence:
    with Bars(err, quiet=as_json) as bars:
        found, _ = gather_target(
            manifest,
            owner_dsn=address,
            options=ProofOptions(exceptions=find_exceptions(manifest.folder), progress=bars.count, notice=bars.notice),
        )
    content["proved"] = found.to_json()
    if not as_json:
        proof_view.evidence(out, found)
    return found


def _follow(address: str, manifest: Manifest, content: dict[str, Any], *, as_json: bool) -> MissingRows:
    with Bars(err, quiet=as_json) as bars, stoppable() as stopped:
        done = keep_synchronized(address, manifest, bars, stopped)
    missing = MissingRows(address)
    content["followed"] = {**asdict(done), **missing.to_json()}
    if not as_json:
        followed(out, done)
    return missing
