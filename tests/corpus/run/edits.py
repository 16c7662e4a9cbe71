"""What a person changes in a draft: hunks of lines in a small file beside the schema, counted. README.md of the corpus describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MOST = 10
"""Lines that may be edited in the draft of a schema."""


class EditsWrong(AssertionError):
    """The edits do not fit the draft, or are too many."""


@dataclass(frozen=True)
class Hunk:
    """Lines that stand together in one section of a file, and what takes their place."""

    file: str
    section: str
    """The section's first line; empty for the whole file."""
    old: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def lines(self) -> int:
        return max(len(self.old), len(self.new))


def read_edits(path: Path) -> tuple[Hunk, ...]:
    """The hunks of a file, none where there is no file. `=== file`, `@@ section`, `-line`, `+line`; `#` begins a remark, an empty line
    ends a hunk."""
    if not path.exists():
        return ()
    found: list[Hunk] = []
    file = section = ""
    old: list[str] = []
    new: list[str] = []
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        if line[:1] in ("-", "+"):
            (old if line[0] == "-" else new).append(line[1:])
            continue
        if old or new:
            found.append(Hunk(file, section, tuple(old), tuple(new)))
            old, new = [], []
        if line.startswith("=== "):
            file, section = line[4:].strip(), ""
        elif line.startswith("@@ "):
            section = line[3:].strip()
        elif line and not line.startswith("#"):
            raise EditsWrong(f"{path.name}: a line begins with none of # = @ - +: {line}")
    return tuple(found)


def apply_edits(folder: Path, hunks: tuple[Hunk, ...]) -> int:
    """Edit the files of a draft; returns the number of edited lines.

    Raises:
        EditsWrong: a hunk fits nowhere, or in more than one place, or there are more than ten lines.
    """
    lines = sum(hunk.lines for hunk in hunks)
    if lines > MOST:
        raise EditsWrong(f"{lines} lines are edited; {MOST} are allowed")
    for hunk in hunks:
        path = folder / hunk.file
        text = path.read_text(encoding="utf-8").splitlines()
        begin, end = _section(text, hunk)
        if hunk.old:
            size = len(hunk.old)
            places = [at for at in range(begin, end - size + 1) if tuple(text[at : at + size]) == hunk.old]
            if len(places) != 1:
                raise EditsWrong(f"{hunk.file}, {hunk.section}: {len(places)} places for {hunk.old}")
            text[places[0] : places[0] + size] = hunk.new
        else:
            text[begin + 1 : begin + 1] = hunk.new
        path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return lines


def _section(text: list[str], hunk: Hunk) -> tuple[int, int]:
    """The lines of a section: from its first line to the next one that begins likewise (`[` in a manifest, a blank line in SQL)."""
    if not hunk.section:
        return 0, len(text)
    if hunk.section not in text:
        raise EditsWrong(f"{hunk.file} has no line {hunk.section}")
    begin = text.index(hunk.section)
    ends = r"\[" if hunk.section.startswith("[") else r"$"
    end = next((at for at in range(begin + 1, len(text)) if re.match(ends, text[at])), len(text))
    return begin, end
