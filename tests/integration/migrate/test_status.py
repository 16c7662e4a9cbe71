"""`tenantry status` on runs that work, are ready, were cut over, or died; its output for scripts and monitoring."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tenantry.cli.commands import status as command
from tenantry.cli.commands.status import Until, is_reached
from tenantry.errors import NoRun, SettingsError
from tenantry.journal.ddl import journal_ddl
from tenantry.migrate.follow import follow
from tenantry.migrate.observe.process_stats import Process, look_at
from tenantry.migrate.observe.prometheus import metrics_text, write_metrics
from tenantry.migrate.observe.status import read_status
from tenantry.migrate.observe.values import Event, Status
from tenantry.migrate.run.engine import Migration
from tenantry.migrate.session.observer import Silent
from tenantry.migrate.session.prepare import prepare
from tenantry.migrate.session.query_words import first_words
from tenantry.migrate.switch.cutover import cut_over
from tenantry.migrate.switch.rollback import roll_back
from tenantry.migrate.throttle.overrides import pause
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.plan import Step
from tenantry.postgres import EmbeddedServer
from tenantry.report.collect import build_report
from tenantry.report.html import render_html
from tenantry.report.timeline import Timeline, read_timeline
from tests.conftest import Database, fresh_database, running_server
from tests.migrate_support import (
    MANIFEST,
    OPTIONS,
    OWNER,
    PATIENCE,
    Said,
    carry_over,
    cli,
    clinic_manifest,
    engine,
    fill_legacy,
    grant_rights,
    one,
    rows,
    shared_template,
    tool_environment,
    wait_for,
)

COPY = "copy.rows:metric_values"


class Held(Silent):
    """Stands still where a copy has carried its first key range over, until it is let go."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def progress(self, step: Step, rows: int) -> None:
        del rows
        if step.id == COPY and not self.reached.is_set():
            self.reached.set()
            self.go.wait(PATIENCE)


def _fill_ready(database: Database) -> None:
    fill_legacy(database)
    carry_over(database)


@contextmanager
def clone_ready(server: EmbeddedServer) -> Iterator[Database]:
    with fresh_database(server, shared_template(server, "clinic_ready", _fill_ready)) as made:
        grant_rights(made, clinic_manifest())
        yield made


@pytest.fixture
def ready(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    """A Clinic that can be cut over, on PostgreSQL 18."""
    with clone_ready(running_server(servers, 18)) as made:
        yield made


@contextmanager
def held_run(database: Database) -> Iterator[Callable[[], None]]:
    """A run that is stopped during a copy; the call lets it continue and waits for its end."""
    observer = Held()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            Migration(database.dsn_as(OWNER), clinic_manifest(), OPTIONS, observer).run()
        except BaseException as error:  # noqa: BLE001 - raised where the end is awaited
            failed.append(error)
            observer.reached.set()

    thread = threading.Thread(target=work)
    thread.start()

    def end() -> None:
        observer.go.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        if failed:
            raise failed[0]

    try:
        assert observer.reached.wait(PATIENCE)
        if failed:
            raise failed[0]
        yield end
    finally:
        observer.go.set()
        thread.join(PATIENCE)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """The command, run as the command line runs it."""

    def run(*arguments: str) -> Said:
        return cli("status", *arguments, "--manifest", str(MANIFEST))

    return run


def look(database: Database, **more: Any) -> Status:
    with engine(database) as connection:
        return read_status(connection, **more)


def kill_in_copy(database: Database) -> None:
    """A run in a process of its own, killed in the midst of its copy."""
    orders = [{"phase": "copy", "event": 4}]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.driver", database.dsn_as(OWNER), str(MANIFEST)],
        input="".join(json.dumps(order) + "\n" for order in orders),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        env=tool_environment(),
    )
    assert json.loads(done.stdout) == {"signal": 9}
    wait_for(
        "the server to notice",
        lambda: (
            not rows(
                database,
                "select 1 from pg_stat_activity where datname = current_database() and application_name like 'tenantry%%'",
            )
        ),
    )


# -- how a run stands ------------------------------------------------------------------------------------------------------


def test_a_run_in_the_midst_of_its_copy_and_the_process_that_runs_it(legacy_each: Database) -> None:
    with held_run(legacy_each) as end:
        with legacy_each.connect() as application:
            changed = application.execute("update clinics set name = name").rowcount
        now = wait_for("the samples", lambda: (s := look(legacy_each)).rates.copied is not None and s)
        assert (now.status, now.phase, now.direction, now.working) == ("running", "copy", "forward", True)
        assert now.writers.startswith("Applications write public (the source)")
        copy = next(each for each in now.copies if f"copy.rows:{each.mapping}" == COPY)
        assert 0 < copy.chunks_done < copy.chunks
        assert 0 < copy.source_rows < 2000
        assert copy.rate is not None
        assert copy.remaining_seconds is not None
        assert now.remaining_seconds is not None
        assert now.rows_copied == sum(each.target_rows for each in now.copies) > 0
        assert (now.lag_entries, now.logs[0].entries, now.logs[1].entries) == (changed, changed, 0)
        assert now.lag_seconds > 0
        assert now.logs[0].bytes > 0
        phases = {phase.phase: phase for phase in now.phases}
        assert phases["capture"].done == phases["capture"].steps > 0
        assert phases["copy"].done < phases["copy"].steps
        assert (phases["verify"].done, phases["verify"].seconds) == (0, None)
        assert not now.readiness.ready
        assert COPY in now.readiness.missing
        assert now.rates.wal_bytes is not None
        assert now.server.database_bytes is not None
        again = look(legacy_each, before=now)
        assert (now.process.pid, now.process.place) == (os.getpid(), "here")
        assert now.process.memory_bytes is not None
        assert now.process.memory_bytes > 10_000_000
        assert now.process.cpu_seconds is not None
        assert again.process.cpu_seconds is not None
        assert again.process.cpu_seconds >= now.process.cpu_seconds
        assert again.process.cpu_percent is not None
        assert again.server_process.endswith("(tenantry: run)")
        end()
    now = look(legacy_each)
    assert (now.status, now.lag_entries, now.working) == ("ready", 0, False)


def test_a_process_elsewhere_or_gone_is_not_measured() -> None:
    here = {"pid": os.getpid(), "user": "me", "host": os.uname().nodename}
    assert look_at({**here, "host": "far.example"}).place == "on another host"
    assert look_at({**here, "pid": 2**22 + 1}).place == "gone"
    assert look_at({}).place == "unknown"
    assert look_at(here, proc=Path("/nowhere")).place == "unknown"
    assert look_at(here).place == "here"


def test_a_number_that_another_process_has_now_is_not_taken_for_the_run(legacy: Database) -> None:
    (begun,) = rows(legacy, "select clock_timestamp() - interval '10 years'")[0]
    here = {"pid": os.getpid(), "user": "me", "host": os.uname().nodename}
    assert look_at(here, connected_at=begun) == Process(os.getpid(), "me", os.uname().nodename, "gone")


def test_a_run_that_is_ready_lacks_nothing(ready: Database) -> None:
    now = look(ready)
    assert (now.status, now.working, now.stopped) == ("ready", False, False)
    assert now.readiness.ready
    assert now.readiness.missing == ()
    assert now.verified_at is not None
    assert all(phase.done == phase.steps for phase in now.phases if phase.phase not in ("cut over", "contract"))
    assert (now.conflicts, now.kept) == (0, 0)
    assert now.quarantined == rows(ready, "select count(*) from tenantry.quarantine where state = 'open'")[0][0] > 0
    assert now.merged > 0
    assert now.events[-1].code == "ready"
    assert json.loads(json.dumps(now.to_json()))["readiness"]["ready"] is True


def test_a_run_whose_process_was_killed_has_died(legacy: Database, program: Callable[..., Said]) -> None:
    kill_in_copy(legacy)
    now = look(legacy)
    assert (now.status, now.working, now.process.place, now.stopped) == ("died", False, "gone", True)
    said = program("--dsn", legacy.dsn)
    assert said.code == 1
    assert "Its process is gone. Run `tenantry migrate` to resume." in said.everything
    assert program("--dsn", legacy.dsn, "--watch").code == 1
    assert program("--dsn", legacy.dsn, "--until", "ready").code == 1


def test_a_failed_step_is_named_with_its_message(ready: Database, program: Callable[..., Said]) -> None:
    with ready.connect() as admin:
        admin.execute("update tenantry.run set status = 'failed'")
        admin.execute("update tenantry.step set status = 'failed', message = 'no [room]' where id = 'verify.ids'")
    said = program("--dsn", ready.dsn)
    assert said.code == 1
    assert "failed verify.ids: no [room]" in said.out
    assert "no: 1 step pending, next: verify.ids" in said.everything


def test_there_must_be_a_run(database: Database, program: Callable[..., Said]) -> None:
    said = program("--dsn", database.dsn, "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "TN-403")
    assert program("--dsn", database.dsn, "--until", "ready").code == 2
    with database.connect() as admin:
        admin.execute(journal_ddl()[0])
    with engine(database, "postgres") as connection, pytest.raises(NoRun):
        read_status(connection)


def test_a_login_without_rights_on_the_journal_is_reported(ready: Database, program: Callable[..., Said]) -> None:
    said = program("--dsn", ready.dsn_as("authenticator_of_none"))
    assert (said.code, "TN-202" in said.err) == (2, True)
    with ready.connect() as admin:
        admin.execute(
            "revoke all on tenantry.quarantine from clinic_owner; alter table tenantry.quarantine owner to postgres"
        )
    said = program("--dsn", ready.dsn_as(OWNER))
    assert (said.code, "TN-204" in said.err) == (2, True)


# -- others ----------------------------------------------------------------------------------------------------------------


def test_a_long_transaction_in_the_way_is_named_without_its_values(ready: Database) -> None:
    with ready.connect(autocommit=False, user=OWNER) as application:
        application.execute("set application_name = 'nightly'")
        application.execute("update clinics set name = 'Dr. Secret' where name <> ''")
        now = wait_for("the transaction to be old", lambda: (s := look(ready)).standing and s)
        (standing,) = now.standing
        assert (standing.pid, standing.application, standing.state) == (
            application.info.backend_pid, "nightly", "idle in transaction",
        )  # fmt: skip
        assert standing.query == "update clinics set name = …"
        assert now.readiness.blockers == (
            f"pid {standing.pid} (nightly, idle in transaction, {standing.seconds:.0f} s): update clinics set name = …",
        )
    assert look(ready).standing == ()


def test_writers_whose_age_is_hidden_are_counted(ready: Database) -> None:
    with ready.connect() as admin:
        admin.execute("alter table clinics owner to postgres")
    with ready.connect(autocommit=False) as application:
        application.execute("update clinics set name = name")
        now = look(ready)
        assert (now.hidden_writers, now.standing) == (1, ())


def test_a_reader_is_in_nobodys_way(ready: Database) -> None:
    with ready.connect(autocommit=False, user=OWNER) as application:
        application.execute("select count(*) from clinics")
        application.execute("set application_name = 'reader'")
        old = "select 1 from pg_stat_activity where application_name = 'reader' and xact_start < clock_timestamp() - interval '1.1 s'"
        wait_for("the transaction to be old", lambda: rows(ready, old))
        assert look(ready).standing == ()


def test_who_waits_for_a_lock_of_tenantry_is_named(ready: Database) -> None:
    with ready.connect(user=OWNER) as ours, ready.connect(user=OWNER) as application:
        ours.execute("set application_name = 'tenantry: worker'")
        ours.execute("begin; lock table clinics in share row exclusive mode")
        application.execute("set application_name = 'app'")
        application.pgconn.send_query(b"update clinics set name = name")
        now = wait_for("the waiter", lambda: (s := look(ready)).waiters and s)
        (waiter,) = now.waiters
        assert (waiter.pid, waiter.application, waiter.relation) == (application.info.backend_pid, "app", "clinics")
        assert waiter.held_by == "tenantry: worker"
        ours.execute("rollback")
        while application.pgconn.get_result() is not None:
            pass
    assert look(ready).waiters == ()


def test_reasons_to_back_off_are_shown(ready: Database, program: Callable[..., Said]) -> None:
    with engine(ready, "postgres") as connection:
        pause(connection, by="night shift", reason="backup")
    limits = clinic_manifest().throttle
    with Throttle(ready.dsn, limits, notice=print, stopped=lambda: False) as throttle:
        now = look(ready, throttle=throttle)
    assert [reason.code for reason in now.reasons or () if reason.code == "paused"] == ["paused"]
    assert now.server.free_disk_bytes is not None or now.server.free_disk_unknown
    said = program("--dsn", ready.dsn)
    assert said.code == 0
    assert "throttled (paused) paused by night shift" in said.everything
    assert look(ready).reasons is None


@pytest.mark.parametrize(
    ("query", "want"),
    [
        ("select\n  *   from t", "select * from t"),
        ("update t set a = 'x y' where b", "update t set a = …"),
        ("update t set a = E'x'", "update t set a = …"),
        ("do $body$ begin", "do …"),
        ("select * from t2 where id = 4711 and x=$1", "select * from t2 where id = ? and x=$1"),
        ("select " + "a, " * 50, "select " + "a, " * 17 + "a, …"),
        ("", ""),
        (None, ""),
    ],
)
def test_of_a_query_the_first_words_are_shown_and_no_values(query: str | None, want: str) -> None:
    assert first_words(query) == want


# -- behind the cut-over ---------------------------------------------------------------------------------------------------


def test_cutover_and_rollback_change_the_direction_and_record_their_write_pause(
    ready: Database, program: Callable[..., Said]
) -> None:
    turned = cut_over(ready.dsn_as(OWNER), clinic_manifest())
    now = look(ready)
    assert (now.status, now.direction, now.lag_entries) == ("cut over", "reverse", 0)
    assert now.writers.startswith("Applications write clinic (the target); changes are replayed into public")
    assert now.cut_over is not None
    assert 0 < now.cut_over.data["stall_ms"] <= turned.stall * 1000 + 1
    assert not now.readiness.ready
    assert program("--dsn", ready.dsn, "--until", "cut-over").code == 0
    assert program("--dsn", ready.dsn, "--until", "idle").code == 0
    assert "write pause " in program("--dsn", ready.dsn).out
    metrics = parsed(metrics_text(now))
    assert metrics["tenantry_cut_over_stall_seconds"].only() == now.cut_over.data["stall_ms"] / 1000
    assert "tenantry_rollback_stall_seconds" not in metrics
    assert not is_reached(Until.ROLLED_BACK, now)

    roll_back(ready.dsn_as(OWNER), clinic_manifest())
    now = look(ready)
    assert (now.status, now.direction) == ("ready", "forward")
    assert now.rolled_back is not None
    assert is_reached(Until.ROLLED_BACK, now)
    assert not is_reached(Until.CUT_OVER, now)
    assert "tenantry_rollback_stall_seconds" in parsed(metrics_text(now))


def test_a_rolled_back_journal_ends_the_watch(ready: Database) -> None:
    now = look(ready)
    with ready.connect() as admin:
        admin.execute("drop schema tenantry cascade")
    with (
        engine(ready, "postgres") as connection,
        Throttle(ready.dsn, clinic_manifest().throttle, notice=print, stopped=lambda: False) as throttle,
    ):
        assert command._look(connection, now, throttle, Until.ROLLED_BACK) is None
        assert command._look(connection, now, throttle, None) is None
        with pytest.raises(NoRun):
            command._look(connection, now, throttle, Until.READY)


def test_a_follower_is_seen_at_work_with_its_rate(ready: Database) -> None:
    stop = threading.Event()
    follower = threading.Thread(
        target=lambda: follow(ready.dsn_as(OWNER), clinic_manifest(), stopped=stop.is_set), daemon=True
    )
    follower.start()
    try:
        with ready.connect() as application:

            def changed_and_seen() -> Status | None:
                application.execute("update clinics set name = name || '.'")
                now = look(ready)
                return now if now.rates.replayed else None

            now = wait_for("a rate of replay", changed_and_seen)
            assert (now.status, now.working, now.process.place) == ("ready", True, "here")
            assert now.rates.copied == 0
            assert now.rows_replayed > 0
            assert (
                parsed(metrics_text(now))["tenantry_rows_replayed_total"].of(direction="forward") == now.rows_replayed
            )
            wait_for("everything to be carried over", lambda: is_reached(Until.IDLE, look(ready)))
    finally:
        stop.set()
        follower.join(PATIENCE)
    with engine(ready) as connection:
        timeline = read_timeline(connection)
    assert timeline is not None
    assert "target follows" in [band.name for band in timeline.bands]
    assert sum(point.replayed * point.seconds for point in timeline.points) > 0
    assert look(ready).working is False


# -- the timeline of a run -----------------------------------------------------------------------------------------------------


def test_the_watch_says_a_line_at_each_look_and_the_report_shows_the_timeline(
    legacy: Database, program: Callable[..., Said], tmp_path: Path
) -> None:
    with held_run(legacy) as end:
        wait_for("two samples", lambda: rows(legacy, "select 1 from tenantry.sample offset 1"))
        file = tmp_path / "tenantry.prom"
        ender = threading.Thread(target=end_after_a_look, args=(file, end))
        ender.start()
        said = program("--dsn", legacy.dsn, "--watch", "--interval", "0.1", "--prometheus", str(file))
        ender.join()
    lines = said.out.splitlines()
    assert said.code == 0
    assert len(lines) > 1
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d run 1 running, copy \d+/\d+ steps; [\d,]+ rows copied.*; lag .*; [\d,]+ in quarantine.*",
        lines[0],
    )
    assert re.match(r"\d\d:\d\d:\d\d run 1 ready, secure", lines[-1])
    cut_over(legacy.dsn_as(OWNER), clinic_manifest())
    with engine(legacy) as connection:
        prepared = prepare(connection, clinic_manifest())
        report = build_report(connection, prepared.project, plan=prepared.plan, command_prefix="tenantry")
    timeline = Timeline.from_json(report["timeline"])
    assert [band.name for band in timeline.bands][:3] == ["expand", "capture", "copy"]
    assert {"verify", "secure"} <= {band.name for band in timeline.bands}
    assert all(a.ended <= b.begun + 1e-3 for a, b in pairwise(timeline.bands))
    copied = sum(point.copied * point.seconds for point in timeline.points)
    # Rates are kept with few digits.
    assert 0 < copied <= float(one(legacy, "select sum(target_rows) from tenantry.chunk")) * 1.01
    assert [mark.word for mark in timeline.marks][-2:] == ["ready", "cut over"]
    assert timeline.marks[-1].stall_ms == look(legacy).cut_over.data["stall_ms"]  # type: ignore[union-attr]
    html = render_html(report)
    assert html.count("<svg ") == 3
    assert f"cut over, {timeline.marks[-1].stall_ms:.0f} ms" in html


def test_a_run_without_samples_has_no_timeline(database: Database, ready: Database) -> None:
    with engine(database, "postgres") as connection:
        assert read_timeline(connection) is None
    with ready.connect() as admin:
        admin.execute("delete from tenantry.sample")
    with engine(ready) as connection:
        assert read_timeline(connection) is None


# -- waiting ---------------------------------------------------------------------------------------------------------------


def end_after_a_look(file: Path, end: Callable[[], None]) -> None:
    """Let a run end once the first look at it has been written to the file."""
    wait_for("a look", file.exists)
    end()


def test_a_script_can_wait_until_a_run_is_ready(legacy: Database, program: Callable[..., Said], tmp_path: Path) -> None:
    file = tmp_path / "tenantry.prom"
    with held_run(legacy) as end:
        ender = threading.Thread(target=end_after_a_look, args=(file, end))
        ender.start()
        said = program(
            "--dsn", legacy.dsn, "--until", "ready", "--interval", "0.1", "--json", "--prometheus", str(file)
        )  # fmt: skip
        ender.join()
    looks = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == 0
    assert (looks[0]["status"], looks[0]["phase"]) == ("running", "copy")
    assert looks[-1]["status"] == "ready"
    assert {look["status"] for look in looks} == {"running", "ready"}
    assert parsed(file.read_text())["tenantry_run_state"].of(state="ready") == 1


def test_the_watch_ends_without_a_working_process(ready: Database, program: Callable[..., Said]) -> None:
    assert program("--dsn", ready.dsn, "--watch").out.count("\n") == 1


def test_a_follower_that_lets_others_in_is_not_taken_for_gone(ready: Database) -> None:
    now = look(ready)
    ended = command._Ended(None)
    works = replace(now, working=True)
    assert [ended(each) for each in (works, now, now, works, now, now, now)] == [False] * 6 + [True]


REACHED: list[tuple[Until, dict[str, Any], bool]] = [
    (Until.READY, {"status": "running"}, False),
    (Until.READY, {"status": "cut over"}, True),
    (Until.IDLE, {"lag_entries": 1}, False),
    (Until.IDLE, {"status": "running"}, False),
    (Until.IDLE, {}, True),
    (Until.CUT_OVER, {}, False),
    (Until.CUT_OVER, {"direction": "both"}, True),
    (Until.CONTRACTED, {"status": "contracted"}, True),
    (Until.CONTRACTED, {}, False),
]


def test_what_counts_as_reached(ready: Database) -> None:
    now = look(ready)
    for until, changes, want in REACHED:
        assert is_reached(until, replace(now, **changes)) is want, (until, changes)


# -- Prometheus ------------------------------------------------------------------------------------------------------------


class Parsed:
    """The samples of one metric."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.samples: dict[tuple[tuple[str, str], ...], float] = {}

    def of(self, **labels: str) -> float:
        (value,) = [value for key, value in self.samples.items() if labels.items() <= dict(key).items()]
        return value

    def only(self) -> float:
        (value,) = self.samples.values()
        return value


_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"')
_ESCAPED = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


def parsed(text: str) -> dict[str, Parsed]:
    """The text format, read as strictly as Prometheus does and more: help, type, then all samples of a metric, each once."""
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    found: dict[str, Parsed] = {}
    helped = current = ""
    for line in text[:-1].split("\n"):
        if match := re.fullmatch(rf"# HELP ({_NAME}) ((?:[^\\\n]|\\[\\n])+)", line):
            helped = match[1]
            assert helped not in found
        elif match := re.fullmatch(rf"# TYPE ({_NAME}) (gauge|counter)", line):
            current = match[1]
            assert current == helped
            assert current.endswith("_total") is (match[2] == "counter")
            found[current] = Parsed(match[2])
        else:
            match = re.fullmatch(rf"({_NAME})\{{(.*)\}} (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|[+-]Inf)", line)
            assert match, line
            assert match[1] == current
            pairs = _PAIR.findall(match[2])
            assert ",".join(f'{name}="{value}"' for name, value in pairs) == match[2]
            labels = tuple((name, re.sub(r"\\.", lambda each: _ESCAPED[each[0]], value)) for name, value in pairs)
            assert len(dict(labels)) == len(labels)
            assert labels not in found[current].samples
            found[current].samples[labels] = float(match[3])
    return found


def test_the_metrics_are_valid_and_equal_the_status(ready: Database, tmp_path: Path) -> None:
    file = tmp_path / "tenantry.prom"
    file.write_text("old")
    with engine(ready) as connection:
        write_metrics(connection, file)
        now = read_status(connection)
    assert [each.name for each in tmp_path.iterdir()] == ["tenantry.prom"]
    found = parsed(file.read_text(encoding="utf-8"))
    run = str(now.run)
    assert all(dict(labels)["run"] == run for metric in found.values() for labels in metric.samples)
    assert found["tenantry_run_info"].of(name="clinic", source="public", target="clinic") == 1
    states = found["tenantry_run_state"]
    assert {dict(key)["state"]: value for key, value in states.samples.items()} == {
        "running": 0, "ready": 1, "cut over": 0, "contracted": 0, "failed": 0, "interrupted": 0, "died": 0,
    }  # fmt: skip
    assert (
        sum(found["tenantry_run_phase"].samples.values()) == sum(found["tenantry_run_direction"].samples.values()) == 1
    )
    assert found["tenantry_rows_copied_total"].only() == now.rows_copied > 0
    assert found["tenantry_quarantined_rows"].only() == now.quarantined
    assert found["tenantry_lag_entries"].of(direction="forward") == 0
    assert found["tenantry_lag_entries"].of(direction="reverse") == 0
    assert found["tenantry_log_bytes"].of(direction="forward") == now.logs[0].bytes
    assert found["tenantry_steps_done"].of(phase="copy") == found["tenantry_steps"].of(phase="copy") > 0
    assert "tenantry_cut_over_stall_seconds" not in found
    assert file.stat().st_mode & 0o044 == 0o044 & ~_umask()


def _umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before


def test_hostile_names_are_escaped(ready: Database) -> None:
    name = 'a "quoted"\\name\nof two lines'
    now = replace(look(ready), name=name, cut_over=Event(look(ready).at, "cut_over", "", {"stall_ms": 214}))
    found = parsed(metrics_text(now))
    assert found["tenantry_run_info"].of(name=name) == 1
    assert found["tenantry_cut_over_stall_seconds"].only() == 0.214


def test_a_file_that_cannot_be_written_is_a_message(
    ready: Database, program: Callable[..., Said], tmp_path: Path
) -> None:
    said = program("--dsn", ready.dsn, "--prometheus", str(tmp_path / "no" / "folder.prom"))
    assert (said.code, "TN-101" in said.err) == (2, True)
    (tmp_path / "taken").mkdir()
    with engine(ready) as connection, pytest.raises(SettingsError):
        write_metrics(connection, tmp_path / "taken")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]
