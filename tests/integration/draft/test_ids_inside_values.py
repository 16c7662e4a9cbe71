"""tenantry init drafts rules for ids inside values, and lets rows keep their ids: from the rows to a migration that comes back."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantry.catalog import read_catalog
from tenantry.draft import DraftOptions, make_draft
from tenantry.errors import SettingsError
from tenantry.manifest import load_manifest
from tenantry.postgres import EmbeddedServer
from tenantry.survey import survey
from tests.conftest import Database, fresh_database, running_server
from tests.migrate_support import cli, let_own, one, rows

SOURCE = """
create table teams (id text primary key, name text not null);
create table users (id serial primary key, email text not null unique, password_hash text, team_id text not null references teams (id),
    role text not null);
create table invoices (id serial primary key, team_id text not null references teams (id), total int not null);
create table tickets (id bigserial primary key, team_id text not null references teams (id), title text not null,
    invoice_id int references invoices (id));
create table lines (invoice_id int not null references invoices (id), line int not null, text text, primary key (invoice_id, line));
create table notes (id text primary key, team_id text not null references teams (id), notable_type text, notable_id int,
    about_type text not null, about_id bigint, meta varchar(90), link varchar(40), replies jsonb, source_type text, source_id text);
create table remarks (id bigserial primary key, remarkable_type text not null, remarkable_id bigint not null, text text);
insert into teams select 't' || n, 'Team ' || n from generate_series(1, 4) n;
insert into users (email, team_id, role) select 'u' || n || '@x.example', 't' || 1 + n % 4, 'member' from generate_series(1, 80) n;
insert into invoices (id, team_id, total) select 1000 + n, 't' || 1 + n % 4, n from generate_series(1, 60) n;
insert into tickets (id, team_id, title, invoice_id) select 5000 + n, 't' || 1 + n % 4, 'Ticket', 1000 + n from generate_series(1, 40) n;
select setval('invoices_id_seq', 2000), setval('tickets_id_seq', 6000);
insert into lines select 1000 + n, 1, 'x' from generate_series(1, 60) n;
insert into notes select substr(md5('note' || n), 1, 24), 't' || 1 + n % 4,
    case n % 2 when 0 then 'Invoice' else 'User' end, case when n % 2 = 0 then 1000 + n % 60 else n end,
    case n % 2 when 0 then 'App::Ticket' else 'User' end, case n % 2 when 0 then 5000 + n % 40 else n end,
    case when n = 7 then 'none' else json_build_object('author_id', n)::text end,
    case when n = 8 then 'https://other.example/tickets/x' else '/tickets/' || 5000 + n % 40 end,
    json_build_object('author_id', n, 'replies', json_build_array(json_build_object('author_id', n, 'replies',
        json_build_array(json_build_object('author_id', n))))),
    case n % 2 when 0 then 'note' else 'mail' end,
    case n % 2 when 0 then substr(md5('note' || n), 1, 24) else substr(md5('mail' || n), 1, 24) end
    from generate_series(1, 80) n;
insert into remarks (remarkable_type, remarkable_id, text) select case n % 2 when 0 then 'Invoice' else 'Ticket' end,
    case n % 2 when 0 then 1000 + n else 5000 + n end, 'remark' from generate_series(1, 40) n;
update notes set about_id = null where about_id = 5000;
"""


@pytest.fixture(scope="module")
def database(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    with fresh_database(running_server(servers, 18)) as made:
        with made.connect() as connection:
            connection.execute(SOURCE.encode())
        yield made


def test_tables_that_cannot_keep_their_ids_are_refused(database: Database) -> None:
    with database.connect() as connection:
        found, catalog = survey(connection, tenant="teams"), read_catalog(connection, "public")
    for name, said in (
        ("teams", "it is the tenant table"),
        ("users", "the people who sign in"),
        ("lines", r"its key has several columns \(invoice_id, line\)"),
        ("invoice", "there is no table 'invoice'"),
    ):
        with pytest.raises(SettingsError, match=said):
            make_draft(catalog, found, DraftOptions(tenant="teams", keep=(name,)))
    every = make_draft(catalog, found, DraftOptions(tenant="teams", keep_ids=True))
    assert {table.name: table.kept_ids for table in every.tables if table.kept_ids} == {
        "invoices": "integer", "tickets": "bigint", "notes": "text", "remarks": "bigint",
    }  # fmt: skip
    # Nothing changes in texts and documents that name them.
    notes = next(table for table in every.tables if table.name == "notes")
    assert {column.name for column in notes.columns if "ids" in column.rule} == {
        "notable_id",
        "about_id",
        "meta",
        "replies",
    }
    asked = next(
        each for each in make_draft(catalog, found, DraftOptions(tenant="teams")).questions if each.about == "ids"
    )
    assert asked.alternatives[0].startswith("tenantry init --keep ")


def test_a_draft_with_ids_inside_values_comes_through(database: Database, tmp_path: Path) -> None:
    address = ("--dsn", database.dsn)
    drafted = json.loads(cli("init", str(tmp_path), *address, "--tenant", "teams", "--keep", "invoices", "--json").out)
    assert drafted["valid"], drafted["problem"]
    tables = tomllib.loads((tmp_path / "tenantry.toml").read_text())["tables"]
    assert {name for name, table in tables.items() if table.get("ids") == "keep"} == {"invoices"}
    assert tables["notes"]["columns"] == {
        # One of the two tables keeps its numbers: the target's column is a text.
        "notable_id": {
            "as": "polymorphic", "type": "notable_type", "ids": {"Invoice": "invoices", "User": "users"}, "stale": "drop",
        },
        "about_id": {"as": "polymorphic", "type": "about_type", "ids": {"App::Ticket": "tickets", "User": "users"}},
        "meta": {"as": "json_ids", "ids": {"author_id": "users"}, "invalid": {"correct": "s.meta"}},
        "link": {"as": "text_ids", "ids": {r"/tickets/(\d+)\M": "tickets"}},
        "replies": {"as": "json_ids", "ids": {"**.author_id": "users"}},
    }  # fmt: skip
    assert tables["remarks"]["tenant"] == ["remarkable_id"]
    questions = (tmp_path / "QUESTIONS.md").read_text()
    # Half of the ids are those of another system.
    assert "notes.source_id: It holds old ids of notes where source_type is 'note'" in questions
    assert "no table has the ids of other types: mail" in questions

    held = "select md5(string_agg(n::text, ' ' order by id)) from public.notes n"
    before = one(database, held)
    let_own(database, load_manifest(tmp_path / "tenantry.toml"))
    here = ("--manifest", str(tmp_path / "tenantry.toml"), *address)
    for command in ("migrate", "verify", "cutover"):
        said = cli(command, *here)
        assert said.code == 0, said.everything
    wrong = one(
        database,
        "select count(*) from app.notes n join public.notes s on s.id = n.legacy_id"
        " left join app.users u on u.legacy_id = s.notable_id::text and s.notable_type = 'User'"
        " left join app.tickets k on k.legacy_id = s.about_id::text and s.about_type = 'App::Ticket'"
        " left join app.users a on a.legacy_id = substring(s.meta from '[0-9]+')"
        " where n.notable_id is distinct from coalesce(u.id::text, nullif(s.notable_id, 1000)::text)"
        " or (s.about_type = 'App::Ticket' and n.about_id is distinct from k.id)"
        " or n.meta is distinct from coalesce('{\"author_id\": \"' || a.id || '\"}', s.meta)"
        " or n.replies #>> '{replies,0,replies,0,author_id}' is distinct from coalesce(a.id::text, n.replies ->> 'author_id')",
    )
    assert wrong == 0
    assert one(database, "select count(*) from tenantry.quarantine") == 0
    assert (
        one(
            database,
            "select count(*) from app.remarks r join app.tickets k on k.id::text = r.remarkable_id and k.team_id = r.team_id",
        )
        == 20
    )
    assert rows(database, "select id, team_id is not null from app.invoices order by id limit 1") == [(1001, True)]
    assert cli("rollback", *here, "--yes").code == 0
    assert cli("rollback", *here, "--everything", "--yes").code == 0
    assert one(database, held) == before
