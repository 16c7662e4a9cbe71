"""Clients name only rows that they see: what a foreign key would tell, its policy refuses first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from tenantry.manifest import load_manifest
from tests.conftest import Database
from tests.isolation.build import Built, build_once, open_context, run

Connection = psycopg.Connection[tuple[object, ...]]

SOURCE = "create table users (id text primary key, email text not null);"
TARGET = """
    create table org (id uuid primary key default gen_random_uuid());
    create table person (
        id uuid primary key default gen_random_uuid(),
        account_id uuid unique references auth.users (id),
        mentor_id uuid references person (id),
        nick text);
    create table member (
        org_id uuid not null references org (id),
        id uuid not null default gen_random_uuid(),
        person_id uuid not null references person (id),
        level text not null,
        primary key (org_id, id));
    create table task (
        org_id uuid not null references org (id),
        id uuid not null default gen_random_uuid(),
        assignee_id uuid references person (id),
        mentions_id uuid references person (id) deferrable initially deferred,
        words text,
        primary key (org_id, id));
"""
MANIFEST = """
name = "tasks"
[source]
schema = "old"
ignore = ["users"]
[target]
schema = "app"
files = ["app.sql"]
[ids]
namespace = "tasks"
[tenant]
table = "org"
column = "org_id"
[membership]
table = "member"
profile = "person_id"
role = "level"
[roles]
order = ["guest", "boss"]
[users]
from = "users"
email = "email"
profile = "person"
account = "account_id"
[tables.org]
access = { select = "guest", insert = "super", update = "boss", delete = "super" }
[tables.person.access]
select = { colleagues = "guest", own = "id" }
insert = "service"
update = { own = "id" }
delete = "service"
[tables.member]
access = { select = "guest", insert = "boss", update = "boss", delete = "boss" }
[tables.task]
access = { select = "guest", insert = "guest", update = "guest", delete = "boss", unseen = ["mentions_id"] }
"""
IDS = {
    name: f"00000000-0000-0000-0000-{number:012}"
    for number, name in enumerate(("ann", "bob", "cyd", "dan", "nobody", "north", "task"), 1)
}


@pytest.fixture
def tasks(database: Database, tmp_path: Path) -> Built:
    """Ann and Bob work in one organisation. They see neither Cyd, who has been assigned a task of theirs, nor Dan."""
    (tmp_path / "app.sql").write_text(TARGET, encoding="utf-8")
    (tmp_path / "tenantry.toml").write_text(MANIFEST, encoding="utf-8")
    built = build_once(database, load_manifest(tmp_path / "tenantry.toml"), SOURCE, [TARGET])
    people = [IDS[name] for name in ("ann", "bob", "cyd", "dan")]
    with built.owner() as owner:
        run(owner, *(f"insert into auth.users (id) values ('{person}')" for person in people),
            *(f"insert into app.person (id, account_id) values ('{person}', '{person}')" for person in people),
            f"insert into app.org values ('{IDS['north']}')",
            *(f"insert into app.member (org_id, person_id, level) values ('{IDS['north']}', '{person}', 'boss')" for person in people[:2]),
            f"insert into app.task (org_id, id, assignee_id, words) values ('{IDS['north']}', '{IDS['task']}', '{IDS['cyd']}', 'x')")  # fmt: skip
    return built


@pytest.fixture
def answers(tasks: Built) -> Callable[[str, str], str]:
    def ask(statement: str, name: str) -> str:
        """What Ann gets for a statement with the id of a person: SQLSTATE and message, or nothing."""
        with tasks.login() as login, login.transaction(force_rollback=True):
            login.execute("set local role authenticated")
            open_context(login, json.dumps({"role": "authenticated", "sub": IDS["ann"]}))
            try:
                done = login.execute(statement.format(IDS[name], **IDS).encode())
                login.execute("set constraints all immediate")
            except psycopg.Error as error:
                return f"{error.sqlstate} {error.diag.message_primary}"
            return "" if done.rowcount else "no row"

    return ask


WRITES = {
    "a new row": "insert into app.task (org_id, assignee_id) values ('{north}', '{}')",
    "a changed row": "update app.task set assignee_id = '{}' where words = 'x'",
    "a member": "insert into app.member (org_id, person_id, level) values ('{north}', '{}', 'guest')",
    "the same table": "update app.person set mentor_id = '{}' where id = '{ann}'",
    "an upsert": "insert into app.person (id) values ('{ann}') on conflict (id) do update set mentor_id = '{}'",
    "an account": "update app.person set account_id = '{}' where id = '{ann}'",
}


def test_a_hidden_row_and_one_that_does_not_exist_are_refused_alike(answers: Callable[[str, str], str]) -> None:
    for what, statement in WRITES.items():
        seen = "ann" if what == "an account" else "bob"
        if what != "an upsert":  # ids of people are the service's to give
            assert answers(statement, seen) == "", what
        hidden, missing = answers(statement, "dan"), answers(statement, "nobody")
        assert hidden == missing, what
        assert hidden.startswith("42501 "), what


def test_what_named_a_hidden_row_before_can_change_and_the_service_names_every_row(
    tasks: Built, answers: Callable[[str, str], str]
) -> None:
    assert answers("update app.task set words = 'y' where words = 'x'", "ann") == ""
    assert answers("update app.task set words = 'y', assignee_id = '{}' where words = 'x'", "cyd") == ""
    assert answers("update app.task set words = 'y', assignee_id = null where words = 'x'", "ann") == ""
    # A row that named the person before is no reason for another row to name them.
    assert answers("insert into app.task (org_id, assignee_id) values ('{north}', '{}')", "cyd").startswith("42501")

    # Columns that the manifest lists are not checked.
    named = "insert into app.task (org_id, mentions_id) values ('{north}', '{}')"
    assert answers(named, "cyd") == ""
    assert answers(named, "nobody").startswith(errors.ForeignKeyViolation.sqlstate or "")
    with tasks.database.connect() as admin, admin.transaction(force_rollback=True):
        admin.execute("set local role service_role")
        run(admin, f"insert into app.task (org_id, assignee_id) values ('{IDS['north']}', '{IDS['cyd']}')")
