"""Finds the line of a key in a TOML text. The parser returns values without positions, so a text that it accepted is scanned
again for its keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

Key = tuple[str | int, ...]
"""The path to a value: keys of tables, and positions in lists from 0."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}#\n]*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a manifest."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: "
        return f"{where}{self.key}: {self.message}" if self.key else f"{where}{self.message}"


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Remove duplicates, and sort by line and key."""
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.key))


class Places:
    """Line numbers of the keys of a file."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._text = text

    @cached_property
    def _lines(self) -> dict[Key, int]:
        """Computed only when there is a problem to report."""
        lines: dict[Key, int] = {}
        for key, line in _Scanner(self._text).scan():
            for length in range(1, len(key) + 1):
                lines.setdefault(key[:length], line)
        return lines

    def line(self, key: Key) -> int:
        """Return the line of the key, or of the closest table or list that contains it."""
        for length in range(len(key), 0, -1):
            if key[:length] in self._lines:
                return self._lines[key[:length]]
        return 1

    def problem(self, key: Key, message: str) -> Problem:
        return Problem(self.file, self.line(key), written(key), message)


def written(key: Key) -> str:
    """Format a key as in a manifest: `tables."my table".tenant[0]`."""
    text = ""
    for piece in key:
        if isinstance(piece, int):
            text += f"[{piece}]"
        else:
            bare = piece if _BARE.fullmatch(piece) else '"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"'
            text += f".{bare}" if text else bare
    return text


class _Scanner:
    """Scans a valid TOML text and yields each key with its line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counts: dict[Key, int] = {}

    def scan(self) -> Iterator[tuple[Key, int]]:
        section: Key = ()
        while self._skip_blank():
            line = self._line()
            if self._here() == "[":
                section = self._header()
                yield section, line
            else:
                yield from self._pair(section)

    def _header(self) -> Key:
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        pieces = self._name()
        self._at += 2 if many else 1
        key: Key = ()
        for position, piece in enumerate(pieces, start=1):
            key = (*key, piece)
            if many and position == len(pieces):
                self._counts[key] = self._counts.get(key, 0) + 1
            if key in self._counts:
                key = (*key, self._counts[key] - 1)
        return key

    def _pair(self, section: Key) -> Iterator[tuple[Key, int]]:
        line = self._line()
        key = (*section, *self._name())
        self._at += 1  # the equals sign
        yield key, line
        yield from self._value(key)

    def _value(self, key: Key) -> Iterator[tuple[Key, int]]:
        self._skip_blank()
        if self._here() == "[":
            self._at += 1
            place = 0
            while self._skip_blank() and self._here() != "]":
                if self._here() == ",":
                    self._at += 1
                    continue
                yield (*key, place), self._line()
                yield from self._value((*key, place))
                place += 1
            self._at += 1
        elif self._here() == "{":
            self._at += 1
            while self._skip_blank() and self._here() != "}":
                if self._here() == ",":
                    self._at += 1
                    continue
                yield from self._pair(key)
            self._at += 1
        elif found := _STRING.match(self._text, self._at) or _PLAIN.match(self._text, self._at):
            self._at = found.end()

    def _name(self) -> tuple[str, ...]:
        """Read a key, dotted or not, up to what follows it."""
        pieces: list[str] = []
        while True:
            self._skip_blank()
            found = _STRING.match(self._text, self._at) or _BARE.match(self._text, self._at)
            if found is None:  # a text that no parser accepts
                self._at = len(self._text)
                return tuple(pieces)
            self._at = found.end()
            pieces.append(_unquoted(found[0]))
            self._skip_blank()
            if self._here() != ".":
                return tuple(pieces)
            self._at += 1

    def _skip_blank(self) -> bool:
        """Skip blanks and comments; return False at the end."""
        found = _BLANK.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return self._at < len(self._text)

    def _here(self) -> str:
        return self._text[self._at : self._at + 1]

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1


def _unquoted(name: str) -> str:
    if name.startswith("'"):
        return name[1:-1]
    if not name.startswith('"'):
        return name
    return _ESCAPE.sub(lambda found: _character(found[1] or found[2], found[3]), name[1:-1])


def _character(code: str | None, letter: str | None) -> str:
    return chr(int(code, 16)) if code else _ESCAPED.get(letter or "", letter or "")
