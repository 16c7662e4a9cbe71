"""Every step of the plan can be taken back, in reverse order, by the owner: what was there before is there again."""

from __future__ import annotations

from tenantry.migrate.session.prepare import prepare
from tests.conftest import Database
from tests.migrate_support import OWNER, clinic_manifest, clone_legacy, engine, one, rows, source_digest


def test_undoing_all_steps_in_reverse_restores_the_database(finished_each: Database) -> None:
    with clone_legacy(finished_each.server) as before:
        want = source_digest(before)
        wanted_rows = {
            table: one(before, f"select sum(hashtextextended(x::text, 0)::numeric) from {table} x")
            for (table,) in rows(
                before, "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
            )
        }
    assert source_digest(finished_each) != want  # the fence
    with engine(finished_each, OWNER) as connection:
        plan = prepare(connection, clinic_manifest()).plan
        for step in reversed(plan.steps):
            with connection.transaction():
                for statement in step.undo:
                    try:
                        connection.execute(statement)
                    except Exception as error:
                        raise AssertionError(f"{step.id}: {statement}") from error
    assert source_digest(finished_each) == want
    assert (
        rows(
            finished_each, "select nspname from pg_namespace where nspname in ('clinic', 'tenantry', 'auth') order by 1"
        )
        == []
    )
    for table, checksum in wanted_rows.items():
        assert one(finished_each, f"select sum(hashtextextended(x::text, 0)::numeric) from {table} x") == checksum
    with finished_each.connect(user=OWNER) as application:
        assert application.execute("update clinics set name = name").rowcount == 4


def test_intermediate_steps_can_be_undone_and_run_again(finished_each: Database) -> None:
    """Up, down, up: back to the empty target and forward again, by the plan's own SQL."""
    with engine(finished_each, OWNER) as connection:
        plan = prepare(connection, clinic_manifest()).plan
        count = "select count(*) from clinic.goals"
        for step in reversed(plan.steps):
            if step.phase == "expand":
                break
            with connection.transaction():
                for statement in step.undo:
                    connection.execute(statement)
        assert connection.execute(count).fetchone() == (0,)
        assert connection.execute("select count(*) from tenantry.merged").fetchone() == (0,)
        assert connection.execute("select count(*) from tenantry.quarantine").fetchone() == (0,)
        assert connection.execute("select count(*) from auth.users").fetchone() == (0,)
        assert connection.execute("select count(*) from pg_policies where schemaname = 'clinic'").fetchone() == (0,)
