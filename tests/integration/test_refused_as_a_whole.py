"""What PostgreSQL would refuse as a whole, with whatever else a statement does: one cell or one row is kept or quarantined and
named, and the rest goes on; or nothing begins."""

from __future__ import annotations

from tests.small import MakeSmall, target_table

TYPES = """
create type scope as enum ('READ', 'WRITE', 'OLD');
create type span as range (subtype = float8);
create domain address as text check (value ~ '@');
create domain scopes as scope[];
create type place as (street text, number integer);
create table keys (id text primary key, org_id text not null references "Organization", scopes scope[] not null default '{}',
    listed scopes, mails address[], counts bigint[], shares real[], spans span, days tsrange[], at timestamp[], words text[],
    place place, flags integer[]);
insert into keys values
    ('k1', 'o1', '{READ,NULL,WRITE}', '{WRITE}', '{a@b,NULL}', '{1,NULL}', '{0.1,NULL,NaN}', '[1,2)',
     '{"[2024-01-01,2024-02-01)"}', '{2024-01-01 10:00,NULL}', '{1, 2.0 }', '(Long,3)', '{0,1}'),
    ('k2', 'o1', '{}', null, '{}', '{}', '{}', 'empty', '{}', '{}', '{}', null, '{}'),
    ('k3', 'o1', '{{READ,WRITE},{WRITE,NULL}}', '[3:4]={READ,WRITE}', null, '{{1},{2}}', null, null, null, null, null, null, null),
    ('k4', 'o2', '{READ,OLD}', null, null, null, null, null, null, null, null, null, null),
    ('k5', 'o2', '{}', null, null, '{3000000000}', null, null, null, null, null, null, null),
    ('k6', 'o2', '{}', null, '{no}', null, null, null, null, null, null, null, null);
"""
TYPES_TARGET = """
create type scope as enum ('READ', 'WRITE', 'ADMIN');
create type span as range (subtype = float8);
create domain address as text check (value ~ '@');
create type place as (street text, number integer);
""" + target_table(
    "keys",
    ", scopes scope[] not null default '{}', listed scope[], mails address[], counts integer[], shares numeric[], spans span,"
    " days tsrange[], at timestamptz[], words integer[], place place, flags boolean[]",
)
TYPES_TABLES = '[tables.keys]\nfrom = "keys"\naccess = "tenant"\n'


def test_arrays_and_types_of_one_s_own_go_there_and_back(small: MakeSmall) -> None:
    app = small(
        source=TYPES.replace("create domain address as text check (value ~ '@');", "create domain address as text;"),
        target=TYPES_TARGET,
        tables=TYPES_TABLES,
    )
    before = app.rows("select to_jsonb(k)::text from keys k order by id")
    app.run("analyze", code=0)
    app.migrate()
    assert app.rows(
        "select source_key, reason, column_name from tenantry.quarantine where state = 'open' order by 1"
    ) == [
        ("k4", "value_invalid", "scopes"), ("k5", "value_invalid", "counts"), ("k6", "value_invalid", "mails"),
    ]  # fmt: skip
    assert app.rows(
        "select legacy_id, scopes::text, listed::text, mails::text, counts::text, shares::text, spans::text, days::text, at::text,"
        " words::text, place::text, flags::text from app.keys order by 1"
    ) == [
        ("k1", "{READ,NULL,WRITE}", "{WRITE}", "{a@b,NULL}", "{1,NULL}", "{0.1,NULL,NaN}", "[1,2)",
         '{"[\\"2024-01-01 00:00:00\\",\\"2024-02-01 00:00:00\\")"}', '{"2024-01-01 10:00:00+00",NULL}', "{1,2}", "(Long,3)", "{f,t}"),
        ("k2", "{}", None, "{}", "{}", "{}", "empty", "{}", "{}", "{}", None, "{}"),
        ("k3", "{{READ,WRITE},{WRITE,NULL}}", "[3:4]={READ,WRITE}", None, "{{1},{2}}", *[None] * 7),
    ]  # fmt: skip
    app.cut_over()
    app.as_owner(
        "update app.keys set scopes = '{WRITE}', mails = '{x@y,NULL}', counts = '{7}', shares = '{0.5}', spans = '[3,4)',"
        " at = '{2025-01-01 00:00+00}', words = '{3}', place = '(Short,4)', flags = '{t}' where legacy_id = 'k2'",
        "update app.keys set scopes = '{READ,ADMIN}', listed = '{READ}' where legacy_id = 'k3'",
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    app.roll_back()
    assert app.rows(
        "select scopes::text, mails::text, counts::text, shares::text, spans::text, at::text, words::text, place::text, flags::text"
        " from keys where id = 'k2'"
    ) == [("{WRITE}", "{x@y,NULL}", "{7}", "{0.5}", "[3,4)", '{"2025-01-01 00:00:00"}', "{3}", "(Short,4)", "{1}")]
    assert app.rows("select scopes::text, listed::text from keys where id = 'k3'") == [
        ("{{READ,WRITE},{WRITE,NULL}}", "{READ}")
    ]
    assert app.rows("select legacy_id, column_name from tenantry.kept") == [("k3", "scopes")]
    app.run("verify", code=0)
    app.cut_over()
    app.roll_back()
    app.run("rollback", "--everything", "--yes", code=0)
    assert app.rows("select to_jsonb(k)::text from keys k where id not in ('k2', 'k3') order by id") == [
        row for row in before if '"k2"' not in row[0] and '"k3"' not in row[0]
    ]


def test_types_without_a_cast_are_refused_before_anything_is_changed(small: MakeSmall) -> None:
    app = small(
        source="create table odd (id text primary key, org_id text not null references \"Organization\", spot point, links cidr[],"
        " many integer[], doc xml)",
        target=target_table("odd", ", spot box, links macaddr[], many integer, doc inet"),
        tables='[tables.odd]\nfrom = "odd"\naccess = "tenant"\ncolumns = { many = { from = "many" } }\n',
    )  # fmt: skip
    for command in (("analyze",), ("migrate",)):
        said = app.run(*command, code=2)
        assert "TN-110" in said.err, said.err
        lines = app.path.read_text().splitlines()
        line = next(number for number, text in enumerate(lines, 1) if text.startswith("columns = { many"))
        assert f"tenantry.toml:{line}" in said.err, said.err
        assert "odd.many is integer[] and many is integer, with no cast between them" in said.err
    app.rewrite('columns = { many = { from = "many" } }', 'columns = { many = { up = "s.many[1]" } }')
    for command in (("analyze",), ("migrate",)):
        said = app.run(*command, code=2)
        assert "TN-110" in said.err
        for column in ("links", "doc"):
            assert f"odd.{column} is " in said.err, said.err
    assert app.one("select count(*) from pg_namespace where nspname in ('app', 'tenantry')") == 0
