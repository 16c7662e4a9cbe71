"""The cut-over and the way back while applications write."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from tenantry.errors import (
    CutOverFailed,
    NotReady,
)
from tenantry.migrate.session.observer import Silent
from tenantry.migrate.switch.cutover import cut_over
from tenantry.migrate.switch.rollback import roll_back
from tenantry.migrate.switch.switchover import Bounds
from tests.conftest import Database
from tests.integration.migrate.live_clinic import (
    WHERE_MANIFEST,
    application,
    catch_up,
    contents,
    differences,
    ready,
    turn_back,
    turn_over,
)
from tests.migrate_support import (
    OWNER,
    PATIENCE,
    carry_over,
    cli,
    clinic_manifest,
    one,
    rows,
    source_digest,
    wait_for,
)

__all__ = ["ready"]


# -- the turn ------------------------------------------------------------------------------------------------------------


def test_nothing_acknowledged_is_lost_in_a_cut_over_under_load(ready: Database) -> None:
    stop, kept = threading.Event(), {}

    def load(number: int, client: psycopg.Connection[Any]) -> None:
        with client:
            count = 0
            while not stop.is_set():
                key = f"load-{number}-{count % 50}"
                try:
                    client.execute(
                        "insert into providers (id, name, provider_type, status, clinic_id, updated_at) select %s, %s, 'dentist',"
                        " 'active', min(id), now() from clinics on conflict (id) do update set name = excluded.name",
                        [key, str(count)],
                    )
                except pg.ReadOnlySqlTransaction:
                    return
                kept[key] = str(count)
                count += 1

    writers = [threading.Thread(target=load, args=(number, application(ready))) for number in range(3)]
    for writer in writers:
        writer.start()
    try:
        wait_for("writes of all", lambda: {key.split("-")[1] for key in kept} == {"0", "1", "2"})
        done = turn_over(ready)
        # The source refuses them.
        for writer in writers:
            writer.join(PATIENCE)
            assert not writer.is_alive()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    # The commit begins within the bound (SHORT); how long it then takes is the machine's.
    assert 0 < done.stall < 30
    assert dict(rows(ready, "select legacy_id, name from clinic.providers where legacy_id like 'load-%'")) == kept
    assert differences(ready) == []


def test_a_blocked_cutover_is_rolled_back_within_its_bound_and_names_the_blocker(ready: Database) -> None:
    with application(ready, autocommit=False) as holder:
        holder.execute("update clinics set name = name")
        written = [0]
        stop = threading.Event()

        def watch() -> None:
            with application(ready) as client:
                while not stop.is_set():
                    client.execute("update goals set time_period = time_period where id = (select min(id) from goals)")
                    written[0] += 1

        class BetweenAttempts(Silent):
            """Told of an attempt that was rolled back, and asked to wait: nothing may be locked any more."""

            def notice(self, message: str) -> None:
                before = written[0]
                wait_for(f"writes after: {message}", lambda: written[0] > before + 1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            with pytest.raises(CutOverFailed) as failed:
                cut_over(
                    ready.dsn_as(OWNER), clinic_manifest(), bounds=Bounds(max_stall=0.6, patience=2.0),
                    observer=BetweenAttempts(),
                )  # fmt: skip
            BetweenAttempts().notice("the last attempt")
        finally:
            stop.set()
            watcher.join()
        assert f"pid {holder.info.backend_pid}" in failed.value.message
        holder.rollback()
    assert rows(ready, "select status, direction from tenantry.run") == [("ready", "forward")]
    assert turn_over(ready).direction == "reverse"


def test_after_the_cut_over_the_source_follows_and_refuses_applications(ready: Database) -> None:
    turn_over(ready)
    with application(ready) as client:
        with pytest.raises(pg.ReadOnlySqlTransaction, match=r"its data has moved to clinic\.goals"):
            client.execute("update goals set time_period = 'x'")
        client.execute("set role service_role")
        assert (
            client.execute(
                "update clinic.providers set name = 'Written In The Target' where status = 'active'"
            ).rowcount
            > 0
        )
    catch_up(ready)
    assert one(ready, "select count(*) from public.providers where name = 'Written In The Target'") > 0
    assert differences(ready) == []
    # Run again, it is no other command: it says that it had been done.
    assert (again := turn_over(ready)).already
    assert again.direction == "reverse"


_OWN_TRIGGERS = """
create function public.touch() returns trigger language plpgsql as $$ begin new.name := 'Touched'; return new; end $$;
create trigger touch before insert or update on public.providers for each row execute function public.touch();
create trigger touch_always before update on public.providers for each row execute function public.touch();
alter table public.providers enable always trigger touch_always;
create trigger touch_never before update on public.providers for each row execute function public.touch();
alter table public.providers disable trigger touch_never;
"""


_STATES = (
    "select tgname, tgenabled from pg_trigger where tgrelid = 'public.providers'::regclass and not tgisinternal"
    " and tgname like 'touch%' order by 1"
)


def test_triggers_of_the_source_are_disabled_while_it_follows_and_restored_afterwards(ready: Database) -> None:
    with ready.connect() as admin:
        admin.execute(_OWN_TRIGGERS)
    before = rows(ready, _STATES)
    turn_over(ready)
    assert {state for _, state in rows(ready, _STATES)} == {"D"}
    with application(ready) as client:
        client.execute("set role service_role")
        client.execute("update clinic.providers set name = 'As It Was Written'")
    catch_up(ready)
    assert one(ready, "select count(*) from public.providers where name = 'Touched'") == 0
    assert differences(ready) == []
    turn_back(ready)
    assert rows(ready, _STATES) == before
    with application(ready) as client:
        client.execute("update providers set name = 'x'")
    assert one(ready, "select count(*) from public.providers where name <> 'Touched'") == 0


def test_triggers_of_the_source_stay_enabled_in_the_dual_write_window_and_are_disabled_at_its_end(
    ready: Database,
) -> None:
    with ready.connect() as admin:
        admin.execute(_OWN_TRIGGERS)
    before = rows(ready, _STATES)
    turn_over(ready, grace=60.0)
    assert rows(ready, _STATES) == before
    with application(ready) as old, application(ready) as new:
        new.execute("set role service_role; update clinic.providers set provider_type = 'hygienist'")
        catch_up(ready)
        assert one(ready, "select count(*) from public.providers where name = 'Touched'") == 0
        old.execute("update public.providers set name = 'x'")
        assert one(ready, "select count(*) from public.providers where name <> 'Touched'") == 0
    turn_over(ready)
    assert {state for _, state in rows(ready, _STATES)} == {"D"}
    turn_back(ready)
    assert rows(ready, _STATES) == before


def test_a_document_that_names_a_row_deleted_in_the_target_holds_no_rollback_up(ready: Database) -> None:
    turn_over(ready)
    with application(ready) as client:
        client.execute("set role service_role")
        # A row that only its own dashboard's document names.
        gone = client.execute(
            "delete from clinic.widgets w using clinic.dashboards d where w.id = (select (x #>> '{}')::uuid from clinic.dashboards d,"
            " jsonb_path_query(d.layout_config, '$.widgets[*].id') x where d.id = w.dashboard_id limit 1)"
            " and d.clinic_id = w.clinic_id and d.id = w.dashboard_id and w.legacy_id is not null returning w.legacy_id, d.legacy_id"
        ).fetchall()
    assert gone
    turn_back(ready)
    for widget, dashboard in gone:
        assert one(ready, "select count(*) from public.widgets where id = %s", [widget]) == 0
        assert one(ready, "select count(*) from clinic.dashboards where legacy_id = %s", [dashboard]) == 1
    assert differences(ready) == []


def test_cutover_and_rollback_lose_nothing_and_keep_original_values(ready: Database) -> None:
    before = contents(ready)
    turn_over(ready)
    with application(ready) as client:
        client.execute("set role service_role")
        (clinic,) = client.execute("select id from clinic.clinics order by id limit 1").fetchone()  # type: ignore[misc]
        (new,) = client.execute(
            "insert into clinic.providers (clinic_id, name, provider_type, status) values (%s, 'Born There', 'dentist', 'active')"
            " returning id",
            [clinic],
        ).fetchone()  # type: ignore[misc]
    back = turn_back(ready)
    assert back.turned.direction == "forward"
    assert one(ready, "select name from public.providers where id = %s", [str(new)]) == "Born There"
    with application(ready) as client:
        assert client.execute("delete from providers where id = %s", [str(new)]).rowcount == 1
        client.execute("set role service_role")
        with pytest.raises(pg.InsufficientPrivilege):
            client.execute("update clinic.providers set name = 'x'")
    catch_up(ready)
    assert one(ready, "select count(*) from clinic.providers where id = %s", [new]) == 0
    assert differences(ready) == []
    # Corrected addresses, merged people, filled defaults: the source never saw them.
    turn_over(ready)
    done = turn_back(ready, everything=True)
    assert done.undone[-1] == "expand.journal"
    assert contents(ready) == before
    assert rows(ready, "select 1 from pg_namespace where nspname in ('tenantry', 'clinic')") == []


def test_a_rollback_before_the_cutover_restores_the_database(legacy: Database) -> None:
    before = source_digest(legacy)
    carry_over(legacy)
    with pytest.raises(NotReady, match="never cut over"):
        roll_back(legacy.dsn_as(OWNER), clinic_manifest())
    done = roll_back(legacy.dsn_as(OWNER), clinic_manifest(), everything=True)
    assert {"copy.accounts", "capture.table:users", "expand.schema", "expand.journal"} <= set(done.undone)
    assert source_digest(legacy) == before
    assert rows(legacy, "select 1 from pg_namespace where nspname in ('tenantry', 'clinic', 'auth')") == []
    # Once more, from the beginning.
    carry_over(legacy)


def test_the_rollback_script_has_the_effect_of_the_command(ready: Database) -> None:
    where = ("--sql", "--dsn", ready.dsn_as(OWNER), *WHERE_MANIFEST)
    assert "drop" not in cli("rollback", *where).out
    said = cli("rollback", "--everything", *where)
    assert said.code == 0
    with ready.connect(user=OWNER) as owner:
        owner.execute(said.out)
    assert rows(ready, "select 1 from pg_namespace where nspname in ('tenantry', 'clinic', 'auth')") == []
    assert rows(ready, "select 1 from pg_trigger where tgname like 'tenantry%'") == []


def test_rows_without_a_source_form_are_kept(ready: Database) -> None:
    turn_over(ready)
    with application(ready) as client:
        client.execute("set role service_role")
        client.execute("insert into clinic.locations (clinic_id, name) select id, 'Annex' from clinic.clinics limit 1")
    back = turn_back(ready)
    assert ("locations", 1) in back.kept
    assert one(ready, "select count(*) from clinic.locations") == 1
    done = turn_back(ready, everything=True)
    assert (done.archive, ("locations", 1) in done.kept) == ("clinic_kept", True)
    assert one(ready, "select name from clinic_kept.locations") == "Annex"
