"""Finds commands in their folder. A command's module is imported when the command is looked up, and no other module.

Lists of commands, which need names, first sentences and headings, read the files without importing them: the modules of all
commands together import nearly the whole package.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from tenantry.cli.command import Group, HelpSection, add, declared, help_text


@dataclass(frozen=True, slots=True)
class Listed:
    """A command or group as a list shows it.

    Attributes:
        text: the help text, or its beginning.
    """

    name: str
    text: str
    section: HelpSection | None
    is_group: bool

    @property
    def place(self) -> tuple[bool, int, str]:
        """The position in a list: groups after commands, then by heading and name."""
        return self.is_group, -1 if self.section is None else list(HelpSection).index(self.section), self.name


def group_of(package: ModuleType) -> type[TyperGroup]:
    """Return the class of a group whose commands are the modules of a package."""
    return type("_Folder", (_Folder,), {"package": package})


def module_names(package: ModuleType) -> list[str]:
    """Return the names of the modules and packages directly inside a package."""
    return sorted(found.name for found in pkgutil.iter_modules(package.__path__))


def build(module: ModuleType) -> Any:
    """Return a module's command or group."""
    holder = typer.Typer(rich_markup_mode="markdown")
    group: Group | None = getattr(module, "GROUP", None)
    name = _command_name(module.__name__.rpartition(".")[2])
    if group is None:
        add(holder, declared(module)[0])
    else:
        holder.add_typer(_group(group, module), name=name, rich_help_panel=group.section)
    return typer.main.get_group(holder).commands[name]


def _group(group: Group, module: ModuleType) -> typer.Typer:
    made = typer.Typer(
        cls=group_of(module) if hasattr(module, "__path__") else None,
        callback=group.callback,
        invoke_without_command=group.callback is not None,
        no_args_is_help=group.callback is None,
        help=help_text(group.help or inspect.getdoc(group.callback) or "", (group.example,), group.exit_1),
    )
    for each in declared(module):
        add(made, each)
    return made


def listed(file: Path, name: str) -> Listed:
    """Read a command's or group's place in a list from its file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="GROUP")], value=ast.Call(args=[section, *_], keywords=keywords)):
                given = {each.arg: each.value for each in keywords}
                text = _text(given.get("help")) or _docstring(functions, given.get("callback"))
                return Listed(name, text, _section(section), is_group=True)
            case ast.FunctionDef(decorator_list=[ast.Call(func=ast.Name(id="command"), keywords=keywords), *_]):
                given = {each.arg: each.value for each in keywords}
                return Listed(name, ast.get_docstring(node) or "", _section(given.get("section")), is_group=False)
    raise ValueError(f"{file.name} has neither a GROUP nor a function under @command")


def _text(node: ast.expr | None) -> str:
    return inspect.cleandoc(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _docstring(functions: dict[str, ast.FunctionDef], node: ast.expr | None) -> str:
    return (ast.get_docstring(functions[node.id]) if isinstance(node, ast.Name) else None) or ""


def _section(node: ast.expr | None) -> HelpSection | None:
    return HelpSection[node.attr] if isinstance(node, ast.Attribute) else None


def _command_name(module_name: str) -> str:
    return module_name.replace("_", "-")


class _Folder(TyperGroup):
    """A group whose commands are the modules of a package, after functions of its own."""

    package: ClassVar[ModuleType]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.commands = _Commands(dict(self.commands), self.package)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        shown = copy.copy(self)
        shown.commands = self.commands.listed() if isinstance(self.commands, _Commands) else self.commands
        super(_Folder, shown).format_help(ctx, formatter)


class _Commands(MutableMapping[str, Any]):
    """The commands of a folder, by name, each built when it is looked up."""

    def __init__(self, built: dict[str, Any], package: ModuleType) -> None:
        self._own = list(built)
        self._built = built
        self._package = package
        self._modules = {_command_name(each): each for each in module_names(package)}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = build(importlib.import_module(f"{self._package.__name__}.{self._modules[name]}"))
        return self._built[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._own += [] if name in self else [name]
        self._built[name] = value

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands of a folder cannot be removed")

    def __contains__(self, name: object) -> bool:
        return name in self._built or name in self._modules

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (each.name for each in self._read())

    def __len__(self) -> int:
        return len(self._own) + len(self._modules)

    def listed(self) -> dict[str, Any]:
        """Return stand-ins for lists, without importing a command's module."""
        shown = {
            each.name: TyperCommand(each.name, help=each.text, rich_help_panel=each.section) for each in self._read()
        }
        return {name: self._built[name] for name in self._own} | shown

    def _read(self) -> list[Listed]:
        folder = Path(self._package.__path__[0])
        found = []
        for name, module in self._modules.items():
            file = folder / f"{module}.py"
            found.append(listed(file if file.exists() else folder / module / "__init__.py", name))
        return sorted(found, key=lambda each: each.place)
