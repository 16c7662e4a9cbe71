"""What can go wrong with a throttle, and the commands and the manifest that set it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import pytest

from tenantry.errors import ManifestError, NoRun, SettingsError, TenantryError
from tenantry.manifest import load_manifest
from tenantry.manifest.model import Throttle as Settings
from tenantry.migrate.throttle.limits import _EFFECTS, Course, Limits, Reason
from tenantry.migrate.throttle.overrides import change_settings, pause, reset_settings, resume, stored_settings
from tenantry.postgres import connect
from tests.conftest import Database
from tests.integration.migrate.throttled import NOTHING, Waiting, journal, plain, session, watched
from tests.migrate_support import MANIFEST, Said, cli, wait_for

__all__ = ["plain"]


# -- what can go wrong -----------------------------------------------------------------------------------------------------


def test_a_journal_made_later_is_found(database: Database) -> None:
    with watched(database) as by, connect(database.dsn) as other:
        assert by.throttle.wait("copy") == 0.0
        journal(database)
        pause(other)
        wait_for("the pause", lambda: by.codes() == ["paused"])
        other.execute("drop schema tenantry cascade")
        wait_for("its end", lambda: by.codes() == [])


def test_invalid_rows_of_the_settings_table_are_ignored_and_reported_once(database: Database) -> None:
    with watched(journal(database)) as by, connect(database.dsn) as other:
        other.execute(
            "insert into tenantry.setting (name, value) values ('max_wal_per_secnd', '\"1MB\"'), ('sleep', '7'),"
            " ('max_slot_lag', '\"7GB\"')"
        )
        assert by.throttle.wait("copy") == 0.0
        wait_for("a second look", lambda: by.throttle.limits().max_slot_lag == 7 * 2**30)
    assert sorted(by.notices) == [
        "tenantry.setting is ignored at max_wal_per_secnd: no such setting; did you mean 'max_wal_per_second'?",
        'tenantry.setting is ignored at sleep: must be a time with its unit: "500ms", "10s", "5min", "2h" or "off"',
    ]


def test_a_connection_that_was_ended_is_opened_again(database: Database) -> None:
    with watched(journal(database)) as by, session(database, "admin") as admin:
        by.throttle.wait("copy")
        found = admin.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database()"
            " and application_name = 'tenantry: throttle'"
        ).fetchall()
        assert found == [(True,)]
        wait_for("a look of a new connection", lambda: by.throttle.limits() and by.codes() == [])
        assert by.throttle.wait("copy") == 0.0


def test_a_server_that_is_gone_is_a_typed_error(database: Database) -> None:
    with watched(journal(database)) as by, psycopg.connect(database.server.dsn(), autocommit=True) as admin:
        by.throttle.wait("copy")
        admin.execute(f"alter database {database.name} with allow_connections false")
        admin.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", [database.name]
        )

        def look() -> bool:
            by.throttle.wait("copy")
            return False

        with pytest.raises(TenantryError):
            wait_for("an error", look)
        admin.execute(f"alter database {database.name} with allow_connections true")


def test_a_look_that_gets_no_answer_holds_copying_until_there_is_one(database: Database) -> None:
    with watched(journal(database)) as by, session(database, "admin") as admin:
        admin.execute("begin")
        admin.execute("lock table tenantry.setting in access exclusive mode")
        waiting = Waiting(by, "copy")
        wait_for("the notice", lambda: by.notices)
        assert waiting.waits
        admin.execute("rollback")
        waiting.goes_on()
    assert by.notices[0].startswith("Copying waits: the server does not answer")


def test_nothing_but_a_pause_holds_replay_for_ever() -> None:
    held = {code: Reason(code, "").patience("replay", None, Limits.of(Settings())) for code in _EFFECTS}
    assert held.pop("paused") == float("inf")
    assert set(held.values()) == {0.0, 2.0}


def test_a_stopped_standby_lags_at_least_as_long_as_observed() -> None:
    course = Course()
    for at, wal in ((0.0, 100), (10.0, 200), (20.0, 300), (30.0, 300)):
        course.add(at, wal, None)
    assert course.behind(300) == 0.0
    assert course.behind(200) == 10.0
    assert course.behind(150) == 20.0
    assert course.behind(0) == 30.0


def test_wal_of_others_is_waited_for_half_a_minute_at_most() -> None:
    course = Course()
    course.add(0.0, 0, 1000.0)
    course.add(1.0, 10_000_000, 1000.0)
    assert course.debt == 30_000
    course.add(11.0, 10_000_000, 1000.0)
    assert course.debt == 20_000


# -- the manifest ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("max_lock_wait = '1 parsec'", "throttle.max_lock_wait: '1 parsec' is not a time; write \"500ms\""),
        ("max_wal_per_second = 64", "throttle.max_wal_per_second: must be a size with its unit"),
        ("max_slot_lag = '10s'", "throttle.max_slot_lag: '10s' is not a size"),
        ("max_slot_lag = '0GB'", "throttle.max_slot_lag: a limit of 0 would stop the run"),
        ("chunk_target = 'off'", "throttle.chunk_target: must be between 10ms and 1h"),
        ("yield_to_autovacuum = 'yes'", "throttle.yield_to_autovacuum: must be true or false"),
        ("max_wal_per_secnd = '1MB'", "throttle.max_wal_per_secnd: unknown key; did you mean 'max_wal_per_second'?"),
    ],
)
def test_a_wrong_setting_in_the_manifest_is_named_with_its_line(tmp_path: Path, line: str, want: str) -> None:
    text = MANIFEST.read_text(encoding="utf-8")
    (tmp_path / "tenantry.toml").write_text(f"{text}\n[throttle]\n{line}\n", encoding="utf-8")
    with pytest.raises(ManifestError) as raised:
        load_manifest(tmp_path / "tenantry.toml")
    (problem,) = raised.value.problems
    assert f":{text.count(chr(10)) + 3}: {want}" in str(problem)


# -- settings and commands ---------------------------------------------------------------------------------------------------


def test_settings_are_changed_all_or_none(database: Database) -> None:
    with connect(journal(database).dsn) as connection:
        with pytest.raises(SettingsError) as raised:
            change_settings(connection, {"sleep": "1s", "max_lock_wiat": "1s", "max_slot_lag": "much"})
        assert stored_settings(connection) == {}
        assert raised.value.message.splitlines() == [
            "max_lock_wiat: no such setting; did you mean 'max_lock_wait'?",
            'max_slot_lag: \'much\' is not a size; write "512kB", "64MB", "8GB", "1TB" or "off"',
        ]
        assert change_settings(connection, {"sleep": "1 S", "yield_to_autovacuum": False}) == {
            "sleep": "1s",
            "yield_to_autovacuum": False,
        }
        pause(connection)
        assert reset_settings(connection, ["sleep"]) == ["sleep"]
        assert reset_settings(connection) == ["yield_to_autovacuum"]
        assert list(stored_settings(connection)) == ["pause"]


def test_a_journal_without_the_table_gets_it(database: Database) -> None:
    with connect(database.dsn) as connection:
        with pytest.raises(NoRun):
            pause(connection)
        assert not resume(connection)
        assert reset_settings(connection) == []
        connection.execute("create schema tenantry")
        assert pause(connection)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """The commands, run as the command line runs them."""
    return cli


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest under which nothing of the server's is a reason."""
    lines = [
        f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for name, value in NOTHING.items()
    ]
    text = MANIFEST.read_text(encoding="utf-8") + "\n[throttle]\n" + "\n".join(lines) + "\n"
    (tmp_path / "tenantry.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tenantry.toml"


def test_the_command_shows_settings_readings_and_reasons(
    database: Database, program: Callable[..., Said], quiet: Path
) -> None:
    said = program("throttle", "--dsn", journal(database).dsn, "--json")
    assert (said.code, said.json["reasons"], said.json["paused"]) == (0, [], False)
    rows = {row["name"]: row for row in said.json["settings"]}
    assert list(rows) == list(Settings.model_fields)
    assert (rows["max_slot_lag"]["value"], rows["max_slot_lag"]["from"]) == ("off", "manifest")
    assert (rows["sleep"]["value"], rows["sleep"]["from"]) == ("off", "default")
    assert rows["max_wal_per_second"]["measured"] >= 0

    # Options may stand before the word set as well as behind it.
    assert program("throttle", "--dsn", database.dsn, "set", "max-slot-lag=5 gb", "yield_to_autovacuum=on").code == 0
    assert program("pause", "--dsn", database.dsn, "--reason", "backup").code == 0
    said = program("throttle", "--dsn", database.dsn)
    assert said.code == 1
    assert re.search(r"max_slot_lag +5GB +\S+ +set at [-T\d:]+, manifest: off", said.out)
    assert re.search(
        r"paused paused by .+: backup; `tenantry resume` continues\. Copy waits, replay waits\.", said.everything
    )
    said = program("throttle", "--dsn", database.dsn, "--json")
    rows = {row["name"]: row for row in said.json["settings"]}
    assert (rows["max_slot_lag"]["value"], rows["max_slot_lag"]["from"]) == ("5GB", "set")
    assert rows["max_slot_lag"]["manifest"] == "off"
    assert [reason["code"] for reason in said.json["reasons"]] == ["paused"]
    assert said.json["paused"] is True


def test_commands_change_settings_and_report_it(database: Database, program: Callable[..., Said], quiet: Path) -> None:
    dsn = ("--dsn", journal(database).dsn)
    assert program("throttle", "set", "max_slot_lag=1GB", "sleep=0s", *dsn, "--json").json == {
        "set": {"max_slot_lag": "1GB", "sleep": "off"},
        "manifest": {"max_slot_lag": "off", "sleep": "off"},
    }
    assert "sleep = off again" in program("throttle", "reset", "sleep", *dsn).out
    assert program("throttle", "reset", *dsn, "--json").json == {
        "reset": ["max_slot_lag"],
        "manifest": {"max_slot_lag": "off"},
    }
    assert "No setting was overridden" in program("throttle", "reset", *dsn).out
    first = program("pause", *dsn, "--json").json
    again = program("pause", *dsn, "--json").json
    assert (first["changed"], again["changed"]) == (True, False)
    assert first["since"] == again["since"]
    assert program("resume", *dsn, "--json").json == {"paused": False, "changed": True}
    assert program("resume", *dsn).out == "It was not paused.\n"


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        (["throttle", "set", "max_wal_per_secnd=1MB"], "did you mean 'max_wal_per_second'?"),
        (["throttle", "set", "max_wal_per_second=fast"], "'fast' is not a size"),
        (["throttle", "set", "yield_to_autovacuum=perhaps"], "must be true or false"),
        (["throttle", "set", "sleep"], "must be written as name=value"),
        (["throttle", "set", "pause=true"], "Use `tenantry pause`"),
        (["throttle", "reset", "slep"], "did you mean 'sleep'?"),
        (["throttle", "reset", "zzz"], "there are sleep, chunk_target"),
    ],
)
def test_wrong_usage_is_reported_with_the_nearest_name(
    database: Database, program: Callable[..., Said], quiet: Path, arguments: Sequence[str], want: str
) -> None:
    said = program(*arguments, "--dsn", journal(database).dsn)
    assert (said.code, said.out) == (2, "")
    assert want in said.everything
    with connect(database.dsn) as connection:
        assert stored_settings(connection) == {}


@pytest.mark.parametrize("arguments", [["pause"], ["throttle", "set", "sleep=1s"]])
def test_without_a_run_there_is_nothing_to_change(
    database: Database, program: Callable[..., Said], quiet: Path, arguments: Sequence[str]
) -> None:
    said = program(*arguments, "--dsn", database.dsn, "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "TN-403")


def test_the_settings_can_be_seen_before_there_is_a_run(
    database: Database, program: Callable[..., Said], quiet: Path
) -> None:
    said = program("throttle", "--dsn", database.dsn)
    assert said.code == 0
    assert "Nothing throttles a run." in said.out


def test_a_login_without_rights_on_the_journal_is_reported(
    database_each: Database, plain: str, program: Callable[..., Said], quiet: Path
) -> None:
    with database_each.connect() as admin:
        admin.execute(f"revoke all on tenantry.setting from {plain}")
    said = program("pause", "--dsn", database_each.dsn_as(plain))
    assert (said.code, "TN-204" in said.err) == (2, True)
