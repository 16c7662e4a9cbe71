"""No value that a client writes into one row stops a command: the row is listed, and all others continue."""

from __future__ import annotations

import secrets

import pytest

from tenantry.errors import SourceLocked
from tenantry.migrate.switch.contract import contract
from tests.small import MakeSmall, target_table

DEEP = "[" * 16_340 + "]" * 16_340
RULE = """
[[rules]]
name = "no infinite day"
sql = "select d from notes where d > '2100-01-01'"
"""


def test_values_that_reverse_replay_cannot_write(small: MakeSmall) -> None:
    app = small(
        source="""
create table notes (id text primary key, org_id text not null references "Organization", title text unique, n integer, body json,
    d date, note text);
insert into notes values ('n1', 'o1', 'a', 1, '[]', now()), ('n2', 'o2', 'b', 1, '[]', now());
insert into notes select 'many' || i, 'o2', 'title ' || i, 1, '[]', now() from generate_series(1, 150) i;
create table coupons (code text primary key, org_id text not null references "Organization");
""",
        target=target_table("notes", ", title text, n numeric, body jsonb, d date, note jsonb")
        + target_table("coupons", ", code text not null", "unique (org_id, code)"),
        tables="""
[tables.notes]
from = "notes"
access = "tenant"
[tables.coupons]
from = "coupons"
access = "tenant"
"""
        + RULE,
    )
    app.migrate()
    app.cut_over()
    long = secrets.token_urlsafe(2_010)[:2_660]
    with app.connect("small_prisma") as client:
        client.execute("update app.notes set title = 'b', body = %s where legacy_id = 'n1'", [DEEP])
        client.execute("update app.notes set n = 'NaN', d = 'infinity' where legacy_id = 'n2'")
        # The source's text takes it, and no derivation could read it there again.
        client.execute("update app.notes set note = %s where legacy_id = 'many150'", [DEEP])
        client.execute(
            "insert into app.coupons (org_id, code) select id, %s from app.orgs where legacy_id = 'o1'", [long]
        )
        # Everybody's rows get one title, which the source has once; and a value that is too large for a list.
        client.execute(
            "update app.notes set title = 'b', body = to_jsonb(repeat('x', 5000000)) where legacy_id = 'many1'"
        )
        client.execute("update app.notes set title = 'b' where legacy_id like 'many%' and legacy_id <> 'many150'")
        # A tenant's row with the new id of another tenant's row.
        client.execute(
            "insert into app.notes (org_id, id, title) select o.id, n.id, 'of one' from app.orgs o, app.notes n"
            " where o.legacy_id = 'o1' and n.legacy_id = 'n2'"
        )
    for _ in range(2):
        app.run("replay", "--until-idle", code=0)
        app.as_owner("update app.notes set d = d - 1 where legacy_id like 'many%' or legacy_id = 'n1'")
    listed = (
        "select count(*), count(distinct legacy_id), max(octet_length(loser::text)) < 100000 from tenantry.conflict"
    )
    assert app.rows(listed) == [(151, 151, True)]
    assert app.rows("select code = %s from coupons", [long]) == [(True,)]
    assert app.rows("select org_id from notes where title = 'of one'") == [("o1",)]
    said = app.run("verify", code=1)
    assert "TN-" not in said.err
    assert "d=infinity" in said.out
    assert app.rows("select count(*) from notes where note is not null") == [(0,)]
    assert "✓ ids" in said.out
    # Contracting names who is in the way, before anything is dropped.
    with app.connect("small_prisma") as client:
        client.execute("set application_name = '[/x]'; begin; update app.notes set n = 2 where legacy_id = 'n1'")
        with pytest.raises(SourceLocked, match=r"\[/x\]"):
            contract(app.dsn, app.manifest, look=0, force=True, patience=1)
        client.execute("rollback")
    assert app.rows("select status, to_regclass('notes') is not null from tenantry.run") == [("cut over", True)]
    # A client who has the number of a process that held the run, and its lock, holds it not.
    assert app.rows("select count(*) from tenantry.run_lock") == [(0,)]
    with app.connect("small_prisma") as client:
        client.execute("select pg_advisory_lock(4711)")
        with app.database.connect() as admin:
            admin.execute(
                "insert into tenantry.run_lock (key, pid, holds, login, started) select 4711, a.pid, true, 'small_mig'::regrole::oid,"
                " a.backend_start from pg_stat_activity a where a.usename = 'small_prisma'"
            )
        said = app.run("rollback", "--yes", code=1)
        assert "notes many150 is not in public" in said.everything
