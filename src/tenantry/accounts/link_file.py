"""The file that assigns accounts to users: pairs of an old id and an account's id."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from tenantry.errors import TenantryError

_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


class LinkFileWrong(TenantryError):
    """The file of users and their accounts cannot be used."""

    code: ClassVar[str] = "TN-310"
    remedy: ClassVar[str] = (
        "Correct the file that `[users] link` names: a first line `old_id,account_id`, then one line for each user."
    )


def read_link_file(path: Path) -> list[tuple[str, UUID]]:
    """Read old id and account id from each line of a CSV file with a header: the first two columns, whatever their names.

    Raises:
        LinkFileWrong: the file cannot be read, or a line, named in the message, is wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            header = next(rows, None)
            if header is None or len(header) < 2:
                raise LinkFileWrong(
                    f"{path} has no header with two columns.",
                    hint="Write a first line as old_id,account_id, then one line for each user.",
                )
            found: dict[str, UUID] = {}
            for row in rows:
                if not row:
                    continue
                old, account = _pair(path, rows.line_num, row)
                if old in found and found[old] != account:
                    raise LinkFileWrong(
                        f"{path}, line {rows.line_num}: {old} is already assigned in an earlier line.",
                        hint="List each user once.",
                    )
                found[old] = account
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LinkFileWrong(
            f"{path} cannot be read: {error}.", hint="[users] link names it, next to the manifest."
        ) from None
    return list(found.items())


def _pair(path: Path, line: int, row: list[str]) -> tuple[str, UUID]:
    hint = "Each line holds the user's old id and the account's id, a uuid."
    if len(row) < 2 or not row[0]:
        raise LinkFileWrong(f"{path}, line {line}: an old id or an account is missing.", hint=hint)
    try:
        return row[0], UUID(row[1].strip())
    except ValueError:
        raise LinkFileWrong(f"{path}, line {line}: {row[1]!r} is not a uuid.", hint=hint) from None
