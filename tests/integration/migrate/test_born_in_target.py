"""Rows that are born in the target, whatever the source's keys are: where the source has a place they go there, else they are
kept and listed; there, back, and there again."""

from __future__ import annotations

from tests.small import MakeSmall, Small, target_table

NUMBERS = 'create table {} (id {} primary key, org_id text not null references "Organization", total numeric);'
PAIRS = """
create table notes (id text primary key, org_id text not null references "Organization", body text);
create table tags (id text primary key, org_id text not null references "Organization", name text);
create table "_NoteTag" ("A" text not null references notes on delete cascade, "B" text not null references tags on delete cascade,
    primary key ("A", "B"));
create table settings (user_id text primary key references "User", theme text);
insert into notes select 'n' || n, 'o1', 'note ' || n from generate_series(1, 4) n;
insert into tags select 't' || n, 'o1', 'tag ' || n from generate_series(1, 3) n;
insert into "_NoteTag" values ('n1', 't1'), ('n2', 't2');
insert into settings values ('u1', 'dark');
"""
PAIRS_TARGET = (
    target_table("notes", ", body text")
    + target_table("tags", ", name text")
    + target_table(
        "note_tags",
        ", note_id uuid not null, tag_id uuid not null",
        "unique (org_id, note_id, tag_id)",
        "foreign key (org_id, note_id) references notes (org_id, id) on delete cascade deferrable initially immediate",
        "foreign key (org_id, tag_id) references tags (org_id, id) on delete cascade deferrable initially immediate",
    )
    + """
create index on note_tags (org_id, tag_id);
create table settings (id uuid primary key default gen_random_uuid(), legacy_id text not null unique,
    user_id uuid not null unique references people (id) deferrable initially immediate, theme text);
"""
)
PAIRS_TABLES = """
[tables.notes]
from = "notes"
access = "tenant"
[tables.tags]
from = "tags"
access = "tenant"
[tables.note_tags]
from = "_NoteTag"
tenant = ["A"]
access = "tenant"
columns = { note_id = { from = "A", ref = "notes" }, tag_id = { from = "B", ref = "tags" } }
[tables.settings]
from = "settings"
access = "service"
"""
SEATS = """
create table more_seats (id text primary key, user_id text not null references "User", org_id text not null
    references "Organization", kind text not null);
insert into more_seats values ('s1', 'u1', 'o2', 'guest'), ('s2', 'u2', 'o2', 'guest'), ('s3', 'u3', 'o1', 'guest');
"""
SEATS_TARGET = target_table(
    "seats",
    ", person_id uuid not null references people (id) deferrable initially immediate, kind text not null default 'home'",
    "unique (org_id, person_id)",
)
SEATS_TABLES = """
[tables.seats]
access = "service"
[tables.seats.sources.more]
from = "more_seats"
tenant = ["org_id"]
columns = { person_id = { from = "user_id", ref = "people" } }
[tables.seats.sources.home]
from = "User"
part = "seat"
where = "s.id <> 'u1'"
tenant = ["organizationId"]
columns = { person_id = { from = "id", ref = "people" }, kind = { up = "'home'" } }
"""


def _there_and_back(app: Small, *writes: str) -> None:
    app.migrate()
    app.cut_over()
    app.as_owner(*writes)
    app.run("verify", code=0)
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    app.roll_back()


def _again(app: Small) -> None:
    app.run("verify", code=0)
    app.cut_over()
    app.run("verify", code=0)
    app.roll_back()
    app.run("verify", code=0)


KEYS = {
    "bigint": "n",  # numbered by the application; see test_drawn_numbers for sequences
    "numeric(8, 2)": "n",
    "date": "date '2024-01-01' + n",
    "timestamp": "timestamp '2024-01-01' + n * interval '1 s'",
}


def test_row_with_no_key_of_the_source_is_kept_and_forward_works_again(small: MakeSmall) -> None:
    names = [f"orders_{number}" for number in range(len(KEYS))]
    app = small(
        source="".join(
            NUMBERS.format(name, key)
            + f"insert into {name} (id, org_id, total) select {value}, 'o1', n from generate_series(1, 5) n;"
            for name, (key, value) in zip(names, KEYS.items(), strict=True)
        ),
        target="".join(target_table(name, ", total numeric") for name in names),
        tables="".join(f'[tables.{name}]\nfrom = "{name}"\naccess = "tenant"\n' for name in names),
    )
    writes = (
        "insert into app.{0} (org_id, total) select id, 99 from app.orgs where legacy_id = 'o1'",
        "update app.{0} set total = 33 where total = 3",
        "delete from app.{0} where total = 4",
    )
    _there_and_back(app, *(write.format(name) for name in names for write in writes))
    for name in names:
        assert [row[0] for row in app.rows(f"select total from {name} order by total")] == [1, 2, 5, 33], name
    assert app.rows("select table_name, column_name, reason from tenantry.kept order by 1") == [
        (name, "", "its id fits no source table") for name in names
    ]
    _again(app)
    for name in names:
        assert app.one(f"select count(*) from app.{name} where total = 99") == 1, name


def test_row_whose_key_is_known_by_its_parents_goes_back(small: MakeSmall) -> None:
    app = small(source=PAIRS, target=PAIRS_TARGET, tables=PAIRS_TABLES)
    pair = (
        "insert into app.note_tags (org_id, note_id, tag_id) select n.org_id, n.id, t.id from app.notes n, app.tags t"
        " where n.body = '{}' and t.legacy_id = '{}'"
    )
    _there_and_back(
        app,
        pair.format("note 3", "t3"),
        pair.format("note 4", "t3"),
        "insert into app.notes (org_id, body) select id, 'born' from app.orgs where legacy_id = 'o1'",
        pair.format("born", "t1"),
        "delete from app.note_tags where note_id = (select id from app.notes where body = 'note 1')",
        "insert into app.settings (user_id, theme) select id, 'light' from app.people where legacy_id = 'u3'",
    )
    assert app.rows('select n.body, "B" from "_NoteTag" p join notes n on n.id = "A" order by 1') == [
        ("born", "t1"), ("note 2", "t2"), ("note 3", "t3"), ("note 4", "t3"),
    ]  # fmt: skip
    assert app.rows("select * from settings order by 1") == [("u1", "dark"), ("u3", "light")]
    # Behind the rollback they have the ids that the source gives them, and nothing is kept of the others.
    assert app.rows("select legacy_id from app.settings order by 1") == [("u1",), ("u3",)]
    assert app.rows("select * from tenantry.kept") == []
    assert app.rows("select reason from tenantry.conflict") == []
    app.run("verify", code=0)
    app.cut_over()
    app.as_owner("delete from app.note_tags where note_id = (select id from app.notes where body = 'note 4')")
    app.roll_back()
    assert app.one('select count(*) from "_NoteTag" where "A" = \'n4\'') == 0
    _again(app)


def test_pair_inserted_and_deleted_between_two_rounds_leaves_the_source_unchanged(small: MakeSmall) -> None:
    app = small(source=PAIRS, target=PAIRS_TARGET, tables=PAIRS_TABLES)
    app.migrate()
    app.cut_over()
    app.as_owner(
        "insert into app.note_tags (org_id, note_id, tag_id) select n.org_id, n.id, t.id from app.notes n, app.tags t"
        " where n.legacy_id = 'n3' and t.legacy_id = 't3'"
    )
    app.run("replay", "--until-idle", code=0)
    assert app.one('select count(*) from "_NoteTag"') == 3
    app.as_owner(
        "update app.note_tags set tag_id = (select id from app.tags where legacy_id = 't1') where legacy_id = id::text"
    )
    app.run("replay", "--until-idle", code=0)
    assert app.rows('select * from "_NoteTag" order by 1') == [("n1", "t1"), ("n2", "t2"), ("n3", "t1")]
    app.as_owner("delete from app.note_tags where legacy_id = id::text")
    app.run("replay", "--until-idle", code=0)
    assert app.rows('select * from "_NoteTag" order by 1') == [("n1", "t1"), ("n2", "t2")]
    app.run("verify", code=0)
    app.roll_back()
    app.run("verify", code=0)


def test_row_with_its_own_source_is_not_part_of_another_source_row(small: MakeSmall) -> None:
    """The part of u1 is left out by the filter, that of u2 is in quarantine, that of u3 is deleted."""
    app = small(
        source=SEATS
        + "insert into \"User\" (id, email, name, \"organizationId\") values ('u4', 'd@one.example', 'D', 'o1')",
        target=SEATS_TARGET.replace("unique (org_id, person_id)", "check (kind <> 'home' or legacy_id <> 'home:u2')"),
        tables=SEATS_TABLES,
    )
    _there_and_back(
        app,
        "delete from app.seats where legacy_id = 'home:u3'",
        "update app.seats set kind = 'host' where legacy_id like 'more:%'",
    )
    assert app.rows("select id, kind from more_seats order by 1") == [("s1", "host"), ("s2", "host"), ("s3", "host")]
    assert app.rows("select legacy_id, reason from tenantry.kept") == [
        ("home:u3", "the row is gone, and User cannot say so")
    ]
    assert app.rows("select * from tenantry.born_part") == []
    _again(app)


def test_target_native_membership_represents_the_source_row_and_is_derived_again(small: MakeSmall) -> None:
    app = small(source=SEATS, target=SEATS_TARGET, tables=SEATS_TABLES.replace("where = \"s.id <> 'u1'\"\n", ""))
    _there_and_back(
        app,
        "delete from app.seats where legacy_id = 'home:u2'",
        "insert into app.seats (org_id, person_id) select o.id, p.id from app.orgs o, app.people p"
        " where o.legacy_id = 'o1' and p.legacy_id = 'u2'",
    )
    _again(app)
    assert app.one("select count(*) from app.seats where legacy_id = 'home:u2'") == 1


def test_repair_does_not_claim_to_have_fixed_remaining_differences(small: MakeSmall) -> None:
    app = small(source=NUMBERS.format("orders", "bigint"), target=target_table("orders", ", total numeric"),
                tables='[tables.orders]\nfrom = "orders"\naccess = "tenant"\n')  # fmt: skip
    app.migrate()
    # A row that no source row stands for, written past Tenantry, that the journal takes for kept but the count does not.
    app.as_superuser(
        "insert into tenantry.merged (mapping, source_table, source_key, into_key, reason, original, derived)"
        " values ('orders', 'orders', '5', '6', '', '{}', '{}')"
    )
    said = app.run("verify", "--repair", code=1)
    assert "repaired" not in said.out
    assert "deriving these rows again does not repair them" in said.out
