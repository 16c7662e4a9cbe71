"""What `tenantry init` asks at a terminal."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from tenantry.cli.commands.init import _ask, _number_up_to
from tenantry.draft import DraftOptions
from tenantry.survey import Candidate, Survey


@pytest.mark.parametrize(
    ("typed", "taken", "asked_again"),
    [("2\n", 2, False), ("\n", 1, False), ("7\n3\n", 3, True), ("x\n1\n", 1, True), ("0\n-1\n2\n", 2, True)],
)
def test_the_number_of_a_candidate_is_asked_for_until_it_is_one(typed: str, taken: int, asked_again: bool) -> None:
    app = typer.Typer()

    @app.command()
    def ask() -> None:
        typer.echo(f"taken {typer.prompt('Number', value_proc=_number_up_to(3), default='1', err=True)}")

    said = CliRunner().invoke(app, input=typed)
    assert said.exit_code == 0
    assert f"taken {taken}" in said.output
    assert ("is not a number from 1 to 3" in said.output) == asked_again


@pytest.mark.parametrize(
    ("typed", "tenant", "person", "values"),
    [
        ("1\n", "teams", False, ""),
        ("2\n", None, False, "code"),
        ("3\n", "constant", False, ""),
        ("4\n", None, True, ""),
    ],
)
def test_values_and_one_tenant_for_everything_are_among_the_choices(
    typed: str, tenant: str | None, person: bool, values: str
) -> None:
    candidates = (
        Candidate("teams", 60, ("its name",)),
        Candidate("", 50, ("many have it",), "column", "code"),
        Candidate("", 45, ("the whole database",), "constant"),
        Candidate("users", 20, ("some lead there",), "person"),
    )
    found = Survey("shop", "public", "18", tenants=candidates)
    app = typer.Typer()

    @app.command()
    def ask() -> None:
        options = _ask(found, DraftOptions())
        typer.echo(f"{options.tenant} {options.person} {options.constant} [{options.values}]")

    said = CliRunner().invoke(app, input=typed)
    assert f"{tenant} {person} {tenant == 'constant'} [{values}]" in said.output
