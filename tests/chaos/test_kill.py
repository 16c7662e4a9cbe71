"""A run can die at any moment, by whatever cause, and be gone on with: the end is that of a run which nobody disturbed."""

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

from tenantry.errors import ConnectionLost, RunFinished, RunInProgress, SourceLocked, TenantryError, VerificationFailed
from tenantry.migrate.engine import Options
from tenantry.migrate.observer import Silent
from tenantry.migrate.status import read_status
from tenantry.plan import Phase, Step
from tests.conftest import Database, _server
from tests.migrate_support import (
    MANIFEST,
    OWNER,
    TOKENS,
    clone_finished,
    decrypted,
    end_state,
    engine,
    migrate,
    one,
    rows,
    tool_environment,
    wait_for,
)

ROOT = Path(__file__).parents[2]
WORKER, LOCK, RUN = "tenantry: worker", "tenantry: write lock on the source", "tenantry: run"


@pytest.fixture(scope="session")
def undisturbed(servers: dict[int, Any]) -> tuple[Any, Any]:
    with clone_finished(_server(servers, 18)) as database:
        return end_state(database, unstable=TOKENS), decrypted(database)


def assert_as_undisturbed(database: Database, want: tuple[Any, Any]) -> None:
    got = end_state(database, unstable=TOKENS)
    assert {name: (want[0].get(name), state) for name, state in got.items() if want[0].get(name) != state} == {}
    assert got.keys() == want[0].keys()
    assert decrypted(database) == want[1]
    assert rows(database, "select status from tenantry.run") == [("cut over",)]
    assert rows(database, "select id, status from tenantry.step where status <> 'done'") == []


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

# At the n-th event of a phase in that run: what is done is not done again, so the same number means another step each time.
EARLY = [("expand", 1), ("expand", 2), ("expand", 4), ("copy", 1), *[("copy", 26)] * 8, ("verify", 1), ("cut over", 2)]
LATE = [("copy", 2), *[("copy", 45)] * 3, ("verify", 9), ("verify", 30), ("secure", 1), ("secure", 2), ("secure", 15),
        ("secure", 22), ("secure", 23), ("cut over", 1), ("cut over", 3)]  # fmt: skip


@pytest.mark.parametrize("points", [EARLY, LATE], ids=["early", "late"])
def test_a_run_killed_at_step_boundaries_ends_as_if_nothing_had_happened(
    legacy: Database, undisturbed: tuple[Any, Any], points: list[tuple[str, int]]
) -> None:
    with driver(legacy) as runs:
        for position, (phase, event) in enumerate(points):
            got = runs.run(phase=phase, event=event, workers=1 + position % 2)
            assert got == KILLED, (position, phase, event)
        last = runs.run()
    # Killed behind the commit of the cut-over, there is nothing to go on with.
    finished_before = points[-1] == ("cut over", 3)
    assert last == FINISHED if not finished_before else "TN-407" in last["error"]
    assert_as_undisturbed(legacy, undisturbed)
    assert rows(legacy, "select 1 from tenantry.event where code = 'started_over'") == []


def test_a_run_killed_at_random_moments_ends_as_if_nothing_had_happened(
    legacy: Database, undisturbed: tuple[Any, Any]
) -> None:
    moments = random.Random(20260101)  # noqa: S311 - the same moments every time
    kills = 0
    with driver(legacy) as runs:
        while kills < 8:
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
    """Ends the run when a step is finished, or started."""

    def __init__(self, step: str, event: str = "finished", do: Callable[[], object] | None = None) -> None:
        self._step, self._event, self._do = step, event, do

    def _at(self, step: Step, event: str) -> None:
        if (step.id, event) == (self._step, self._event):
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
        if (step.id, event) == (self._step, self._event) and self._do is not None:
            do, self._do = self._do, None
            do()


INSERT = (
    "insert into metric_values (id, date, value, source_type, metric_definition_id, clinic_id, created_at, updated_at)"
    " select 'written-between', '2019-02-03', ' $ 1,234.50 ', source_type, metric_definition_id, clinic_id, '2025-01-01', '2025-01-01'"
    " from metric_values where clinic_id is not null order by id limit 1"
)
UPDATE = "update users set name = 'Written Between' where id = (select min(id) from users)"
DELETE = "delete from goals where id = (select min(id) from goals)"


def test_writes_between_two_runs_are_noticed_and_the_end_is_as_if_they_had_come_before(
    legacy: Database, servers: dict[int, Any]
) -> None:
    def write(statement: str) -> None:
        with legacy.connect(user=OWNER) as application:
            assert application.execute(statement).rowcount == 1

    for number, (statement, table) in enumerate(
        [(INSERT, "metric_values"), (UPDATE, "users"), (DELETE, "goals")], start=1
    ):
        with pytest.raises(Stopped):
            migrate(legacy, observer=StopAt("verify.rules"))
        write(statement)
        with pytest.raises(Stopped):
            migrate(legacy, observer=StopAt("copy.metric_values"))
        events = rows(legacy, "select data -> 'tables' from tenantry.event where code = 'started_over' order by id")
        assert len(events) == number
        assert events[-1] == ([table],)
    migrate(legacy)
    got = (end_state(legacy, unstable=TOKENS), decrypted(legacy))

    from tests.migrate_support import clone_legacy  # noqa: PLC0415 - a second one, for comparison

    with clone_legacy(_server(servers, 18)) as other:
        for statement in (INSERT, UPDATE, DELETE):
            with other.connect(user=OWNER) as application:
                application.execute(statement)
        migrate(other)
        assert_as_undisturbed(legacy, (end_state(other, unstable=TOKENS), decrypted(other)))
    assert got[0]["clinic.metric_values"][0] > 0
    assert rows(legacy, "select value from clinic.metric_values where legacy_id = 'written-between'")


@pytest.mark.parametrize(
    ("step", "statement"),
    [
        # Dashboards hold ids of widgets, which are copied after them.
        ("copy.dashboards", "delete from widgets where id = (select min(id) from widgets)"),
        # Accounts are linked by e-mail before people are copied.
        (
            "copy.link_accounts",
            "update users set email = 'somebody.else@example.org' where email like '%@%.%' and id = (select min(id) from users)",
        ),
    ],
    ids=["deleted after its id was translated", "another address after its account was linked"],
)
def test_a_write_to_a_table_that_was_read_before_it_was_copied_is_noticed(
    legacy: Database, step: str, statement: str
) -> None:
    options = Options(workers=1, chunk_rows=400)
    with pytest.raises(Stopped):
        migrate(legacy, observer=StopAt(step), options=options)
    with legacy.connect(user=OWNER) as application:
        assert application.execute(statement).rowcount == 1
    migrate(legacy, options=options)
    assert rows(legacy, "select 1 from tenantry.event where code = 'started_over'") == [(1,)]


def test_a_run_that_goes_on_without_writes_in_between_copies_nothing_twice(legacy: Database) -> None:
    with pytest.raises(Stopped):
        migrate(legacy, observer=StopAt("verify.rules"))
    before = rows(legacy, "select mapping, position, finished_at from tenantry.chunk order by 1, 2")
    assert migrate(legacy).resumed
    assert rows(legacy, "select mapping, position, finished_at from tenantry.chunk order by 1, 2") == before


# -- connections lost ----------------------------------------------------------------------------------------------------


def terminate(database: Database, application: str) -> int:
    gone = rows(
        database,
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and application_name = %s",
        [application],
    )
    return len(gone)


def assert_not_cut_over(database: Database, status: str) -> None:
    assert rows(database, "select status from tenantry.run") == [(status,)]
    assert rows(database, "select 1 from pg_trigger where tgname like 'tenantry_fence%'") == []
    assert_unlocked(database)
    with database.connect(user=OWNER) as application:
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


def test_workers_that_lose_their_connection_fail_the_run_and_it_can_be_gone_on_with(
    legacy: Database, undisturbed: tuple[Any, Any]
) -> None:
    with pytest.raises(ConnectionLost) as lost:
        migrate(legacy, observer=DoAt("copy.metric_values", "started", lambda: terminate(legacy, WORKER)))
    assert lost.value.exit_code == 1
    assert "goes on from its journal" in lost.value.hint
    assert rows(legacy, "select status from tenantry.run") == [("failed",)]
    migrate(legacy)
    assert_as_undisturbed(legacy, undisturbed)


def test_a_run_that_loses_the_write_lock_is_never_cut_over(legacy: Database, undisturbed: tuple[Any, Any]) -> None:
    written = "update users set name = name || ' the Second' where id = (select max(id) from users)"

    def lose() -> None:
        assert terminate(legacy, LOCK) == 1
        with legacy.connect(user=OWNER) as application:
            assert application.execute(written).rowcount == 1

    with pytest.raises(TenantryError) as lost:
        migrate(legacy, observer=DoAt("copy.dashboards.keys", "finished", lose))
    assert lost.value.exit_code == 1
    assert_not_cut_over(legacy, "failed")
    with legacy.connect() as admin:
        admin.execute("update users set name = replace(name, ' the Second', '')")
    migrate(legacy)
    assert_as_undisturbed(legacy, undisturbed)


def test_a_run_that_loses_its_journal_connection_can_be_gone_on_with(
    legacy: Database, undisturbed: tuple[Any, Any]
) -> None:
    with pytest.raises(ConnectionLost):
        migrate(legacy, observer=DoAt("copy.goals", "finished", lambda: terminate(legacy, RUN)))
    with engine(legacy) as connection:
        assert read_status(connection).status == "died"
    migrate(legacy)
    assert_as_undisturbed(legacy, undisturbed)


def test_a_run_stopped_behind_the_commit_of_the_cut_over_stays_cut_over(legacy: Database) -> None:
    with pytest.raises(Stopped):
        migrate(legacy, observer=StopAt("cut_over"))
    assert rows(legacy, "select status from tenantry.run") == [("cut over",)]
    with pytest.raises(RunFinished):
        migrate(legacy)


# -- others at the same time ---------------------------------------------------------------------------------------------


class Blocked:
    """A run of the command line, in a process of its own, that waits in its copy until it is let go."""

    def __init__(self, database: Database, process: subprocess.Popen[str], blocker: psycopg.Connection[Any]) -> None:
        self.database, self.process, self.blocker = database, process, blocker

    def let_go(self) -> None:
        self.blocker.execute("rollback")

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, " ".join(said.split())


@contextmanager
def blocked_run(database: Database) -> Iterator[Blocked]:
    with (
        database.connect() as blocker,
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tenantry.cli",
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


@contextmanager
def waiting_writer(database: Database) -> Iterator[Callable[[], str]]:
    """A client that wants to write a source table while it is locked; the call says how that ended."""
    with database.connect(user=OWNER) as writer:
        writer.pgconn.send_query(b"update public.clinics set name = name")
        wait_for(
            "the writer to wait",
            lambda: rows(
                database,
                "select 1 from pg_stat_activity where pid = %s and wait_event_type = 'Lock'",
                [writer.info.backend_pid],
            ),
        )

        def outcome() -> str:
            said = ""
            while (result := writer.pgconn.get_result()) is not None:
                said += (result.error_message or result.command_status or b"").decode()
            return said

        yield outcome


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_run_exits_with_130_and_lets_everybody_go(
    legacy: Database, undisturbed: tuple[Any, Any], how: signal.Signals
) -> None:
    with blocked_run(legacy) as run:
        with waiting_writer(legacy) as outcome:
            run.process.send_signal(how)
            code, said = run.end()
            assert code == 130
            assert outcome() == "UPDATE 4"
        assert "TN-406" in said
        assert "Traceback" not in said
    assert rows(legacy, "select status from tenantry.run") == [("interrupted",)]
    assert_unlocked(legacy)
    if how == signal.SIGINT:
        # The writer wrote: whatever had been copied of its table is looked at again.
        migrate(legacy)
        assert_as_undisturbed(legacy, undisturbed)


def test_a_second_run_at_the_same_time_is_refused_and_told_who_runs(legacy: Database) -> None:
    with blocked_run(legacy) as run:
        with pytest.raises(RunInProgress) as refused:
            migrate(legacy)
        assert refused.value.code == "TN-401"
        assert f"process {run.process.pid}" in refused.value.message
        assert "phase copy" in refused.value.message
        run.let_go()
        assert run.end()[0] == 0
    assert rows(legacy, "select status from tenantry.run") == [("cut over",)]


def test_a_run_that_fails_lets_waiting_writers_go_on(legacy: Database) -> None:
    with blocked_run(legacy) as run, waiting_writer(legacy) as outcome:
        assert terminate(legacy, WORKER) > 0
        code, said = run.end()
        assert code == 1
        assert "TN-209" in said
        assert outcome() == "UPDATE 4"
    assert_not_cut_over(legacy, "failed")


def test_a_source_that_somebody_writes_to_is_not_waited_for_longer_than_allowed(legacy: Database) -> None:
    with legacy.connect(autocommit=False, user=OWNER) as writer:
        writer.execute("update users set name = name where id = (select min(id) from users)")
        with pytest.raises(SourceLocked) as refused:
            migrate(legacy, options=Options(lock_patience=0.1))
        assert f"pid {writer.info.backend_pid}" in refused.value.message
    assert one(legacy, "select to_regnamespace('tenantry')") is None


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
    assert len(seen) == 5
    assert len(set(seen)) == 1


def test_a_verification_that_fails_stops_the_run_before_the_cut_over(legacy: Database) -> None:
    def spoil() -> None:
        with legacy.connect() as admin:
            admin.execute("set session_replication_role = replica")
            admin.execute(
                "update clinic.metric_values set value = value + 1 where legacy_id ="
                " (select min(legacy_id) from clinic.metric_values where value is not null)"
            )

    with pytest.raises(VerificationFailed) as failed:
        migrate(legacy, observer=DoAt("copy.metric_values.validate", "finished", spoil))
    (difference,) = [each for check in failed.value.detail["checks"] for each in check["differences"]]  # type: ignore[attr-defined]
    assert (difference["table"], difference["column"]) == ("metric_values", "value")
    assert difference["key"] == one(legacy, "select min(legacy_id) from clinic.metric_values where value is not null")
    assert_not_cut_over(legacy, "failed")
    # assert_not_cut_over wrote to the source, and so the run starts over: the end is right.
    migrate(legacy)
    assert rows(legacy, "select status from tenantry.run") == [("cut over",)]
