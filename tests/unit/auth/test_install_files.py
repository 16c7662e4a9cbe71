"""The files of an installation, and what the commands say where the extra is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from tenantry.auth.install.rights import LOGIN, policies_sql, wanted_rights
from tenantry.auth.install.settings_file import (
    ServerAddresses,
    database_url,
    known_password,
    read_settings_file,
    settings_text,
    write_private,
)
from tenantry.auth.users.links import LinkSettings, new_link
from tenantry.errors import SettingsError

PASSWORD = "p:@/?#[]%'\" x"


@pytest.mark.parametrize(
    ("dsn", "kept"),
    [
        ("postgresql://owner:secret@db.example:5433/app?sslmode=verify-full&sslrootcert=/etc/ca.pem",
         {"host": "db.example", "port": "5433", "dbname": "app", "sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"}),
        ("host=/run/postgresql dbname='my app' user=owner options='-c role=x'", {"host": "/run/postgresql", "dbname": "my app"}),
        ("host=::1 port=5432 dbname=app sslcert=/home/owner/c.pem sslkey=/home/owner/k.pem", {"host": "::1", "port": "5432", "dbname": "app"}),
        ("postgresql://a.example:1,b.example:2/app?target_session_attrs=read-write",
         {"host": "a.example,b.example", "port": "1,2", "dbname": "app", "target_session_attrs": "read-write"}),
        ("dbname=app", {"dbname": "app"}),
    ],
)  # fmt: skip
def test_the_servers_url_leads_to_the_same_database_as_another_login(dsn: str, kept: dict[str, str]) -> None:
    url = database_url(dsn, LOGIN, PASSWORD)
    assert conninfo_to_dict(url) == {**kept, "user": LOGIN, "password": PASSWORD}
    assert known_password({"DATABASE_URL": url}, LOGIN) == PASSWORD
    assert known_password({"DATABASE_URL": url}, "another") is None
    assert "secret" not in url


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "auth.env"
    url = database_url("host=db.example dbname=app", LOGIN, PASSWORD)
    write_private(
        path, settings_text(url, ServerAddresses("https://auth.example", "https://app.example"), Path("/k $HOME.json"))
    )
    assert path.stat().st_mode & 0o777 == 0o600
    found = read_settings_file(path)
    assert (found["DATABASE_URL"], found["GOTRUE_JWT_KEYS_FILE"]) == (url, "/k $HOME.json")
    with pytest.raises(SettingsError, match="File exists"):
        write_private(path, "")
    with pytest.raises(SettingsError, match="cannot hold"):
        settings_text(url, ServerAddresses("https://auth.example/'", "https://app.example"), None)
    path.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="not UTF-8"):
        read_settings_file(path)


def test_a_link_carries_the_hash_and_shows_nothing() -> None:
    settings = LinkSettings.read(
        {
            "API_EXTERNAL_URL": "https://auth.example/auth/v1/",
            "SITE_URL": "https://app.example",
            "MAILER_OTP_LENGTH": "8",
        }
    )
    made = new_link("recovery", "Ada@mail.example", settings)
    assert (
        made.link
        == f"https://auth.example/auth/v1/verify?token={made.token_hash}&type=recovery&redirect_to=https%3A%2F%2Fapp.example"
    )
    assert len(made.code) == 8 and len(made.token_hash) == 56
    assert made.code not in repr(made) and made.token_hash not in repr(made)
    for wrong in (
        {},
        {"API_EXTERNAL_URL": "auth.example"},
        {"API_EXTERNAL_URL": "javascript:alert(1)"},
        {"API_EXTERNAL_URL": "https://a b"},
    ):
        with pytest.raises(SettingsError):
            LinkSettings.read({"SITE_URL": "https://app.example", **wrong})


def test_rights_never_cover_ids_or_power() -> None:
    rights = wanted_rights(())
    written = {(each.name, column) for each in rights if each.privilege == "update" for column in each.columns}
    never = ("id", "user_id", "is_super_admin", "is_sso_user", "instance_id")
    assert {each for each in written if each[1] in never} == {("auth.flow_state", "user_id")}
    assert {each.privilege for each in rights} == {"select", "insert", "update", "delete", "usage"}
    assert [each for each in rights if each.privilege in ("update", "insert") and not each.columns] == []
    assert len(policies_sql(LOGIN)) == len(policies_sql(LOGIN, ["auth.users"])) + 1


WITHOUT_EXTRA = """
import importlib.abc, sys
HIDDEN = {"aiosmtpd", "aiosmtplib", "argon2", "bcrypt", "cryptography", "dotenv", "joserfc", "pyotp", "segno", "starlette", "uvicorn"}
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Hide())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in HIDDEN else found(name, package)
from typer.testing import CliRunner
from tenantry.cli.main import app
for words in ("--help", "auth --help", "auth users list --help", "auth init", "auth keys show", "auth keys rotate", "auth mail",
              "auth serve", "auth users reset ada@app.example"):
    result = CliRunner().invoke(app, words.split())
    print(words, result.exit_code if result.exception is None else f"{type(result.exception).__name__}: {result.exception.hint}", sep="|")
"""


def test_without_the_extra_help_works_and_commands_say_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    said = dict(line.split("|") for line in done.stdout.splitlines())
    assert [said[each] for each in list(said)[:3]] == ["0", "0", "0"]
    assert set(list(said.values())[3:]) == {"AuthPackagesMissing: Install it: `pip install 'tenantry[auth]'`."}
