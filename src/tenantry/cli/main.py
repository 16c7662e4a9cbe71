"""The command line: parses, calls, renders. Results go to stdout, progress and messages to stderr."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import psycopg
import typer
from rich.markup import escape

from tenantry import __version__
from tenantry.access import matrix_markdown, roles_sql
from tenantry.analyze import analyze as find
from tenantry.analyze import gather, look_around
from tenantry.catalog import dictionary_markdown, entity_diagram_mermaid
from tenantry.catalog.hidden import need_rows_of
from tenantry.cli.commands import access, ids, lint, live, people, prove, rehearse, seal, status, throttle, users
from tenantry.cli.commands import report as reporting
from tenantry.cli.console import AsJson, Dsn, ManifestPath, Workers, connected, err, out, prepared_project, print_json
from tenantry.cli.demo import Size, find_demo, run_demo
from tenantry.cli.progress import Bars
from tenantry.errors import TenantryError
from tenantry.manifest import load_manifest, load_named
from tenantry.migrate.copy import quarantine as held
from tenantry.migrate.run.engine import Migration, Options, Outcome
from tenantry.migrate.session.backups import backup_lines, look_for_backups
from tenantry.migrate.session.pilot import describe
from tenantry.migrate.session.prepare import Prepared, prepare
from tenantry.migrate.session.reserved_names import all_taken
from tenantry.migrate.session.visibility import need_every_row, source_names
from tenantry.migrate.switch.cutover import readiness
from tenantry.plan import read_environment
from tenantry.postgres import explain
from tenantry.report import Duration, build_report, terminal
from tenantry.report.html import write_plan, write_report
from tenantry.settings import command, read_settings

app = typer.Typer(
    name="tenantry",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="""
Take a PostgreSQL application from one tenant to many: UUIDs, Supabase-style auth, row-level security, and a proof that
no tenant can see another.

`tenantry demo` shows all of it in a minute. With a database of your own the order is **analyze** (what is there),
**plan** (what would be done), **migrate** (carry everything over while the application writes on; it can be stopped and gone
on with), **quarantine** (rows that need a hand), **cutover** (the application writes the new tables from now on), **prove**
(run the access matrix), **rollback** (back, at any time, with nothing lost) or **contract** (final).

The database is `--dsn`, else `TENANTRY_DSN`, else `DATABASE_URL`, else an embedded PostgreSQL that is started as needed.
The manifest is `--manifest`, else `TENANTRY_MANIFEST`, else `tenantry.toml` in this folder.

Exit codes: 0 done, 1 problems were found, 2 wrong usage or configuration, 130 stopped (go on by running it again).
""",
)
quarantine_app = typer.Typer(
    no_args_is_help=True, help="Rows that could not be carried over: look, mend, take up again."
)
app.add_typer(quarantine_app, name="quarantine")


def _version(asked: bool) -> None:
    if asked:
        print(__version__)  # noqa: T201
        raise typer.Exit


@app.callback()
def _main(
    # Eager: it is answered before a command is missed.
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


# -- before ------------------------------------------------------------------------------------------------------------


@app.command()
def analyze(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is merely informative.")] = False,
    sample_rows: Annotated[
        int, typer.Option(help="Tables with more rows than this are sampled, not read whole.", min=1000)
    ] = 5_000_000,
    as_json: AsJson = False,
) -> None:
    """Say what differs between source and target, and what the data holds that cannot be carried over as it is.

    Reads only. Findings have a code, a count, and sample keys; exit code 1 means that there are blockers.
    """
    with prepared_project(dsn, manifest, names=False) as (_, connection, prepared), Bars(err, quiet=as_json) as bars:
        total = len(prepared.project.mappings)
        done = iter(range(total + 1))
        evidence = gather(
            connection,
            prepared.project,
            most_rows=sample_rows,
            progress=lambda _name, _rows: bars.count("probing tables", next(done), total),
        )
        bars.count("probing tables", total, total)
        around = look_around(connection, prepared.project)
        if prepared.run is None:
            around = replace(around, taken=tuple(all_taken(connection, prepared.project)))
        findings = find(prepared.project, evidence, around)
    if as_json:
        print_json(
            {"findings": [finding.to_json() for finding in findings], "evidence": [_evidence(e) for e in evidence]}
        )
    else:
        terminal.findings(out, findings, everything=everything)
    if any(finding.severity == "blocker" for finding in findings):
        raise typer.Exit(1)


def _evidence(evidence: Any) -> dict[str, object]:
    data = asdict(evidence)
    data["changes"] = {":".join(key): tally for key, tally in data["changes"].items()}
    return data


@app.command()
def plan(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    only: Annotated[
        str | None,
        typer.Option(help="Of a trial with some tenants, as `tenantry migrate --only` takes them.", show_default=False),
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print every step's SQL and undo, for review.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the plan as one HTML file.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a migration would do: phases, steps, locks, estimates, risks. Changes nothing."""
    with prepared_project(dsn, manifest, only=only) as (_, connection, prepared):
        need_rows_of(connection, source_names(prepared.project))
        planned = prepared.plan
        if prepared.chosen is not None:
            err.print(escape(describe(connection, prepared.project, prepared.chosen)))
        backups = look_for_backups(connection)
    if html is not None:
        write_plan(planned, html)
        err.print(f"Written: {html}")
    if as_json:
        print_json(planned.to_json())
    elif sql:
        print(terminal.plan_sql(planned))  # noqa: T201 - not for rich: it would wrap the statements
    elif html is None:
        terminal.plan(out, planned)
        for line in backup_lines(backups):
            out.print(escape(line))


@app.command()
def roles(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the script (the default).")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Run it here; needs a superuser, or CREATEROLE.")] = False,
    owner: Annotated[
        str | None, typer.Option(help="The role that owns the tables and migrates.", show_default="who connects")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print, or run, the one script that makes the database roles and prepares this database.

    A DBA runs it once in each database that is migrated: the roles belong to the cluster, but who may make temporary tables is
    said for each database. Of the manifest only `name` and [database_roles] are read; the rest may be unfinished.
    """
    del sql
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_named(settings.need_manifest())
    with connected(settings, loaded) as (_, connection):
        environment = read_environment(connection)
        script = roles_sql(loaded, owner=owner or environment.user, database=environment.database)
        if apply:
            connection.execute(script)
            err.print("The roles are there.")
    if as_json:
        print_json({"script": script, "applied": apply})
    elif not apply:
        print(script)  # noqa: T201


@app.command()
def catalog(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    side: Annotated[str, typer.Option(help="source or target.")] = "target",
    dictionary: Annotated[bool, typer.Option("--dictionary", help="As a data dictionary in Markdown.")] = False,
    diagram: Annotated[bool, typer.Option("--diagram", help="As an entity diagram (Mermaid).")] = False,
    matrix: Annotated[bool, typer.Option("--matrix", help="The access matrix in Markdown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a schema as Tenantry reads it: JSON (the default), data dictionary, entity diagram, or its access matrix."""
    if side not in ("source", "target"):
        raise typer.BadParameter("source or target", param_hint="--side")
    del as_json
    with prepared_project(dsn, manifest) as (_, _connection, prepared):
        read = prepared.project.target if side == "target" else prepared.project.source
        if dictionary:
            print(dictionary_markdown(read, title=f"Data dictionary of schema {read.schema}"))  # noqa: T201
        elif diagram:
            print(entity_diagram_mermaid(read))  # noqa: T201
        elif matrix:
            print(matrix_markdown(prepared.project))  # noqa: T201
        else:
            print_json(read.to_json())


# -- the run -----------------------------------------------------------------------------------------------------------


@app.command()
def migrate(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Take some tenants first, as a trial: a condition over their source table, as \"clinics.id in ('c1', 'c2')\".",
            show_default=False,
        ),
    ] = None,
    rest: Annotated[
        bool, typer.Option("--rest", help="Go on from a trial that is ready with all other tenants.")
    ] = False,
    prove_: Annotated[
        bool, typer.Option("--prove", help="When ready, prove the target in place, as `tenantry prove` does.")
    ] = False,
    workers: Workers = 2,
    chunk_rows: Annotated[int, typer.Option(help="Source rows of the smallest key range.", min=1)] = 10_000,
    lock_patience: Annotated[
        float, typer.Option(help="Seconds for which a table's lock is tried for, to set triggers.")
    ] = 60,
    follow_: Annotated[
        bool,
        typer.Option("--follow", help="When ready, keep the target in step until stopped, as `tenantry replay` does."),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Folder for report.html and report.json.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the plan up to the cut-over: expand, capture, copy, replay, verify, secure. The application reads and writes on.

    It can be stopped or killed at any moment: run it again and it goes on from its journal. In the end it says whether
    everything is ready; `tenantry cutover` is the next step, and `tenantry rollback --everything` undoes it all.

    With **--only** some tenants are carried over as a trial, with the people whom their rows name and all rows that tenants share:
    compared, secured and kept in step like everything else, but never cut over. Which they are is fixed when the run begins; run
    it again without --only and it goes on with the trial. **--rest** then goes on with all others in the same run, and
    `tenantry rollback --everything` takes the trial back.
    """
    if only is not None and rest:
        raise typer.BadParameter(
            "--only begins a trial, --rest ends it: give the one or the other", param_hint="--rest"
        )
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    options = Options(workers=workers, chunk_rows=chunk_rows, lock_patience=lock_patience)
    with connected(settings, loaded) as (address, connection):
        with Bars(err, quiet=as_json) as bars:
            for line in backup_lines(look_for_backups(connection)):
                bars.notice(line)
            outcome = Migration(address, loaded, options, bars, only=only, rest=rest).run()
        prepared = prepare(connection, loaded)
        content = _report(connection, prepared, outcome)
        state = readiness(connection, prepared)
    content["readiness"] = asdict(state)
    if report is not None:
        write_report(content, report)
    if as_json:
        print_json(content)
    else:
        terminal.accounts(out, outcome)
        terminal.report_summary(out, content, str(report) if report is not None else None)
        terminal.readiness(out, state)
    if prove_:
        prove.prove(dsn=dsn, manifest=manifest, as_json=as_json)
    if follow_:
        live.replay(dsn=dsn, manifest=manifest, as_json=as_json)
    if not state.ready and not state.trial:
        raise typer.Exit(1)


def _report(connection: psycopg.Connection[Any], prepared: Prepared, outcome: Outcome) -> dict[str, Any]:
    return build_report(
        connection,
        prepared.project,
        plan=prepared.plan,
        findings=(),
        outcome=outcome,
        proof=None,
        durations=[Duration(timing.phase, round(timing.seconds, 2)) for timing in outcome.timings],
        command_prefix=command(),
    )


# -- after -------------------------------------------------------------------------------------------------------------


@quarantine_app.command("list")
def quarantine_list(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    table: Annotated[str | None, typer.Option(help="A source or target table.", show_default=False)] = None,
    reason: Annotated[str | None, typer.Option(help="A reason code, as value_invalid.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="Rows to print; 0 for all.", min=0)] = 50,
    as_json: AsJson = False,
) -> None:
    """List rows in quarantine: number, table, key, and why."""
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        total = len(held.entries(connection, prepared.project, table=table, reason=reason))
        found = held.entries(connection, prepared.project, table=table, reason=reason, limit=limit or None)
    if as_json:
        print_json({"total": total, "entries": [entry.to_json() for entry in found]})
    else:
        terminal.quarantine_list(out, found, total)


@quarantine_app.command("show")
def quarantine_show(
    number: Annotated[int, typer.Argument(help="Its number in the list.")],
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Show one row: the whole original (secrets masked), what is wrong, and what would mend it."""
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        (entry,) = held.entries(connection, prepared.project, ids=[number])
    if as_json:
        print_json(entry.to_json())
    else:
        terminal.quarantine_entry(out, entry)


@quarantine_app.command("retry")
def quarantine_retry(
    numbers: Annotated[list[int] | None, typer.Argument(help="Numbers in the list; none: all of them.")] = None,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="column=value: a new value for a source column of the one row named.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take rows up again that can be carried over now: mended in the source, by --set, or because their parent was.

    Rows that hang on them come along. What still cannot be carried over stays in quarantine, with its newest reason.
    """
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        held.check_ready(prepared.run)
        need_every_row(connection, prepared.project)
        if values:
            if not numbers or len(numbers) != 1:
                raise typer.BadParameter("--set goes with the number of one row")
            if any("=" not in pair for pair in values):
                raise typer.BadParameter("write it as column=value", param_hint="--set")
            pairs = {name: value for name, _, value in (pair.partition("=") for pair in values)}
            (entry,) = held.entries(connection, prepared.project, ids=numbers)
            held.mend(connection, prepared.project, entry, pairs)
        if numbers:
            held.entries(connection, prepared.project, ids=numbers)
        done = held.retry(connection, prepared.project, numbers or None)
    if as_json:
        print_json(asdict(done))
    else:
        out.print(
            f"{done.tried:,} tried: {done.readmitted:,} carried over, {done.merged:,} merged, {done.still:,} still in quarantine."
        )
    if done.still:
        raise typer.Exit(1)


@app.command()
def demo(
    name: Annotated[str | None, typer.Argument(help="Which application; there is Clinic.", show_default=False)] = None,
    dsn: Dsn = None,
    values: Annotated[int, typer.Option(help="Metric values of the sample.", min=500)] = 200_000,
    clinics: Annotated[int, typer.Option(help="Clinics of the sample.", min=2)] = 12,
    seed: Annotated[int, typer.Option(help="The same seed makes the same data.")] = 7,
    folder: Annotated[Path, typer.Option("--out", help="Folder for report.html and report.json.")] = Path("demo"),
    workers: Workers = 2,
    as_json: AsJson = False,
) -> None:
    """Show everything at once: make an old database with typical defects, analyse, plan, migrate, verify, prove, report.

    On the embedded server the demo's database is made anew each time; afterwards `tenantry status`, `quarantine` and `prove`
    work on it.
    """
    settings = read_settings(dsn=dsn)
    shown = find_demo(name)
    with Bars(err, quiet=as_json) as bars:
        report = run_demo(
            settings, shown, Size(clinics, values, seed), out=folder, options=Options(workers=workers), bars=bars
        )
    if as_json:
        print_json({**report, "folder": str(folder)})
    else:
        terminal.report_summary(out, report, str(folder))
    if not (
        report["proof"]["passed"]
        and report["evidence"]["passed"]
        and all(check["passed"] for check in report["verifications"])
    ):
        raise typer.Exit(1)


access.register(app)
ids.register(app)
lint.register(app)
live.register(app)
prove.register(app)
status.register(app)
reporting.register(app)
throttle.register(app)
rehearse.register(app)
seal.register(app)
users.register(app)
people.register(users.users_app)


# Every usage error of the library; it gives only the leaves of the hierarchy a public name.
_WrongUsage: Any = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(error: TenantryError) -> NoReturn:
    if "--json" in sys.argv:
        print_json({"error": error.to_json()})
    err.print(f"[bold red]{error.code}[/] {escape(error.message)}")
    if error.hint:
        err.print(f"[cyan]What to do:[/] {escape(error.hint)}")
    sys.exit(error.exit_code)


def _unforeseen(error: Exception) -> TenantryError:
    """A defect of ours: the details go into a file that nobody else can read."""
    said = " ".join(str(error).split())[:300]
    number, path = tempfile.mkstemp(prefix="tenantry-error-", suffix=".txt")
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(f"tenantry {__version__}: {' '.join(sys.argv[1:2])}\n\n")
        file.write("".join(traceback.format_exception(error)))
    return TenantryError(
        f"Tenantry met something that it was not made for ({type(error).__name__}{f': {said}' if said else ''}), and stopped."
        " What was finished is in the journal; what was under way is undone.",
        hint=f"Look with `tenantry status`, and run the same command again. If it stops here again, this is a defect: please report it"
        f" with {path}, which holds the details (and perhaps values of your data: look first).",
        detail={"details": path},
    )


def main() -> None:
    """The entry point: errors become messages and exit codes, never a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except TenantryError as error:
        _fail(error)
    except psycopg.Error as error:
        _fail(explain(error, f"running tenantry {' '.join(sys.argv[1:2])}"))
    except KeyboardInterrupt:
        err.print("Stopped. Nothing is half done; run the same command again to go on.")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except typer.Abort:
        sys.exit(130)
    except _WrongUsage as error:
        # Wrong usage: the library words it, with the command's usage line.
        error.show()
        sys.exit(2)
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody shall be left with a traceback
        _fail(_unforeseen(error))


if __name__ == "__main__":
    main()
