"""The entry point: runs a command, and turns errors into messages and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from types import FrameType
from typing import Annotated, Any, NoReturn

import psycopg
import typer

from tenantry import __version__
from tenantry.cli import commands
from tenantry.cli.console import err, print_json, print_text
from tenantry.cli.folder import group_of
from tenantry.errors import TenantryError
from tenantry.postgres import explain
from tenantry.report.foreign_text import escape

app = typer.Typer(
    name="tenantry",
    cls=group_of(commands),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="""
Migrate a live single-tenant PostgreSQL application to multi-tenant: UUIDs, Supabase-style auth, row-level security, and a proof
that no tenant can see another.

`tenantry demo` shows all of it in a minute. With your own database, run these commands in order: **analyze** (find what differs,
and data that needs a decision), **plan** (review every step), **migrate** (copy everything while the application keeps writing;
resumable), **quarantine** (fix the rows that could not be migrated), **cutover** (the application writes the new tables), **prove**
(execute the access matrix), then **rollback** (go back without losing a write) or **contract** (complete the migration).

The database is `--dsn`, or `TENANTRY_DSN`, or `DATABASE_URL`, or an embedded PostgreSQL that is started on demand. The manifest is
`--manifest`, or `TENANTRY_MANIFEST`, or `tenantry.toml` in this folder.

**Exit codes**: 0 done; 1 problems were found; 2 wrong usage or configuration; 130 interrupted (rerun to resume).
""",
)


def _version(asked: bool) -> None:
    if asked:
        print_text(__version__)
        raise typer.Exit


@app.callback()
def _main(
    # Eager: it is handled before a missing command is reported.
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


# The base of the library's usage errors, which gives public names only to the leaves of the hierarchy.
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
    """A defect of Tenantry itself: the details go to a file that only this user can read."""
    said = " ".join(str(error).split())[:300]
    number, path = tempfile.mkstemp(prefix="tenantry-error-", suffix=".txt")
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(f"tenantry {__version__}: {' '.join(sys.argv[1:2])}\n\n")
        file.write("".join(traceback.format_exception(error)))
    return TenantryError(
        f"Tenantry stopped because of an unexpected error ({type(error).__name__}{f': {said}' if said else ''})."
        " Completed steps are recorded in the journal; the step in progress was rolled back.",
        hint=f"Check `tenantry status` and rerun the command. If it fails here again, this is a defect: please report it with {path},"
        " which holds the details (and perhaps values of your data: read it first).",
        detail={"details": path},
    )


def main() -> None:
    """Run the command line; no error leaves a traceback."""
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
        err.print("Interrupted. No step is half-applied; rerun the same command to resume.")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except typer.Abort:
        sys.exit(130)
    except _WrongUsage as error:
        # Wrong usage: the library formats it, with the command's usage line.
        error.show()
        sys.exit(2)
    except Exception as error:  # noqa: BLE001 - whatever it is, no user is left with a traceback
        _fail(_unforeseen(error))


if __name__ == "__main__":
    main()
