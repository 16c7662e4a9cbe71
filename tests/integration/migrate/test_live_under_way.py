"""A migrated Clinic in its dual-write window, when it is altered or damaged meanwhile, and at its end."""

from __future__ import annotations

import io
import threading
import time
from typing import Any

import pytest
from psycopg import errors as pg

from tenantry.cli.options import duration, moment
from tenantry.errors import (
    JournalDamaged,
    JournalMismatch,
    LoginShared,
    NotReady,
    SourceAltered,
    VerificationFailed,
)
from tenantry.migrate.follow import follow
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.switch.contract import contract
from tenantry.migrate.switch.cutover import When
from tests.conftest import Database
from tests.integration.migrate.live_clinic import (
    WHERE_MANIFEST,
    Notes,
    application,
    catch_up,
    differences,
    log,
    ready,
    turn_back,
    turn_over,
)
from tests.migrate_support import (
    OWNER,
    cli,
    clinic_manifest,
    one,
    rows,
    wait_for,
)

__all__ = ["ready"]


# -- grace ---------------------------------------------------------------------------------------------------------------


def test_the_later_change_wins_in_the_dual_write_window(ready: Database) -> None:
    first, second = rows(ready, "select id, legacy_id from clinic.providers order by legacy_id limit 2")
    assert turn_over(ready, grace=3600.0).direction == "both"
    with application(ready) as old, application(ready) as new:
        new.execute("set role service_role")
        old.execute("update public.metric_definitions set description = 'from the source'")
        new.execute("update clinic.widgets set chart_type = 'from the target'")
        # The target first, then the source; and the other way round.
        new.execute("update clinic.providers set name = 'earlier' where id = %s", [first[0]])
        old.execute("update public.providers set name = 'later' where id = %s", [first[1]])
        old.execute("update public.providers set name = 'earlier' where id = %s", [second[1]])
        new.execute("update clinic.providers set name = 'later' where id = %s", [second[0]])
    catch_up(ready)
    for schema, key in (("public", "id"), ("clinic", "legacy_id")):
        assert rows(ready, f"select distinct description from {schema}.metric_definitions") == [("from the source",)]
        # Those in quarantine stand in the source alone.
        carried = f"{key} in (select t.legacy_id from clinic.widgets t)"
        assert rows(ready, f"select distinct chart_type from {schema}.widgets where {carried}") == [
            ("from the target",)
        ]
        got = rows(ready, f"select name from {schema}.providers where {key} in (%s, %s)", [first[1], second[1]])
        assert got == [("later",), ("later",)]
    losers = rows(ready, "select legacy_id, winner, loser ->> 'name' from tenantry.conflict order by legacy_id")
    assert losers == [(first[1], "source", "earlier"), (second[1], "target", "earlier")]
    # The end of the grace: the source is closed.
    assert turn_over(ready).direction == "reverse"
    with application(ready) as old, pytest.raises(pg.ReadOnlySqlTransaction):
        old.execute("update public.goals set time_period = 'too late'")
    assert differences(ready) == []


def test_replay_ends_an_expired_dual_write_window(ready: Database) -> None:
    turn_over(ready, grace=0.5)
    ended = threading.Event()
    worker = threading.Thread(
        target=follow, args=(ready.dsn_as(OWNER), clinic_manifest()), kwargs={"stopped": ended.is_set}
    )
    worker.start()
    try:
        wait_for("the grace to end", lambda: one(ready, "select direction from tenantry.run") == "reverse")
    finally:
        ended.set()
        worker.join()


def test_replay_lets_other_commands_have_the_run(ready: Database) -> None:
    ended, notes = threading.Event(), Notes()
    worker = threading.Thread(
        target=follow,
        args=(ready.dsn_as(OWNER), clinic_manifest()),
        kwargs={"stopped": ended.is_set, "observer": notes},
    )
    worker.start()
    try:
        wait_for(
            "replay to hold the run",
            lambda: rows(
                ready,
                "select 1 from pg_locks where locktype = 'advisory' and granted"
                " and database = (select oid from pg_database where datname = current_database())",
            ),
        )
        assert turn_over(ready).direction == "reverse"
        with application(ready) as client:
            client.execute("set role service_role")
            client.execute("update clinic.providers set name = 'After The Turn'")
        wait_for(
            "the source to follow",
            lambda: one(ready, "select count(*) from public.providers where name = 'After The Turn'") > 0,
        )
    finally:
        ended.set()
        worker.join()
    assert any("asks for the run" in said for said in notes.said)


# -- changes under way ---------------------------------------------------------------------------------------------------


def test_a_column_that_is_altered_stops_the_run_before_another_row_is_written(ready: Database) -> None:
    with ready.connect(user=OWNER) as owner:
        owner.execute("alter table public.goals rename column time_period to period")
    with application(ready) as client:
        client.execute("update clinics set name = 'Not Carried Over'")
    with pytest.raises(SourceAltered, match=r"column goals\.time_period is gone"):
        catch_up(ready)
    with pytest.raises(SourceAltered):
        turn_over(ready)
    assert one(ready, "select count(*) from clinic.clinics where name = 'Not Carried Over'") == 0
    with ready.connect(user=OWNER) as owner:
        owner.execute("alter table public.goals rename column period to time_period")
    turn_over(ready)
    assert one(ready, "select count(*) from clinic.clinics where name = 'Not Carried Over'") > 0


def test_an_alteration_while_replay_runs_is_noticed_by_the_round(ready: Database) -> None:
    with RunHandle(ready.dsn_as(OWNER), clinic_manifest()) as live:
        live.check()
        live.round()
        with ready.connect(user=OWNER) as owner:
            owner.execute("alter table clinic.goals alter target_value type numeric(20, 3)")
        with application(ready) as client:
            client.execute("update clinics set name = 'Not Carried Over'")
        with pytest.raises(SourceAltered, match="target"):
            live.round()
    assert one(ready, "select count(*) from clinic.clinics where name = 'Not Carried Over'") == 0
    assert len(log(ready)) > 0


def test_harmless_alterations_are_accepted_and_reported(ready: Database) -> None:
    with ready.connect() as admin:
        admin.execute("alter table public.goals add column remark text; create index on public.goals (time_period)")
    notes = Notes()
    follow(ready.dsn_as(OWNER), clinic_manifest(), until_idle=True, observer=notes)
    assert any("goals.remark is new and is not migrated" in said for said in notes.said)


def test_missing_triggers_are_set_again_and_the_table_is_looked_at_as_a_whole(ready: Database) -> None:
    with ready.connect(user=OWNER) as owner:
        owner.execute("alter table public.goals disable trigger tenantry_capture")
    with application(ready) as client:
        client.execute("update goals set target_value = '4711'")
    assert log(ready) == []
    notes = Notes()
    follow(ready.dsn_as(OWNER), clinic_manifest(), until_idle=True, observer=notes)
    assert any("missing on goals" in said for said in notes.said)
    assert one(ready, "select count(*) from clinic.goals where target_value = 4711") > 0
    assert differences(ready) == []


def test_a_login_that_others_use_is_refused(ready: Database) -> None:
    with ready.connect(user=OWNER) as other, pytest.raises(LoginShared, match=f"pid {other.info.backend_pid}"):
        catch_up(ready)
    with pytest.raises(LoginShared, match=OWNER):
        follow(ready.dsn, clinic_manifest(), until_idle=True)


def test_a_restored_database_is_noticed_and_compared_again_before_the_cut_over(ready: Database) -> None:
    with ready.connect() as admin:
        admin.execute("update tenantry.run set server = jsonb_set(server, '{timeline}', '77')")
    with ready.connect(user=OWNER) as migrator:
        # By the login that no fence holds back and no trigger notes, so that nothing but the comparison can find it.
        migrator.execute(
            "update clinic.goals set target_value = 47.11 where id = (select id from clinic.goals limit 1)"
        )
    notes = Notes()
    with pytest.raises(VerificationFailed, match=r"47\.11"):
        turn_over(ready, observer=notes)
    assert any("restored or promoted" in said for said in notes.said)
    assert cli("verify", "--repair", "--dsn", ready.dsn_as(OWNER), *WHERE_MANIFEST).code == 0
    assert turn_over(ready).direction == "reverse"


def test_lost_lists_of_the_journal_are_noticed_and_rebuilt(ready: Database) -> None:
    held = one(ready, "select count(*) from tenantry.quarantine")
    merged = one(ready, "select count(*) from tenantry.merged")
    changed = one(ready, "select count(*) from tenantry.change")
    with ready.connect() as admin:
        admin.execute("truncate tenantry.quarantine, tenantry.merged, tenantry.change, tenantry.chunk")
    where = ("--dsn", ready.dsn_as(OWNER), *WHERE_MANIFEST)
    assert cli("verify", *where).code == 1
    assert cli("verify", "--journal", *where).code == 0
    assert one(ready, "select count(*) from tenantry.quarantine") == held
    assert one(ready, "select count(*) from tenantry.merged") == merged
    assert one(ready, "select count(*) from tenantry.change") == changed


def test_lost_steps_of_the_journal_are_noticed_and_rebuilt(ready: Database) -> None:
    with ready.connect() as admin:
        admin.execute("delete from tenantry.step where id in ('copy.rows:goals', 'capture.table:users')")
    where = ("--dsn", ready.dsn_as(OWNER), *WHERE_MANIFEST)
    with pytest.raises(JournalDamaged, match="lacks 2 steps"):
        turn_over(ready)
    assert cli("verify", "--journal", *where).code == 0
    assert turn_over(ready).direction == "reverse"


def test_a_journal_of_another_version_is_refused(ready: Database) -> None:
    with ready.connect() as admin:
        admin.execute("update tenantry.run set tool_version = '0.0.1'")
        admin.execute("update tenantry.step set id = 'copy.rows:renamed' where id = 'copy.rows:goals'")
    with pytest.raises(JournalMismatch, match=r"begun by Tenantry 0\.0\.1"):
        turn_over(ready)


def test_a_cutover_that_waits_for_idle_writers_keeps_replaying(
    ready: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenantry.migrate.switch.cutover._IDLE_SECONDS", 0.6)
    stop = threading.Event()
    last = [0.0]

    def load() -> None:
        with application(ready) as client:
            while not stop.wait(0.1):
                client.execute("update providers set name = name || '.' where id = (select min(id) from providers)")
                last[0] = time.monotonic()

    writer = threading.Thread(target=load)
    writer.start()
    threading.Timer(1.5, stop.set).start()
    done = turn_over(ready, when=When(idle=True))
    writer.join()
    assert done.direction == "reverse"
    assert time.monotonic() - last[0] >= 0.6
    assert differences(ready) == []


def test_a_cut_over_at_a_time_waits_for_it(ready: Database) -> None:
    at = time.time() + 1.2
    turn_over(ready, when=When(at=at))
    assert time.time() >= at
    for text in ("25:00", "yesterday", "2001-01-01T00:00"):
        assert cli("cutover", "--at", text, "--dsn", ready.dsn_as(OWNER), *WHERE_MANIFEST).code == 2
    assert (duration("90"), duration("15min"), duration("1h"), duration("2d")) == (90, 900, 3600, 172800)
    assert moment("23:59") > time.time()


# -- the end -------------------------------------------------------------------------------------------------------------


def test_the_contract_is_refused_while_something_reads_the_source_and_is_final(ready: Database, tmp_path: Any) -> None:
    address = ready.dsn_as(OWNER)
    with pytest.raises(NotReady, match="still write the source"):
        contract(address, clinic_manifest(), look=0.1)
    turn_over(ready)
    with ready.connect() as admin:
        admin.execute("create view public.last_reader as select * from public.goals")
    with pytest.raises(NotReady, match="last_reader"):
        contract(address, clinic_manifest(), look=0.1)
    with ready.connect() as admin:
        admin.execute("drop view public.last_reader")
    archive = tmp_path / "source.dump"
    done = contract(address, clinic_manifest(), look=0.1, archive=archive)
    assert done.archive == archive
    assert archive.stat().st_size > 10_000
    assert (
        rows(ready, "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'") == []
    )
    assert rows(ready, "select tgname from pg_trigger where tgname like 'tenantry_capture%'") == []
    assert rows(ready, "select status from tenantry.run") == [("contracted",)]
    assert one(ready, "select count(*) from clinic.metric_values") > 0
    with pytest.raises(NotReady, match="cannot be rolled back"):
        turn_back(ready)


def test_the_contract_asks_for_the_name_of_the_dropped_schema(ready: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    turn_over(ready)
    monkeypatch.setattr("sys.stdin", io.StringIO("clinic\n"))
    said = cli("contract", "--dsn", ready.dsn_as(OWNER), *WHERE_MANIFEST)
    assert said.code == 2
    assert "not the name" in said.everything
    assert one(ready, "select count(*) from public.metric_values") > 0


def test_the_commands_in_the_order_of_the_manual(ready: Database) -> None:
    where = ("--dsn", ready.dsn_as(OWNER), *WHERE_MANIFEST)
    for arguments, words in (
        (("replay", "--until-idle"), "0 changes replayed in 0 rounds"),
        (("verify",), "compared"),
        (("cutover",), "Applications write the target now"),
        (("replay", "--until-idle", "--json"), '"direction": "reverse"'),
        (("verify", "--json"), '"passed": true'),
        (("rollback",), "Applications write the source again"),
        (("cutover", "--json"), '"direction": "reverse"'),
        (("rollback", "--everything", "--yes"), "steps were undone"),
    ):
        said = cli(*arguments, *where)
        assert said.code == 0, said.everything
        assert words in said.out, said.everything
