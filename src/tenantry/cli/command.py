"""Declares commands. A file in cli/commands/ is a command; there is no list to extend (tenantry.cli.folder finds it).

    @command("tenantry verify --repair", section=HelpSection.RUN, exit_1="source and target differ")
    def verify(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None: ...

A module, or package, with a `GROUP` is a command that has sub-commands: its own functions under @command, then the modules
inside it, each a command or a group again.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Any, ClassVar, TypeVar

import typer
from typer.core import TyperCommand

from tenantry.cli.console import err
from tenantry.cli.options import RENAMED

Function = TypeVar("Function", bound=Callable[..., Any])
PROBLEM = "a problem was found; the message names it"
_MARK = "__tenantry_command__"


class HelpSection(StrEnum):
    """Headings of `tenantry --help`, in their order."""

    BEFORE = "Before the migration"
    RUN = "The migration"
    SWITCH = "Cutover, rollback, completion"
    ISOLATION = "Access and isolation"
    IDENTITY = "Users and ids"
    SIGN_IN = "Sign-in"


@dataclass(frozen=True, slots=True)
class Details:
    """The part of a help text that is made only when it is shown, because it needs costly imports.

    Attributes:
        text: follows the docstring.
    """

    text: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declared:
    """The arguments of @command for a function."""

    name: str
    function: Callable[..., Any]
    examples: tuple[str, ...]
    exit_1: str
    section: HelpSection | None
    formerly: str | None
    details: Callable[[], Details] | None = None

    @property
    def summary(self) -> str:
        """The first sentence of the help text, for lists of commands."""
        return (inspect.getdoc(self.function) or "").partition("\n\n")[0]

    @property
    def help(self) -> str:
        details = self.details() if self.details is not None else Details("", self.examples)
        text = "\n\n".join(part for part in (inspect.getdoc(self.function) or "", details.text) if part)
        return help_text(text, details.examples, self.exit_1)


@dataclass(frozen=True, slots=True)
class Group:
    """A command with sub-commands.

    Attributes:
        callback: runs before a sub-command, and on its own if none is given; its docstring is the help text.
        help: the help text of a group without a callback.
    """

    section: HelpSection
    example: str
    help: str = ""
    callback: Callable[..., Any] | None = None
    exit_1: str | None = None


def command(
    *examples: str,
    section: HelpSection | None = None,
    exit_1: str = PROBLEM,
    formerly: str | None = None,
    details: Callable[[], Details] | None = None,
) -> Callable[[Function], Function]:
    """Declare a function as a command, named after the function.

    Args:
        examples: complete calls, shown in the help text; the first is the most typical one.
        section: the heading under which a command of the first level is listed.
        exit_1: the condition for exit code 1, as a clause: "there are blockers"; empty for a command that never ends with it.
        formerly: an earlier name of the command, which still works, hidden and with a notice; only in the module of a group,
            since a command that is a file is found by the file's name.
        details: makes the rest of the help text, and the examples, when they are shown.
    """

    def declare(function: Function) -> Function:
        name = function.__name__.strip("_").replace("_", "-")
        setattr(function, _MARK, Declared(name, function, examples, exit_1, section, formerly, details))
        return function

    return declare


def help_text(text: str, examples: tuple[str, ...], exit_1: str | None) -> str:
    """Return the help text of a command, with its examples and exit codes; None for a group that does nothing itself."""
    shown = f"**Example**: `{examples[0]}`"
    if len(examples) > 1:
        shown = "**Examples**:\n\n" + "\n".join(f"- `{example}`" for example in examples)
    problem = f"1 {exit_1}; " if exit_1 else ""
    codes = "" if exit_1 is None else f"**Exit codes**: 0 done; {problem}2 wrong usage or configuration."
    return "\n\n".join(part for part in (text.strip(), shown, codes) if part)


def declared(module: ModuleType) -> list[Declared]:
    """Yield the commands that a module declares itself, in order, without those it imports."""
    marked = [getattr(each, _MARK, None) for each in vars(module).values() if inspect.isfunction(each)]
    return [each for each in marked if each is not None and each.function.__module__ == module.__name__]


def add(app: typer.Typer, each: Declared) -> None:
    """Add a command, also under its former name."""
    kind = _Command if each.details is None else type("_DetailedCommand", (_DetailedCommand,), {"declared": each})
    text = each.help if each.details is None else each.summary
    app.command(each.name, cls=kind, help=text, rich_help_panel=each.section)(each.function)
    if each.formerly is not None:
        app.command(each.formerly, cls=_Command, help=each.help, hidden=True)(_under_former_name(each))


def _under_former_name(each: Declared) -> Callable[..., Any]:
    @functools.wraps(each.function)
    def run(*arguments: Any, **options: Any) -> Any:
        err.print(f"[yellow]Note:[/] `{each.formerly}` is now called `{each.name}`; the former name still works.")
        return each.function(*arguments, **options)

    return run


class _Command(TyperCommand):
    """A command that also accepts the former names of its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {name for parameter in self.params for name in parameter.opts}
        return super().parse_args(ctx, [_renamed(each, known) for each in args])


class _DetailedCommand(_Command):
    """A command whose help text is made when it is shown; lists of commands show its summary."""

    declared: ClassVar[Declared]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "short_help": self.declared.summary})

    @property
    def help(self) -> str:
        return self.declared.help

    @help.setter
    def help(self, _text: str | None) -> None:
        """The library sets the text that it was given."""


def _renamed(argument: str, known: set[str]) -> str:
    former, equals, value = argument.partition("=")
    name = RENAMED.get(former)
    if name is None or name not in known or former in known:
        return argument
    err.print(f"[yellow]Note:[/] `{former}` is now called `{name}`; the former name still works.")
    return f"{name}{equals}{value}"


__all__ = [
    "Declared",
    "Details",
    "Group",
    "HelpSection",
    "add",
    "command",
    "declared",
    "help_text",
]
