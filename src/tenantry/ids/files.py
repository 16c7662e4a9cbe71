"""The id map as a file, and translation of files of ids: streamed, with at most one batch in memory."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Literal, TextIO

import psycopg
from psycopg import sql

from tenantry.errors import SettingsError
from tenantry.ids.lookup import BATCH, IdUnknown

Connection = psycopg.Connection[Any]
Progress = Callable[[int], None]
"""Called with the number of rows processed so far."""

COLUMNS = ("source_table", "target_table", "old_id", "new_id", "state")
_ROWS_OF_A_GROUP = 100_000


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that appears under its name only when it is complete.

    Raises:
        SettingsError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.", hint="Give another file.") from error
    finally:
        part.unlink(missing_ok=True)


# -- the map -----------------------------------------------------------------------------------------------------------


def export_csv(connection: Connection, file: IO[bytes], table: str | None, progress: Progress) -> int:
    """Write the id map as CSV with a header (UTF-8; an empty cell if there is no new id), as the server sends it; return the
    rows."""
    rows = -1
    with connection.cursor() as cursor:
        with cursor.copy(_map(table, " with (format csv, header)")) as copy:
            for block in copy:
                file.write(block)
                rows += bytes(block).count(b"\n")
                progress(rows)
        return cursor.rowcount


def export_parquet(connection: Connection, file: IO[bytes], table: str | None, progress: Progress) -> int:
    """Write the id map as Parquet, all columns texts; return the rows.

    Raises:
        SettingsError: pyarrow is not installed.
    """
    arrow, parquet = _arrow()
    word = arrow.dictionary(arrow.int32(), arrow.string())
    types = (word, word, arrow.string(), arrow.string(), word)
    schema = arrow.schema(list(zip(COLUMNS, types, strict=True)))
    rows = 0
    with (
        connection.cursor() as cursor,
        cursor.copy(_map(table, "")) as copy,
        parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for group in _groups(copy.rows(), _ROWS_OF_A_GROUP):
            columns = [arrow.array(column, kind) for column, kind in zip(zip(*group, strict=True), types, strict=True)]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
            rows += len(group)
            progress(rows)
    return rows


def _map(table: str | None, how: str) -> sql.Composed:
    where = sql.SQL("") if table is None else sql.SQL(" where target_table = {}").format(sql.Literal(table))
    return sql.SQL("copy (select {} from tenantry.id_map{}) to stdout{}").format(
        sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
        where,
        sql.SQL(how),
    )


def _groups(rows: Iterable[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    group: list[tuple[Any, ...]] = []
    for row in rows:
        group.append(row)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _arrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow  # noqa: PLC0415 - large, and wanted for this alone
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise SettingsError(
            "Parquet needs pyarrow, which is not installed.",
            hint="Run: pip install 'tenantry[parquet]', or export CSV (--format csv).",
        ) from None
    return pyarrow, pyarrow.parquet


# -- files of ids ------------------------------------------------------------------------------------------------------

Unknown = Literal["error", "keep", "empty"]
Translate = Callable[[Iterable[str]], Iterator[tuple[str, str | None]]]
"""Yield (id, its translation or None), in the order given."""


@dataclass(slots=True)
class TranslationTally:
    """The result of translating a file.

    Attributes:
        rows: lines with ids, without the header.
        translated: ids that were replaced.
        same: ids that already had the requested form.
        empty: cells without an id.
        unknown: ids that belong to no known row; the first ones are listed.
    """

    rows: int = 0
    translated: int = 0
    same: int = 0
    empty: int = 0
    unknown: int = 0
    first_unknown: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def translate_file(
    source: IO[bytes],
    target: IO[bytes],
    translate: Translate,
    *,
    column: str | None = None,
    delimiter: str = ",",
    unknown: Unknown = "error",
    progress: Progress = lambda _: None,
) -> TranslationTally:
    """Translate the ids of one column of a CSV file with a header, or of a file with an id in each line.

    Args:
        column: the header of the column; without it each line is an id.
        unknown: what to do with unknown ids: fail, keep the id, or write an empty cell.

    Raises:
        IdUnknown: the first unknown id, with its line.
        SettingsError: the column does not exist, or the file is not UTF-8 or not CSV.
    """
    lines = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
    result = io.TextIOWrapper(target, encoding="utf-8", newline="", write_through=False)
    tally = TranslationTally()
    try:
        first = lines.readline()
        ending = "\r\n" if first.endswith("\r\n") else "\n"
        if column is None:
            _translate_lines(
                chain([first] if first else [], lines), result, ending, translate, unknown, tally, progress
            )
        else:
            csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
            reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
            writer = csv.writer(result, delimiter=delimiter, lineterminator=ending)
            header = next(reader, [])
            if header.count(column) != 1:
                fault = "has no column" if column not in header else "has more than one column"
                raise SettingsError(f"The file {fault} {column!r}.", hint=f"Its columns are: {', '.join(header)}.")
            writer.writerow(header)
            _translate_rows(reader, writer, header.index(column), translate, unknown, tally, progress)
        result.flush()
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"The file is not UTF-8 (after line {tally.rows + 1}).",
            hint="Convert it, for example with iconv -f … -t utf-8.",
        ) from error
    except csv.Error as error:
        raise SettingsError(
            f"The file is not valid CSV after row {tally.rows}: {error}.",
            hint="Give its column separator with --delimiter.",
        ) from error
    finally:
        lines.detach()
        result.detach()
    return tally


def _translate_lines(
    lines: Iterable[str],
    result: TextIO,
    ending: str,
    translate: Translate,
    unknown: Unknown,
    tally: TranslationTally,
    progress: Progress,
) -> None:
    for group in _batches((line.rstrip("\r\n") for line in lines), BATCH):
        made = _translated(group, translate, unknown, tally, first_line=1)
        result.write("".join(f"{one}{ending}" for one in made))
        progress(tally.rows)


def _translate_rows(
    reader: Iterator[list[str]],
    writer: Any,
    place: int,
    translate: Translate,
    unknown: Unknown,
    tally: TranslationTally,
    progress: Progress,
) -> None:
    for group in _batches(reader, BATCH):
        cells = [row[place] if len(row) > place else "" for row in group]
        for row, one in zip(group, _translated(cells, translate, unknown, tally, first_line=2), strict=True):
            if len(row) > place:
                row[place] = one
            writer.writerow(row)
        progress(tally.rows)


def _translated(
    cells: list[str], translate: Translate, unknown: Unknown, tally: TranslationTally, *, first_line: int
) -> list[str]:
    found = dict(translate(dict.fromkeys(cell for cell in cells if cell)))
    made = []
    for cell in cells:
        tally.rows += 1
        new = found.get(cell)
        if not cell:
            tally.empty += 1
        elif new is None:
            tally.unknown += 1
            if len(tally.first_unknown) < 5:
                tally.first_unknown.append(cell)
            if unknown == "error":
                raise IdUnknown(
                    f"No row is known by the id {cell[:80]!r} (row {tally.rows + first_line - 1}).",
                    hint="--on-unknown keep leaves such ids as they are, --on-unknown empty empties them; both continue and count them.",
                )
        elif new == cell:
            tally.same += 1
        else:
            tally.translated += 1
        made.append(new if new is not None else cell if unknown == "keep" else "")
    return made


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


__all__ = [
    "COLUMNS",
    "Translate",
    "TranslationTally",
    "Unknown",
    "export_csv",
    "export_parquet",
    "translate_file",
    "written",
]
