"""The run lock: a login that may only connect cannot take it, a waiting process names the holder, and a journal alone is no holder."""

from __future__ import annotations

import threading

import psycopg
import pytest

from tenantry.errors import RunInProgress
from tenantry.journal.ddl import journal_ddl
from tenantry.migrate.session.run_lock import is_awaited, run_lock_holder, take_run_lock, wait_for_run_lock
from tests.migrate_support import PATIENCE, wait_for
from tests.small import MIGRATOR, MakeSmall

_EVERY_KEY = "select pg_advisory_lock(7301984551200001)"
"""What clients could take before to stop the engine."""


def test_the_run_lock_is_one_that_no_client_can_take(small: MakeSmall) -> None:
    app = small()
    with app.connect() as client:
        client.execute(_EVERY_KEY)
        with app.connect(MIGRATOR) as by_hand:  # a journal without a run: nobody works on one
            for statement in journal_ddl():
                by_hand.execute(statement.encode())
        app.migrate()
        app.cut_over()
        app.as_superuser("drop table tenantry.deleted_id")  # as in a journal of an older version
        app.run("replay", "--until-idle", code=0)
        assert app.one("select count(*) from tenantry.deleted_id") == 0
        with psycopg.connect(app.dsn, autocommit=True) as engine, psycopg.connect(app.dsn, autocommit=True) as second:
            take_run_lock(engine)
            assert run_lock_holder(second) == engine.info.backend_pid
            with pytest.raises(RunInProgress, match=rf"phase .*server process {engine.info.backend_pid}"):
                take_run_lock(second)
            # A client that has read the key in pg_locks gains nothing by it, now or when the session has ended.
            ((key,),) = app.rows("select key from tenantry.run_lock where holds")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                client.execute("select * from tenantry.run_lock")
            said: list[str] = []
            waiter = threading.Thread(target=wait_for_run_lock, args=(second, PATIENCE, said.append))
            waiter.start()
            wait_for("the second one to ask", lambda: is_awaited(engine))
            engine.close()
            client.execute("select pg_try_advisory_lock(%s)", [key])
            waiter.join(PATIENCE)
            assert run_lock_holder(second) == second.info.backend_pid
            assert not is_awaited(second)
            assert len(said) == 1
            assert "Waiting up to 120 s for the run: process" in said[0]
            with psycopg.connect(app.dsn, autocommit=True) as third:
                with pytest.raises(RunInProgress, match=f"server process {second.info.backend_pid}"):
                    wait_for_run_lock(third, 0.2, said.append)
                assert not is_awaited(second)
        app.roll_back()
