"""A run can die at any moment, for whatever cause, and be resumed: the end is that of a run which nothing disturbed."""

# ruff: noqa: ARG002 - observers are given more than each of them looks at

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry.errors import ConnectionLost, RunFinished, RunInProgress, SourceLocked, VerificationFailed
from tenantry.migrate.observe.status import read_status
from tenantry.migrate.run.engine import BEFORE_CUT_OVER, Options
from tenantry.migrate.session.observer import Silent
from tenantry.migrate.switch.cutover import cut_over
from tenantry.plan import Phase, Step
from tests.conftest import Database, running_server
from tests.migrate_support import (
    MANIFEST,
    OWNER,
    PATIENCE,
    TOKENS,
    carry_over,
    cli,
    clinic_manifest,
    clone_finished,
    clone_legacy,
    decrypted,
    end_state,
    engine,
    migrate,
    one,
    rows,
    tool_environment,
    unguarded,
    wait_for,
)

ROOT = Path(__file__).parents[2]
WORKER, REPLAY, RUN = "tenantry: worker", "tenantry: replay", "tenantry: run"


@pytest.fixture(scope="session")
def undisturbed(servers: dict[int, Any]) -> tuple[Any, Any]:
    with clone_finished(running_server(servers, 18)) as database:
        return end_state(database, unstable=TOKENS), decrypted(database)


def assert_as_undisturbed(database: Database, want: tuple[Any, Any]) -> None:
    got = end_state(database, unstable=TOKENS)
    assert {name: (want[0].get(name), state) for name, state in got.items() if want[0].get(name) != state} == {}
    assert got.keys() == want[0].keys()
    assert decrypted(database) == want[1]
    assert rows(database, "select status from tenantry.run") == [("cut over",)]
    assert rows(database, "select id, status from tenantry.step where status <> 'done' and phase <> 'contract'") == []


class Driver:
    """The process in which runs are killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, **order: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())  # type: ignore[no-any-return]


@contextmanager
def driver(database: Database) -> Iterator[Driver]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.driver", database.dsn_as(OWNER), str(MANIFEST)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=tool_environment(),
    ) as process:
        yield Driver(process)


KILLED = {"signal": 9}
FINISHED = {"exit": 0, "error": ""}


# -- killed --------------------------------------------------------------------------------------------------------------

# At the n-th event of a phase in that run, or the first behind it: what is done is not done again, so the same number means another step
# each time.
POINTS = [("expand", 2), ("copy", 1), ("copy", 26), ("copy", 45), ("verify", 1), ("verify", 30), ("secure", 2),
          ("cut over", 1), ("cut over", 2), ("cut over", 3)]  # fmt: skip


def test_a_run_killed_at_step_boundaries_ends_as_if_nothing_had_happened(
    legacy: Database, undisturbed: tuple[Any, Any]
) -> None:
    with driver(legacy) as runs:
        for position, (phase, event) in enumerate(POINTS):
            got = runs.run(phase=phase, event=event, workers=1 + position % 2)
            assert got == KILLED, (position, phase, event)
        last = runs.run()
    # Killed behind the commit of the cut-over, there is nothing to go on with.
    assert "TN-407" in last["error"]
    assert_as_undisturbed(legacy, undisturbed)


def test_a_run_killed_at_random_moments_ends_as_if_nothing_had_happened(
    legacy: Database, undisturbed: tuple[Any, Any]
) -> None:
    moments = random.Random(20260101)  # noqa: S311 - the same moments every time
    kills = 0
    with driver(legacy) as runs:
        while kills < 5:
            got = runs.run(after=moments.uniform(0.25, 1.1))
            if got != KILLED:
                break
            kills += 1
        last = runs.run() if got == KILLED else got
    assert kills >= 2
    assert last == FINISHED or "TN-407" in last["error"]
    assert_as_undisturbed(legacy, undisturbed)


# -- written to in between -----------------------------------------------------------------------------------------------


class Stopped(Exception):
    """What an observer raises to end a run there."""


class StopAt(Silent):
    """Ends the run when one of these steps is finished, or started."""

    def __init__(self, *steps: str, event: str = "finished", do: Callable[[], object] | None = None) -> None:
        self._steps, self._event, self._do = steps, event, do

    def _at(self, step: Step, event: str) -> None:
        if step.id in self._steps and event == self._event:
            if self._do is not None:
                self._do()
            raise Stopped

    def started(self, step: Step, *, rows: int, done_rows: int) -> None:
        self._at(step, "started")

    def finished(self, step: Step, *, seconds: float, rows: int | None) -> None:
        self._at(step, "finished")


class DoAt(StopAt):
    """Does something when a step is started or finished, once, and lets the run go on."""

    def _at(self, step: Step, event: str) -> None:
        if step.id in self._steps and event == self._event and self._do is not None:
            do, self._do = self._do, None
            do()


INSERT = (
    "insert into metric_values (id, date, value, source_type, metric_definition_id, clinic_id, created_at, updated_at)"
    " select 'written-between', '2019-02-03', ' $ 1,234.50 ', source_type, metric_definition_id, clinic_id, '2025-01-01', '2025-01-01'"
    " from metric_values where clinic_id is not null order by id limit 1"
)
UPDATE = "update users set name = 'Written Between' where id = (select min(id) from users)"
DELETE = "delete from goals where id = (select min(id) from goals)"
OTHER_ADDRESS = (
    "update users set email = 'somebody.else@example.org' where email like '%@%.%' and id = (select min(id) from users)"
)
AND_ANOTHER = "update users set email = 'somebody.new@example.org' where id = (select max(id) from users where email like '%@%.%')"
WRITES = {
    # Accounts are linked by e-mail before people are copied.
    "copy.link_accounts": OTHER_ADDRESS,
    "copy.accounts": AND_ANOTHER,
    "copy.rows:providers": "update providers set id = 'another key' where id = (select min(id) from providers)",
    "copy.rows:goals": DELETE,
    # Dashboards hold ids of widgets, which are copied after them.
    "copy.rows:dashboards": "delete from widgets where id = (select min(id) from widgets)",
    "copy.rows:metric_values": UPDATE,
    "verify.rules": INSERT,
}


def test_what_is_written_while_a_run_is_stopped_ends_as_if_it_had_come_before(
    legacy: Database, servers: dict[int, Any]
) -> None:
    left = dict(WRITES)
    while left:
        with pytest.raises(Stopped):
            migrate(legacy, observer=StopAt(*left), options=Options(workers=1, chunk_rows=400))
        (last,) = rows(legacy, "select id from tenantry.step where id = any(%s) and status = 'done'", [list(left)])
        with legacy.connect() as application:
            assert application.execute(left.pop(str(last[0]))).rowcount == 1
    migrate(legacy)
    with clone_legacy(running_server(servers, 18)) as other:
        with other.connect() as application:
            for statement in WRITES.values():
                application.execute(statement)
        migrate(other)
        assert_as_undisturbed(legacy, (end_state(other, unstable=TOKENS), decrypted(other)))


def test_a_run_that_goes_on_copies_nothing_twice_and_stopped_behind_the_cut_over_stays_cut_over(
    legacy: Database,
) -> None:
    with pytest.raises(Stopped):
        migrate(legacy, observer=StopAt("verify.rules"))
    before = rows(legacy, "select mapping, position, finished_at from tenantry.chunk order by 1, 2")
    assert carry_over(legacy).resumed
    assert rows(legacy, "select mapping, position, finished_at from tenantry.chunk order by 1, 2") == before
    with pytest.raises(Stopped):
        cut_over(legacy.dsn_as(OWNER), clinic_manifest(), observer=StopAt("cut_over"))
    assert rows(legacy, "select status from tenantry.run") == [("cut over",)]
    with pytest.raises(RunFinished):
        migrate(legacy)
    assert cut_over(legacy.dsn_as(OWNER), clinic_manifest()).already


# -- connections lost ----------------------------------------------------------------------------------------------------


def terminate(database: Database, application: str) -> int:
    gone = rows(
        database,
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and application_name = %s",
        [application],
    )
    return len(gone)


def assert_not_cut_over(database: Database, status: str) -> None:
    assert rows(database, "select status, direction from tenantry.run") == [(status, "forward")]
    # The source takes writes; the target refuses everybody's.
    awake = "select distinct tgrelid::regclass::text from pg_trigger where tgname like 'tenantry_fence%' and tgenabled <> 'D'"
    assert [table for (table,) in rows(database, awake) if not str(table).startswith("clinic.")] == []
    assert_unlocked(database)
    with database.connect() as application:
        assert application.execute("update clinics set name = name").rowcount > 0


def assert_unlocked(database: Database) -> None:
    wait_for(
        "every lock of the run to be released",
        lambda: (
            not rows(
                database,
                "select 1 from pg_locks l join pg_database d on d.oid = l.database where d.datname = current_database()"
                " and l.pid <> pg_backend_pid() and (l.locktype = 'advisory' or l.relation in"
                " (select oid from pg_class where relnamespace = 'public'::regnamespace))",
            )
        ),
    )


def test_a_run_that_loses_its_connections_fails_and_can_be_resumed(
    legacy: Database, undisturbed: tuple[Any, Any]
) -> None:
    """That of its journal, those of its workers, that of its replay: each ends a run."""
    with pytest.raises(ConnectionLost):
        migrate(legacy, observer=DoAt("copy.rows:clinics", event="finished", do=lambda: terminate(legacy, RUN)))
    with engine(legacy) as connection:
        assert read_status(connection).status == "died"
    with pytest.raises(ConnectionLost) as lost:
        migrate(legacy, observer=DoAt("copy.rows:metric_values", event="started", do=lambda: terminate(legacy, WORKER)))
    assert lost.value.exit_code == 1
    assert "resumes from the journal" in lost.value.hint
    assert rows(legacy, "select status from tenantry.run") == [("failed",)]
    with pytest.raises(ConnectionLost):
        migrate(legacy, observer=DoAt("replay.drain", event="started", do=lambda: terminate(legacy, REPLAY)))
    assert_not_cut_over(legacy, "failed")
    migrate(legacy)
    assert_as_undisturbed(legacy, undisturbed)


# -- others at the same time ---------------------------------------------------------------------------------------------


class Blocked:
    """A run of the command line, in a process of its own, that waits in its copy until it is let go."""

    def __init__(self, database: Database, process: subprocess.Popen[str], blocker: psycopg.Connection[Any]) -> None:
        self.database, self.process, self.blocker = database, process, blocker

    def let_go(self) -> None:
        self.blocker.execute("rollback")

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=2 * PATIENCE)
        return self.process.returncode, " ".join(said.split())


@contextmanager
def blocked_run(database: Database) -> Iterator[Blocked]:
    with (
        database.connect() as blocker,
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tenantry",
                "migrate",
                "--dsn",
                database.dsn_as(OWNER),
                "--manifest",
                str(MANIFEST),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=tool_environment(),
        ) as process,
    ):
        try:
            # A process may take long to start on a busy machine.
            wait_for("the journal", lambda: one(database, "select to_regclass('tenantry.quarantine')"))
            blocker.execute("begin")
            blocker.execute("lock table tenantry.quarantine in exclusive mode")
            wait_for(
                "a worker that waits",
                lambda: rows(
                    database,
                    "select 1 from pg_stat_activity where datname = current_database() and application_name = %s"
                    " and wait_event_type = 'Lock'",
                    [WORKER],
                ),
            )
            yield Blocked(database, process, blocker)
        finally:
            if process.poll() is None:
                process.kill()


def write(database: Database) -> int:
    """What an application does while a run is under way: it may not have to wait."""
    with database.connect() as application:
        application.execute("set lock_timeout = '50ms'")
        return application.execute("update public.clinics set name = name").rowcount


def test_an_interrupted_run_exits_with_130_and_can_be_resumed(legacy: Database, undisturbed: tuple[Any, Any]) -> None:
    with blocked_run(legacy) as run:
        assert write(legacy) == 4
        interrupt(run, signal.SIGINT)
    assert write(legacy) == 4
    migrate(legacy)
    assert_as_undisturbed(legacy, undisturbed)


def interrupt(run: Blocked, how: signal.Signals) -> None:
    run.process.send_signal(how)
    code, said = run.end()
    assert code == 130
    assert "TN-406" in said
    assert "Traceback" not in said
    assert rows(run.database, "select status from tenantry.run") == [("interrupted",)]
    assert_unlocked(run.database)


def test_a_second_run_at_the_same_time_is_refused_and_told_who_runs(legacy: Database) -> None:
    """The first goes on, until it is ended by SIGTERM."""
    with blocked_run(legacy) as run:
        with pytest.raises(RunInProgress) as refused:
            migrate(legacy)
        assert refused.value.code == "TN-401"
        assert f"process {run.process.pid}" in refused.value.message
        assert "phase copy" in refused.value.message
        assert rows(legacy, "select status from tenantry.run") == [("running",)]
        interrupt(run, signal.SIGTERM)


def test_a_source_whose_triggers_cannot_be_set_is_not_waited_for_longer_than_allowed(legacy: Database) -> None:
    with legacy.connect(autocommit=False) as writer:
        writer.execute("update users set name = name where id = (select min(id) from users)")
        with pytest.raises(SourceLocked) as refused:
            migrate(legacy, options=Options(lock_patience=0.1))
        assert f"pid {writer.info.backend_pid}" in refused.value.message
    assert_not_cut_over(legacy, "failed")


def test_readers_of_the_source_never_wait(legacy: Database) -> None:
    seen: list[int] = []

    def read() -> None:
        with legacy.connect(user=OWNER) as reader:
            reader.execute("set lock_timeout = 1")
            seen.append(int(str(reader.execute("select count(*) from metric_values").fetchone()[0])))  # type: ignore[index]

    class Reading(Silent):
        def phase(self, phase: Phase, *, rows: int, steps: int) -> None:
            read()

    migrate(legacy, observer=Reading())
    assert len(seen) == len(BEFORE_CUT_OVER) + 1
    assert len(set(seen)) == 1


def test_a_verification_that_fails_stops_the_run_before_the_cut_over(legacy: Database) -> None:
    def spoil() -> None:
        with legacy.connect() as admin, unguarded(admin, "clinic.metric_values"):
            admin.execute(
                "update clinic.metric_values set value = value + 1 where legacy_id ="
                " (select min(legacy_id) from clinic.metric_values where value is not null)"
            )

    with pytest.raises(VerificationFailed) as failed:
        migrate(legacy, observer=DoAt("copy.validate:metric_values", event="finished", do=spoil))
    (difference,) = [each for check in failed.value.detail["checks"] for each in check["differences"]]  # type: ignore[attr-defined]
    assert (difference["table"], difference["column"]) == ("metric_values", "value")
    assert difference["key"] == one(legacy, "select min(legacy_id) from clinic.metric_values where value is not null")
    assert_not_cut_over(legacy, "failed")
    # What got in past every trigger is taken back by the next command, which says so, and is listed.
    said = cli("verify", "--dsn", legacy.dsn_as(OWNER), "--manifest", str(MANIFEST))
    assert (said.code, "listed in tenantry.conflict" in said.everything) == (0, True), said.everything
    listed = rows(legacy, "select table_name, legacy_id, winner from tenantry.conflict")
    assert listed == [("metric_values", difference["key"], "source")]
    migrate(legacy)
    assert rows(legacy, "select status from tenantry.run") == [("cut over",)]
