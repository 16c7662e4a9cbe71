"""For how long applications wait is the server's to bound: whatever becomes of the tool, or of the network between."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tenantry.analyze.surroundings import SESSIONS
from tenantry.errors import TenantryError
from tenantry.journal.journal import Connection
from tenantry.migrate.replay.reverse import Reversed, Reverser
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session import heartbeat
from tenantry.migrate.session.locks import LockedTables, capture_tables
from tenantry.migrate.session.prepare import prepare
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.postgres import EmbeddedServer, connect, explain, literal
from tests.conftest import Database
from tests.migrate_support import PATIENCE, Said, cli, wait_for
from tests.small import MakeSmall, Small, make_small

_MARGIN = 30.0
"""Seconds beyond the bound that a loaded machine of tests may need to end a session."""
_BEATING = "select 1 from pg_stat_activity where application_name = 'tenantry: heartbeat' and query = 'select 1'"


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

    @property
    def stopped(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None

    def stop(self) -> None:
        self.signal(signal.SIGSTOP)
        wait_for("the process to stop", lambda: self.over or self.stopped)
        assert not self.over, self.end()

    def end(self) -> Said:
        wait_for("the command to end", lambda: self.over)
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
    """Writes one row again and again, and counts the writes."""

    def __init__(self, app: Small, statement: str, user: str) -> None:
        super().__init__()
        self._app, self._statement, self._user = app, statement, user
        self.written = 0
        self.ended = threading.Event()

    def run(self) -> None:
        with self._app.connect(self._user) as connection:
            while not self.ended.is_set():
                try:
                    connection.execute(self._statement.encode())
                except psycopg.Error:
                    return  # the source refuses writes: it was cut over
                self.written += 1
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

        def locked() -> bool:
            assert not process.over, process.end()
            held = looking.execute(
                "select 1 from pg_locks l join pg_stat_activity a using (pid) where l.granted and a.application_name like"
                " 'tenantry%%' and l.relation = %s::regclass and l.mode = %s",
                [table, mode],
            ).fetchone()
            return held is not None

        for _ in range(50):
            with blocker.transaction():
                blocker.execute(f"lock table {behind} in row exclusive mode".encode())
                process.signal(signal.SIGCONT)
                wait_for("the tool's locks", locked)
                process.stop()
            # Stopped too late, the attempt was over: the next one follows.
            if locked():
                return
    raise AssertionError("the tool was never stopped in time")


def test_a_hung_tool_blocks_writers_at_most_for_the_bound_of_a_switchover(small: MakeSmall) -> None:
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
            _process(app, *command, "--max-write-pause", "1") as process,
            _writing(app, statement, user="postgres") as writer,
        ):
            _stop_with_locks(app, process, table, "ShareRowExclusiveLock", behind=behind)
            # Writes succeed again although the tool still stands still, and everything is as it was.
            written = writer.written
            wait_for("two writes", lambda: writer.written > written + 1)  # noqa: B023 - called at once
            assert app.one("select direction from tenantry.run") == before
            process.signal(signal.SIGCONT)
            said = process.end()
        assert said.code == 0, said.out + said.err
        assert app.one("select direction from tenantry.run") != before
        assert "was ended by the server after" in said.err
        # The reported and stored pause is the server's, including the hang, not that of the tool's own clock.
        ((stall, longest),) = app.rows(
            f"select (data -> 'stall_ms')::int, (data -> 'longest_stall_ms')::int from tenantry.event where code = '{event}'"
        )
        assert stall < 1000
        assert 950 < longest < 1000 * (1 + _MARGIN)
        assert f"Write pause: {stall} ms" in said.out
        assert f"Longest write pause of an earlier attempt: {longest} ms." in said.out
    assert app.one(
        "select count(*) from tenantry.event where code = 'turn_taken_back' and (data ->> 'ended_by_server')::boolean"
    ) == 2  # fmt: skip


def test_a_hung_round_releases_its_locked_rows_in_the_dual_write_window(
    small: MakeSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = small()
    app.migrate()
    app.run("cutover", "--dual-write", "1h", code=0)
    app.write("update app.people set name = 'of the target' where legacy_id = 'u2'", user="postgres")
    app.write("""update "User" set name = 'of the source' where id = 'u3'""")
    reverse, here = Reverser.apply, os.getpid()
    stopped: list[int] = []

    def stand_still(self: Reverser, connection: Connection) -> Reversed:
        done = reverse(self, connection)
        if os.getpid() != here and not stopped:
            stopped.append(1)
            os.kill(os.getpid(), signal.SIGSTOP)
        return done

    monkeypatch.setattr(Reverser, "apply", stand_still)
    with _process(app, "replay", "--until-idle") as process, app.connect() as writer:
        wait_for("it to stand still", lambda: process.stopped)
        writer.execute("set lock_timeout = '60s'")
        writer.execute("""begin; select from "User" where id = 'u2' for update; rollback""")
        assert process.stopped
        process.signal(signal.SIGCONT)
        said = process.end()
    assert said.code == 0, said.out + said.err
    assert "The server ended a round" in said.err
    assert app.rows(
        """select u.name, p.name from "User" u join app.people p on p.legacy_id = u.id where u.id <> 'u1' order by 1"""
    ) == [("of the source", "of the source"), ("of the target", "of the target")]


def test_the_bound_holds_without_the_timeout_that_a_server_before_17_lacks(small: MakeSmall) -> None:
    """A transaction that is busy at the bound, and whose client can cancel nothing."""
    app = small(version=16)
    app.migrate()
    with RunHandle(app.dsn, app.manifest) as live, app.connect() as writer:
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


def test_a_hung_tool_that_sets_triggers_does_not_block_applications(small: MakeSmall) -> None:
    app = small()
    with connect(app.dsn) as connection, app.connect() as writer:

        def stand_still() -> None:
            pid = connection.info.backend_pid
            wait_for("its session to end", lambda: not app.rows(f"select 1 from pg_stat_activity where pid = {pid}"))
            connection.execute("select 1")

        with pytest.raises(psycopg.Error) as caught:
            capture_tables(
                connection, LockedTables("public", ["User"]), ['lock table "User" in share row exclusive mode'], stand_still,
                patience=5, notice=print,
            )  # fmt: skip
        writer.execute("set lock_timeout = '1ms'")
        writer.execute("""update "User" set name = 'free' where id = 'u1'""")
    told = explain(caught.value, "setting triggers")
    assert told.code == "TN-209"
    assert "this process hung" in told.message


# -- a server of one's own: prepared transactions, limits, a standby, a network that stands still -----------------------


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedServer]:
    folder = Path(os.environ["TENANTRY_TEST_SERVERS"]) / f"bounds-{os.getpid()}"
    settings = {"fsync": "off", "max_prepared_transactions": "5", "max_connections": "40", "shared_buffers": "'32MB'"}
    with EmbeddedServer(folder, version=18, settings=settings) as server:
        yield server


@pytest.fixture
def app(own: EmbeddedServer, tmp_path: Path) -> Iterator[Small]:
    with make_small(own, tmp_path) as made:
        yield made


def _prepared(app: Small, table: str, name: str) -> None:
    with app.connect("postgres") as connection:
        connection.execute("begin")
        connection.execute(f"update {table} set name = name".encode())
        connection.execute(f"prepare transaction {literal(name)}".encode())


def test_a_prepared_transaction_in_the_way_is_named_wherever_one_is(app: Small) -> None:
    _prepared(app, '"User"', "first 'one'")
    refused = app.run("migrate", "--retry-locks-for", "1", code=2)
    assert "TN-404" in refused.err
    assert "prepared transaction 'first ''one''' of postgres" in refused.err
    app.as_superuser("rollback prepared 'first ''one'''")
    app.migrate()
    _prepared(app, '"User"', "second")
    time.sleep(1.1)
    assert "prepared transaction 'second' of postgres" in app.run("status", code=0).out
    (standing,) = app.run("status", "--json", code=0).json["standing"]
    assert (standing["pid"], standing["gid"], standing["owner"], standing["state"]) == (
        None,
        "second",
        "postgres",
        "prepared",
    )
    refused = app.run("cutover", "--max-write-pause", "0.3", "--retry-for", "0", code=1)
    assert "TN-411" in refused.err
    assert "rollback prepared 'second'" in refused.err
    app.as_superuser("commit prepared 'second'")
    app.cut_over()


def test_a_lock_during_catch_up_is_waited_for(app: Small) -> None:
    app.migrate()
    app.write("""update "User" set name = 'changed' where id = 'u1'""")
    with app.connect("postgres") as other:
        other.execute("begin; lock table app.people in access exclusive mode")
        done = threading.Timer(4, other.execute, ["commit"])
        done.start()
        try:
            app.cut_over()
        finally:
            done.join()
    assert app.one("select name from app.people where legacy_id = 'u1'") == "changed"


def test_connection_limits_are_reported_as_such(app: Small) -> None:
    for limited in ("role small_mig", f"database {app.database.name}"):
        app.as_superuser(f"alter {limited} connection limit 0")
        refused = app.run("migrate", code=2)
        assert "TN-207" in refused.err
        assert "no free connection" in refused.err
        app.as_superuser(f"alter {limited} connection limit -1")
    # Met in the middle of the work.
    app.as_superuser("alter role small_mig connection limit 2")
    assert "TN-207" in app.run("migrate", code=2).err
    app.as_superuser("alter role small_mig connection limit -1")
    app.migrate()


def test_analysis_reports_blocking_transactions_and_free_space(app: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> dict[str, list[dict[str, str]]]:
        by_code: dict[str, list[dict[str, str]]] = {}
        for each in app.run("analyze", "--json").json["findings"]:
            by_code.setdefault(each["code"], []).append(each)
        return by_code

    monkeypatch.setattr("tenantry.analyze.probes.at_work._LONG", 0.5)
    assert not {"TA-150", "TA-151", "TA-152", "TA-153"} & set(found())
    _prepared(app, '"User"', "it's one")
    app.as_superuser("begin; create table aside (); prepare transaction 'elsewhere'")
    app.as_superuser(
        f"alter role small_mig connection limit {SESSIONS - 1}",
        f"alter database {app.database.name} connection limit 3",
    )
    with app.connect("postgres") as other:
        other.execute("set application_name = 'Prisma'; begin; update \"Organization\" set name = name")
        time.sleep(0.6)
        said = found()
        other.execute("rollback")
    app.as_superuser(
        "alter role small_mig connection limit -1", f"alter database {app.database.name} connection limit -1"
    )
    one, elsewhere = said["TA-150"]
    assert (one["severity"], one["table"]) == ("warning", '"User"')
    assert "prepared transaction 'it''s one' of postgres" in one["title"]
    assert "rollback prepared 'it''s one'" in one["advice"]
    assert (elsewhere["severity"], elsewhere["table"]) == ("notice", "")
    (waiting,) = said["TA-151"]
    assert waiting["severity"] == "warning"
    # Who may not see what others do learns of them by a second look.
    assert "(Prisma, postgres) has been in a transaction for more than a second" in waiting["title"]
    assert '"Organization"' in waiting["title"]
    roles, database = sorted(said["TA-152"], key=lambda each: "database" in each["title"])
    assert (
        f"role small_mig may have {SESSIONS - 1} sessions, and 0 are in use: a run needs {SESSIONS}" in roles["title"]
    )
    assert f"alter database {app.database.name} connection limit" in database["advice"]
    app.as_superuser("rollback prepared 'it''s one'", "rollback prepared 'elsewhere'")


def test_every_command_that_writes_refuses_a_standby(app: Small, own: EmbeddedServer) -> None:
    app.migrate()
    made = EmbeddedServer(own.data.parents[1] / "standby", version=18)
    made.data.parent.mkdir(parents=True)
    if made._account is not None:
        os.chown(made.data.parent, made._account.pw_uid, made._account.pw_gid)
    made._run("pg_basebackup", "-D", str(made.data), "-R", "-c", "fast", "-X", "stream", "-d", own.dsn())
    (made.data / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
    with made:
        there = replace(app, database=Database(made, app.database.name))
        for command in (
            ["migrate"],
            ["cutover"],
            ["replay", "--until-idle"],
            ["rollback", "--everything", "--yes"],
            ["contract", "--yes", "--watch-for", "0"],
            ["verify"],
            ["quarantine", "retry"],
            ["pause"],
            ["access", "apply", "--yes"],
        ):
            said = there.run(*command)
            assert "TN-408" in said.err, (command, said)
        # To look is allowed.
        assert there.run("status", "--json", code=0).json["server"]["standby"]
        found = there.run("analyze", "--json", code=0).json["findings"]
        assert [each["severity"] for each in found if each["code"] == "TA-153"] == ["notice"]


class _Proxy:
    """A local TCP proxy in front of a server's socket, which can stop to forward anything."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.stalled = threading.Event()
        self._wires: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._wires += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(one, other), daemon=True).start()

    def _forward(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                while self.stalled.is_set():
                    time.sleep(0.05)
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def dsn(self, app: Small) -> str:
        return (
            f"host=127.0.0.1 port={self.port} dbname={app.database.name} user=small_mig options='-c role=small_owner'"
        )

    def close(self) -> None:
        self.stalled.clear()
        for each in (self._listener, *self._wires):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.fixture
def proxy(own: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Proxy]:
    """A proxy, and a heartbeat with little patience; what still waits for an answer when the test's patience is over, ends."""
    monkeypatch.setattr(heartbeat, "EVERY", 0.1)
    monkeypatch.setattr(heartbeat, "PATIENCE", 2.0)
    made = _Proxy(f"{own.socket_folder}/.s.PGSQL.5432")
    watchdog = threading.Timer(PATIENCE, made.close)
    watchdog.start()
    try:
        yield made
        assert watchdog.is_alive(), "nothing noticed that the network was lost"
    finally:
        watchdog.cancel()
        made.close()


def test_a_lost_network_ends_in_an_error(app: Small, proxy: _Proxy) -> None:
    app.migrate()

    def stall() -> None:
        wait_for("a heartbeat", lambda: app.rows(_BEATING))
        proxy.stalled.set()

    stalling = threading.Thread(target=stall)
    stalling.start()
    said = app.run("replay", "--dsn", proxy.dsn(app))
    stalling.join()
    # By chance the network is lost while a further connection is being opened.
    assert (said.code == 1 and "TN-209" in said.err) or (said.code == 2 and "TN-201" in said.err), said
    # The server learns of it by its own keepalives, which a socket of this machine does not have; then nothing is left to wait for.
    proxy.close()
    app.cut_over()


def test_a_throttle_reading_ends_when_the_network_is_lost(app: Small, proxy: _Proxy) -> None:
    """Its connection is none of the run's: where nothing ended it, replay waited for its answer for ever."""
    app.migrate()
    with Throttle(proxy.dsn(app), app.manifest.throttle, notice=print, stopped=lambda: False) as throttle:
        throttle.wait("replay")
        wait_for("a heartbeat", lambda: app.rows(_BEATING))
        proxy.stalled.set()
        with pytest.raises(TenantryError) as caught:
            while True:
                throttle.wait("replay")
        assert caught.value.code == "TN-209"


def test_a_backend_whose_client_was_killed_stops_waiting_for_a_lock(app: Small) -> None:
    with app.connect("postgres") as holder:
        holder.execute("""begin; lock table "User" in access exclusive mode""")
        pid = os.fork()
        if pid == 0:
            try:
                waiting = connect(app.dsn, name="tenantry: to be killed")
                waiting.execute("""set lock_timeout = 0; begin; lock table "User" in share mode""")
            finally:
                os._exit(0)
        waits = "select 1 from pg_stat_activity where application_name = 'tenantry: to be killed' and wait_event_type = 'Lock'"
        wait_for("it to wait", lambda: app.rows(waits))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        wait_for("it to give up", lambda: not app.rows(waits))
        holder.execute("rollback")


def test_steps_of_the_plan_that_lock_the_same_tables_never_run_side_by_side(small: MakeSmall) -> None:
    app = small()
    with connect(app.dsn) as connection:
        plan = prepare(connection, app.manifest).plan
    steps = {step.id: step for step in plan}

    def before(step: str) -> set[str]:
        return {each for direct in steps[step].after for each in (direct, *before(direct))}

    adding = [each for each in steps if each.startswith("copy.foreign:")]
    assert len(adding) > 1
    # people refers to auth.users, members to people and orgs.
    people, members = "copy.foreign:people", "copy.foreign:members"
    assert (people in before(members)) != (members in before(people))
    for each in steps:
        if each.startswith("copy.validate:"):
            assert set(adding) <= before(each)
