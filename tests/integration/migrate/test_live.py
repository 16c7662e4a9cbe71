"""Migrating while applications write: what is captured, and how it is replayed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Database
from tests.integration.migrate.live_clinic import APPLICATION, application, catch_up, differences, log, ready
from tests.migrate_support import (
    OWNER,
    TOKENS,
    carry_over,
    clone_legacy,
    end_state,
    one,
    rows,
)

__all__ = ["ready"]


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
