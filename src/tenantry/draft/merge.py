"""Merges a new draft: sections edited since the last draft stay; the rest follows the new draft.

A section is a table of tenantry.toml, the block of one table in a SQL file, or a question. It counts as edited if it differs
from the last draft, which is stored with the files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tenantry.draft.check import write_files

_HEAD = re.compile(r"^(\[[^\[\]]+\]|\[\[[^\[\]]+\]\]|-- .+|## .+)$")


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of a merge.

    Attributes:
        kept: edited sections, as `file: section`, that stay unchanged.
        conflicts: the kept sections for which the new draft differs from the last one.
    """

    files: Mapping[str, str]
    kept: tuple[str, ...]
    conflicts: tuple[str, ...]


def merge_files(folder: Path, base: Path, drafted: Mapping[str, str]) -> Merged:
    """Return the texts to write into a folder: the new draft, with edits made there since the draft in `base`."""
    files: dict[str, str] = {}
    kept: list[str] = []
    conflicts: list[str] = []
    names = [*drafted, *(name for name in _names(base) if name not in drafted)]
    for name in names:
        ours, before, new = _read(folder / name), _read(base / name), drafted.get(name)
        if ours is None:
            if new is not None:
                files[name] = new
        elif before is None:
            # A file that no draft wrote is never replaced.
            files[name] = ours
            if new is not None and new != ours:
                kept.append(name)
                conflicts.append(name)
        else:
            text, mine, both = _merged(ours, before, new or "")
            files[name] = text
            kept += [f"{name}: {each}" for each in mine]
            conflicts += [f"{name}: {each}" for each in both]
    return Merged(files, tuple(kept), tuple(conflicts))


def remember(base: Path, drafted: Mapping[str, str]) -> None:
    """Store the draft for the next merge."""
    write_files(base, drafted)


def sections(text: str) -> dict[str, str]:
    """Return the sections of a text by heading, in order; "" is the text before the first heading."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in text.splitlines():
        if _HEAD.match(line):
            name = line if line not in found else f"{line} ({sum(each.startswith(line) for each in found)})"
            found[name] = []
        found[name].append(line)
    return {name: "\n".join(lines).strip("\n") for name, lines in found.items()}


def _merged(ours: str, before: str, new: str) -> tuple[str, list[str], list[str]]:
    mine, base, theirs = sections(ours), sections(before), sections(new)
    out: list[str] = []
    kept: list[str] = []
    conflicts: list[str] = []
    for name, text in theirs.items():
        edited = mine.get(name) != base.get(name)
        if not edited:
            out.append(text)
            continue
        kept.append(name or "the beginning")
        if base.get(name) != text and mine.get(name) != text:
            conflicts.append(name or "the beginning")
        if name in mine:
            out.append(mine[name])
    for name, text in mine.items():
        if name not in theirs and text != base.get(name):
            out.append(text)
            kept.append(name)
    return "\n\n".join(each for each in out if each) + "\n", kept, conflicts


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _names(base: Path) -> list[str]:
    return sorted(str(each.relative_to(base)) for each in base.rglob("*") if each.is_file())
