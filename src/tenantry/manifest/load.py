"""Read `tenantry.toml`: every problem names file, line and key, and the nearest right name where there is one."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from tenantry.errors import ManifestError, SettingsError, nearest
from tenantry.manifest.model import Manifest

Key = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*\[{1,2}\s*(?P<path>[^\]]+?)\s*\]{1,2}\s*(#.*)?$")
_ASSIGNMENT = re.compile(r"^\s*(?P<key>(?:\"[^\"]+\"|'[^']+'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:\"[^\"]+\"|'[^']+'|[A-Za-z0-9_-]+))*)\s*=")
_PIECE = re.compile(r"\"([^\"]+)\"|'([^']+)'|([A-Za-z0-9_-]+)")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing in a manifest that does not fit."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.message}"


class Places:
    """Line numbers of keys, for messages. TOML parsers give values without places, so the text is scanned for them."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._lines: dict[tuple[str, ...], int] = {}
        section: tuple[str, ...] = ()
        counts: dict[tuple[str, ...], int] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if header := _HEADER.match(line):
                section = _pieces(header["path"])
                if line.lstrip().startswith("[["):
                    index = counts.get(section, 0)
                    counts[section] = index + 1
                    section = (*section, str(index))
                self._lines.setdefault(section, number)
            elif assignment := _ASSIGNMENT.match(line):
                self._lines.setdefault((*section, *_pieces(assignment["key"])), number)

    def line(self, key: Key) -> int:
        """The line of the key, or of the nearest thing that contains it."""
        path = tuple(str(piece) for piece in key)
        while path:
            if path in self._lines:
                return self._lines[path]
            inside = [number for known, number in self._lines.items() if known[: len(path)] == path]
            if inside:
                return min(inside)
            path = path[:-1]
        return 1

    def problem(self, key: Key, message: str) -> Problem:
        return Problem(self.file, self.line(key), ".".join(str(piece) for piece in key), message)


def _pieces(path: str) -> tuple[str, ...]:
    return tuple(next(filter(None, groups)) for groups in _PIECE.findall(path))


def load_manifest(path: Path) -> Manifest:
    """The manifest at `path`.

    Raises:
        SettingsError: no such file.
        ManifestError: all problems found, each with its place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(
            f"There is no manifest at {path}.",
            hint="Name it with --manifest or TENANTRY_MANIFEST, or run in the folder that holds tenantry.toml.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The manifest {path} cannot be read: {error}.", hint="It must be a UTF-8 text file.") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found.group(1)) if found else len(text.splitlines())
        message = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise ManifestError([Problem(str(path), line, "TOML", message)]) from None
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        places = Places(str(path), text)
        raise ManifestError(_problems(error, places)) from None
    return manifest.model_copy(update={"path": path, "text": text})


def manifest_digest(manifest: Manifest) -> str:
    """SHA-256 over what the manifest says (not over comments or layout), and over the target's files."""
    digest = hashlib.sha256(manifest.model_dump_json(by_alias=True).encode())
    for file in target_files(manifest):
        digest.update(b"\x00" + file.name.encode() + b"\x00" + file.read_bytes())
    return digest.hexdigest()


def target_files(manifest: Manifest) -> tuple[Path, ...]:
    """The target's SQL files, in name order.

    Raises:
        ManifestError: a pattern that matches nothing.
    """
    found: dict[Path, None] = {}
    problems = []
    places = Places(str(manifest.path), manifest.text)
    for index, pattern in enumerate(manifest.target.files):
        matched = sorted(path for path in manifest.folder.glob(pattern) if path.is_file())
        if not matched:
            problems.append(places.problem(("target", "files", index), f"no file matches {pattern!r} beside the manifest"))
        found.update(dict.fromkeys(matched))
    if problems:
        raise ManifestError(problems)
    return tuple(sorted(found))


# Names of union members that pydantic puts into the path of an error.
_NOISE = re.compile(r"^(Default|Correct|Own|Colleagues|literal\[.*\]|str|function-.*|constrained-.*|int|float|bool)$")


def _problems(error: ValidationError, places: Places) -> list[Problem]:
    problems: dict[tuple[int, str], Problem] = {}
    for item in error.errors():
        key: Key = tuple(piece for piece in item["loc"] if not _NOISE.match(str(piece)))
        kind, message = item["type"], item["msg"]
        if kind == "extra_forbidden":
            near = nearest(str(key[-1]), _known_keys(Manifest, key[:-1]))
            message = "unknown key" + (f"; did you mean {near!r}?" if near else "")
        elif kind == "missing":
            message = "is missing"
        elif kind == "value_error":
            message = message.removeprefix("Value error, ")
        elif kind == "literal_error":
            given = item.get("input")
            allowed = re.findall(r"'([^']+)'", str(item.get("ctx", {}).get("expected", "")))
            near = nearest(str(given), allowed)
            message = f"{given!r} is not one of {', '.join(allowed)}" + (f"; did you mean {near!r}?" if near else "")
        problem = places.problem(key, message[0].lower() + message[1:])
        problems.setdefault((problem.line, problem.key), problem)
    return sorted(problems.values(), key=lambda found: (found.line, found.key))


def _known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that the record at `path` knows; an index or the name of a mapping's entry is passed over."""
    import typing  # noqa: PLC0415

    def records(annotation: object) -> Iterable[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        for inner in typing.get_args(annotation):
            yield from records(inner)

    current: list[type[BaseModel]] = [model]
    for piece in path:
        following: list[type[BaseModel]] = []
        for record in current:
            for name, field in record.model_fields.items():
                if piece in (name, field.alias):
                    following.extend(records(field.annotation))
        current = following or current
    return [
        field.alias or name for record in current for name, field in record.model_fields.items() if not field.exclude
    ]
