"""Splits source code into code, strings and comments: enough to know where SQL is, and what a name stands beside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Language:
    """How strings and comments of a language are written.

    Attributes:
        line: what begins a comment up to the end of the line.
        block: pairs that enclose a comment.
        long: quotes of strings that may have line breaks; checked before `short`.
    """

    name: str
    line: tuple[str, ...] = ()
    block: tuple[tuple[str, str], ...] = ()
    long: tuple[str, ...] = ()
    short: tuple[str, ...] = ('"', "'")
    heredoc: bool = False


_C = (("/*", "*/"),)
_TS = Language("TypeScript/JavaScript", ("//",), _C, ("`",))
_JVM = Language("Java/Kotlin", ("//",), _C, ('"""',), ('"', "'"))
LANGUAGES = {
    **dict.fromkeys((".py", ".pyi"), Language("Python", ("#",), (), ('"""', "'''"))),
    **dict.fromkeys((".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".vue", ".svelte"), _TS),
    **dict.fromkeys((".rb", ".rake", ".erb"), Language("Ruby", ("#",), (("=begin", "=end"),), (), heredoc=True)),
    **dict.fromkeys((".java", ".kt", ".kts", ".scala"), _JVM),
    ".go": Language("Go", ("//",), _C, ("`",)),
    ".cs": Language("C#", ("//",), _C, ('"""',)),
    ".rs": Language("Rust", ("//",), _C, ('"',), ()),
    ".php": Language("PHP", ("//", "#"), _C, ('"', "'"), (), heredoc=True),
    **dict.fromkeys((".ex", ".exs"), Language("Elixir", ("#",), (), ('"""',))),
    ".sql": Language("SQL"),
    ".prisma": Language("Prisma", ("//",), _C),
}
"""By the ending of a file's name."""


@dataclass(frozen=True, slots=True)
class StringText:
    """A string of the code, adjacent ones joined.

    Attributes:
        start: its offset in the file, of the first quote.
        line: the line of its first character, from 0.
        body: what it holds, with the line breaks of the file.
    """

    start: int
    end: int
    line: int
    body: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """A file: `code` has the same length and lines, with strings and comments as blanks."""

    code: str
    texts: tuple[StringText, ...]


def scan(text: str, language: Language) -> Scanned:
    """Split a file."""
    found: list[tuple[int, int, str, bool]] = []
    place = 0
    pattern = _starts(language)
    while (match := pattern.search(text, place)) is not None:
        begin, token = match.start(), match[0]
        if token in language.line:
            end = _end(text, "\n", match.end())
            found.append((begin, end, "", False))
        elif (closing := dict(language.block).get(token)) is not None:
            end = min(len(text), _end(text, closing, match.end()) + len(closing))
            found.append((begin, end, "", False))
        elif token.startswith("<<"):
            word = re.escape(match["word"])
            first = _end(text, "\n", match.end()) + 1
            close = re.compile(rf"^[ \t]*{word}\b", re.MULTILINE).search(text, first)
            end = close.start() if close else len(text)
            found.append((first, end, text[first:end], True))
        else:
            end, body = _string(text, match.end(), token, token in language.long)
            found.append((begin, end, body, True))
        place = max(end, begin + 1)
    code = _blanked(text, found)
    return Scanned(code, tuple(_joined(code, found)))


@cache
def _starts(language: Language) -> re.Pattern[str]:
    tokens = [*language.line, *(begin for begin, _ in language.block), *language.long, *language.short]
    words = "|".join(re.escape(each) for each in sorted(tokens, key=len, reverse=True))
    heredoc = r"<<[-~]?<?['\"]?(?P<word>[A-Z_]\w*)['\"]?" if language.heredoc else ""
    return re.compile("|".join(part for part in (heredoc, words) if part) or r"(?!)")


def _end(text: str, sign: str, place: int) -> int:
    found = text.find(sign, place)
    return len(text) if found < 0 else found


def _string(text: str, place: int, quote: str, long: bool) -> tuple[int, str]:
    begin = place
    while place < len(text):
        if text[place] == "\\":
            place += 2
        elif text.startswith(quote, place):
            return place + len(quote), text[begin:place]
        elif text[place] == "\n" and not long:
            return place, text[begin:place]
        else:
            place += 1
    return len(text), text[begin:]


def _blanked(text: str, found: list[tuple[int, int, str, bool]]) -> str:
    pieces, last = [], 0
    for begin, end, _, _ in found:
        pieces += [text[last:begin], re.sub(r"[^\n]", " ", text[begin:end])]
        last = end
    return "".join([*pieces, text[last:]])


_BETWEEN = re.compile(r"[\s+\\.&]*[rfbuRFBU]{0,2}")


def _joined(code: str, found: list[tuple[int, int, str, bool]]) -> list[StringText]:
    """Return the strings; those with nothing but an operator between them are one."""
    made: list[StringText] = []
    for begin, end, body, is_string in found:
        if not is_string:
            continue
        between = code[made[-1].end : begin] if made else "-"
        if made and _BETWEEN.fullmatch(between):
            last = made[-1]
            made[-1] = StringText(last.start, end, last.line, last.body + " " + "\n" * between.count("\n") + body)
        else:
            made.append(StringText(begin, end, code.count("\n", 0, begin), body))
    return made
