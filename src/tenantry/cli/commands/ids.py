"""tenantry ids: old and new ids, as a file, in a file, one by one; and which form is still used."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any
from uuid import UUID

import psycopg
import typer

from tenantry.cli.command import Group, HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import any_database, need_run, prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.cli.progress import Bars
from tenantry.errors import SettingsError
from tenantry.ids import lookup as ids
from tenantry.ids.files import Translate, export_csv, export_parquet, translate_file, written
from tenantry.manifest import load_manifest
from tenantry.migrate.apply_ids import apply_id_forms
from tenantry.report.foreign_text import escape
from tenantry.report.terminal import ids as view
from tenantry.settings import read_settings

GROUP = Group(
    HelpSection.IDENTITY,
    "tenantry ids find cla6wu2oc68muf4tfnss4x2oy",
    help="""
Look up old and new ids, translate files of ids, export the whole id map, and see which form applications still use.

Any program can compute the new id of a migrated row from its old id (docs/reference/ids.md); for merged and target-native rows
only the database knows it. Applications that still receive old ids from their clients call `tenantry.to_id('table', id)`, which
accepts both forms for the tables listed in `[ids] both`, and counts them: **usage** shows the counts, and so when old ids can be
turned off.
""",
)


class Format(StrEnum):
    """The format of an exported map."""

    CSV = "csv"
    PARQUET = "parquet"


class OnUnknown(StrEnum):
    """How to handle unknown ids."""

    ERROR = "error"
    KEEP = "keep"
    EMPTY = "empty"


TargetTable = Annotated[
    str,
    typer.Option("--table", help="The target table; table.source if it has several source tables.", show_default=False),
]


@contextmanager
def _database(dsn: str | None, manifest: Path | None) -> Iterator[psycopg.Connection[Any]]:
    with any_database(dsn, manifest) as (_, connection, _loaded):
        yield connection


# -- files -------------------------------------------------------------------------------------------------------------


@command("tenantry ids export --out ids.csv", "tenantry ids export --table patients --out patients.parquet")
def export(
    to: Annotated[Path, typer.Option("--out", "-o", help="The file to write; - writes to stdout.", show_default=False)],
    table: Annotated[str | None, typer.Option(help="Only this target table.", show_default=False)] = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="csv, or parquet.", show_default="by the file's name, otherwise csv"),
    ] = None,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Write the id map to a file: source table, target table, old id, new id, state.

    The state is `carried` (migrated), `merged` (the new id is that of the surviving row), `quarantined` (no new id yet) or `born`
    (target-native). The map is streamed, whatever its size. Parquet needs `pip install 'tenantry[parquet]'`.
    """
    to_stdout = str(to) == "-"
    if to_stdout and as_json:
        raise SettingsError("The map and --json cannot both go to stdout.", hint="Name a file with --out.")
    kind = format_ or (Format.PARQUET if to.suffix == ".parquet" else Format.CSV)
    with ExitStack() as stack:
        connection = stack.enter_context(_database(dsn, manifest))
        known = ids.id_tables(connection)
        if table is not None and table not in {each.target for each in known}:
            raise ids.NoSuchTable(
                f"There is no id map of a table {table!r}.",
                hint=f"There are: {', '.join(sorted({each.target for each in known}))}.",
            )
        bars = stack.enter_context(Bars(err, quiet=as_json))
        file: IO[bytes] = sys.stdout.buffer if to_stdout else stack.enter_context(written(to))
        write = export_parquet if kind is Format.PARQUET else export_csv
        rows = write(connection, file, table, lambda done: bars.line(f"exporting ids: {done:,}"))
    if as_json:
        print_json({"file": str(to), "format": str(kind), "table": table, "rows": rows})
    else:
        err.print(f"{rows:,} ids written" + ("." if to_stdout else f": {escape(str(to))}"))


@command(
    "tenantry ids translate old.csv --table patients --column patient_id --out new.csv",
    exit_1="some ids are unknown; without --on-unknown nothing is written then",
)
def translate(
    file: Annotated[Path, typer.Argument(help="The file to read; - reads stdin.", allow_dash=True)],
    table: TargetTable,
    column: Annotated[
        str | None,
        typer.Option(
            help="The column of a CSV file with a header. Without it, each line is an id.", show_default=False
        ),
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Translate new ids into old ones.")] = False,
    derive: Annotated[
        bool, typer.Option("--derive", help="Compute the new ids from the manifest, without a database.")
    ] = False,
    on_unknown: Annotated[
        OnUnknown, typer.Option(help="For unknown ids: stop, keep them, or leave the cell empty.")
    ] = OnUnknown.ERROR,
    delimiter: Annotated[str, typer.Option(help="Delimiter of the CSV file.")] = ",",
    to: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write.", show_default="stdout")] = None,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Translate a file of old ids into new ones, or back: a column of a CSV file, or one id per line.

    The rest of the file stays unchanged, and so do empty cells. Ids that already have the requested form are kept and counted. One
    query looks up 50,000 ids, and the file is streamed, whatever its size.

    **--derive** needs only the manifest. It computes the new id that a migrated row has; it does not know whether the row exists, or
    was merged.
    """
    if as_json and to is None:
        raise SettingsError("The ids and --json cannot both go to stdout.", hint="Name a file with --out.")
    if derive and reverse:
        raise SettingsError("Old ids cannot be computed.", hint="Leave out --derive: the database knows them.")
    if len(delimiter) != 1:
        raise typer.BadParameter("must be one character", param_hint="--delimiter")
    with ExitStack() as stack:
        source = _opened(file, stack)
        work = stack.enter_context(_deriving(manifest, table) if derive else _asking(dsn, manifest, table, reverse))
        bars = stack.enter_context(Bars(err, quiet=as_json))
        target: IO[bytes] = sys.stdout.buffer if to is None else stack.enter_context(written(to))
        size = file.stat().st_size if file.is_file() else 0

        def progress(rows: int) -> None:
            # The total is estimated from the share of the file that was read.
            read = source.tell() if size else 0
            if read:
                bars.count("translating ids", rows, max(rows, rows * size // read) + (read < size))

        tally = translate_file(
            source, target, work, column=column, delimiter=delimiter, unknown=on_unknown.value, progress=progress
        )
    if as_json:
        print_json({"table": table, "back": reverse, "derived": derive, **tally.to_json()})
    else:
        view.translated(err, tally, derived=derive)
    if tally.unknown:
        raise typer.Exit(1)


def _opened(file: Path, stack: ExitStack) -> IO[bytes]:
    if str(file) == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(file.open("rb"))
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.", hint="Name another file.") from None


@contextmanager
def _deriving(manifest: Path | None, table: str) -> Iterator[Translate]:
    loaded = load_manifest(read_settings(manifest=manifest).need_manifest())
    source = ids.source_of(loaded, table)
    yield lambda olds: ((old, str(ids.id_of(loaded, source, old))) for old in olds)


@contextmanager
def _asking(dsn: str | None, manifest: Path | None, table: str, reverse: bool) -> Iterator[Translate]:
    with _database(dsn, manifest) as connection:
        # A wrong name is reported before a file is read.
        ids.look_up(connection, table, "")

        def forth(olds: Iterable[str]) -> Iterator[tuple[str, str | None]]:
            return ((old, _text(new)) for old, new in ids.ids_of(connection, table, olds))

        def home(news: Iterable[str]) -> Iterator[tuple[str, str | None]]:
            return ((str(new), old) for new, old in ids.old_ids_of(connection, table, news))

        yield home if reverse else forth


def _text(new: UUID | None) -> str | None:
    return None if new is None else str(new)


# -- one id ------------------------------------------------------------------------------------------------------------


@command("tenantry ids find cla6wu2oc68muf4tfnss4x2oy", formerly="look", exit_1="no row has this id")
def find(
    one: Annotated[str, typer.Argument(metavar="ID", help="An id in any form: old, new, or that of an account.")],
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Find an id in any form, in all tables: the rows whose old or new id it is, with both ids.

    The state `same` means that old and new id are equal: a kept uuid, or a target-native row.
    """
    with _database(dsn, manifest) as connection:
        found = ids.look(connection, one)
    if as_json:
        print_json(
            {
                "id": one,
                "found": [
                    {
                        "source_table": each.source_table,
                        "target_table": each.target_table,
                        "old_id": each.old_id,
                        "new_id": _text(each.new_id),
                        "state": each.state,
                        "account": _text(each.account),
                    }
                    for each in found
                ],
            }
        )
    elif found:
        view.found(out, found)
    else:
        err.print(f"No row has {escape(repr(one))} as its old or its new id.")
    if not found:
        raise typer.Exit(1)


# -- both forms --------------------------------------------------------------------------------------------------------


@command("tenantry ids usage", formerly="use")
def usage(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Show which form of ids applications still use: how often, and when first and last, table by table.

    It counts calls of `tenantry.to_id()` for the tables listed in `[ids] both`: once per statement and id; unknown old ids are not
    counted. Read-only transactions cannot write a counter: for these the server's statistics tell how often (since they were reset),
    and from PostgreSQL 16 on when. A standby counts on its own: query it too, with --dsn.
    """
    with _database(dsn, manifest) as connection:
        found = ids.id_uses(connection)
    by_table = {each.table: {form.form: form for form in found if form.table == each.table} for each in found}
    if as_json:
        print_json({"tables": [_use_json(table, forms) for table, forms in by_table.items()]})
    elif not found:
        err.print(
            r"No table accepts both forms: list tables in \[ids] both of the manifest, then run `tenantry ids apply`."
        )
    else:
        view.uses(out, by_table)


def _use_json(table: str, forms: dict[str, ids.Use]) -> dict[str, object]:
    old = forms["old"]
    sure = not (old.read_only_uses and old.read_only_last is None)
    return {
        "table": table,
        "accepts_old": old.accepted,
        "counted_since": old.since,
        "old_unused_since": (old.latest or old.since) if sure else None,
        **{
            form: {
                "uses": each.uses,
                "first": each.first,
                "last": each.last,
                "read_only_uses": each.read_only_uses,
                "read_only_last": each.read_only_last,
            }
            for form, each in forms.items()
        },
    }


@command("tenantry ids apply")
def apply(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Make the database accept the forms of ids that the manifest lists now. Run it after changing `[ids] both`, at any time.

    It replaces the lookup functions in one transaction, while applications keep running; counts are kept. A table that is no longer
    listed accepts new ids only: check first with `tenantry ids usage` whether old ids are still used.
    """
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        need_run(prepared, "`tenantry migrate` creates the id map.")
        both = apply_id_forms(connection, prepared.project)
    if as_json:
        print_json({"both": list(both)})
    elif both:
        err.print(f"Old and new ids are accepted for: {', '.join(both)}. All other tables accept new ids only.")
    else:
        err.print("All tables accept new ids only.")
