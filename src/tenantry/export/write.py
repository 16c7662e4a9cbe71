"""Writing an export to a folder: only over files that an earlier export wrote and nobody changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tenantry.errors import ExportInTheWay
from tenantry.export.form import STAMP

_COMMENTS = {".sql": "--", ".prisma": "//"}
_MADE = re.compile(r"\S+ Made by `tenantry export \w+`; sha256 ([0-9a-f]{64})\n")
_TIME = "%Y%m%d%H%M%S"


@dataclass(frozen=True, slots=True)
class WrittenExport:
    """Paths that were written, and those that held the very same text already."""

    written: tuple[Path, ...]
    unchanged: tuple[Path, ...]


def write_export(
    folder: Path, form: str, files: Mapping[str, str], *, now: datetime, force: bool = False
) -> WrittenExport:
    """Write the files of a form.

    Args:
        now: the time that names of new migrations begin with; a migration that is there from an earlier export keeps its own.
        force: replace what somebody else wrote, or changed.

    Raises:
        ExportInTheWay: files of others, or changed ones, stand where a file belongs; nothing was written.
    """
    texts = {folder / path: _marked(form, path, text) for path, text in _dated(folder, files, now).items()}
    if not force:
        foreign = [path for path, text in texts.items() if path.exists() and not _is_ours(path, text)]
        blocked = [path for path in texts if not path.exists() and _blocked(path, folder)]
        if foreign or blocked:
            raise ExportInTheWay([str(path) for path in (*foreign, *blocked)])
    written, unchanged = [], []
    for path, text in texts.items():
        if path.is_file() and _read(path) == text:
            unchanged.append(path)
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ExportInTheWay([str(path)], reason=error.strerror or str(error)) from None
        written.append(path)
    return WrittenExport(tuple(written), tuple(unchanged))


def _marked(form: str, path: str, text: str) -> str:
    comment = _COMMENTS.get(Path(path).suffix, "#")
    return f"{comment} Made by `tenantry export {form}`; sha256 {_digest(text)}\n{text}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _is_ours(path: Path, text: str) -> bool:
    """Whether a file holds what an export wrote, unchanged, or what is to be written anyway."""
    found = _read(path)
    made = _MADE.match(found)
    return found == text or (made is not None and made[1] == _digest(found[made.end() :]))


def _blocked(path: Path, folder: Path) -> bool:
    """Whether a file stands where a folder belongs."""
    return any(parent.exists() and not parent.is_dir() for parent in (folder, *path.parents) if parent != Path())


def _dated(folder: Path, files: Mapping[str, str], now: datetime) -> dict[str, str]:
    """The files with times in their paths."""
    found: dict[str, str] = {}
    for number, (path, text) in enumerate(files.items()):
        stamp = _stamp_of_earlier(folder, path) or (now + timedelta(seconds=number)).strftime(_TIME)
        found[path.replace(STAMP, stamp)] = text
    return found


def _stamp_of_earlier(folder: Path, path: str) -> str | None:
    if STAMP not in path:
        return None
    before, _, after = path.partition(STAMP)
    stamps = []
    for each in folder.glob(f"{before}*{after}"):
        found = each.relative_to(folder).as_posix()[len(before) : len(before) + 14]
        if found.isdecimal() and path.replace(STAMP, found) == each.relative_to(folder).as_posix():
            stamps.append(found)
    return min(stamps, default=None)
