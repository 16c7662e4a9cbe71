"""One id in two tenants: neither a client nor the way back takes a row of one tenant for that of another."""

from __future__ import annotations

from tests.small import MakeSmall, target_table

SOURCE = """
create table notes (id text primary key, org_id text not null references "Organization", body text);
insert into notes values ('n1', 'o1', 'first'), ('n2', 'o2', 'second');
"""
TABLES = """
[tables.notes]
from = "notes"
access = "tenant"
"""
SAME = "11111111-2222-4333-8444-555555555555"


def _born(tenant: str, body: str, id: str = SAME) -> str:
    return f"insert into app.notes (org_id, id, body) select id, '{id}', '{body}' from app.orgs where legacy_id = '{tenant}'"


def test_row_with_an_id_of_another_tenants_row_is_a_conflict_and_overwrites_nothing(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=target_table("notes", ", body text"), tables=TABLES)
    app.migrate()
    app.cut_over()
    app.as_owner(_born("o2", "of two"))
    app.run("replay", "--until-idle", code=0)
    app.as_owner(_born("o1", "of one"), "update app.notes set body = 'of one still' where body = 'of one'")
    app.run("replay", "--until-idle", code=0)
    placed = f"select org_id, body from notes where id = '{SAME}'"
    assert app.rows(placed) == [("o2", "of two")]
    assert app.rows("select direction, table_name, legacy_id, winner, loser ->> 'body' from tenantry.conflict") == [
        ("reverse", "notes", SAME, "source", "of one still")
    ]
    app.run("verify", code=0)
    # The row that owns the place is still written back, and the other one is deleted without it.
    app.as_owner("update app.notes set body = 'of two still' where body = 'of two'")
    app.as_owner("delete from app.notes where body = 'of one still'")
    app.run("replay", "--until-idle", code=0)
    assert app.rows(placed) == [("o2", "of two still")]
    app.as_owner(_born("o1", "again"))
    app.run("verify", code=0)
    app.roll_back()
    assert app.rows(placed) == [("o2", "of two still")]
    app.run("verify", code=0)
    # Forward again: what the source says of its row leaves the other one alone, to the last.
    here = "select o.legacy_id, n.body from app.notes n join app.orgs o on o.id = n.org_id where n.id = %s order by 1"
    app.write(f"update notes set body = 'from the source' where id = '{SAME}'")
    app.run("replay", "--until-idle", code=0)
    assert app.rows(here, [SAME]) == [("o1", "again"), ("o2", "from the source")]
    app.write(f"delete from notes where id = '{SAME}'")
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    assert app.rows(here, [SAME]) == [("o1", "again")]
    app.cut_over()
    app.as_owner("update app.notes set body = 'in the target only' where body = 'again'")
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    assert app.rows(placed) == []
    app.run("rollback", "--everything", "--yes", code=0)
    assert app.rows("select body from app_kept.notes") == [("in the target only",)]
