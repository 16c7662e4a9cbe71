"""Undoing a run drops the target and the journal with all that depends on them: nothing of others goes along without a word."""

from __future__ import annotations

from tests.small import MakeSmall
from tests.small import small as small  # noqa: PLC0414 - pytest finds it here

# What others made, how it is named, and what takes it out of the way.
OTHERS = (
    ("create view public.names as select name from app.orgs", "view names", "drop view public.names"),
    (
        "create materialized view public.titles as select name from app.orgs",
        "materialized view titles",
        "drop materialized view public.titles",
    ),
    (
        "create table public.badges (id int, org uuid references app.orgs (id))",
        "constraint badges_org_fkey on table badges",
        "alter table public.badges drop constraint badges_org_fkey",
    ),
    (
        "create table public.moods (id int, mood app.mood)",
        "column mood of table moods",
        "alter table public.moods alter mood type text",
    ),
    (
        "create table public.calls (id int default app.next_call())",
        "default value for column id of table calls",
        "alter table public.calls alter id drop default",
    ),
    (
        "create function public.first_mood() returns app.mood language sql as $$ select 'good'::app.mood $$",
        "function first_mood()",
        "drop function public.first_mood()",
    ),
    ("create table tenantry.mine (id int)", "table tenantry.mine", "alter table tenantry.mine set schema public"),
)


def test_what_others_made_on_the_target_is_named_before_it_would_go(small: MakeSmall) -> None:
    app = small(
        target="create type mood as enum ('good', 'bad');"
        "create function next_call() returns int language sql as 'select 1';"
        "create function on_sign_up() returns trigger language plpgsql as $$ begin return null; end $$;"
    )
    app.migrate()
    app.as_superuser(*(made for made, _, _ in OTHERS))
    # Goes with its function: the files of the target make both.
    app.as_superuser(
        "create trigger on_sign_up after insert on auth.users for each row execute function app.on_sign_up()"
    )
    done = app.rows("select count(*) from tenantry.step where status = 'done'")
    left = {named: fix for _, named, fix in OTHERS}
    while left:
        said = app.run("rollback", "--everything", "--yes", code=1)
        text = " ".join(said.err.split())
        assert "TN-410" in text
        named = {each for each in left if f" {each}," in text or f" {each} and" in text or f" {each}." in text}
        assert len(named) == min(len(left), 5)
        assert ("more. No step was undone" in text) == (len(left) > 5)
        assert app.rows("select count(*) from tenantry.step where status = 'done'") == done
        app.as_superuser(*(left.pop(each) for each in named))
    app.roll_back("--everything")
    assert app.one("select to_regnamespace('app') is null and to_regnamespace('tenantry') is null")
