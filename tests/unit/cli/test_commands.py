"""Every command is found in its folder, documents itself, and leaves work to the library."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import tenantry.cli.commands
from tenantry.cli.command import Details, HelpSection, add, command, declared
from tenantry.cli.main import app
from tenantry.cli.options import RENAMED
from tenantry.errors import TenantryError

FOLDER = Path(tenantry.cli.commands.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
PROGRAM: Any = typer.main.get_command(app)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something by itself: its words and the parser's object."""
    yield from _commands_of(PROGRAM, "")


def _commands_of(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    for name, each in group.commands.items():
        words = f"{before}{name}"
        if not hasattr(each, "commands"):
            yield words, each
            continue
        if each.invoke_without_command:
            yield words, each
        yield from _commands_of(each, f"{words} ")


WITHOUT_DATABASE = ("demo", "init", "auth keys rotate", "auth keys show", "auth mail", "auth serve")
SHOWN = {words: each for words, each in commands() if not each.hidden}


def test_every_file_of_the_folder_is_a_command_or_part_of_one() -> None:
    names = {path.relative_to(FOLDER).with_suffix("").as_posix().split("/")[0] for path in FILES} - {"__init__"}
    assert set(PROGRAM.commands) == {name.replace("_", "-") for name in names}
    for path in FILES:
        words = path.relative_to(FOLDER).with_suffix("").parts
        module = importlib.import_module(".".join(("tenantry.cli.commands", *words)).removesuffix(".__init__"))
        found = [(each.name, each.formerly) for each in declared(module)]
        if hasattr(module, "GROUP"):
            assert found or path.name == "__init__.py", f"{module.__name__} is a group without commands"
        elif len(words) > 1 or words[0] != "__init__":
            assert found == [(path.stem.replace("_", "-"), None)], "one command, named after its file"


@pytest.mark.parametrize("words", ["", "auth", "auth keys", "auth users", "users"])
def test_a_list_of_commands_shows_what_they_say_themselves(words: str) -> None:
    group = PROGRAM
    for word in words.split():
        group = group.commands[word]

    def seen(commands: dict[str, Any]) -> list[tuple[str, str | None, str]]:
        return [
            (name, each.rich_help_panel, inspect.cleandoc(each.short_help or each.help).split("\n\n")[0])
            for name, each in commands.items()
        ]

    assert seen(group.commands.listed()) == seen(dict(group.commands))


def test_a_command_imports_its_own_module_only() -> None:
    code = """
import sys
from tenantry.cli.main import app
for words in sys.argv[1:]:
    app(words.split(), standalone_mode=False)
print(sorted(name for name in sys.modules if name.startswith("tenantry.cli.commands.")))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, "--help", "auth --help", "auth keys show --help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    wanted = [f"tenantry.cli.commands.{each}" for each in ("auth", "auth.keys", "auth.keys.show")]
    assert ran.stdout.splitlines()[-1] == str(wanted)


@pytest.mark.parametrize("words", SHOWN)
def test_a_command_has_help_an_example_exit_codes_and_json(words: str) -> None:
    text = SHOWN[words].help
    first = text.split("\n\n")[0]
    assert first.endswith("."), "the first paragraph is a sentence"
    assert re.search(r"\*\*Exit codes\*\*: 0 done; (1 \S.*; )?2 wrong usage", text)
    options = {name for parameter in SHOWN[words].params for name in parameter.opts}
    assert "--json" in options
    assert {"--dsn", "--manifest"} <= options or words in WITHOUT_DATABASE
    for parameter in SHOWN[words].params:
        assert getattr(parameter, "help", None), f"{parameter.name} has no help text"


@pytest.mark.parametrize("words", SHOWN)
def test_the_examples_of_a_command_can_be_typed(words: str) -> None:
    examples = re.findall(r"`(tenantry [^`]*)`", SHOWN[words].help.split("**Example", 1)[1].split("**Exit")[0])
    assert examples
    for example in examples:
        typed = shlex.split(re.split(r" [|>] ", example)[0])[1:]
        assert typed[: len(words.split())] == words.split(), "an example of another command"
        arguments = typed[len(words.split()) :]
        SHOWN[words].make_context(words, arguments)


def test_former_names_of_options_lead_to_options() -> None:
    known = {name for _, each in commands() for parameter in each.params for name in parameter.opts}
    assert set(RENAMED.values()) <= known
    assert not set(RENAMED) & known


@pytest.mark.parametrize("former", RENAMED)
def test_an_option_can_be_given_by_its_former_name(former: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = RENAMED[former]
    words = next(words for words, each in SHOWN.items() if name in {o for p in each.params for o in p.opts})
    needed = {"ids translate": ["old.csv", "--table", "t"], "users push": ["--url", "https://project.example"]}
    flag = {"--reverse": [], "--retry-refused": [], "--on-unknown": ["keep"]}.get(name, ["3"])
    given = SHOWN[words].make_context(words, [*needed.get(words, []), former, *flag]).params
    assert given[name.removeprefix("--").replace("-", "_")] not in (None, False)
    assert f"`{former}` is now called `{name}`" in " ".join(capsys.readouterr().err.split())


def test_a_command_can_be_given_by_its_former_name(capsys: pytest.CaptureFixture[str]) -> None:
    hidden = {words: each for words, each in commands() if each.hidden}
    assert {"ids look", "ids use"} <= set(hidden)
    with pytest.raises(TenantryError):
        hidden["ids look"].main(["x", "--dsn", "not a dsn"], standalone_mode=False)
    assert "`look` is now called `find`" in " ".join(capsys.readouterr().err.split())


# -- the rules of the folder -------------------------------------------------------------------------------------------

SQL = re.compile(
    r"\s*(?:(select|with|update|set|create|alter|drop|grant|revoke)|(SELECT|WITH|UPDATE|SET)|insert into|delete from)\s"
)
"""How statements begin; prose begins with one capital letter."""
WRITES_SQL = {"execute", "executemany", "fetchone", "fetchall", "cursor", "stream", "copy", "transaction"}


def breaches(source: str) -> list[str]:
    """What a command module may not hold: imports of another command, calls to the database, SQL."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module)) if module.startswith("tenantry.cli.commands"):
                found.append(f"imports {module}")
            case ast.ImportFrom(level=level) if level:
                found.append("imports a neighbour")
            case ast.Import(names=names):
                found += [f"imports {each.name}" for each in names if each.name.startswith("tenantry.cli.commands")]
            case ast.Call(func=ast.Attribute(attr=name)) if name in WRITES_SQL:
                found.append(f"calls {name}()")
            case ast.Call(func=ast.Name(id=name)) if name in ("load_sql", "load_blocks"):
                found.append(f"calls {name}()")
            case ast.Constant(value=str(text)) if SQL.match(text):
                found.append(f"holds SQL: {text}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_a_command_calls_the_library_and_no_other_command(path: Path) -> None:
    assert breaches(path.read_text(encoding="utf-8")) == []


def test_the_rules_would_see_a_breach() -> None:
    source = """
from tenantry.cli.commands.prove import prove
from . import live
connection.execute("select kid from tenantry.seal_key")
"""
    got = breaches(source)
    assert "imports tenantry.cli.commands.prove" in got
    assert "imports a neighbour" in got
    assert "calls execute()" in got
    assert "holds SQL: select kid from tenantry.seal_key" in got


def test_the_list_of_commands_makes_no_help_text_that_needs_costly_imports() -> None:
    def details() -> Details:
        made.append(1)
        return Details("The forms:\n\n- one", ("tenantry costly --json",))

    @command(section=HelpSection.RUN, details=details)
    def costly() -> None:
        """Do something costly."""

    @command("tenantry cheap")
    def cheap() -> None:
        """Do something cheap."""

    made: list[int] = []
    app, module = typer.Typer(), ModuleType("commands")
    for each in (costly, cheap):
        each.__module__ = "commands"
        setattr(module, each.__name__, each)
        add(app, declared(module)[-1])
    listed = CliRunner().invoke(app, ["--help"]).output
    assert "Do something costly." in listed
    assert made == []
    shown = CliRunner().invoke(app, ["costly", "--help"]).output
    assert made
    assert "Do something costly." in shown
    assert "tenantry costly --json" in shown
