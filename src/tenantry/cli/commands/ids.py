"""tenantry ids: old ids and new ones, as a file, in a file, one by one; and which form is still used."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any
from uuid import UUID

import psycopg
import typer
from rich.markup import escape
from rich.table import Table

from tenantry.cli.console import AsJson, Dsn, ManifestPath, connected, err, out, prepared_project, print_json
from tenantry.cli.progress import Bars
from tenantry.errors import NoRun, SettingsError
from tenantry.ids import lookup as ids
from tenantry.ids.files import Tally, Translate, export_csv, export_parquet, translate_file, written
from tenantry.manifest import load_manifest
from tenantry.plan.operations.id_map import id_map
from tenantry.settings import read_settings

ids_app = typer.Typer(
    no_args_is_help=True,
    help="""
Old ids and new ones: look them up, translate files of them, export the whole map, see which form is still used.

Every row that was carried over has a new id that any program can compute from the old one (docs/reference/ids.md); what was
merged, or born in the target, the database alone knows. Applications that still get old ids from their clients ask
`tenantry.to_id('table', id)`, which takes both forms of the tables that `[ids] both` names, and counts them: **use** shows the
counts, and so when the old form may go.
""",
)


class Format(StrEnum):
    """Of an exported map."""

    CSV = "csv"
    PARQUET = "parquet"


class OnUnknown(StrEnum):
    """What becomes of ids that are not known."""

    ERROR = "error"
    KEEP = "keep"
    EMPTY = "empty"


TargetTable = Annotated[
    str,
    typer.Option("--table", help="The target table; table.source where several sources feed it.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.add_typer(ids_app, name="ids")


@contextmanager
def _database(dsn: str | None, manifest: Path | None) -> Iterator[psycopg.Connection[Any]]:
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.manifest) if settings.manifest is not None else None
    with connected(settings, loaded) as (_, connection):
        yield connection


# -- files -------------------------------------------------------------------------------------------------------------


@ids_app.command()
def export(
    to: Annotated[Path, typer.Option("--out", "-o", help="The file to write; - for stdout.", show_default=False)],
    table: Annotated[str | None, typer.Option(help="This target table only.", show_default=False)] = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="csv, or parquet.", show_default="by the file's name, else csv"),
    ] = None,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Write the id map into a file: source table, target table, old id, new id, state.

    The state is `carried`, `merged` (the new id is that of the row which stands for it), `quarantined` (no new id yet) or `born`
    (in the target). Nothing is held in memory. Parquet needs `pip install 'tenantry[parquet]'`.
    """
    to_stdout = str(to) == "-"
    if to_stdout and as_json:
        raise SettingsError("Both the map and --json want stdout.", hint="Give a file with --out.")
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


@ids_app.command()
def translate(
    file: Annotated[Path, typer.Argument(help="The file to read; - for stdin.", allow_dash=True)],
    table: TargetTable,
    column: Annotated[
        str | None,
        typer.Option(help="The column of a CSV file with a header; without it each line is an id.", show_default=False),
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="New ids into old ones.")] = False,
    derive: Annotated[
        bool, typer.Option("--derive", help="Compute the new ids by the manifest; no database is asked.")
    ] = False,
    unknown: Annotated[
        OnUnknown, typer.Option(help="Ids that are not known: stop, keep them, or leave the cell empty.")
    ] = OnUnknown.ERROR,
    delimiter: Annotated[str, typer.Option(help="What parts the columns of the CSV file.")] = ",",
    to: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write.", show_default="stdout")] = None,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Translate a file of old ids into new ones, or back: a column of a CSV file, or plain lines.

    The rest of the file stays as it is; empty cells stay empty; ids that have the wanted form already stay, and are counted. The
    database is asked once for 50,000 ids. Nothing is held in memory.

    **--derive** needs the manifest alone. It computes the id that each row has if it was carried over; it does not know whether
    there is such a row, nor of rows that were merged.

    Exit code 1: some ids were unknown. Without --unknown that ends the work at the first, and no file is written.
    """
    if as_json and to is None:
        raise SettingsError("Both the ids and --json want stdout.", hint="Give a file with --out.")
    if derive and back:
        raise SettingsError("The way back cannot be computed.", hint="Leave --derive out: the database knows old ids.")
    if len(delimiter) != 1:
        raise typer.BadParameter("must be one character", param_hint="--delimiter")
    with ExitStack() as stack:
        source = _opened(file, stack)
        work = stack.enter_context(_deriving(manifest, table) if derive else _asking(dsn, manifest, table, back))
        bars = stack.enter_context(Bars(err, quiet=as_json))
        target: IO[bytes] = sys.stdout.buffer if to is None else stack.enter_context(written(to))
        size = file.stat().st_size if file.is_file() else 0

        def progress(rows: int) -> None:
            # How many there will be is estimated by how much of the file was read for those that are done.
            read = source.tell() if size else 0
            if read:
                bars.count("translating ids", rows, max(rows, rows * size // read) + (read < size))

        tally = translate_file(
            source, target, work, column=column, delimiter=delimiter, unknown=unknown.value, progress=progress
        )
    _say(tally, table, back, derive, as_json)
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
def _asking(dsn: str | None, manifest: Path | None, table: str, back: bool) -> Iterator[Translate]:
    with _database(dsn, manifest) as connection:
        # A name that is wrong is told before a file is read.
        ids.look_up(connection, table, "")

        def forth(olds: Iterable[str]) -> Iterator[tuple[str, str | None]]:
            return ((old, _text(new)) for old, new in ids.ids_of(connection, table, olds))

        def home(news: Iterable[str]) -> Iterator[tuple[str, str | None]]:
            return ((str(new), old) for new, old in ids.old_ids_of(connection, table, news))

        yield home if back else forth


def _text(new: UUID | None) -> str | None:
    return None if new is None else str(new)


def _say(tally: Tally, table: str, back: bool, derive: bool, as_json: bool) -> None:
    if as_json:
        print_json({"table": table, "back": back, "derived": derive, **tally.to_json()})
        return
    said = f"{tally.rows:,} rows: {tally.translated:,} ids translated"
    for count, words in ((tally.same, "had that form already"), (tally.empty, "empty"), (tally.unknown, "unknown")):
        said += f", {count:,} {words}" if count else ""
    err.print(said + ".")
    if tally.first_unknown:
        err.print(f"Unknown: {escape(', '.join(one[:80] for one in tally.first_unknown))}{' …' * (tally.unknown > 5)}")
    if derive:
        err.print("Computed, not looked up: rows that were merged, or never carried over, have an id of no row.")


# -- one id ------------------------------------------------------------------------------------------------------------


@ids_app.command()
def look(
    one: Annotated[str, typer.Argument(metavar="ID", help="An id in any form: old, new, or that of an account.")],
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Find an id, whatever form it has, in all tables: what it is the old or the new id of, and what the other one is.

    The state `same` means that old and new id are the same: a uuid that was kept, or a row that was born in the target.

    Exit code 1: no row has it.
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
        table = _table("from", "to", "old id", "new id", "state", "account")
        for each in found:
            cells = (each.source_table or "", each.target_table, each.old_id, _text(each.new_id) or "")
            table.add_row(*map(escape, cells), each.state, _text(each.account) or "")
        out.print(table)
    else:
        err.print(f"No row is known by {escape(repr(one))}, neither as an old id nor as a new one.")
    if not found:
        raise typer.Exit(1)


# -- both forms --------------------------------------------------------------------------------------------------------


@ids_app.command()
def use(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Show which form of ids applications still use: how often, first and last, table by table.

    What is counted are calls of `tenantry.to_id()` for the tables that `[ids] both` names: one for each statement and id, and none
    for old ids that are unknown. In read-only transactions nothing can be written: there the server's statistics tell how often
    (since they were reset), and from PostgreSQL 16 on when. A standby counts by itself: ask it as well, with --dsn.
    """
    with _database(dsn, manifest) as connection:
        found = ids.id_uses(connection)
    by_table = {each.table: {form.form: form for form in found if form.table == each.table} for each in found}
    if as_json:
        print_json({"tables": [_use_json(table, forms) for table, forms in by_table.items()]})
        return
    if not found:
        err.print("No table takes both forms: [ids] both of the manifest names those that do.")
        return
    table = _table("table", "form", "uses", "in read-only", "first", "last")
    for each in found:
        table.add_row(
            escape(each.table),
            each.form,
            f"{each.uses:,}",
            f"{each.read_only_uses:,}",
            _when(each.first),
            _when(each.latest),
        )
    out.print(table)
    for name, forms in by_table.items():
        out.print(escape(_sentence(name, forms["old"])))


def _sentence(table: str, old: ids.Use) -> str:
    if not old.accepted:
        return f"{table}: old ids are not accepted any more."
    if not old.used:
        return f"{table}: no old id was used since counting began, {_when(old.since)}."
    if old.latest is None or (old.read_only_uses and old.read_only_last is None):
        return f"{table}: old ids are used in read-only transactions; this server does not say when they were last."
    days = (datetime.now(UTC) - old.latest).days
    if days < 1:
        return f"{table}: old ids are still used."
    return f"{table}: no old id was used for {days:,} days, since {_when(old.latest)}."


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


@ids_app.command()
def apply(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Let the database take the forms of ids that the manifest names now: after `[ids] both` was changed, at any time.

    It makes the functions anew, in one transaction, while applications go on. Counts are kept. A table that is not named any more
    takes new ids only: `tenantry ids use` says whether old ones are still used.
    """
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        if prepared.run is None:
            raise NoRun("There is no run in this database yet.", hint="`tenantry migrate` makes the id map.")
        both = prepared.project.manifest.ids.both
        with connection.transaction():
            for statement in id_map(prepared.project).sql:
                connection.execute(statement)
    if as_json:
        print_json({"both": list(both)})
    elif both:
        err.print(f"Old ids and new ones are accepted for: {', '.join(both)}. For all other tables new ones only.")
    else:
        err.print("New ids only are accepted, for all tables.")


def _when(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in ("uses", "in read-only") else "left")
    return table
