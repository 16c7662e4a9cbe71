"""tenantry users plan, list, fetch and push; a hosted Supabase that is seen only through its admin API."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantry.accounts.auth_schema import auth_script
from tests.conftest import Database, fresh_database
from tests.integration.accounts.test_users import (
    BCRYPT,
    FIRST,
    MERGE,
    Account,
    Case,
    User,
    World,
    _a,
    _made,
    people_world,
)
from tests.migrate_support import OWNER, cli
from tests.support_admin_api import KEY, Hosted, hosted

USERS = (
    User("p1", "p1@x.example", password_hash=BCRYPT, email_verified=True),
    User("p2", "p2@x.example"),
    User("p3", "p3@x.example", role="root"),
    User("p4", "p4@x.example"),
    User("p5", "=cmd@x.example"),
)
ACCOUNTS = (Account(_a(3), "p3@x.example"), Account(_a(4), "p4@x.example", confirmed=False))


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    with people_world(database, tmp_path, FIRST, MERGE, (Case("", USERS, {}, ACCOUNTS),)) as made:
        yield made


def _cli(world: World, *arguments: str, **environment: str):  # type: ignore[no-untyped-def]
    where = ("--dsn", world.database.dsn_as(OWNER), "--manifest", str(world.manifest_path))
    return cli("users", *arguments, *where, environment=environment)


def test_the_plan_predicts_the_list(world: World, tmp_path: Path) -> None:
    expected = {"created_with_password": 1, "created": 2, "linked_by_email": 1, "account_unconfirmed": 1}
    before = _cli(world, "plan", "--json")
    assert before.code == 0, before.err
    assert {each["name"]: each["count"] for each in before.json["situations"]} == expected
    assert _cli(world, "list").code == 2  # no run yet
    world.run()
    for command in ("plan", "list"):
        assert {e["name"]: e["count"] for e in _cli(world, command, "--json").json["situations"]} == expected
    shown = _cli(world, "list")
    assert "linked to the account that has confirmed" in shown.out
    one = _cli(world, "list", "--situation", "account_unconfirmed", "--json").json["users"]
    assert [(each["old_id"], each["account"]) for each in one] == [("p4", None)]
    file = tmp_path / "people.csv"
    assert _cli(world, "list", "--to-do", "--csv", str(file)).code == 0
    lines = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert {line["old_id"] for line in lines} == {"p2", "p4", "p5"}
    # What a spreadsheet would run is text.
    assert {line["email"] for line in lines} == {"p2@x.example", "p4@x.example", "'=cmd@x.example"}
    wrong = _cli(world, "list", "--situation", "creatd")
    assert wrong.code == 2
    assert "Did you mean 'created'" in wrong.err


@pytest.fixture
def project(database: Database) -> Iterator[tuple[Hosted, Database]]:
    """A hosted Supabase: another database, whose accounts only the admin API shows."""

    with fresh_database(database.server) as other:
        with other.connect() as admin:
            admin.execute(auth_script().encode())
            admin.execute(
                "insert into auth.users (id, email, email_confirmed_at, raw_app_meta_data) values"
                " (%s, 'p3@x.example', now(), '{\"provider\": \"email\", \"team\": \"blue\"}'), (%s, 'p4@x.example', null, '{}')",
                [_a(3), _a(4)],
            )
        with hosted(other.dsn) as api:
            yield api, other


def test_the_admin_api_executes_the_same_plan(
    database: Database, project: tuple[Hosted, Database], tmp_path: Path
) -> None:
    api, there = project
    environment = {"TENANTRY_AUTH_URL": api.url, "TENANTRY_AUTH_KEY": KEY}
    with people_world(database, tmp_path, FIRST, MERGE, (Case("", USERS, {}),)) as world:
        api.auto_confirm = True
        said = _cli(world, "fetch", "--rate", "1000", "--json", **environment)
        assert (said.code, said.json) == (0, {"accounts": 2}), said.err
        assert said.err.count("confirms every e-mail address at sign-up") == 1
        world.run()
        before = _accounts(there)
        said = _cli(world, "push", "--rate", "1000", "--json", **environment)
        assert said.code == 0, said.out + said.err
        assert said.json == {"done": 4, "before": 0, "refused": []}
        assert "confirms every e-mail address at sign-up" in said.err
        api.auto_confirm = False
        found = _accounts(there)
        assert set(found) == {_a(3), _a(4), _made("p1"), _made("p2"), _made("p5")}
        assert found[_made("p1")] == ("p1@x.example", BCRYPT, True, None)
        assert found[_made("p2")][:3] == ("p2@x.example", "", False)
        assert found[_a(3)][3] == "true"  # the super flag, beside what was there
        with there.connect() as admin:
            assert admin.execute(
                "select raw_app_meta_data ->> 'team' from auth.users where id = %s", [_a(3)]
            ).fetchone() == ("blue",)
        # Once more does nothing; the way back takes what was made, and nothing else.
        again = _cli(world, "push", "--rate", "1000", "--json", **environment)
        assert again.json == {"done": 0, "before": 4, "refused": []}
        assert "at sign-up" not in again.err
        assert _cli(world, "push", "--undo", "--rate", "1000", **environment).code == 0
        assert set(_accounts(there)) == set(before)


def test_refused_accounts_are_listed(database: Database, project: tuple[Hosted, Database], tmp_path: Path) -> None:
    api, there = project
    environment = {"TENANTRY_AUTH_URL": api.url, "TENANTRY_AUTH_KEY": KEY}
    with people_world(database, tmp_path, FIRST, MERGE, (Case("", USERS[:2], {}),)) as world:
        _cli(world, "fetch", "--rate", "1000", **environment)
        world.run()
        with there.connect() as admin:
            admin.execute("insert into auth.users (id, email) values (gen_random_uuid(), 'p2@x.example')")
        said = _cli(world, "push", "--rate", "1000", "--json", **environment)
        assert said.code == 1
        assert said.json["refused"] == [{"old_id": "p2", "kind": "create", "code": "email_taken"}]


def test_the_key_is_never_an_option_and_a_foreign_auth_schema_is_not_touched(world: World) -> None:
    said = _cli(world, "fetch", TENANTRY_AUTH_URL="https://project.example", TENANTRY_AUTH_KEY="")
    assert said.code == 2
    assert "TENANTRY_AUTH_KEY is not set" in said.err
    assert _cli(world, "push", TENANTRY_AUTH_URL="https://project.example", TENANTRY_AUTH_KEY="a").code == 2  # no run


def _accounts(database: Database) -> dict[str, tuple[object, ...]]:
    with database.connect() as admin:
        rows = admin.execute(
            "select id::text, email, coalesce(encrypted_password, ''), email_confirmed_at is not null,"
            " raw_app_meta_data ->> 'super_admin' from auth.users"
        ).fetchall()
    return {str(row[0]): tuple(row[1:]) for row in rows}


def test_the_plan_is_made_where_there_are_no_accounts_yet_and_leaves_nothing(world: World) -> None:
    with world.database.connect() as admin:
        admin.execute("drop schema auth cascade")
    said = _cli(world, "plan", "--json")
    assert said.code == 0, said.err
    found = {each["name"]: each["count"] for each in said.json["situations"]}
    assert found == {"created_with_password": 1, "created": 4}
    assert world.ask("select to_regnamespace('auth') is null") == [(True,)]
