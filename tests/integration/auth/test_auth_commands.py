"""tenantry auth init, users and keys, against a database and a running sign-in server; the commands run in this process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from psycopg import sql
from typer.testing import CliRunner

from tenantry.auth.errors import AccountUnknown, AuthSchemaForeign, MailNotSent, ServerPasswordUnknown
from tenantry.auth.install.settings_file import read_settings_file
from tenantry.auth.keys import load_keys
from tenantry.auth.mail.catcher import CaughtMail, MailCatcher, catching
from tenantry.auth.passwords import Passwords
from tenantry.auth.server.database import Database as ServerDatabase
from tenantry.auth.server.state import SignInServer
from tenantry.auth.settings import sign_in_settings
from tenantry.cli.main import app
from tenantry.errors import SettingsError, TenantryError
from tests.conftest import Database
from tests.integration.auth.sign_in import KeptMails, link_parts, serving

ADMIN = "ada@app.example"


class Shell:
    """Runs commands, and keeps all that they print."""

    def __init__(self, dsn: str, folder: Path, login: str) -> None:
        self.dsn, self.folder, self.login = dsn, folder, login
        self.printed = ""

    def run(self, *words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, ["auth", *words])
        self.printed += result.output
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if "--json" in words else result.stdout

    def init(self, *more: str) -> Any:
        where = ("--dsn", self.dsn, "--folder", str(self.folder), "--login", self.login)
        return self.run(
            "init", *where, "--external-url", "http://auth.test", "--site-url", "http://app.test", *more, "--json"
        )

    def users(self, *words: str) -> Any:
        return self.run("users", *words, "--dsn", self.dsn, "--json")

    @property
    def settings(self) -> Path:
        return self.folder / "auth.env"


@pytest.fixture
def shell(database: Database, tmp_path: Path) -> Iterator[Shell]:
    login = f"tenantry_auth_{uuid4().hex[:8]}"
    yield Shell(database.dsn, tmp_path, login)
    with database.connect() as owner:
        if owner.execute("select from pg_roles where rolname = %s", [login]).fetchone() is not None:
            owner.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(login)))


@contextmanager
def served(shell: Shell) -> Iterator[httpx.Client]:
    """Serve with the files that init wrote, and nothing else."""
    values = read_settings_file(shell.settings)
    settings = sign_in_settings({**values, "GOTRUE_DB_MAX_POOL_SIZE": "3"})
    database = ServerDatabase(settings.database_url.get_secret_value(), 3)
    server = SignInServer(settings, load_keys(None, values), Passwords(1, cost=4), database, KeptMails())
    with serving(server) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


@contextmanager
def caught() -> Iterator[tuple[int, MailCatcher]]:
    catcher, ports, loop = MailCatcher(), list[int](), asyncio.new_event_loop()
    ready, end = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with catching(catcher) as port:
            ports.append(port)
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    ready.wait()
    yield ports[0], catcher
    loop.call_soon_threadsafe(end.set)
    thread.join()
    loop.close()


def test_an_installation_serves_its_administrator_and_their_users(
    shell: Shell, database: Database, tmp_path: Path
) -> None:
    made = shell.init("--admin-email", ADMIN, "--service-token", str(tmp_path / "service.jwt"))
    assert (made["changed"], made["schema_before"], made["created_login"], made["excess"]) == (
        True,
        "missing",
        True,
        [],
    )
    for name in ("auth.env", "auth-keys.json", "service.jwt"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    token = (tmp_path / "service.jwt").read_text().strip()
    place, query, _ = link_parts(made["link"]["url"])
    assert (place, query["type"], query["redirect_to"]) == ("http://auth.test/verify", "invite", "http://app.test")
    with served(shell) as client:
        # The link makes the administrator; their token and the programs' token administer.
        session = client.post("/verify", json={"type": "invite", "token_hash": query["token"]}).json()
        for bearer in (session["access_token"], token):
            listed = client.get("/admin/users", headers={"Authorization": f"Bearer {bearer}"})
            assert [each["email"] for each in listed.json()["users"]] == [ADMIN], listed.text
        assert client.post("/verify", json={"type": "invite", "token_hash": query["token"]}).status_code == 403
        again = shell.init("--admin-email", ADMIN)
        assert again["changed"] is False and "link" not in again
        assert again["administrator"] == {"id": made["administrator"]["id"], "created": False}

        # A user who forgot the password gets a link, whose code works too; the one before stops working.
        created = client.post(
            "/admin/users", json={"email": "user@app.example", "password": "an old password", "email_confirm": True},
            headers={"Authorization": f"Bearer {token}"},
        ).json()  # fmt: skip
        config = ("--config", str(shell.settings))
        first, second = (shell.users("reset", "USER@app.example", *config) for _ in range(2))
        hashes = [link_parts(each["link"])[1]["token"] for each in (first, second)]
        assert client.post("/verify", json={"type": "recovery", "token_hash": hashes[0]}).status_code == 403
        code = {"type": "recovery", "email": "user@app.example", "token": second["code"]}
        assert client.post("/verify", json=code).status_code == 200
        assert client.post("/verify", json={"type": "recovery", "token_hash": hashes[1]}).status_code == 403

        # Ban, unban and sign out are dead at the next request.
        sign_in = {"email": "user@app.example", "password": "an old password"}
        session = client.post("/token?grant_type=password", json=sign_in).json()
        bearer = {"Authorization": f"Bearer {session['access_token']}"}
        assert shell.users("ban", created["id"], "--for", "7d")["banned"] == 1
        assert client.get("/user", headers=bearer).status_code == 403
        assert client.post("/token?grant_type=password", json=sign_in).json()["error_code"] == "user_banned"
        with pytest.raises(AccountUnknown, match="is banned"):
            shell.users("reset", "user@app.example", *config)
        assert shell.users("unban", "user@app.example", "USER@app.example", created["id"]) == {"unbanned": 1}
        session = client.post("/token?grant_type=password", json=sign_in).json()
        assert shell.users("sign-out", "user@app.example") == {"sessions_ended": 1}
        refresh = {"refresh_token": session["refresh_token"]}
        assert client.post("/token?grant_type=refresh_token", json=refresh).status_code == 400

        # A rotation is published at once.
        shell.run("keys", "rotate", *config, "--json")
        states = [each["state"] for each in shell.run("keys", "show", *config, "--json")["keys"]]
        assert states == ["standby", "current"]
        assert len(load_keys(shell.folder / "auth-keys.json", {}).keys().keys) == 2

    page = shell.users("list", "--size", "1")
    assert [each["email"] for each in page["users"]] == ["user@app.example"]
    more = shell.users("list", "--size", "1", "--after", page["next"])
    assert ([each["email"] for each in more["users"]], more["next"]) == ([ADMIN], None)
    assert [each["email"] for each in shell.users("list", "--email", "R@APP")["users"]] == ["user@app.example"]
    assert shell.users("list", "--email", "%")["users"] == []
    shown = shell.users("show", "user@app.example")
    assert shown["has_password"] and shown["identities"][0]["provider"] == "email"
    with pytest.raises(AccountUnknown, match="no account nobody"):
        shell.users("ban", "user@app.example", "nobody@app.example")
    assert not shell.users("show", "user@app.example")["banned_until"]
    for table in (
        shell.run("users", "list", "--dsn", shell.dsn),
        shell.run("users", "show", ADMIN, "--dsn", shell.dsn),
    ):
        assert ADMIN in table
    _shows_no_secret(shell, database)
    assert shell.users("sign-out", "--everyone", "--yes")["sessions_ended"] == 1
    with database.connect() as owner:
        noted = owner.execute(
            "select payload ->> 'action', payload #>> '{traits,user_email}' from auth.audit_log_entries"
            " where payload ->> 'actor_username' = 'tenantry' order by created_at"
        ).fetchall()
    user = "user@app.example"
    assert noted == [("user_invited", ADMIN), *[("user_recovery_requested", user)] * 2, ("user_modified", user), ("logout", user),
                     ("user_modified", user), ("logout", user), ("logout", None)]  # fmt: skip


def _shows_no_secret(shell: Shell, database: Database) -> None:
    secrets = [read_settings_file(shell.settings)["DATABASE_URL"]]
    secrets += [each["jwk"]["d"] for each in json.loads((shell.folder / "auth-keys.json").read_text())["keys"]]
    with database.connect() as owner:
        secrets += [
            str(value)
            for (value,) in owner.execute(
                "select encrypted_password from auth.users where encrypted_password <> '' union select token from auth.refresh_tokens"
            )
        ]
    assert len(secrets) > 3
    assert [each for each in secrets if each in shell.printed] == []


def test_links_go_by_mail_where_that_is_asked_for(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MailNotSent, match="No mail server"):
        shell.init("--admin-email", ADMIN, "--mail-link")
    with caught() as (port, catcher):
        monkeypatch.setenv("GOTRUE_SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("GOTRUE_SMTP_PORT", str(port))
        monkeypatch.setenv("GOTRUE_SMTP_ADMIN_EMAIL", "no-reply@app.example")
        made = shell.init("--admin-email", ADMIN, "--mail-link")
        assert "link" not in made
        invited = _newest(catcher)
        assert invited.to == (ADMIN,) and "invited" in invited.subject
        done = shell.users("reset", ADMIN, "--mail", "--config", str(shell.settings))
        assert done == {"id": made["administrator"]["id"], "mailed": True}
        assert _newest(catcher).links[-1].startswith("http://auth.test/verify?token=")
    with pytest.raises(MailNotSent, match="was not sent"):
        shell.users("reset", ADMIN, "--mail", "--config", str(shell.settings))


def _newest(catcher: MailCatcher) -> CaughtMail:
    return catcher.mails[0]


def test_an_installation_keeps_what_is_there_and_says_what_it_lacks(
    shell: Shell, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is left behind when the database refuses.
    with database.connect() as owner:
        owner.execute("create schema auth")
    with pytest.raises(AuthSchemaForeign):
        shell.init()
    assert list(shell.folder.iterdir()) == []
    with database.connect() as owner:
        owner.execute("drop schema auth")
    # A settings file without the database gets its line, and keeps the others.
    shell.settings.write_text("GOTRUE_PASSWORD_MIN_LENGTH=12\n")
    shell.init()
    completed = read_settings_file(shell.settings)
    added = ["API_EXTERNAL_URL", "GOTRUE_SITE_URL", "GOTRUE_JWT_KEYS_FILE", "DATABASE_URL"]
    assert list(completed) == ["GOTRUE_PASSWORD_MIN_LENGTH", *added]
    sign_in_settings(completed)
    assert shell.init()["changed"] is False
    before = {path.name: path.read_bytes() for path in shell.folder.iterdir()}
    # Without the settings file the login's password is lost; a new one is set only when that is asked for.
    shell.settings.unlink()
    with pytest.raises(ServerPasswordUnknown):
        shell.init()
    assert shell.init("--new-password")["settings"]["created"] is True
    assert (shell.folder / "auth-keys.json").read_bytes() == before["auth-keys.json"]
    replaced = "GOTRUE_PASSWORD_MIN_LENGTH=12\n" + shell.settings.read_text()
    shell.settings.write_text(replaced)
    shell.init("--new-password")
    assert shell.settings.stat().st_mode & 0o777 == 0o600
    assert shell.settings.read_text().startswith("GOTRUE_PASSWORD_MIN_LENGTH=12\n")
    assert read_settings_file(shell.settings)["DATABASE_URL"] not in replaced
    # A refusal of the database leaves the settings as they were.
    kept = shell.settings.read_bytes()
    with database.connect() as owner:
        owner.execute(
            "create function public.refuse() returns event_trigger language plpgsql as $$begin raise 'no'; end$$"
        )
        owner.execute("create event trigger refuse on ddl_command_start execute function public.refuse()")
        with pytest.raises(TenantryError):
            shell.init("--new-password")
        owner.execute("drop event trigger refuse")
    assert shell.settings.read_bytes() == kept
    # Settings that lead elsewhere are kept, and named.
    assert shell.init()["settings"]["elsewhere"] is False
    shell.settings.write_text(shell.settings.read_text().replace(f"/{database.name}?", "/another?"))
    monkeypatch.setenv("TENANTRY_AUTH_DB_PASSWORD", "an invented password")
    assert shell.init()["settings"] == {"file": str(shell.settings), "created": False, "elsewhere": True}
    # Keys of the environment need no file, and a token of theirs is printed only when that is asked for.
    (shell.folder / "auth-keys.json").unlink()
    shell.settings.unlink()
    monkeypatch.setenv("GOTRUE_JWT_SECRET", "an invented secret of more than 32 bytes")
    made = shell.init("--new-password", "--print-service-token")
    assert made["keys"] == {"file": None, "created": False} and made["service_token"].count(".") == 2
    assert not (shell.folder / "auth-keys.json").exists()
    for wrong in (
        ["--external-url", "app.example"],
        ["--service-token", str(shell.settings)],
        ["--folder", "/nowhere"],
    ):
        with pytest.raises(SettingsError):
            shell.init(*wrong)
    script = shell.run("init", "--sql", "--login", shell.login)
    assert f"grant usage on schema auth to {shell.login}" in script and "PASSWORD" not in script
    assert "insert (" in shell.run("init", "--show-grants")
