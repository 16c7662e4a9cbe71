"""Keys, references and columns of drafts, by small schemas of the shapes that foreign applications have."""

from __future__ import annotations

import re

import psycopg

from tenantry.catalog import read_catalog
from tenantry.draft import DraftOptions, make_draft
from tenantry.draft.check import project_of_files
from tenantry.draft.model import Draft
from tenantry.postgres import EmbeddedServer
from tenantry.survey import survey
from tests.conftest import fresh_database, running_server


def drafted(servers: dict[int, EmbeddedServer], sql: str, tenant: str, users: str) -> Draft:
    """The draft for a database with this schema; it fits there."""
    with fresh_database(running_server(servers, 18)) as database, psycopg.connect(database.dsn) as connection:
        connection.execute(sql.encode())
        connection.execute("analyze")
        connection.commit()
        found = survey(connection, "public", tenant=tenant, users=users)
        connection.rollback()
        draft = make_draft(
            read_catalog(connection, "public"), found, DraftOptions(tenant=tenant, users=users, name="x")
        )
        project_of_files(connection, draft.files)
        return draft


def table_sql(draft: Draft, name: str) -> str:
    text = draft.files["schema/20_tables.sql"]
    return text[text.index(f"create table {name} (") :].split("\n);")[0]


def section(draft: Draft, name: str) -> str:
    """The table's rules in the manifest, on one line."""
    text = draft.files["tenantry.toml"].replace(f"\n[tables.{name}.columns]", "")
    return " ".join(text[text.index(f"[tables.{name}]") :].split("\n[")[0].split())


COMPOSITE = """
create table firms (firm integer primary key, name text not null);
create table people (login text primary key, mail text not null unique, firm integer not null references firms, badge integer not null,
    secret text, unique (firm, badge));
create table customers (firm integer not null references firms, no integer not null, name text, primary key (firm, no));
create table orders (firm integer not null, no integer not null, customer integer not null, primary key (firm, no),
    foreign key (firm, customer) references customers);
create table lines (firm integer not null, "order" integer not null, no integer not null, primary key (firm, "order", no),
    foreign key (firm, "order") references orders on delete cascade);
insert into firms values (1, 'a'), (2, 'b');
insert into people values ('u1', 'u1@example.org', 1, 7, 'x'), ('u2', 'u2@example.org', 2, 7, 'x');
insert into customers select f, n, 'c' from generate_series(1, 2) f, generate_series(1, 20) n;
insert into orders select f, n, n from generate_series(1, 2) f, generate_series(1, 20) n;
insert into lines select f, n, 1 from generate_series(1, 2) f, generate_series(1, 20) n;
"""


def test_a_tenant_that_only_a_key_of_several_columns_states_is_the_rows_tenant(
    servers: dict[int, EmbeddedServer],
) -> None:
    draft = drafted(servers, COMPOSITE, "firms", "people")
    assert re.search(r"no integer not null,\s+customer uuid not null", table_sql(draft, "orders"))
    assert "unique (firm, no)" in table_sql(draft, "orders")
    assert 'tenant = ["firm -> firms", "customer"]' in section(draft, "orders")
    assert "source_firm" not in draft.files["schema/20_tables.sql"]
    assert 'order = { ref = "orders" }' in section(draft, "lines")
    assert "references orders (firm, id) on delete cascade" in draft.files["schema/30_references.sql"]
    # A person belongs to no tenant by their own row, and two firms may give the same badge.
    assert "badge)" not in table_sql(draft, "people")
    assert any("badge" in " ".join(each.evidence) for each in draft.questions if each.about == "people")


ZERO_FOR_NONE = """
create table firms (id serial primary key, title text not null);
create table people (id serial primary key, firm integer not null references firms, mail text not null unique, secret text,
    inviter integer not null default 0, boss varchar(10) not null default '', mentor integer not null);
create table parts (code text primary key check (code ~ '^P-'), firm integer not null references firms);
insert into firms (title) select 'f' || n from generate_series(1, 3) n;
insert into parts select 'P-' || 1000 + n, 1 + n % 3 from generate_series(1, 60) n;
create table tickets (id serial primary key, firm integer not null references firms, parent integer not null default 0);
insert into people (firm, mail, secret, inviter, boss, mentor)
    select 1 + n % 3, 'p' || n || '@example.org', 'x', case when n % 9 = 0 then 0 else n end, case when n % 7 = 0 then '' else n::text end,
        case when n % 5 = 0 then 0 else n end from generate_series(1, 60) n;
insert into tickets (firm, parent) select 1 + n % 3, case when n > 3 and n % 4 > 0 then n - 3 else 0 end from generate_series(1, 60) n;
"""


def test_a_default_of_a_reference_that_means_none_becomes_null(servers: dict[int, EmbeddedServer]) -> None:
    draft = drafted(servers, ZERO_FOR_NONE, "firms", "people")
    assert re.search(r"parent uuid,", table_sql(draft, "tickets"))
    assert 'parent = { ref = "tickets", orphan = "null" }' in section(draft, "tickets")
    people = table_sql(draft, "people")
    assert re.search(r"inviter uuid,", people)
    # Nothing says what a mentor of 0 means: such rows are quarantined.
    assert re.search(r"mentor uuid not null", people)
    # A row that is born in the target needs a code that the source accepts.
    assert "code text not null" in table_sql(draft, "parts")
    asked = next(each for each in draft.questions if each.about == "tickets.parent")
    assert "its default, 0, seems to mean that there is none" in asked.chosen


PICTURES = """
create table pictures (id text primary key, bytes text not null);
create table settings (id text primary key, theme text, letter text);
create table organisations (id text primary key, name text not null, picture text references pictures,
    settings text not null unique references settings);
create table users (id serial primary key, email text not null unique, password text, picture text references pictures);
create table members (id text primary key, organisation text not null references organisations, person integer not null references users,
    role text not null, unique (organisation, person));
create table teams (id text primary key, organisation text not null references organisations, picture text references pictures);
create table api_tokens (id serial primary key, token_hash text not null, team text not null references teams);
create table reset_tokens (id serial primary key, token_hash text not null, person integer not null references users);
create table letters (id text primary key, team text not null references teams, author integer not null references users);
alter table settings add foreign key (letter) references letters;
insert into settings select 's' || n from generate_series(1, 5) n;
insert into organisations select 'o' || n, 'name', null, 's' || n from generate_series(1, 5) n;
insert into users (email, password) select 'u' || n || '@example.org', 'x' from generate_series(1, 30) n;
insert into members select 'm' || n, 'o' || 1 + n % 5, n, case when n % 4 = 0 then 'owner' else 'member' end from generate_series(1, 30) n;
insert into teams select 't' || n, 'o' || 1 + n % 5 from generate_series(1, 10) n;
insert into letters select 'l' || n, 't' || 1 + n % 10, 1 + n % 30 from generate_series(1, 50) n;
"""


def test_a_table_that_rows_may_name_is_no_tenant_and_what_a_tenant_alone_names_owns_it_not(
    servers: dict[int, EmbeddedServer],
) -> None:
    """Every path that leads to an organisation leads to its picture too."""
    with fresh_database(running_server(servers, 18)) as database, psycopg.connect(database.dsn) as connection:
        connection.execute(PICTURES.encode())
        connection.execute("analyze")
        connection.commit()
        found = survey(connection, "public")
        connection.rollback()
        draft = make_draft(read_catalog(connection, "public"), found, DraftOptions(name="x"))
        project_of_files(connection, draft.files)
    assert found.tenants[0].table == "organisations"
    # Its reference to a letter is null in every row: the organisation that names the settings says whose they are.
    assert 'tenant = ["id <- organisations.settings"' in section(draft, "settings")
    kinds = {each.name: each.kind for each in found.tables}
    assert (kinds["api_tokens"], kinds["reset_tokens"]) == ("data", "credentials")
    assert "but it belongs to" not in " ".join(found.tenants[0].reasons)


THROUGH_PROJECTS = """
create table firms (id text primary key, title text not null, crm_firm_id text);
create table people (id text primary key, mail text not null unique, firm text not null references firms, secret text);
create table projects (id text primary key, firm text not null references firms);
create table models (id text primary key, project text references projects);
create table sets (id text not null, project text not null references projects, primary key (id, project));
create table items (id text primary key, set text not null, project text not null,
    foreign key (set, project) references sets on delete cascade);
create index items_by_project on items (project, set);
insert into firms select 'f' || n, 'Firm', 'north hall ' || n from generate_series(1, 2) n;
insert into people values ('u1', 'u1@example.org', 'f1', 'x'), ('u2', 'u2@example.org', 'f2', 'x');
insert into projects select 'p' || n, 'f' || 1 + n % 2 from generate_series(1, 8) n;
insert into models select 'm' || n, case when n > 5 then 'p' || 1 + n % 8 end from generate_series(1, 20) n;
insert into sets select 's' || n, 'p' || 1 + n % 8 from generate_series(1, 40) n;
insert into items select 'i' || n, 's' || n, 'p' || 1 + n % 8 from generate_series(1, 40) n;
"""


def test_each_column_of_a_key_of_several_columns_keeps_its_meaning(servers: dict[int, EmbeddedServer]) -> None:
    draft = drafted(servers, THROUGH_PROJECTS, "firms", "people")
    assert re.search(r"set uuid not null,\s+project uuid not null", table_sql(draft, "items"))
    assert 'set = { ref = "sets" } project = { ref = "projects" }' in section(draft, "items")
    references = draft.files["schema/30_references.sql"]
    assert "alter table items add foreign key (firm, set) references sets (firm, id) on delete cascade" in references
    assert "alter table items add foreign key (firm, project) references projects (firm, id)" in references
    assert [each.evidence for each in draft.questions if each.about == "models"] == [
        ("5 of 20 sampled rows reach no tenant",)
    ]
    # Texts of several words are no ids, whatever the column is called.
    assert "crm_firm_id" not in section(draft, "firms")
