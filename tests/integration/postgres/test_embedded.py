"""The embedded server starts, is shared, survives kills of its users, and is stopped by the last one."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest

from tenantry.postgres import EmbeddedServer
from tests.migrate_support import cli, copy_of_clinic
from tests.small import MakeSmall


@pytest.fixture
def folder() -> Path:

    path = Path(tempfile.mkdtemp(prefix="e-", dir=os.environ["TENANTRY_TEST_SERVERS"]))
    path.chmod(0o755)
    return path


def test_the_last_user_stops_the_server(folder: Path) -> None:
    first = EmbeddedServer(folder).start()
    second = EmbeddedServer(folder).start()
    first.stop()
    with psycopg.connect(second.dsn()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    second.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(second.dsn())


def test_data_outlives_a_stop(folder: Path) -> None:
    with EmbeddedServer(folder) as server, psycopg.connect(server.dsn()) as connection:
        connection.execute("create table kept (n int)")
    with EmbeddedServer(folder) as server, psycopg.connect(server.dsn()) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_it_listens_on_no_network_address(folder: Path) -> None:
    with EmbeddedServer(folder) as server, psycopg.connect(server.dsn()) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)
        assert server.data.stat().st_mode & 0o077 == 0


def test_a_folder_that_only_its_owner_can_enter_is_served_and_stays_closed(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedServer(closed / "project")
    with server, psycopg.connect(server.dsn()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert closed.stat().st_mode & 0o777 == 0o700
    if closed not in server.data.parents:  # as root: another account serves, and its data is elsewhere
        shutil.rmtree(server.data.parents[1])


def test_variables_for_another_server_do_not_lead_away_from_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PGPORT", "5555"), ("PGHOSTADDR", "127.0.0.1"), ("PGUSER", "nobody"), ("PGDATABASE", "other")):
        monkeypatch.setenv(name, value)
    with EmbeddedServer(folder) as server, psycopg.connect(server.dsn()) as connection:
        assert connection.execute("select current_database(), current_user").fetchone() == ("postgres", "postgres")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses the account that runs the server")
def test_the_owner_of_the_data_runs_the_server(folder: Path) -> None:
    with EmbeddedServer(folder) as server:
        pass
    other = pwd.getpwnam("nobody")
    for path in (server.data, *server.data.rglob("*"), server.log_file):
        os.chown(path, other.pw_uid, other.pw_gid)
    with EmbeddedServer(folder) as again, psycopg.connect(again.dsn()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        assert (again.data / "postmaster.pid").stat().st_uid == other.pw_uid


def test_a_proof_brings_its_roles_to_an_embedded_server_that_has_none(
    folder: Path, small: MakeSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = small()
    app.migrate()
    monkeypatch.chdir(folder)
    app.run("prove", "--copy", "--embedded", "--part", "matrix", "--dsn", app.database.dsn, code=0)


def test_a_command_reads_missing_data_before_its_server_stops(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_of_clinic(folder).parent)
    said = cli("rollback", "--everything", "--yes", environment={"TENANTRY_DSN": "", "DATABASE_URL": ""})
    assert said.code == 0, said.out + said.err
