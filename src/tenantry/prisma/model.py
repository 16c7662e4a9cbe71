"""A Prisma schema as values, and its reader. https://www.prisma.io/docs/orm/reference/prisma-schema-reference describes the language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from tenantry.errors import PrismaSchemaWrong


@dataclass(frozen=True, slots=True)
class Call:
    """`now()`, or a name such as `Cascade`: a name with arguments, None where there are no parentheses."""

    name: str
    arguments: tuple[tuple[str | None, Any], ...] | None = None

    @property
    def first(self) -> Any:
        return self.arguments[0][1] if self.arguments else None


@dataclass(frozen=True, slots=True)
class Attribute:
    """`@id`, `@db.VarChar(30)`, `@@index([a, b(sort: Desc)])`; by keys, and in order those without a key."""

    name: str
    plain: tuple[Any, ...] = ()
    keyed: Mapping[str, Any] = field(default_factory=dict)

    def get(self, key: str, position: int | None = None) -> Any:
        if key in self.keyed:
            return self.keyed[key]
        return self.plain[position] if position is not None and position < len(self.plain) else None


@dataclass(frozen=True, slots=True)
class PrismaField:
    """A field of a model."""

    name: str
    type: str
    line: int
    optional: bool = False
    many: bool = False
    unsupported: bool = False
    attributes: tuple[Attribute, ...] = ()

    def attribute(self, name: str) -> Attribute | None:
        return next((each for each in self.attributes if each.name == name), None)

    @property
    def column(self) -> str:
        """The name in the database."""
        mapped = self.attribute("map")
        return str(mapped.get("name", 0)) if mapped is not None else self.name


@dataclass(frozen=True, slots=True)
class PrismaModel:
    """A model, which is a table."""

    name: str
    line: int
    fields: tuple[PrismaField, ...]
    attributes: tuple[Attribute, ...] = ()

    def field(self, name: str) -> PrismaField | None:
        return next((each for each in self.fields if each.name == name), None)

    def all(self, name: str) -> list[Attribute]:
        return [each for each in self.attributes if each.name == name]

    @property
    def table(self) -> str:
        """The name in the database."""
        mapped = self.all("map")
        return str(mapped[0].get("name", 0)) if mapped else self.name


@dataclass(frozen=True, slots=True)
class PrismaEnum:
    """An enum; labels as (name, name in the database)."""

    name: str
    type: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PrismaSchema:
    """All of a schema's files."""

    models: tuple[PrismaModel, ...]
    enums: tuple[PrismaEnum, ...]
    provider: str = "postgresql"
    relation_mode: str = "foreignKeys"
    extensions: tuple[str, ...] = ()

    def model(self, name: str) -> PrismaModel | None:
        return next((each for each in self.models if each.name == name), None)

    def enum(self, name: str) -> PrismaEnum | None:
        return next((each for each in self.enums if each.name == name), None)


@cache
def _parser() -> Lark:
    text = (files("tenantry.prisma") / "grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def read_prisma(path: Path) -> PrismaSchema:
    """Read `schema.prisma`, or a folder of such files at any depth.

    Raises:
        PrismaSchemaWrong: there is none, or one cannot be read; with file and line.
    """
    found = sorted(path.rglob("*.prisma")) if path.is_dir() else [path]
    if not found:
        raise PrismaSchemaWrong(f"There is no file *.prisma in {path}.", hint="Give the file or its folder.")
    models: list[PrismaModel] = []
    enums: list[PrismaEnum] = []
    settings: dict[str, Any] = {}
    for file in found:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PrismaSchemaWrong(f"{file} cannot be read: {error}.", hint="Give a UTF-8 file.") from None
        _read(text, str(file), models, enums, settings)
    _once([*((each.name, each.line) for each in models), *((each.name, 0) for each in enums)], str(path))
    provider = str(settings.get("provider", "postgresql"))
    if provider not in ("postgresql", "postgres", "cockroachdb"):
        raise PrismaSchemaWrong(
            f"{path} is a schema for {provider}, not for PostgreSQL.", hint="Tenantry works on PostgreSQL."
        )
    return PrismaSchema(
        tuple(models), tuple(enums), provider, str(settings.get("relationMode", "foreignKeys")),
        tuple(_extension(each) for each in settings.get("extensions", ())),
    )  # fmt: skip


def _once(names: Sequence[tuple[str, int]], where: str) -> None:
    seen: set[str] = set()
    for name, line in names:
        if name in seen:
            raise PrismaSchemaWrong(
                f"{where}:{line or '?'}: {name} is defined twice.", hint="Give one of them another name."
            )
        seen.add(name)


def _extension(value: Any) -> str:
    if isinstance(value, Call):
        mapped = {key: each for key, each in value.arguments or () if key}
        return str(mapped.get("map", value.name))
    return str(value)


def _read(text: str, file: str, models: list[PrismaModel], enums: list[PrismaEnum], settings: dict[str, Any]) -> None:
    try:
        tree = _parser().parse(text if text.endswith("\n") else text + "\n")
    except UnexpectedInput as error:
        line = text.splitlines()[error.line - 1].strip() if 0 < error.line <= len(text.splitlines()) else ""
        raise PrismaSchemaWrong(
            f"{file}:{error.line}: this is not the schema language of Prisma: {line[:80]!r}.",
            hint="`prisma validate` says more. Format the file with `prisma format`.",
        ) from None
    for block in tree.children:
        assert isinstance(block, Tree)
        name = str(block.children[0])
        body = block.children[1:]
        match block.data:
            case "model":
                models.append(
                    PrismaModel(
                        name, block.meta.line,
                        tuple(_field(each) for each in body if isinstance(each, Tree) and each.data == "field"),
                        tuple(_attribute(each) for each in body if isinstance(each, Tree) and each.data == "block_attribute"),
                    )
                )  # fmt: skip
            case "enum":
                enums.append(_enum(name, body))
            case "datasource":
                for each in body:
                    assert isinstance(each, Tree)
                    settings[str(each.children[0])] = _value(each.children[1])
            case "composite":
                raise PrismaSchemaWrong(
                    f"{file}:{block.meta.line}: type {name} is a composite type, which Prisma has for MongoDB only.",
                    hint="Take it out of the schema.",
                )
            case _:  # generators make code, and views are not made by migrations
                pass


def _field(tree: Tree[Any]) -> PrismaField:
    name, kind, *rest = tree.children
    modifier = next((str(each) for each in rest if isinstance(each, Token)), "")
    attributes = tuple(_attribute(each) for each in rest if isinstance(each, Tree))
    type_ = str(kind.children[0])
    unsupported = kind.data == "unsupported"
    return PrismaField(
        str(name), json.loads(type_) if unsupported else type_, tree.meta.line, modifier == "?", modifier.startswith("[]"),
        unsupported, attributes,
    )  # fmt: skip


def _enum(name: str, body: Sequence[Any]) -> PrismaEnum:
    labels, type_ = [], name
    for each in body:
        if each.data == "enum_value":
            mapped = next((_attribute(a) for a in each.children[1:] if _attribute(a).name == "map"), None)
            labels.append((str(each.children[0]), str(mapped.get("name", 0)) if mapped else str(each.children[0])))
        elif _attribute(each).name == "map":
            type_ = str(_attribute(each).get("name", 0))
    return PrismaEnum(name, type_, tuple(labels))


def _attribute(tree: Tree[Any]) -> Attribute:
    name = ".".join(str(each) for each in tree.children[0].children)
    given = _arguments(tree.children[1]) if len(tree.children) > 1 else ()
    return Attribute(
        name,
        tuple(value for key, value in given if key is None),
        {key: value for key, value in given if key is not None},
    )


def _arguments(tree: Tree[Any]) -> tuple[tuple[str | None, Any], ...]:
    return tuple(
        (str(each.children[0]), _value(each.children[1])) if each.data == "keyed" else (None, _value(each.children[0]))
        for each in tree.children
    )


def _value(tree: Any) -> Any:
    match tree.data:
        case "string":
            return json.loads(str(tree.children[0]), strict=False)
        case "number":
            return _Number(str(tree.children[0]))
        case "list":
            return [_value(each) for each in tree.children]
        case _:
            name = ".".join(str(each) for each in tree.children[0].children)
            return Call(name, _arguments(tree.children[1]) if len(tree.children) > 1 else None)


class _Number(str):
    """A number as it is written, so that no digit is lost."""

    __slots__ = ()
