"""The inactive side refuses every writer, and writes that bypass the fence are found, listed and kept."""

from __future__ import annotations

import pytest
from psycopg import errors as pg

from tenantry.accounts.auth_schema import auth_script
from tests.small import MakeSmall, Small, small, target_table  # noqa: F401 - a fixture

SOURCE = """
create table invoices (id text primary key, org_id text not null references "Organization" (id), kind text not null);
insert into invoices select 'i' || i, 'o' || 1 + i % 2, 'sale' from generate_series(1, 6) i;
"""
TARGET = target_table("invoices", ",\n    kind text not null")
TABLES = """
[tables.invoices]
from = "invoices"
access = "tenant"
"""


@pytest.fixture
def shop(small: MakeSmall) -> Small:  # noqa: F811
    return small(source=SOURCE, target=TARGET, tables=TABLES)


BORN = "insert into app.invoices (org_id, kind) select id, 'born' from app.orgs limit 1"
WRITES = (BORN, "update app.invoices set kind = 'x'", "delete from app.invoices", "truncate app.invoices")


def refused(shop: Small, *statements: str, user: str = "small_prisma") -> None:
    with shop.connect(user) as connection:
        for statement in statements:
            with pytest.raises(pg.ReadOnlySqlTransaction, match="is read-only"):
                connection.execute(statement.encode())


def test_the_inactive_side_refuses_every_writer_in_both_directions(shop: Small) -> None:
    shop.migrate()
    refused(shop, *WRITES)
    refused(shop, *WRITES, user="postgres")
    shop.cut_over()
    refused(shop, "update invoices set kind = 'x'", "truncate invoices", "insert into invoices values ('j', 'o1', 'x')")
    shop.as_owner(BORN, "update app.invoices set kind = 'paid' where legacy_id = 'i1'")
    shop.roll_back()
    refused(shop, *WRITES)
    shop.as_owner("update invoices set kind = 'back' where id = 'i2'")
    shop.run("replay", "--until-idle", code=0)
    shop.cut_over()
    assert shop.rows("select kind, count(*) from app.invoices group by 1 order by 1") == [
        ("back", 1), ("born", 1), ("paid", 1), ("sale", 4),
    ]  # fmt: skip
    shop.roll_back("--everything")
    assert shop.rows("select kind, count(*) from invoices group by 1 order by 1") == [
        ("back", 1), ("born", 1), ("paid", 1), ("sale", 4),
    ]  # fmt: skip


def past_the_fence(
    shop: Small, *statements: str, table: str = "app.invoices", triggers: str = "tenantry_fence"
) -> None:
    """As a superuser who switches triggers off and leaves no trace of it."""
    names = (triggers, f"{triggers}_truncate") if triggers != "all" else ("tenantry_fence", "tenantry_capture")
    shop.as_superuser(
        *(f"alter table {table} disable trigger {name}" for name in names),
        *statements,
        *(f"alter table {table} enable always trigger {name}" for name in names),
    )


STRAY = (
    "update app.invoices set kind = 'acknowledged' where legacy_id = 'i1'",
    "insert into app.invoices (org_id, legacy_id, kind) select org_id, 'born', 'born' from app.invoices limit 1",
    "delete from app.invoices where legacy_id = 'i2'",
)


def test_what_gets_past_the_fence_of_the_target_is_noted_listed_and_kept(shop: Small) -> None:
    shop.migrate()
    past_the_fence(shop, *STRAY)
    said = shop.run("replay", "--until-idle", code=0)
    assert "2 changes were undone and are listed in tenantry.conflict" in said.everything
    assert shop.rows("select legacy_id, kind from app.invoices where legacy_id in ('i1', 'i2', 'born') order by 1") == [
        ("born", "born"), ("i1", "sale"), ("i2", "sale"),
    ]  # fmt: skip
    assert shop.rows("select legacy_id, winner, loser ->> 'kind', loser ->> 'deleted' from tenantry.conflict order by 1") == [
        ("i1", "source", "acknowledged", None), ("i2", "source", None, "true"),
    ]  # fmt: skip
    shop.run("verify", code=0)
    said = shop.roll_back("--everything")
    assert "1 target-only rows of invoices have no source form" in said.everything
    assert "2 changes could not be replayed" in said.everything
    assert shop.one("select kind from app_kept.invoices") == "born"
    assert shop.one("select loser ->> 'kind' from app_kept.tenantry_conflicts where legacy_id = 'i1'") == "acknowledged"


def test_writes_without_triggers_are_found_before_the_target_is_dropped(shop: Small) -> None:
    shop.migrate()
    past_the_fence(shop, *STRAY, triggers="all")
    assert shop.one("select count(*) from tenantry.target_log") == 0
    shop.roll_back("--everything")
    assert shop.one("select kind from app_kept.invoices") == "born"
    assert shop.rows(
        "select legacy_id, loser ->> 'kind' from app_kept.tenantry_conflicts where (loser -> 'kind') is not null"
    ) == [("i1", "acknowledged")]
    assert shop.one("select string_agg(distinct kind, ' ') from invoices") == "sale"


def test_writes_past_the_sources_fence_are_listed_and_replayed_after_a_rollback(shop: Small) -> None:
    shop.migrate()
    shop.cut_over()
    past_the_fence(
        shop,
        "update invoices set kind = 'old world' where id = 'i1'",
        "insert into invoices values ('i9', 'o1', 'old world')",
        "delete from invoices where id = 'i2'",
        table="invoices",
    )
    said = shop.run("replay", "--until-idle", code=0)
    assert "3 conflicts" in said.everything
    assert shop.rows("select id, kind from invoices where id in ('i1', 'i2', 'i9') order by 1") == [
        ("i1", "sale"), ("i2", "sale"), ("i9", "old world"),
    ]  # fmt: skip
    assert shop.rows("select source_key, winner, loser ->> 'kind' from tenantry.conflict order by 1") == [
        ("i1", "target", "old world"), ("i2", "target", None), ("i9", "target", "old world"),
    ]  # fmt: skip
    assert "i9" in shop.run("verify", code=1).everything
    shop.roll_back()
    shop.cut_over()
    assert shop.one("select kind from app.invoices where legacy_id = 'i9'") == "old world"


# -- triggers that others switch -----------------------------------------------------------------------------------------


def all_triggers_off(table: str, *statements: str) -> str:
    """As pg_restore --disable-triggers and Rails do."""
    return "; ".join(
        (f"alter table {table} disable trigger all", *statements, f"alter table {table} enable trigger all")
    )


def test_triggers_switched_by_others_block_nobody_and_hide_no_write(shop: Small) -> None:
    shop.migrate()
    shop.as_superuser(all_triggers_off("invoices", "insert into invoices values ('missed', 'o1', 'sale')"))
    shop.write("update invoices set kind = 'goes on' where id = 'i1'")
    shop.as_superuser(all_triggers_off("app.invoices", STRAY[1]))
    refused(shop, WRITES[1])
    shop.cut_over()
    assert shop.rows("select legacy_id from tenantry.kept") == [("born",)]
    assert shop.rows("select legacy_id, kind from app.invoices where kind <> 'sale' or legacy_id = 'missed' order by 1") == [
        ("born", "born"), ("i1", "goes on"), ("missed", "sale"),
    ]  # fmt: skip
    # Behind the cut-over, on either side.
    shop.as_superuser(
        all_triggers_off("app.invoices", "update app.invoices set kind = 'unnoticed' where legacy_id = 'i3'")
    )
    shop.as_superuser(all_triggers_off("invoices"))
    shop.as_owner("update app.invoices set kind = 'noticed' where legacy_id = 'i4'")
    refused(shop, "update invoices set kind = 'x'")
    shop.run("replay", "--until-idle", code=0)
    assert shop.rows("select id, kind from invoices where id in ('i3', 'i4') order by 1") == [
        ("i3", "unnoticed"), ("i4", "noticed"),
    ]  # fmt: skip
    refused(shop, "truncate invoices")
    shop.roll_back()
    shop.write("update invoices set kind = 'goes on' where id = 'i1'")
    shop.cut_over()


# -- the usual trigger on auth.users -------------------------------------------------------------------------------------

SUPABASE = (
    auth_script()
    + """
comment on schema auth is 'a Supabase';
do $$ begin if to_regrole('small_auth_admin') is null then create role small_auth_admin; end if;
exception when duplicate_object or unique_violation then null; end $$;
grant all on schema auth to small_auth_admin;
alter table auth.users owner to small_auth_admin;
alter table auth.users disable row level security;
alter table auth.identities disable row level security;
grant usage on schema auth to small_owner;
grant all on all tables in schema auth to small_owner;
"""
)
PROFILES = """
create table profiles (id uuid primary key references auth.users (id) on delete cascade,
    org_id text not null default 'o1' references "Organization" (id), email text, display_name text);
create function handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
    insert into public.profiles (id, email) values (new.id, new.email);
    return new;
end $$;
"""
ON_AUTH = (
    "create trigger on_auth_user_created after insert on auth.users for each row execute function handle_new_user()"
)
SIGN_UP = "insert into auth.users (id, email) values ('{id}', '{email}')"


@pytest.fixture
def supabase(small: MakeSmall) -> Small:  # noqa: F811
    made = small(
        before=SUPABASE,
        source=PROFILES,
        after=ON_AUTH,
        target=target_table("profiles", ",\n    email text, display_name text"),
        tables='[tables.profiles]\nfrom = "profiles"\ntenant = ["org_id"]\naccess = "tenant"\n',
        users="in_step = true",
    )
    made.rewrite('update = { own = "id" }, delete', 'update = { own = "id" }, fixed = ["email"], delete')
    return made


def sign_up(app: Small, number: int) -> str:
    """As the account service does; returns the id."""
    made = f"0000000{number}-0000-4000-8000-000000000000"
    app.as_superuser(SIGN_UP.format(id=made, email=f"new{number}@one.example"))
    return made


def test_sign_up_works_whatever_a_trigger_on_accounts_writes(supabase: Small) -> None:
    first = sign_up(supabase, 1)
    found = [each for each in supabase.run("analyze", "--json").json["findings"] if each["code"] == "TA-130"]
    assert [(each["table"], each["severity"]) for each in found] == [("profiles", "warning")]
    assert "trigger on_auth_user_created on auth.users" in found[0]["title"]
    supabase.migrate()
    # The accounts that were made have set off the trigger, and the source was not written.
    assert supabase.one("select count(*) from auth.users") == 4
    assert supabase.rows("select id::text from profiles") == [(first,)]
    second = sign_up(supabase, 2)
    supabase.run("replay", "--until-idle", code=0)
    assert supabase.one("select count(*) from app.profiles") == 2
    supabase.cut_over()
    third = sign_up(supabase, 3)
    assert supabase.one(f"select count(*) from app.people where account_id = '{third}'") == 1
    assert supabase.one("select count(*) from profiles") == 2
    # An account that is deleted takes along what refers to it, on the side that is not written too.
    supabase.as_owner("delete from app.profiles where email = 'new2@one.example'")
    supabase.as_superuser(f"delete from auth.users where id = '{second}'")
    supabase.run("replay", "--until-idle", code=0)
    supabase.roll_back()
    sign_up(supabase, 4)
    assert supabase.one("select count(*) from profiles where email = 'new4@one.example'") == 1
    supabase.cut_over()
    supabase.roll_back("--everything")
    assert supabase.rows(
        "select tgname from pg_trigger where tgrelid = 'auth.users'::regclass and not tgisinternal"
    ) == [("on_auth_user_created",)]
    assert supabase.one("select to_regnamespace('tenantry') is null and to_regnamespace('app') is null")


def test_a_trigger_on_accounts_that_fails_is_named(small: MakeSmall) -> None:  # noqa: F811
    app = small(
        before=SUPABASE,
        source="create table welcome (org text primary key);"
        " create function welcome() returns trigger language plpgsql security definer as $$ begin"
        " insert into public.welcome values ('once'); return new; end $$;",
        after=ON_AUTH.replace("handle_new_user", "welcome"),
        section='ignore = ["welcome"]',
    )
    said = app.run("migrate", code=1)
    assert "in trigger on_auth_user_created on auth.users, which calls welcome()" in said.everything
    app.as_superuser("alter table auth.users disable trigger on_auth_user_created")
    app.migrate()
