"""The witnesses of the chaos tests are to be trusted: the load remembers what was acknowledged, the comparison finds what is wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator

import psycopg
import pytest

from tenantry.migrate.run.engine import Migration, Options
from tenantry.postgres import EmbeddedServer
from tests.chaos.campaign import old_database
from tests.chaos.compare import compare
from tests.chaos.faults import terminate
from tests.chaos.ledger import ABSENT, Ledger, read_tokens, token_violations
from tests.chaos.load import Load, State, make_app_roles
from tests.chaos.numbers import number
from tests.chaos.source_writes import SourceWork
from tests.conftest import Database, running_server
from tests.migrate_support import OWNER, PATIENCE, clinic_manifest, project_of, wait_for

FENCE = (
    "create function public.closed() returns trigger language plpgsql as"
    " $$ begin raise exception 'read-only' using errcode = '25006'; end $$"
)


@pytest.fixture
def small(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    with old_database(running_server(servers, 18)) as made:
        make_app_roles(made.dsn)
        yield made


def committed(load: Load, transactions: int) -> None:
    wait_for(f"{transactions} transactions", lambda: sum(load.transactions.values()) >= transactions)


def violations(database: Database, state: State) -> list[str]:
    with psycopg.connect(database.dsn) as connection:
        return token_violations(state.may_be, read_tokens(connection, state.side), state.side)


# -- the load ------------------------------------------------------------------------------------------------------------


def test_the_load_does_everything_it_knows_and_every_acknowledged_write_is_there(small: Database) -> None:
    load = Load(small.dsn, seed=3).start()
    wait_for("every kind of transaction", lambda: SourceWork.WEIGHTS.keys() <= load.transactions.keys())
    state = load.stop()
    assert state.problems == []
    assert violations(small, state) == []
    # Nothing but two people with one address, and keys taken twice.
    assert set(state.errors) <= {"23505"}
    assert state.speed["p99_ms"] >= state.speed["p50_ms"] > 0


def test_writes_that_come_after_the_last_acknowledged_one_are_seen(small: Database) -> None:
    load = Load(small.dsn, seed=4).start()
    committed(load, 50)
    state = load.stop()
    with small.connect() as other:
        one, gone = (row[0] for row in other.execute("select id from metric_values order by id limit 2").fetchall())
        other.execute("update metric_values set external_id = 'not ours' where id = %s", [one])
        other.execute("delete from metric_values where id = %s", [gone])
        other.execute("insert into metric_definitions select 'new', 'nobody wrote it', description, data_type,"
                      " calculation_formula, category, is_composite from metric_definitions limit 0")  # fmt: skip
        other.execute(
            "update metric_definitions set id = 'renamed' where id = (select min(id) from metric_definitions)"
        )
    found = "\n".join(violations(small, state))
    assert f"metric_values {one}: expected" in found
    assert f"metric_values {gone}: expected" in found
    assert "metric_definitions renamed: expected no row" in found


def test_a_lost_connection_leaves_both_outcomes_open_and_the_load_goes_on(small: Database) -> None:
    rng = random.Random(1)  # noqa: S311 - the same each time
    load = Load(small.dsn, seed=5, connections=4).start()
    for _ in range(25):
        before = sum(load.transactions.values())
        # Those that were ended a moment ago may not be back yet.
        wait_for("a session to end", lambda: terminate(small, "the application", rng))
        committed(load, before + 20)
    state = load.stop()
    assert state.problems == []
    assert violations(small, state) == []
    assert sum(count for code, count in state.errors.items() if code.startswith("57P") or "lost" in code) >= 10
    # What may be one or the other is said so, and is not everything.
    open_ = [maybe for rows in state.may_be.values() for maybe in rows.values() if len(maybe) > 1]
    assert len(open_) < 200
    assert all(len(set(maybe)) == len(maybe) for maybe in open_)


def test_a_row_in_doubt_leaves_its_parent_alone() -> None:
    """A dashboard is deleted with all its widgets: whoever does not know how many there are does not delete it."""
    work = SourceWork(0, 1, Ledger())
    work.pool = {"dashboards": {"a": {}, "b": {}, "c": {}}, "widgets": {"w": {"dashboard": "b"}}}
    work.put("widgets", "new", "token", dashboard="a")
    work.gone("widgets", "w")
    work.doubt()
    assert work.pool == {"dashboards": {"c": {}}, "widgets": {}}


def test_the_load_waits_when_it_is_refused_and_goes_on_when_told(small: Database) -> None:
    load = Load(small.dsn, seed=6).start()
    committed(load, 50)
    with small.connect() as admin:
        tables = [row[0] for row in admin.execute("select tablename from pg_tables where schemaname = 'public'")]
        admin.execute(FENCE)
        for table in tables:
            admin.execute(f"create trigger closed before insert or update or delete or truncate on {table}"
                          " for each statement execute function closed()")  # fmt: skip
        assert load.wait_fenced(PATIENCE)
        assert load.fenced >= 3
        assert violations(small, load.state()) == []
        for table in tables:
            admin.execute(f"drop trigger closed on {table}")
    load.resume()
    committed(load, sum(load.transactions.values()) + 50)
    state = load.stop()
    assert state.problems == []
    assert violations(small, state) == []


def test_an_application_that_is_refused_for_any_other_reason_is_a_violation(small: Database) -> None:
    load = Load(small.dsn, seed=7, only=["insert_value"]).start()
    committed(load, 20)
    with small.connect() as admin:
        admin.execute("alter table metric_values add constraint impossible check (external_id is null) not valid")
    wait_for("a problem", lambda: load.ledger.problems)
    problems = load.stop().problems
    assert "refused with 23514" in problems[0]


def test_rows_that_vanish_under_the_application_are_a_violation(small: Database) -> None:
    load = Load(small.dsn, seed=8, only=["update_value"]).start()
    committed(load, 20)
    with small.connect() as admin:
        admin.execute("delete from metric_values")
    wait_for("a problem", lambda: load.ledger.problems)
    assert "rows are gone that only this connection writes" in load.stop().problems[0]


# -- the comparison --------------------------------------------------------------------------------------------------------

SPOILED = {
    "a token of the target": "update clinic.metric_values set external_id = 'x' where legacy_id = {value}",
    "a number": "update clinic.metric_values set value = coalesce(value, 0) + 1 where legacy_id = {value}",
    "a day": "update clinic.metric_values set date = date - 1 where legacy_id = {value}",
    "a row of the target": "delete from clinic.metric_values where legacy_id = {value}",
    "a row of the source": "delete from metric_values where id = {value}",
    "a row that nobody wrote": "insert into metric_definitions (id, name, description, data_type, category, updated_at)"
    " values ('nobody', 'n', 'd', 'integer', 'patient', now())",
    "an entry of the quarantine": "delete from tenantry.quarantine where id = (select min(id) from tenantry.quarantine"
    " where mapping = 'metric_values')",
    "an original in the quarantine": 'update tenantry.quarantine set original = original::jsonb || \'{{"external_id": "x"}}\' where id ='
    " (select min(id) from tenantry.quarantine where mapping = 'metric_values')",
    "an entry of the merged": "delete from tenantry.merged where mapping = 'metric_values'",
    "who stands for a merged row": "update tenantry.merged set into_key = {value} where mapping = 'metric_values'",
    "a person's name": "update clinic.profiles set name = 'x' where id = (select id from clinic.profiles order by id limit 1)",
    "a widget's place": "update clinic.widgets set position_x = position_x + 1 where id = (select id from clinic.widgets limit 1)",
    "a layout": "update clinic.dashboards set layout_config = '{{}}' where id = (select id from clinic.dashboards"
    " where layout_config is not null limit 1)",
}


@pytest.fixture(scope="module")
def carried_over(servers: dict[int, EmbeddedServer]) -> Iterator[tuple[Database, State]]:
    """A Clinic that is ready for the cut-over, and an application that stands still."""
    with old_database(running_server(servers, 18)) as made:
        make_app_roles(made.dsn)
        Migration(made.dsn_as(OWNER), clinic_manifest(), Options(workers=1)).run()
        load = Load(made.dsn, seed=9)
        load.start()
        load.pause()
        state = load.stop()
        Migration(made.dsn_as(OWNER), clinic_manifest(), Options(workers=1)).run()
        yield made, state


def test_what_agrees_is_no_violation(carried_over: tuple[Database, State]) -> None:
    database, state = carried_over
    assert compare(database, project_of(database), state) == []


@pytest.mark.parametrize("what", SPOILED)
def test_the_comparison_finds_what_was_spoiled(carried_over: tuple[Database, State], what: str) -> None:
    database, state = carried_over
    with database.connect(autocommit=False) as admin:
        value = admin.execute("select legacy_id from clinic.metric_values order by legacy_id limit 1").fetchone()
        assert value is not None
        statement = SPOILED[what].format(value="'" + str(value[0]).replace("'", "''") + "'")
        table = statement.split()[1 if statement.startswith("update") else 2]
        # All that fires, fences too, is off in this transaction, which is rolled back.
        admin.execute(f"alter table {table} disable trigger all")
        assert admin.execute(statement).rowcount > 0
        assert witnesses(admin, state) != []
        admin.rollback()


def witnesses(connection: psycopg.Connection[tuple[object, ...]], state: State) -> list[str]:
    """The parts of the comparison that read, within the transaction that spoiled something."""
    from tests.chaos import compare as parts  # noqa: PLC0415

    journal = parts.Lists(connection)
    return [
        *parts.token_part(connection, journal, state),
        *parts.row_part(connection, journal, side="source"),
        *parts.accounts(connection, journal),
    ]


@pytest.mark.parametrize(
    ("text", "want"),
    [("12", "12"), (" $ 1,322.35 ", "1322.35"), ("(459.08)", "-459.08"), ("-$12.00", "-12"), ("97%", "0.97"), ("(77%)", "-0.77"),
     (".5", "0.5"), ("NaN", None), ("12..5", None), ("1,54,6.27", None), ("--5", None), ("0.00001", None), ("$5%", None)],
)  # fmt: skip
def test_the_oracle_reads_numbers_as_the_documentation_says(text: str, want: str | None) -> None:
    got = number(text)
    assert (None if got is None else float(got)) == (None if want is None else float(want))


def test_no_row_is_written_out_as_such() -> None:
    assert token_violations({"goals": {"k": [ABSENT]}}, {"goals": {"k": "9"}}, "target") == [
        "target goals k: expected no row, found '9' (an acknowledged write is lost, or came back)"
    ]
