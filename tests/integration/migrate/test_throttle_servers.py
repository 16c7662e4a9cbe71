"""A run backs off: for standbys and autovacuum, on servers of its own, and with a login of few rights."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator

import psycopg
import pytest

from tenantry.manifest.model import Throttle as Settings
from tenantry.migrate.throttle.limits import Course, Look, judge
from tenantry.migrate.throttle.overrides import change_settings, pause
from tenantry.postgres import EmbeddedServer, connect
from tests.conftest import Database, fresh_database
from tests.integration.migrate.throttled import (
    NOTHING,
    Waiting,
    blocked,
    journal,
    own,
    plain,
    session,
    settings,
    watched,
    write,
)
from tests.migrate_support import wait_for

__all__ = ["own", "plain"]


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
        assert by.waits_briefly("replay")
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
        (reason,) = wait_for("autovacuum", lambda: by.throttle.reasons(["public.visits"]))
        assert reason.code == "autovacuum"
        assert re.search(r"autovacuum works on public\.visits_1", reason.text)
        for table in ("public.visits_1", "public.visits", "visits"):
            assert by.waits_briefly("copy", table, at_least=0.19)
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
        (reason,) = wait_for("autovacuum", lambda: by.throttle.reasons(["public.visits"]))
        waiting = Waiting(by, "copy", "public.visits")
        wait_for("the notice", lambda: by.notices)
        assert by.waits_briefly("copy", "public.other", at_least=0.19)
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
        wait_for("the end of the vacuum", lambda: admin.execute(cancel).fetchone() == (0,))
        waiting.goes_on()
    assert reason.code == "wraparound"
    assert "autovacuum works on public.visits to prevent wraparound" in reason.text


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
