"""A run backs off under load: each condition is produced for real, delays the right work, is reported once, and ends."""

from __future__ import annotations

import os
import re
import time
from typing import Any

import psycopg
import pytest

from tenantry.manifest.model import Throttle as Settings
from tenantry.migrate.throttle.limits import Work
from tenantry.migrate.throttle.overrides import change_settings, pause, reset_settings, resume, stored_settings
from tenantry.migrate.throttle.throttle import INTERVAL, Throttle
from tenantry.postgres import EmbeddedServer, connect
from tests.conftest import Database, fresh_database
from tests.integration.migrate.throttled import MB, Waiting, blocked, journal, own, session, settings, watched, write
from tests.migrate_support import wait_for

__all__ = ["own"]


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
        assert by.waits_briefly("replay", at_least=0.19)
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
        assert by.waits_briefly("copy", at_least=0.39)
        assert by.waits_briefly("copy", at_least=0.39)
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
        assert by.waits_briefly("replay")


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
