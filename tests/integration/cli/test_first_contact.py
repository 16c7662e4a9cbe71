"""First contact: the version, the roles' script, and commands after a demo in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

import tenantry
from tenantry.settings import read_settings, remember_demo
from tests.migrate_support import cli
from tests.small import MakeSmall


def test_the_version_is_printed_without_a_command() -> None:
    said = cli("--version")
    assert (said.code, said.out.strip()) == (0, tenantry.__version__)


def test_roles_are_printed_while_the_rest_of_the_manifest_is_wrong(small: MakeSmall) -> None:
    app = small()
    app.rewrite("[tenant]", "[tennant]")
    app.run("analyze", code=2)
    assert "create role" in app.run("roles", "--owner", "small_owner", code=0).out


def test_a_wrong_role_name_is_reported_with_its_place(small: MakeSmall) -> None:
    app = small()
    app.rewrite("[tenant]", '[database_roles]\nanonn = "guest"\n[tenant]')
    said = app.run("roles", code=2)
    assert "TN-110" in said.err
    assert "anonn" in said.err


def test_commands_behind_a_demo_mean_its_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = tmp_path / "elsewhere" / "demo.toml"
    manifest.parent.mkdir()
    manifest.touch()
    remember_demo(read_settings(environment={}), manifest)
    assert read_settings(environment={}).manifest == Path("elsewhere/demo.toml")
    assert read_settings(environment={"DATABASE_URL": "dbname=theirs"}).manifest is None
    (tmp_path / "tenantry.toml").touch()
    assert read_settings(environment={}).manifest == Path("tenantry.toml")


def test_missing_roles_are_reported(small: MakeSmall) -> None:
    app = small()
    app.run("analyze", code=0)
    app.as_superuser(f"grant temporary on database {app.database.name} to public")
    found = app.run("analyze", "--json", code=0).json["findings"]
    assert [each["severity"] for each in found if each["code"] == "TA-160"] == ["warning"]
    assert "tenantry roles" in app.run("migrate", code=0).err
