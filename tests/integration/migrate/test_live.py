"""Migrating while applications write: capture, replay, the turn and the way back, on real servers."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg
from psycopg import sql

from tenantry.cli.options import duration, moment
from tenantry.errors import (
    CutOverFailed,
    JournalDamaged,
    JournalMismatch,
    LoginShared,
    NotReady,
    SourceAltered,
    VerificationFailed,
)
from tenantry.migrate.follow import follow
from tenantry.migrate.run.compare_sides import compare_sides
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.observer import Silent
from tenantry.migrate.switch.contract import contract
from tenantry.migrate.switch.cutover import When, cut_over
from tenantry.migrate.switch.rollback import roll_back
from tenantry.migrate.switch.switchover import Bounds
from tests.conftest import Database, fresh_database, running_server
from tests.migrate_support import (
    MANIFEST,
    OWNER,
    TOKENS,
    carry_over,
    cli,
    clinic_manifest,
    clone_legacy,
    end_state,
    fill_legacy,
    grant_rights,
    one,
    rows,
    shared_template,
    source_digest,
    wait_for,
)

APPLICATION = "clinic_app_of_tests"
SHORT = Bounds(max_stall=1.0, patience=15.0)
WHERE_MANIFEST = ("--manifest", str(MANIFEST))


class Notes(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def notice(self, message: str) -> None:
        self.said.append(message)


def let_write(database: Database) -> None:
    """A login of an application: rights on the source, and none of Tenantry's."""
    with database.connect() as admin, psycopg.connect(database.server.dsn(), autocommit=True) as lock:
        lock.execute("select pg_advisory_lock(4712)")
        admin.execute(
            sql.SQL(
                "do $$ begin if to_regrole({0}) is null then create role {1} login; end if; end $$;"
                " grant usage on schema public to {1};"
                " grant select, insert, update, delete, truncate on all tables in schema public to {1};"
                " grant service_role to {1} "
            ).format(sql.Literal(APPLICATION), sql.Identifier(APPLICATION))
        )


def _fill_ready(database: Database) -> None:
    fill_legacy(database)
    let_write(database)
    carry_over(database)


def clone_ready(servers: dict[int, Any], version: int) -> Iterator[Database]:
    server = running_server(servers, version)
    with fresh_database(server, shared_template(server, "clinic_live", _fill_ready)) as made:
        grant_rights(made, clinic_manifest())
        yield made


@pytest.fixture
def ready(servers: dict[int, Any]) -> Iterator[Database]:
    """A Clinic that is carried over and waits for its cut-over, on PostgreSQL 18."""
    yield from clone_ready(servers, 18)


def application(database: Database, *, autocommit: bool = True) -> psycopg.Connection[Any]:
    return psycopg.connect(database.dsn_as(APPLICATION), autocommit=autocommit)


def catch_up(database: Database) -> None:
    follow(database.dsn_as(OWNER), clinic_manifest(), until_idle=True)


def turn_over(database: Database, **more: Any) -> Any:
    return cut_over(database.dsn_as(OWNER), clinic_manifest(), bounds=SHORT, **more)


def turn_back(database: Database, **more: Any) -> Any:
    return roll_back(database.dsn_as(OWNER), clinic_manifest(), bounds=SHORT, **more)


def differences(database: Database) -> list[str]:
    """What is not the same on both sides, but for what is listed as kept in the target only."""
    with RunHandle(database.dsn_as(OWNER), clinic_manifest()) as live:
        live.check()
        return [str(each) for check in compare_sides(live) for each in check.differences]


def contents(database: Database) -> dict[str, Any]:
    """A checksum of every row of the source, by table."""
    tables = rows(
        database, "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    )
    return {
        name: one(database, f"select concat(count(*), ' ', sum(hashtextextended(t::text, 0))) from public.{name} t")
        for (name,) in tables
    }


def log(database: Database) -> list[tuple[Any, ...]]:
    return rows(database, "select table_name, old_key, new_key from tenantry.source_log order by at")


# -- capture -------------------------------------------------------------------------------------------------------------

NEW = (
    "select 'born', date + interval '9000 days', value, source_type, source_sheet, external_id, metric_definition_id, clinic_id,"
    " provider_id, data_source_id, created_at, updated_at from metric_values where clinic_id is not null order by id limit 1"
)


WRITES: list[tuple[str, list[tuple[Any, ...]]]] = [
    (f"insert into metric_values {NEW}", [("metric_values", None, "born")]),
    (
        f"insert into metric_values {NEW} on conflict (id) do update set value = '1'",
        [("metric_values", "born", "born")],
    ),
    (
        f"insert into metric_values {NEW.replace('born', 'new')} on conflict (id) do update set value = '1'",
        [("metric_values", None, "new")],
    ),
    ("update widgets set chart_type = null where id = {widget}", [("widgets", "{widget}", "{widget}")]),
    ("update widgets set id = 'another' where id = {widget}", [("widgets", "{widget}", "another")]),
    ("delete from widgets where id = {widget}", [("widgets", "{widget}", None)]),
    (
        "set session_replication_role = replica; delete from widgets where id = {widget}",
        [("widgets", "{widget}", None)],
    ),
    (
        "insert into widgets select * from widgets where id = {widget} on conflict (id) do update set chart_type = 'x'",
        [("widgets", "{widget}", "{widget}")],
    ),
    (
        "merge into widgets w using (select {widget} as id) n on n.id = w.id when matched then update set chart_type = 'y'",
        [("widgets", "{widget}", "{widget}")],
    ),
    (
        "merge into widgets w using (select {widget} as id) n on n.id = w.id when matched then delete",
        [("widgets", "{widget}", None)],
    ),
    ("truncate widgets", [("widgets", None, None)]),
]


def test_every_kind_of_write_is_recorded_with_its_old_and_new_key(ready: Database) -> None:
    recorded: list[tuple[Any, ...]] = []
    for statement, entries in WRITES:
        widget = one(ready, "select min(id) from widgets where id <> 'another'")
        who = "postgres" if "replica" in statement else APPLICATION
        with ready.connect(user=who) as client:
            client.execute(statement.format(widget=f"'{widget}'"))
        recorded += [tuple(part.format(widget=widget) if part else part for part in entry) for entry in entries]
        assert log(ready) == recorded, statement
    catch_up(ready)
    assert log(ready) == []
    assert differences(ready) == []


def test_copy_in_and_cascades_are_noted(ready: Database) -> None:
    dashboard = one(ready, "select dashboard_id from widgets group by 1 order by count(*) desc, 1 limit 1")
    with application(ready) as client:
        with (
            client.cursor() as cursor,
            cursor.copy(
                "copy metric_definitions (id, name, description, data_type, category, updated_at) from stdin"
            ) as pipe,
        ):
            pipe.write_row(("copied", "Copied", "By COPY", "number", "other", "2025-01-01"))
        client.execute("update dashboards set id = 'renamed' where id = %s", [dashboard])
    noted = log(ready)
    assert noted[0] == ("metric_definitions", None, "copied")
    assert ("dashboards", dashboard, "renamed") in noted
    assert sum(entry[0] == "widgets" for entry in noted) == one(
        ready, "select count(*) from widgets where dashboard_id = 'renamed'"
    )
    catch_up(ready)
    assert differences(ready) == []


def test_rolled_back_writes_leave_nothing_and_late_commits_are_not_lost(ready: Database) -> None:
    first, second = [row[0] for row in rows(ready, "select id from widgets order by id limit 2")]
    with (
        application(ready, autocommit=False) as late,
        application(ready) as early,
        application(ready, autocommit=False) as never,
    ):
        never.execute("update widgets set chart_type = 'never' where id <> %s and id <> %s", [first, second])
        late.execute("update widgets set chart_type = 'late' where id = %s", [first])
        early.execute("update widgets set chart_type = 'early' where id = %s", [second])
        catch_up(ready)
        assert one(ready, "select count(*) from clinic.widgets where chart_type = 'early'") == 1
        late.commit()
        never.rollback()
    catch_up(ready)
    assert one(ready, "select count(*) from clinic.widgets where chart_type in ('late', 'early')") == 2
    assert differences(ready) == []


def test_a_write_is_noted_though_its_session_formats_and_finds_things_otherwise(ready: Database) -> None:
    with application(ready) as client:
        client.execute("set datestyle = 'German, DMY'; set search_path = pg_temp; set timezone = 'Asia/Tokyo'")
        client.execute("update public.goals set time_period = 'q' where id = (select min(id) from public.goals)")
    assert [entry[0] for entry in log(ready)] == ["goals"]


# -- replay --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statements",
    [
        [
            # A provider who moves takes along the rows that reach their clinic through them.
            "update providers set clinic_id = (select id from clinics where id <> providers.clinic_id order by id limit 1)"
            " where id = (select provider_id from metric_values where clinic_id is null and provider_id is not null limit 1)",
            # Time zones decide on which day a value falls.
            "update clinics set location = case location when 'Honolulu, HI' then 'Portland, ME' else 'Honolulu, HI' end",
            # Into the quarantine and out of it.
            "update metric_values set value = 'no number' where id in (select id from metric_values order by id limit 5)",
            "update metric_values set value = '7' where id in (select source_key from tenantry.quarantine where mapping = 'metric_values')",
            "update data_sources set connection_status = 'nonsense'",
            # The same day twice.
            "update metric_values set date = (select min(date) from metric_values), provider_id = null",
        ],
        [
            # Addresses that become equal, and different again, merge people and part them.
            "update users u set email = (array['one@example.org', 'ONE@example.org', ' One@example.org '])[n] from (select id,"
            " row_number() over (order by id) as n from users) o where o.id = u.id and n <= 3",
            "update users set email = id || '@example.org'",
            "update users set email = 'nothing ' || id where id in (select id from users order by id limit 4)",
            # Ids in documents.
            "delete from widgets where id in (select id from widgets order by id limit 3)",
            # Parents under other keys.
            "update clinics set id = 'key of ' || id",
            "update users set id = 'key of ' || id",
        ],
    ],
    ids=["values and tenants", "people and keys"],
)  # fmt: skip
def test_what_derives_from_a_changed_row_follows_it(ready: Database, statements: list[str]) -> None:
    for statement in statements:
        with ready.connect() as admin:
            admin.execute("select set_config('search_path', 'public', false)")
            assert admin.execute(statement).rowcount > 0, statement
        catch_up(ready)
    assert differences(ready) == []
    with clone_back(ready) as fresh:
        carry_over(fresh)
        assert comparable(ready) == comparable(fresh)


def comparable(database: Database) -> dict[str, Any]:
    """The state that does not depend on the order in which things came."""
    return {
        name: state
        for name, state in end_state(database, unstable=TOKENS).items()
        if name.startswith("clinic.") or name.startswith("auth.")
    }


class clone_back:
    """A second database with the source as it is now, and nothing migrated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Database:
        self._context = clone_legacy(self._database.server)
        fresh = self._context.__enter__()
        tables = [
            r[0]
            for r in rows(
                self._database,
                "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'",
            )
        ]
        with self._database.connect() as here, fresh.connect() as there:
            there.execute("set session_replication_role = replica")
            for table in tables:
                there.execute(f"truncate public.{table} cascade")
            for table in tables:
                with (
                    here.cursor().copy(f"copy public.{table} to stdout") as out,
                    there.cursor().copy(f"copy public.{table} from stdin") as into,
                ):
                    for block in out:
                        into.write(block)
        return fresh

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)


def test_a_refused_row_is_quarantined_and_blocks_no_other_row(ready: Database) -> None:
    with ready.connect(user=OWNER) as owner:
        owner.execute("alter table clinic.widgets add constraint odd check (width <> 77)")
    with application(ready) as client:
        client.execute("update widgets set width = case when id = (select min(id) from widgets) then 77 else 5 end")
    catch_up(ready)
    assert rows(ready, "select reason, detail is not null from tenantry.quarantine where mapping = 'widgets' and state = 'open'"
                " and reason = 'row_refused'") == [("row_refused", True)]  # fmt: skip
    assert one(ready, "select count(*) from clinic.widgets where width = 5") > 0
    with application(ready) as client:
        client.execute("update widgets set width = 4 where width = 77")
    catch_up(ready)
    assert differences(ready) == [each for each in differences(ready) if "odd" in each]


def test_two_rows_that_exchange_a_unique_value_are_replayed(ready: Database) -> None:
    with ready.connect(user=OWNER) as owner:
        owner.execute("alter table clinic.providers add constraint one_name unique (name)")
    ids = [row[0] for row in rows(ready, "select legacy_id from clinic.providers order by 1 limit 2")]
    names = [one(ready, "select name from providers where id = %s", [each]) for each in ids]
    with application(ready) as client, client.transaction():
        client.execute("update providers set name = 'between' where id = %s", [ids[0]])
        client.execute("update providers set name = %s where id = %s", [names[0], ids[1]])
        client.execute("update providers set name = %s where id = %s", [names[1], ids[0]])
    catch_up(ready)
    got = [one(ready, "select name from clinic.providers where legacy_id = %s", [each]) for each in ids]
    assert got == names[::-1]
    assert [each for each in differences(ready) if "one_name" not in each] == []


def test_a_hundred_thousand_unread_entries_are_no_problem(ready: Database) -> None:
    with ready.connect() as admin:
        admin.execute(
            "insert into tenantry.source_log (table_name, old_key, new_key) select 'metric_values', k, k from"
            " (select id as k from metric_values) m, generate_series(1, 100000 / (select count(*)::int from metric_values)) n"
        )
    catch_up(ready)
    assert one(ready, "select count(*) from tenantry.source_log") == 0
    assert differences(ready) == []


# -- the turn ------------------------------------------------------------------------------------------------------------


def test_nothing_acknowledged_is_lost_in_a_cut_over_under_load(ready: Database) -> None:
    stop, kept = threading.Event(), {}

    def load(number: int) -> None:
        with application(ready) as client:
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

    writers = [threading.Thread(target=load, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    time.sleep(0.5)
    try:
        done = turn_over(ready)
    finally:
        time.sleep(0.1)
        stop.set()
        for writer in writers:
            writer.join()
    assert done.stall <= SHORT.max_stall
    assert dict(rows(ready, "select legacy_id, name from clinic.providers where legacy_id like 'load-%'")) == kept
    assert differences(ready) == []


def test_a_blocked_cutover_is_rolled_back_within_its_bound_and_names_the_blocker(ready: Database) -> None:
    with application(ready, autocommit=False) as holder:
        holder.execute("update clinics set name = name")
        longest = [0.0]
        stop = threading.Event()

        def watch() -> None:
            with application(ready) as client:
                while not stop.is_set():
                    begun = time.monotonic()
                    client.execute("update goals set time_period = time_period where id = (select min(id) from goals)")
                    longest[0] = max(longest[0], time.monotonic() - begun)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            with pytest.raises(CutOverFailed) as failed:
                cut_over(ready.dsn_as(OWNER), clinic_manifest(), bounds=Bounds(max_stall=0.6, patience=2.0))
        finally:
            stop.set()
            watcher.join()
        assert f"pid {holder.info.backend_pid}" in failed.value.message
        assert longest[0] < 1.5
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
