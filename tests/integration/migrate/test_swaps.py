"""Values that are unique pass from one row to another: swapped, rotated, seen one at a time, there and back."""

from __future__ import annotations

from tenantry.migrate.replay.queue import EVERYTHING
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.switch.left_behind import refuse_left_behind
from tests.migrate_support import Rows
from tests.small import MakeSmall, Small, target_table

_ROOMS = {
    "source": """
    create table "Room" (id text primary key, number text not null unique, label text, door int unique,
        "organizationId" text not null references "Organization" (id), "ownerId" text references "User" (id));
    insert into "Room" select 'r' || n, 'n' || n, 'L' || n, n, 'o1', 'u1' from generate_series(1, 4) n;
    create unique index on "Room" (lower(label));
    """,
    "target": target_table(
        "rooms",
        ", number text not null, label text, door int, owner_id uuid",
        "unique (org_id, number)",
        "unique (org_id, door)",
        "foreign key (owner_id) references people (id) deferrable initially immediate",
    )
    + "create unique index on rooms (org_id, lower(label)) where label is not null;\n",
    "tables": """
    [tables.rooms]
    from = "Room"
    tenant = ["organizationId"]
    access = "managed"
    columns = { owner_id = { from = "ownerId", ref = "people" } }
    """,
}


def _one_at_a_time(app: Small) -> None:
    """Replay in rounds of one entry each, as a long queue of other entries would have it."""
    with RunHandle(app.dsn, app.manifest) as live:
        live.check()
        while live.pending():
            live.round(limit=1)
            # No row leaves the target, not even for a moment.
            assert (
                app.rows("select mapping, source_key, reason, detail from tenantry.quarantine where state = 'open'")
                == []
            )


def _people(app: Small) -> Rows:
    """Address by old id: in the source, the target and the accounts."""
    return app.rows(
        "select s.id, s.email, p.email, u.email, i.identity_data ->> 'email' from \"User\" s"
        " left join app.people p on p.legacy_id = s.id left join auth.users u on u.id = p.account_id"
        " left join auth.identities i on i.user_id = u.id order by 1"
    )


def _swap(one: str, other: str, table: str = '"User"', key: str = "id", column: str = "email") -> tuple[str, ...]:
    """As applications do it, over a value that is free."""
    return (
        f"update {table} set {column} = '-' || {column} where {key} = '{one}'",
        f"update {table} t set {column} = substr(o.{column}, 2) from {table} o where t.{key} = '{other}' and o.{key} = '{one}'",
    )


def test_people_who_swap_and_rotate_their_addresses_stay_and_so_do_their_accounts(small: MakeSmall) -> None:
    app = small(**_ROOMS)
    app.migrate()
    assert all(set(addresses) == {addresses[0]} for _, *addresses in _people(app))

    def rotate() -> None:
        """One transaction: u1 → u2 → u3 → u1; the source's unique key is met over values in between."""
        app.write(
            "do $$ begin"
            """ update "User" set email = id || '@between.example';"""
            """ update "User" set email = case id when 'u1' then 'bob@one.example' when 'u2' then 'cem@two.example'"""
            """ when 'u3' then 'ann@one.example' end; end $$"""
        )

    def as_they_should_be() -> None:
        assert all(set(addresses) == {addresses[0]} for _, *addresses in _people(app)), _people(app)
        assert app.rows("select mapping, source_key, reason from tenantry.quarantine where state = 'open'") == []

    rotate()
    app.run("replay", "--until-idle", code=0)
    as_they_should_be()
    # Two people swap, and each of the entries is seen by a round of its own.
    app.write(
        """do $$ begin update "User" set email = 'x' where id = 'u1'; update "User" set email = 'bob@one.example' where id = 'u3';"""
        """ update "User" set email = 'ann@one.example' where id = 'u1'; end $$"""
    )
    _one_at_a_time(app)
    as_they_should_be()
    # A later change of something else finds everything in its place.
    app.write("""update "User" set name = name || '!'""")
    _one_at_a_time(app)
    as_they_should_be()
    app.run("cutover", code=0)
    assert app.accounting()["people"] == (3, 3, 0)
    # And on the way back.
    app.as_superuser(
        "begin; set constraints all deferred; update app.people set email = legacy_id || '@between.example';"
        " update app.people set email = case legacy_id when 'u1' then 'cem@two.example' when 'u2' then 'bob@one.example'"
        " when 'u3' then 'ann@one.example' end; commit"
    )
    app.roll_back()
    assert app.rows("select table_name, reason from tenantry.conflict") == []
    assert app.rows('select id, email from "User" order by 1') == [
        ("u1", "cem@two.example"), ("u2", "bob@one.example"), ("u3", "ann@one.example"),
    ]  # fmt: skip


def test_unique_values_of_any_table_rotate_in_rounds_of_one_entry(small: MakeSmall) -> None:
    """Plain and partial indexes, and one over an expression."""
    app = small(**_ROOMS)
    app.migrate()
    for shift in (1, 2):
        app.write(
            "do $$ begin"
            """ update "Room" set number = 't' || id, label = 't' || id, door = -door;"""
            f""" update "Room" set number = 'n' || (1 + (substr(id, 2)::int + {shift}) % 4),"""
            f""" label = 'L' || (1 + (substr(id, 2)::int + {shift}) % 4), door = 1 + (substr(id, 2)::int + {shift}) % 4;"""
            " end $$"
        )
        _one_at_a_time(app)
        assert app.rows(
            'select r.id from "Room" r left join app.rooms t on t.legacy_id = r.id'
            " where (r.number, r.label, r.door) is distinct from (t.number, t.label, t.door)"
        ) == []  # fmt: skip
        assert app.rows("select mapping, source_key, reason from tenantry.quarantine where state = 'open'") == []


def test_a_used_account_keeps_its_address_and_blocks_nobody(small: MakeSmall) -> None:
    app = small()
    app.migrate()
    app.as_superuser(
        "update auth.users set last_sign_in_at = now() where email = 'ann@one.example'",
    )
    app.write(
        """do $$ begin update "User" set email = 'x' where id = 'u1'; update "User" set email = 'ann@one.example' where id = 'u2';"""
        """ update "User" set email = 'bob@one.example' where id = 'u1'; end $$"""
    )
    with RunHandle(app.dsn, app.manifest) as live:
        live.check()
        live.round(limit=EVERYTHING)
    assert app.rows("select mapping, source_key, reason from tenantry.quarantine where state = 'open'") == []
    assert [(key, source, target) for key, source, target, *_ in _people(app)] == [
        ("u1", "bob@one.example", "bob@one.example"), ("u2", "ann@one.example", "ann@one.example"),
        ("u3", "cem@two.example", "cem@two.example"),
    ]  # fmt: skip
    assert [account for *_, account, _ in _people(app)] == ["ann@one.example", "bob@one.example", "cem@two.example"]


def _asked_about(app: Small) -> int:
    readiness = app.run("status", "--json", code=0).json["readiness"]
    if readiness["left_behind"]:
        assert not readiness["ready"]
    return int(readiness["left_behind"])


def test_the_cut_over_asks_before_it_leaves_rows_behind_that_were_not_in_quarantine_when_it_was_ready(
    small: MakeSmall,
) -> None:
    app = small(
        source="""
        create table "Note" (id text primary key, body text, "organizationId" text references "Organization" (id));
        insert into "Note" values ('n1', 'one', 'o1'), ('n2', 'two', null);
        """,
        target=target_table("notes", ", body text not null"),
        tables="""
        [tables.notes]
        from = "Note"
        tenant = ["organizationId"]
        access = "managed"
        """,
    )
    app.migrate()
    app.write(
        """update "Note" set body = 'three' where id = 'n2'""", """update "Note" set body = null where id = 'n1'"""
    )
    app.run("replay", "--until-idle", code=0)
    refused = app.run("cutover", code=1)
    assert "TN-417" in refused.err
    assert "notes: 1 ×" in refused.err
    assert "n1" in refused.err
    assert "n2" not in refused.err
    assert app.one("select direction from tenantry.run") == "forward"
    assert _asked_about(app) == 1
    said = app.run("status", code=0).out
    assert "1 row went into quarantine after the run was declared ready" in " ".join(said.split())
    assert "TN-417" in said
    # Once it is repaired nothing is asked; rows written last, within the switchover, are asked about as well.
    app.write("""update "Note" set body = 'corrected' where id = 'n1'""")
    app.run("replay", "--until-idle", code=0)
    with RunHandle(app.dsn, app.manifest) as live:
        refuse_left_behind(live.main, live.journal)
    assert _asked_about(app) == 0
    assert "TN-417" not in app.run("status", code=0).out
    app.write("""update "Note" set body = null where id = 'n1'""")
    assert "TN-417" in app.run("cutover", code=1).err
    app.run("cutover", "--accept-quarantined", code=0)
    assert _asked_about(app) == 0
    app.roll_back()
    assert _asked_about(app) == 0
    # Who came back knows of them.
    app.cut_over()
