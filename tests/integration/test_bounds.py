"""For how long applications wait is the server's to bound: whatever becomes of the tool, or of the network between."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tenantry.migrate.live import Live
from tenantry.migrate.lock import capture_tables
from tenantry.postgres import connect, explain
from tests.migrate_support import Said, cli, wait_for
from tests.small import MakeSmall, Small

_MARGIN = 0.6
"""Seconds beyond the bound that a loaded machine of tests may need to end a session."""


class _Process:
    """A command in a process of its own, forked: it can be stopped, and starts at once."""

    def __init__(self, app: Small, *arguments: str) -> None:
        self._said = app.folder / "said.json"
        self.pid = os.fork()
        if self.pid == 0:
            code = 99
            try:
                said = cli(*arguments, environment=app.environment)
                self._said.write_text(json.dumps([said.out, said.err]), encoding="utf-8")
                code = said.code
            finally:
                os._exit(code)
        self._code: int | None = None

    @property
    def over(self) -> bool:
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = None if pid == 0 else os.waitstatus_to_exitcode(status)
        return self._code is not None

    def signal(self, number: signal.Signals) -> None:
        if not self.over:
            os.kill(self.pid, number)

    def end(self) -> Said:
        wait_for("the command to end", lambda: self.over, seconds=90)
        out, err = json.loads(self._said.read_text(encoding="utf-8"))
        assert self._code is not None
        return Said(self._code, out, err)


@contextmanager
def _process(app: Small, *arguments: str) -> Iterator[_Process]:
    process = _Process(app, *arguments)
    try:
        yield process
    finally:
        process.signal(signal.SIGKILL)
        wait_for("the process to end", lambda: process.over)


class _Writer(threading.Thread):
    """Writes one row again and again, and knows how long it had to wait at most."""

    def __init__(self, app: Small, statement: str, user: str) -> None:
        super().__init__()
        self._app, self._statement, self._user = app, statement, user
        self.longest = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        with self._app.connect(self._user) as connection:
            while not self.ended.is_set():
                begun = time.monotonic()
                try:
                    connection.execute(self._statement.encode())
                except psycopg.Error:
                    self.longest = max(self.longest, time.monotonic() - begun)
                    return  # the source refuses writes: it was cut over
                self.longest = max(self.longest, time.monotonic() - begun)
                self.ended.wait(0.01)


@contextmanager
def _writing(app: Small, statement: str, *, user: str) -> Iterator[_Writer]:
    writer = _Writer(app, statement, user)
    writer.start()
    try:
        yield writer
    finally:
        writer.ended.set()
        writer.join()


def _stop_with_locks(app: Small, process: _Process, table: str, mode: str, *, behind: str) -> None:
    """Stop the process while it holds a lock on a table and waits for another table's; then let it have that one too."""
    with app.connect("postgres") as looking, app.connect("postgres") as blocker:
        with blocker.transaction():
            blocker.execute(f"lock table {behind} in row exclusive mode".encode())
            deadline = time.monotonic() + 60
            while not looking.execute(
                "select 1 from pg_locks l join pg_stat_activity a using (pid) where l.granted and a.application_name like"
                " 'tenantry%%' and l.relation = %s::regclass and l.mode = %s",
                [table, mode],
            ).fetchone():
                assert time.monotonic() < deadline, "the tool never took its locks"
                assert not process.over, process.end()
                time.sleep(0.002)
            process.signal(signal.SIGSTOP)
        assert looking.execute(
            "select 1 from pg_locks where relation = %s::regclass and mode = %s", [table, mode]
        ).fetchone(), "it was stopped too late"


def test_a_tool_that_stands_still_in_a_turn_keeps_writers_out_for_the_bound_at_most(small: MakeSmall) -> None:
    """There and back: the server ends the session at the bound, measures the true pause, and the tool tries again when it wakes."""
    app = small()
    app.migrate()
    there = (
        ("cutover",),
        '"User"',
        "app.members",
        """update "User" set name = name || '.' where id = 'u2'""",
        "cut_over",
    )
    back = (("rollback", "--yes"), "app.people", '"User"', "update app.people set name = name || '.'", "rolled_back")
    for command, table, behind, statement, event in (there, back):
        before = app.one("select direction from tenantry.run")
        with (
            _process(app, *command, "--max-stall", "1") as process,
            _writing(app, statement, user="postgres") as writer,
        ):
            _stop_with_locks(app, process, table, "ShareRowExclusiveLock", behind=behind)
            time.sleep(2)
            # Everything is as it was, although the tool still stands still.
            assert app.one("select direction from tenantry.run") == before
            assert 0.5 < writer.longest < 1 + _MARGIN
            process.signal(signal.SIGCONT)
            said = process.end()
        assert said.code == 0, said.out + said.err
        assert app.one("select direction from tenantry.run") != before
        assert writer.longest < 1 + _MARGIN
        assert "was ended by the server after" in said.err
        # What is told and stored is what the server saw, the freeze included, and not what the tool's own clock would say.
        ((stall, longest),) = app.rows(
            f"select (data -> 'stall_ms')::int, (data -> 'longest_stall_ms')::int from tenantry.event where code = '{event}'"
        )
        assert stall < 1000
        assert 950 < longest < 1000 * (1 + _MARGIN)
        assert f"Writers waited {stall} ms" in said.out
        assert f"An attempt before kept them waiting for {longest} ms" in said.out
    assert app.one(
        "select count(*) from tenantry.event where code = 'turn_taken_back' and (data ->> 'ended_by_server')::boolean"
    ) == 2  # fmt: skip


def test_the_bound_holds_without_the_timeout_that_a_server_before_17_lacks(small: MakeSmall) -> None:
    """A transaction that is busy at the bound, and whose client can cancel nothing."""
    app = small(version=16)
    app.migrate()
    with Live(app.dsn, app.manifest) as live, app.connect() as writer:
        begun = time.monotonic()
        with pytest.raises(psycopg.Error), live.rounds.transaction():
            attempt = live.guard.bound(live.rounds, 0.4)
            live.rounds.execute('lock table "User" in share row exclusive mode')
            while True:
                # Each statement is short, and each gap between two.
                live.rounds.execute("select pg_sleep(0.05)")
        assert time.monotonic() - begun < 0.4 + _MARGIN
        pause = live.guard.ended()
        assert pause is not None
        assert pause.ended
        assert 0.39 < pause.seconds < 0.4 + _MARGIN
        writer.execute("set lock_timeout = '1ms'")
        writer.execute("""update "User" set name = 'free' where id = 'u1'""")
        assert (
            app.one(f"select data ->> 'ended_by_server' from tenantry.event where data ->> 'attempt' = '{attempt}'")
            == "true"
        )


def test_a_tool_that_stands_still_while_it_sets_triggers_lets_applications_go_on(small: MakeSmall) -> None:
    app = small()
    with connect(app.dsn) as connection, app.connect() as writer:

        def stand_still() -> None:
            time.sleep(3)
            connection.execute("select 1")

        with pytest.raises(psycopg.Error) as caught:
            capture_tables(
                connection, "public", ["User"], ['lock table "User" in share row exclusive mode'], stand_still,
                patience=5, notice=print,
            )  # fmt: skip
        writer.execute("set lock_timeout = '1ms'")
        writer.execute("""update "User" set name = 'free' where id = 'u1'""")
    told = explain(caught.value, "setting triggers")
    assert told.code == "TN-209"
    assert "stood still" in told.message
