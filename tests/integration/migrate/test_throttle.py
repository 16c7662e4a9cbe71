"""A run backs off under load: each condition is produced for real, delays the right work, is reported once, and ends."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from tenantry.errors import ManifestError, NoRun, SettingsError, TenantryError
from tenantry.journal.ddl import journal_ddl
from tenantry.manifest import load_manifest
from tenantry.manifest.model import Throttle as Settings
from tenantry.migrate.throttle.limits import _EFFECTS, Course, Limits, Look, Reason, Work, judge
from tenantry.migrate.throttle.overrides import change_settings, pause, reset_settings, resume, stored_settings
from tenantry.migrate.throttle.throttle import INTERVAL, Throttle
from tenantry.postgres import EmbeddedServer, connect
from tests.conftest import Database, fresh_database
from tests.migrate_support import MANIFEST, Said, cli, wait_for

# Workers share a server: of what is the server's and not the database's, a test switches on only what it is about.
NOTHING: dict[str, Any] = {
    "max_lock_wait": "off",
    "max_replication_lag": "off",
    "max_slot_lag": "off",
    "max_transaction_age": "off",
    "max_wal_per_second": "off",
    "min_free_disk": "off",
    "yield_to_autovacuum": False,
}
MB = 2**20


def settings(**values: object) -> Settings:
    return Settings.model_validate({**NOTHING, **values})


def journal(database: Database) -> Database:
    with database.connect() as admin:
        for statement in journal_ddl()[:2]:
            admin.execute(statement.encode())
    return database


@dataclass
class Watched:
    """A throttle, what it said, and a switch for its end."""

    throttle: Throttle
    notices: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def codes(self) -> list[str]:
        return [reason.code for reason in self.throttle.reasons()]


@contextmanager
def watched(server: Database | str | Callable[[], Any], values: Settings | None = None) -> Iterator[Watched]:
    notices: list[str] = []
    stop = threading.Event()
    at = server.dsn if isinstance(server, Database) else server
    with Throttle(at, values or settings(), notice=notices.append, stopped=stop.is_set) as made:
        yield Watched(made, notices, stop)


class Waiting:
    """wait() in a thread of its own."""

    def __init__(self, by: Watched, work: Work, table: str | None = None) -> None:
        self._by = by
        self.waited: float | None = None
        self._thread = threading.Thread(target=self._run, args=(work, table))
        self._thread.start()

    def _run(self, work: Work, table: str | None) -> None:
        self.waited = self._by.throttle.wait(work, table)

    @property
    def waits(self) -> bool:
        return self._thread.is_alive()

    def goes_on(self) -> float:
        """The seconds waited, once it has gone on; fails when it does not."""
        self._thread.join(20)
        if self._thread.is_alive():
            self._by.stop.set()
            self._thread.join()
            raise AssertionError(f"still waits: {self._by.notices}")
        assert self.waited is not None
        return self.waited


@contextmanager
def session(database: Database, name: str) -> Iterator[psycopg.Connection[TupleRow]]:
    with psycopg.connect(database.dsn, autocommit=True, application_name=name) as made:
        yield made


@contextmanager
def blocked(database: Database, holder: str, *, on: str = "row") -> Iterator[psycopg.Connection[TupleRow]]:
    """A session of the name `holder` holds a lock that session 'web' waits for; committing what is given releases it."""
    statement = {
        "row": "update visits set note = 'x' where id = 1",
        "table": "lock table visits in share mode",
    }[on]
    with session(database, "admin") as admin, session(database, holder) as first, session(database, "web") as second:
        admin.execute("create table visits (id int primary key, note text)")
        admin.execute("insert into visits values (1, 'a')")
        first.execute("begin")
        first.execute(statement)
        waiter = threading.Thread(target=second.execute, args=("update visits set note = 'y' where id = 1",))
        waiter.start()
        try:
            pid = second.info.backend_pid
            wait_for(
                "the wait for a lock",
                lambda: admin.execute("select 1 from pg_locks where not granted and pid = %s", [pid]).fetchone(),
            )
            yield first
        finally:
            first.execute("rollback")
            waiter.join()


# -- nothing, pause, stop ------------------------------------------------------------------------------------------------


def test_work_without_reasons_to_back_off_does_not_wait(database_each: Database) -> None:
    with watched(journal(database_each)) as by:
        assert by.throttle.wait("copy", "public.visits") == 0.0
        assert by.throttle.wait("replay") == 0.0
        assert by.codes() == []
    assert by.notices == []


def test_the_defaults_hold_nothing_back_on_a_quiet_server_of_ones_own(own: EmbeddedServer) -> None:
    with fresh_database(own) as database, watched(journal(database), Settings()) as by:
        assert by.throttle.wait("copy") == 0.0
    assert by.notices == []


@pytest.mark.parametrize("work", ["copy", "replay"])
def test_a_pause_stops_copy_and_replay_until_it_ends(database_each: Database, work: Work) -> None:
    with watched(journal(database_each)) as by, connect(database_each.dsn) as other:
        assert pause(other, by="anna", reason="quarter's end")
        assert not pause(other, by="ben")
        waiting = Waiting(by, work)
        wait_for("the notice", lambda: by.notices)
        assert waiting.waits
        assert by.codes() == ["paused"]
        assert resume(other)
        assert waiting.goes_on() > 0
        assert not resume(other)
    label = {"copy": "Copying", "replay": "Replay"}[work]
    assert len(by.notices) == 2, by.notices
    assert re.fullmatch(
        rf"{label} waits: paused by anna at [-\d]+ [:\d]+ UTC: quarter's end; `tenantry resume` continues\.",
        by.notices[0],
    )
    assert re.fullmatch(rf"{label} continues after [\d.]+ s\.", by.notices[1])


def test_a_stop_ends_the_waiting(database: Database) -> None:
    with watched(journal(database)) as by, connect(database.dsn) as other:
        pause(other)
        waiting = Waiting(by, "replay")
        wait_for("the notice", lambda: by.notices)
        by.stop.set()
        waiting.goes_on()
    assert len(by.notices) == 1


def test_who_has_been_stopped_asks_nothing() -> None:
    def refuse() -> Any:
        raise AssertionError("a connection was asked for")

    throttle = Throttle(refuse, Settings(), notice=print, stopped=lambda: True)
    assert throttle.wait("copy") == 0.0


def test_workers_share_one_reading_and_report_once(database: Database) -> None:
    asked: list[float] = []

    class Counting(psycopg.Cursor[Any]):
        def execute(self, *arguments: Any, **options: Any) -> Any:
            asked.append(time.monotonic())
            return super().execute(*arguments, **options)

    def dial() -> Any:
        return psycopg.connect(database.dsn, autocommit=True, application_name="tenantry", cursor_factory=Counting)

    with watched(dial) as by, connect(journal(database).dsn) as other:
        pause(other)
        began = time.monotonic()
        workers = [Waiting(by, "copy") for _ in range(5)]
        wait_for("eight looks", lambda: len(asked) >= 12)
        took = time.monotonic() - began
        resume(other)
        for worker in workers:
            worker.goes_on()
    # Settings of the session, what the login may do, and the size at first are asked once.
    looks = [at for at in asked if at - began <= took][4:]
    assert len(looks) <= took / INTERVAL + 1
    assert len(by.notices) == 2, by.notices


def test_sleep_spaces_out_copying_alone(database: Database) -> None:
    with watched(journal(database), settings(sleep="200ms")) as by:
        assert by.throttle.wait("copy") == 0.0  # before the first look nothing is known, and nothing was done
        assert by.throttle.wait("copy") >= 0.2
        assert by.throttle.wait("replay") == 0.0


# -- locks and transactions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", ["row", "table"])
def test_work_waits_while_others_wait_for_our_locks(database_each: Database, on: str) -> None:
    with (
        watched(journal(database_each), settings(max_lock_wait="10ms")) as by,
        blocked(database_each, "tenantry: worker", on=on) as holder,
    ):
        waiting = Waiting(by, "copy")
        wait_for("the notice", lambda: by.notices)
        (reason,) = by.throttle.reasons()
        assert waiting.waits
        holder.execute("commit")
        waiting.goes_on()
        assert by.codes() == []
    assert reason.code == "lock_wait"
    assert reason.value is not None and reason.value > 0.01 == reason.limit
    assert re.search(r"pid \d+ \(web\) has waited [\d.]+s for public\.visits, which Tenantry holds", by.notices[0])
    assert re.fullmatch(r"Copying continues after [\d.]+ s\.", by.notices[1])


def test_replay_yields_to_a_lock_wait_for_moments_only(database: Database) -> None:
    values = settings(max_lock_wait="10ms", chunk_target="50ms")
    with watched(journal(database), values) as by, blocked(database, "tenantry: worker"):
        wait_for("the reason", by.codes)
        assert by.throttle.wait("replay") == pytest.approx(0.2, abs=0.15)
        assert by.codes() == ["lock_wait"]


def test_waits_that_others_cause_are_not_ours(database: Database) -> None:
    with watched(journal(database), settings(max_lock_wait="10ms")) as by, blocked(database, "somebody else"):
        assert by.codes() == []
        assert by.throttle.wait("copy") == 0.0


def test_a_long_transaction_slows_copying_and_leaves_replay_alone(database_each: Database) -> None:
    values = settings(max_transaction_age="50ms", chunk_target="100ms")
    with watched(journal(database_each), values) as by, session(database_each, "report") as other:
        other.execute("begin isolation level repeatable read")
        other.execute("select count(*) from pg_class")
        wait_for("the reason", by.codes)
        (reason,) = by.throttle.reasons()
        assert by.throttle.wait("replay") == 0.0
        assert by.throttle.wait("copy") == pytest.approx(0.4, abs=0.2)
        assert by.throttle.wait("copy") > 0.3
        other.execute("commit")
        wait_for("its end", lambda: not by.codes())
        assert by.throttle.wait("copy") == 0.0
    assert reason.code == "long_transaction"
    assert "(report) has been in a transaction for" in reason.text
    assert [notice.split(":")[0] for notice in by.notices] == ["Copying slows down"]


def test_a_harmless_transaction_is_no_reason_to_back_off(database: Database) -> None:
    with watched(journal(database), settings(max_transaction_age="10ms")) as by, session(database, "idle") as other:
        other.prepare_threshold = None  # the portal of a prepared statement would keep its snapshot
        other.execute("begin")
        other.execute("select 1")
        wait_for(
            "an old transaction",
            lambda: other.execute("select clock_timestamp() - now() > interval '50 ms'").fetchone() == (True,),
        )
        assert by.codes() == []


# -- WAL, slots, standbys, disk ------------------------------------------------------------------------------------------


def write(database: Database, megabytes: int) -> int:
    """Make WAL by inserts; the bytes."""
    with session(database, "writer") as other:
        other.execute("set synchronous_commit = on")  # what is committed is written, so that its size can be read
        other.execute("create table if not exists filled (content text)")
        (before,) = other.execute("select pg_current_wal_lsn()::text").fetchone() or ("",)
        for _ in range(megabytes):
            other.execute("insert into filled select repeat(md5(n::text), 32) from generate_series(1, 1000) n")
        found = other.execute("select pg_wal_lsn_diff(pg_current_wal_lsn(), %s)::bigint", [before]).fetchone()
        assert found is not None
        return int(found[0])


def test_copying_keeps_the_pace_of_wal(database_each: Database) -> None:
    with watched(journal(database_each), settings(max_wal_per_second="4MB")) as by:
        by.throttle.wait("copy")
        began = time.monotonic()
        written = write(database_each, 8)
        wait_for("the reason", by.codes)
        assert by.throttle.wait("copy") > 0
        took = time.monotonic() - began
    assert written > 8 * MB
    # A quarter of a second's worth may be ahead; a look more or less is forgiven.
    assert took > written / (4 * MB) - 0.25 - INTERVAL
    assert re.match(
        r"Copying slows down: WAL is [\d.]+MB ahead of its pace \(max_wal_per_second is 4MB\)", by.notices[0]
    )


def test_replay_is_slowed_by_wal_for_moments_only(database: Database) -> None:
    with watched(journal(database), settings(max_wal_per_second="64kB", chunk_target="50ms")) as by:
        by.throttle.wait("replay")
        write(database, 2)
        wait_for("the reason", by.codes)
        assert 0 < by.throttle.wait("replay") < 0.4


def test_a_setting_changed_while_work_waits_holds_from_the_next_look(database_each: Database) -> None:
    slot = f"slot_{database_each.name}"
    with watched(journal(database_each), settings(max_slot_lag="64kB")) as by, connect(database_each.dsn) as other:
        other.execute("select pg_create_physical_replication_slot(%s, true)", [slot])
        try:
            write(database_each, 1)
            waiting = Waiting(by, "copy")
            wait_for("the notice", lambda: by.notices)
            change_settings(other, {"max_slot_lag": "512 kB"})
            wait_for("the new limit", lambda: by.throttle.limits().max_slot_lag == 512 * 1024)
            assert waiting.waits
            change_settings(other, {"max_slot_lag": "900TB"})
            waiting.goes_on()
            assert reset_settings(other) == ["max_slot_lag"]
            wait_for("the manifest's limit", lambda: by.codes() == ["slot_lag"])
        finally:
            other.execute("select pg_drop_replication_slot(%s)", [slot])
    assert re.search(
        rf"slot {slot} holds back [\d.]+MB of WAL, and no process reads it.*max_slot_lag is 64kB", by.notices[0]
    )
    assert by.notices[1].startswith("Copying continues")


def test_a_wal_directory_that_grows_holds_copying(database_each: Database) -> None:
    with watched(journal(database_each), settings(max_wal_directory="1MB")) as by, connect(database_each.dsn) as other:
        waiting = Waiting(by, "copy")
        wait_for("the notice", lambda: by.notices)
        assert by.codes() == ["wal_directory"]
        change_settings(other, {"max_wal_directory": "off"})
        waiting.goes_on()


def test_the_growth_of_the_database_is_counted_from_the_first_run(database: Database) -> None:
    limit = settings(max_database_growth="2MB")
    with watched(journal(database)) as by:
        by.throttle.wait("copy")
    write(database, 4)
    with watched(database, limit) as by, connect(database.dsn) as other:
        waiting = Waiting(by, "copy")
        wait_for("the notice", lambda: by.notices)
        (reason,) = by.throttle.reasons()
        assert by.throttle.wait("replay") == 0.0
        change_settings(other, {"max_database_growth": "1GB"})
        waiting.goes_on()
    assert reason.code == "database_growth"
    assert reason.value is not None and 2 * MB < reason.value < 64 * MB


def test_looking_without_working_writes_nothing_down(database: Database) -> None:
    with watched(journal(database), settings(max_database_growth="1MB")) as by, connect(database.dsn) as other:
        by.throttle.readings()
        assert stored_settings(other) == {}


def test_little_free_disk_holds_copying(database: Database) -> None:
    with watched(journal(database), settings(min_free_disk="900TB")) as by, connect(database.dsn) as other:
        waiting = Waiting(by, "copy")
        wait_for("the notice", lambda: by.notices)
        assert by.codes() == ["free_disk"]
        assert by.throttle.wait("replay") == 0.0
        free = os.statvfs(database.server.data)
        (reading,) = [each for each in by.throttle.readings() if each.setting == "min_free_disk"]
        assert reading.value == pytest.approx(free.f_bavail * free.f_frsize, rel=0.2)
        change_settings(other, {"min_free_disk": "1kB"})
        waiting.goes_on()


# -- a server of one's own: standby, autovacuum ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server with an eager autovacuum, whose standby may fall behind without hindering other tests."""
    folder = Path(os.environ["TENANTRY_TEST_SERVERS"]) / f"own-{os.getpid()}"
    eager = {
        "fsync": "off",
        "synchronous_commit": "off",
        "autovacuum_naptime": "'1s'",
        "wal_level": "replica",
        "max_connections": "30",
    }
    with EmbeddedServer(folder, version=18, settings=eager) as server:
        yield server


@pytest.fixture
def standby(own: EmbeddedServer) -> Iterator[EmbeddedServer]:
    """A streaming standby of `own`."""
    made = EmbeddedServer(own.data.parents[1] / "standby", version=18)
    made.data.parent.mkdir(parents=True)
    # Its folder is made by the account that runs servers, through the server's own way to start programs.
    if made._account is not None:
        os.chown(made.data.parent, made._account.pw_uid, made._account.pw_gid)
    made._run("pg_basebackup", "-D", str(made.data), "-R", "-c", "fast", "-X", "stream", "-d", own.dsn())
    (made.data / ".s.PGSQL.5432.lock").unlink(missing_ok=True)  # the primary's socket stands in its data folder
    with made:
        yield made


def test_work_waits_for_a_standby_that_has_fallen_behind(own: EmbeddedServer, standby: EmbeddedServer) -> None:
    with (
        fresh_database(own) as database,
        watched(journal(database), settings(max_replication_lag="500ms", chunk_target="50ms")) as by,
        psycopg.connect(standby.dsn(), autocommit=True) as other,
    ):
        wait_for("the standby", lambda: _standby_is_there(database))
        wait_for("a quiet standby", lambda: not by.codes())
        assert by.throttle.wait("copy") == 0.0
        other.execute("select pg_wal_replay_pause()")
        wait_for(
            "its replay to stand",
            lambda: other.execute("select pg_get_wal_replay_pause_state()").fetchone() == ("paused",),
        )
        write(database, 1)
        wait_for("the lag", by.codes)
        waiting = Waiting(by, "copy")
        wait_for("the notice", lambda: by.notices)
        (reason,) = by.throttle.reasons()
        assert waiting.waits
        assert 0 < by.throttle.wait("replay") < 1
        other.execute("select pg_wal_replay_resume()")
        waiting.goes_on()
    assert reason.code == "replication_lag"
    assert reason.value is not None and reason.value > 0.5
    assert re.search(r"standby walreceiver is [\d.]+s behind \(max_replication_lag is 500ms\)", by.notices[0])


def _standby_is_there(database: Database) -> bool:
    with session(database, "admin") as admin:
        return admin.execute("select 1 from pg_stat_replication where state = 'streaming'").fetchone() is not None


def test_copying_yields_to_autovacuum_of_its_own_table(own: EmbeddedServer) -> None:
    values = settings(yield_to_autovacuum=True, chunk_target="50ms")
    with fresh_database(own) as database, watched(journal(database), values) as by, session(database, "admin") as admin:
        admin.execute("create table visits (id int, content text) partition by range (id)")
        admin.execute(
            "create table visits_1 partition of visits for values from (0) to (100000) with ("
            " autovacuum_vacuum_insert_threshold = 100, autovacuum_vacuum_insert_scale_factor = 0,"
            " autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_analyze_threshold = 1000000)"
        )
        admin.execute("insert into visits select n, repeat(md5(n::text), 20) from generate_series(1, 20000) n")
        admin.execute(
            "select pg_stat_force_next_flush()"
        )  # autovacuum goes by the statistics, which come late by themselves
        # The catalog's own tables get their share, too.
        (reason,) = wait_for("autovacuum", lambda: by.throttle.reasons(["public.visits"]), seconds=60)
        assert reason.code == "autovacuum"
        assert re.search(r"autovacuum works on public\.visits_1", reason.text)
        for table in ("public.visits_1", "public.visits", "visits"):
            assert by.throttle.wait("copy", table) == pytest.approx(0.2, abs=0.15)
        assert by.throttle.wait("copy", "clinic.visits") == 0.0
        assert by.throttle.wait("copy") == 0.0
        assert by.throttle.wait("replay", "public.visits") == 0.0
        assert by.throttle.reasons(["public.visits"]) and not by.throttle.reasons(["public.other"])
        with connect(database.dsn) as other:
            change_settings(other, {"yield_to_autovacuum": False})
        wait_for("the setting", lambda: not by.codes())
    assert [notice.split(":")[0] for notice in by.notices][:1] == ["Copying slows down"]


def test_copying_waits_for_a_vacuum_that_prevents_wraparound(own: EmbeddedServer) -> None:
    values = settings(yield_to_autovacuum=True, chunk_target="50ms")
    with fresh_database(own) as database, watched(journal(database), values) as by, session(database, "admin") as admin:
        admin.execute(
            "create table visits (id int, content text) with (autovacuum_freeze_max_age = 100000,"
            " autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_enabled = false)"
        )
        admin.execute("insert into visits select n, repeat(md5(n::text), 20) from generate_series(1, 20000) n")
        admin.execute("do $$ begin for i in 1 .. 100100 loop perform pg_current_xact_id(); commit; end loop; end $$")
        # The catalog's own tables get their share, too.
        (reason,) = wait_for("autovacuum", lambda: by.throttle.reasons(["public.visits"]), seconds=60)
        waiting = Waiting(by, "copy", "public.visits")
        wait_for("the notice", lambda: by.notices)
        assert by.throttle.wait("copy", "public.other") == pytest.approx(0.2, abs=0.15)
        assert by.throttle.wait("replay") == 0.0
        assert waiting.waits
        # An ALTER waits in the lock queue when the vacuum is ended, so the vacuum does not restart.
        with session(database, "dba") as dba:
            altering = threading.Thread(
                target=dba.execute, args=("alter table visits set (autovacuum_freeze_max_age = 2000000000)",)
            )
            altering.start()
            pid = dba.info.backend_pid
            wait_for(
                "the wait for a lock",
                lambda: admin.execute("select 1 from pg_locks where not granted and pid = %s", [pid]).fetchone(),
            )
            admin.execute(
                "select pg_cancel_backend(pid) from pg_stat_activity where backend_type = 'autovacuum worker'"
            )
            altering.join()
        # A worker that had the table on its list before it was altered may take it up once more.
        cancel = "select count(pg_cancel_backend(pid)) from pg_stat_activity where backend_type = 'autovacuum worker'"
        wait_for("the end of the vacuum", lambda: admin.execute(cancel).fetchone() == (0,), seconds=30)
        waiting.goes_on()
    assert reason.code == "wraparound"
    assert "autovacuum works on public.visits to prevent wraparound" in reason.text


# -- a login with few rights -----------------------------------------------------------------------------------------------


@pytest.fixture
def plain(database_each: Database) -> Iterator[str]:
    """A login that may read tenantry.setting, and is member of nothing."""
    name = f"plain_{database_each.name}"
    with journal(database_each).connect() as admin:
        admin.execute(f"create role {name} login")
        admin.execute(f"grant usage on schema tenantry to {name}")
        admin.execute(f"grant select, insert, update, delete on tenantry.setting to {name}")
        yield name
        admin.execute(f"drop owned by {name}")
        admin.execute(f"drop role {name}")


ALL = {**NOTHING, "min_free_disk": "1kB", "max_transaction_age": "50ms", "max_wal_directory": "1MB"}


def test_a_login_without_pg_monitor_gets_a_notice_of_hidden_facts(database_each: Database, plain: str) -> None:
    def codes() -> list[str]:
        # The journal was made a moment ago: the server's autovacuum may be at it.
        return [code for code in by.codes() if code != "autovacuum"]

    values = Settings.model_validate({**ALL, "max_lock_wait": "10ms", "yield_to_autovacuum": True})
    with watched(database_each.dsn_as(plain), values) as by, session(database_each, "report") as other:
        other.execute("begin isolation level repeatable read")
        other.execute("select count(*) from pg_class")
        assert by.throttle.wait("copy") == 0.0
        assert by.throttle.wait("copy") == 0.0
        unknown = {each.setting: each.unknown for each in by.throttle.readings() if each.unknown}
        assert codes() == []
        # Every login may see locks.
        with blocked(database_each, "tenantry: worker"):
            wait_for("the lock wait", lambda: codes() == ["lock_wait"])
        with database_each.connect() as admin:
            admin.execute(f"grant pg_monitor to {plain}")
            wait_for("the right's effect", lambda: set(codes()) == {"wal_directory", "long_transaction"})
            assert not [each for each in by.throttle.readings() if each.unknown and each.setting != "min_free_disk"]
            admin.execute(f"revoke pg_monitor from {plain}")
            wait_for("its end", lambda: codes() == [])
    assert unknown.keys() == {"max_transaction_age", "max_wal_directory", "min_free_disk", "yield_to_autovacuum"}
    assert all("members of" in each for each in unknown.values())
    (notice,) = by.notices
    assert notice.startswith("Not everything can be watched here. ")
    assert all(name in notice for name in unknown)


def test_the_wal_directory_can_be_opened_to_a_login_alone(database_each: Database, plain: str) -> None:
    with database_each.connect() as admin:
        admin.execute(f"grant execute on function pg_ls_waldir() to {plain}")
    with watched(database_each.dsn_as(plain), settings(max_wal_directory="1MB")) as by:
        wait_for("the size", lambda: by.codes() == ["wal_directory"])


def test_a_login_that_cannot_read_settings_goes_by_the_manifest(database_each: Database, plain: str) -> None:
    with database_each.connect() as admin, watched(database_each.dsn_as(plain)) as by:
        admin.execute(f"revoke all on tenantry.setting from {plain}")
        admin.execute(f"revoke usage on schema tenantry from {plain}")
        pause(admin)
        assert by.throttle.wait("copy") == 0.0
        admin.execute(f"grant usage on schema tenantry to {plain}")
        admin.execute(f"grant select on tenantry.setting to {plain}")
        wait_for("the pause", lambda: by.codes() == ["paused"])


def test_a_server_at_a_network_address_keeps_its_disk_to_itself() -> None:
    course = Course()
    look = Look(0.0, {}, [], [], [], [], [], 0, None, None, True, 0, None, "cannot be known")
    course.add(look.at, look.wal, None)
    readings, reasons = judge(look, Settings(min_free_disk="900TB"), course)
    assert reasons == []
    assert [each.unknown for each in readings if each.unknown] == ["cannot be known"]


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
