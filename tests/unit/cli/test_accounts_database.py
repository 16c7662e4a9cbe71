"""Commands for accounts start no embedded server in a folder without a manifest: it would have no accounts."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tenantry.cli.main import app
from tenantry.errors import SettingsError

COMMANDS = [
    "auth users list",
    "auth users show ada@app.example",
    "auth users ban ada@app.example",
    "auth users unban ada@app.example",
    "auth users sign-out --everyone --yes",
    "auth users reset ada@app.example",
    "auth handover --apply",
    "auth handover --check",
]


@pytest.mark.parametrize("words", COMMANDS)
def test_without_a_connection_string_and_a_manifest_nothing_is_started(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_EXTERNAL_URL", "https://app.example")
    monkeypatch.setenv("GOTRUE_SITE_URL", "https://app.example")
    for name in ("TENANTRY_DSN", "DATABASE_URL", "TENANTRY_MANIFEST"):
        monkeypatch.delenv(name, raising=False)

    ended = CliRunner().invoke(app, words.split())

    assert isinstance(ended.exception, SettingsError), ended.output
    assert "--dsn, TENANTRY_DSN" in (ended.exception.hint or "")
    assert list(tmp_path.iterdir()) == []
