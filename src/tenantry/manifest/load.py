"""Reads `tenantry.toml`: every problem names file, line and key, and the closest valid name if there is one."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tenantry.errors import ManifestError, SettingsError, nearest
from tenantry.manifest.model import DatabaseRoles, Manifest, Name
from tenantry.manifest.positions import Key, Places, Problem, in_order, written

__all__ = ["Key", "Named", "Places", "Problem", "load_manifest", "load_named", "manifest_digest", "target_files"]


class Named(BaseModel):
    """The parts of a manifest that the script of the roles needs."""

    name: Name
    database_roles: DatabaseRoles = DatabaseRoles()


def load_manifest(path: Path) -> Manifest:
    """Read the manifest at `path`.

    Raises:
        SettingsError: the file does not exist or cannot be read.
        ManifestError: all problems, each with its position.
    """
    text, data = _parsed(path)
    places = Places(str(path), text)
    problems = [places.problem(key, "holds a NUL character, which PostgreSQL cannot store") for key in _nul(data, ())]
    if problems:
        raise ManifestError(problems)
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        raise ManifestError(_problems(error, places)) from None
    problems = in_order(places.problem(key, message) for key, message in _contradictions(manifest))
    if problems:
        raise ManifestError(problems)
    return manifest.model_copy(update={"path": path, "text": text})


def load_named(path: Path) -> Named:
    """Read the manifest's name and its [database_roles], despite errors elsewhere, so that the roles can be created
    meanwhile.

    Raises:
        SettingsError: the file does not exist or cannot be read.
        ManifestError: problems of the file's syntax, of the name or of this section.
    """
    text, data = _parsed(path)
    try:
        return Named.model_validate({key: data[key] for key in Named.model_fields if key in data})
    except ValidationError as error:
        raise ManifestError(_problems(error, Places(str(path), text))) from None


def manifest_digest(manifest: Manifest) -> str:
    """Return the SHA-256 of the manifest's migration and of the target's files. It excludes comments, layout, [throttle],
    [plan], access rules and accepted ids, which `tenantry access apply` and `tenantry ids apply` change."""
    left_out: dict[str, Any] = {
        "throttle": True,
        "plan": True,
        "shares": True,
        "ids": {"both"},
        "source": {"access"},
        "tables": {"__all__": {"access"}},
    }
    digest = hashlib.sha256(manifest.model_dump_json(by_alias=True, exclude=left_out).encode())
    for file in target_files(manifest):
        digest.update(b"\x00" + file.name.encode() + b"\x00" + file.read_bytes())
    return digest.hexdigest()


def target_files(manifest: Manifest) -> tuple[Path, ...]:
    """Return the target's SQL files in name order.

    Raises:
        ManifestError: a pattern matches no file.
    """
    found: dict[Path, None] = {}
    problems = []
    places = Places(str(manifest.path), manifest.text)
    for index, pattern in enumerate(manifest.target.files):
        matched = sorted(path for path in manifest.folder.glob(pattern) if path.is_file())
        if not matched:
            problems.append(
                places.problem(("target", "files", index), f"no file matches {pattern!r} next to the manifest")
            )
        found.update(dict.fromkeys(matched))
    if problems:
        raise ManifestError(problems)
    return tuple(sorted(found))


# -- the file --------------------------------------------------------------------------------------------------------


def _parsed(path: Path) -> tuple[str, dict[str, Any]]:
    text = _read(path)
    try:
        return text, tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ManifestError([_syntax_problem(str(path), text, error)]) from None


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SettingsError(
            f"There is no manifest at {path}.",
            hint="Give its path with --manifest or TENANTRY_MANIFEST, or run the command in the folder that holds tenantry.toml.",
        ) from None
    except OSError as error:
        raise SettingsError(
            f"The manifest {path} cannot be read: {(error.strerror or 'the system refuses').lower()}.",
            hint="Give a file that this account may read, with --manifest or TENANTRY_MANIFEST.",
        ) from None
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"The manifest {path} cannot be read: line {line} contains bytes that are not UTF-8.",
            hint="Save it as UTF-8 (in most editors: Save with encoding), then run the command again.",
            detail={"file": str(path), "line": line},
        ) from None


_SYNTAX = (
    (re.compile(r"^Cannot overwrite a value"), "this name is already defined above"),
    (re.compile(r"^Cannot declare \((.*)\) twice"), "[{}] is already defined above"),
    (re.compile(r"^Cannot mutate immutable namespace \((.*)\)"), "{} is already complete above and cannot be extended"),
    (re.compile(r"^Duplicate inline table key '(.*)'"), "{} is defined twice"),
)


def _syntax_problem(file: str, text: str, error: tomllib.TOMLDecodeError | RecursionError) -> Problem:
    if isinstance(error, RecursionError):
        return Problem(file, 1, "TOML", "lists and tables are nested too deeply")
    found = re.search(r"\(at line (\d+), column (\d+)\)$", str(error))
    line = int(found[1]) if found else text.rstrip().count("\n") + 1
    message = re.sub(r"\s*\(at .*?\)$", "", str(error))
    for pattern, words in _SYNTAX:
        if declared := pattern.match(message):
            names = re.findall(r"'([^']*)'", declared[1]) if declared.groups() else []
            message = words.format(written(tuple(names)) if names else declared[1] if declared.groups() else "")
            break
    else:
        message = message[0].lower() + message[1:]
        if found and not text.split("\n")[line - 1][int(found[2]) - 1 :].strip():
            message += ", at the end of the line"
    return Problem(file, line, "TOML", message)


def _nul(value: object, key: Key) -> Iterator[Key]:
    if isinstance(value, str) and "\x00" in value:
        yield key
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if "\x00" in name:
                yield key
            else:
                yield from _nul(inner, (*key, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _nul(inner, (*key, place))


# errors of the model ----------------------------------------------------------------------------------------------

_UNKNOWN = "extra_forbidden"
_WORDS = {
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "tuple_type": 'must be a list: ["…"]',
    "mapping_type": "must be a table: { … }",
    "model_type": "must be a table: { … }",
    "model_attributes_type": "must be a table: { … }",
}


def _problems(error: ValidationError, places: Places) -> list[Problem]:
    # The model writes the names of a union's alternatives in angle brackets; see model.py.
    items = [(tuple(piece for piece in item["loc"] if not str(piece).startswith("<")), item) for item in error.errors()]
    meant = {
        (*key[:-1], nearest(str(key[-1]), _known_keys(key[:-1]))) for key, item in items if item["type"] == _UNKNOWN
    }
    problems: dict[tuple[int, str], Problem] = {}
    for key, item in items:
        if item["type"] == "missing" and key in meant:
            continue  # the key exists, under a name that is reported as wrong
        problem = places.problem(key, _message(item["type"], item, key))
        problems.setdefault((problem.line, problem.key), problem)
    return in_order(problems.values())


def _message(kind: str, item: Mapping[str, Any], key: Key) -> str:
    match kind:
        case _ if kind == _UNKNOWN:
            known = _known_keys(key[:-1])
            near = nearest(str(key[-1]), known)
            return "unknown key; " + (f"did you mean {near!r}?" if near else f"known here: {', '.join(known)}")
        case "missing":
            if len(key) > 1:
                return "is missing"
            record = any(_records(annotation) for annotation in _annotations(key))
            many = any(get_origin(annotation) is Mapping for annotation in _annotations(key))
            return "is missing" + (f": add [{written(key)}]" if record else f": add [{written(key)}.…]" if many else "")
        case "literal_error":
            given = item.get("input")
            allowed = re.findall(r"'([^']+)'", str(item.get("ctx", {}).get("expected", "")))
            choice = ", ".join(allowed)
            if not isinstance(given, str):
                return f"must be one of {choice}"
            near = nearest(given, allowed)
            return f"{given!r} is not one of {choice}" + (f"; did you mean {near!r}?" if near else "")
        case "value_error":
            return str(item["ctx"]["error"])
    return _WORDS.get(kind, str(item["msg"]))


def _annotations(path: Sequence[str | int]) -> list[object]:
    """Return the types that the model allows at a position; skips keys of mappings and positions in lists."""
    current: list[object] = [Manifest]
    for piece in path:
        following: list[object] = []
        for annotation in current:
            if get_origin(annotation) in (tuple, Mapping):
                following += _plain(get_args(annotation)[-1 if get_origin(annotation) is Mapping else 0])
            elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
                for name, field in annotation.model_fields.items():
                    if piece == (field.alias or name):
                        following += _plain(field.annotation)
        current = following
    return current


def _plain(annotation: object) -> list[object]:
    """Return the alternatives of a type, without annotations."""
    if get_origin(annotation) in (tuple, Mapping) or not get_args(annotation):
        return [annotation]
    return [plain for inner in get_args(annotation) for plain in _plain(inner)]


def _records(annotation: object) -> list[type[BaseModel]]:
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def _known_keys(path: Sequence[str | int]) -> list[str]:
    """Return the keys that the records at `path` know."""
    records = [record for annotation in _annotations(path) for record in _records(annotation)]
    return list(
        dict.fromkeys(
            field.alias or name
            for record in records
            for name, field in record.model_fields.items()
            if not field.exclude
        )
    )


# checks across records --------------------------------------------------------------------------------------------

_RESERVED_SCHEMAS = ("tenantry", "auth", "information_schema")


def _contradictions(manifest: Manifest) -> Iterator[tuple[Key, str]]:
    target = manifest.target
    if target.schema_name == manifest.source.schema_name:
        yield ("target", "schema"), "source and target live side by side: give the target a schema name of its own"
    elif target.schema_name in _RESERVED_SCHEMAS or target.schema_name.startswith("pg_"):
        yield ("target", "schema"), f"{target.schema_name} is taken; choose another schema name"
    if not target.files:
        yield ("target", "files"), 'name the SQL files that create the target\'s tables, such as ["schema/*.sql"]'
    for index, pattern in enumerate(target.files):
        if not pattern.strip() or Path(pattern).is_absolute():
            yield ("target", "files", index), f"{pattern!r} must be a path or a pattern next to the manifest"
