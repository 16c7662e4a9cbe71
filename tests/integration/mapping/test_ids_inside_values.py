"""Ids in polymorphic pairs, in JSON of any form, in JSON kept as text, and inside texts: there, live, quarantined, back, there again."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.small import MakeSmall, Small, target_table

SOURCE = """
create table posts (id bigserial primary key, org_id text not null references "Organization" (id), title text);
create table photos (id bigserial primary key, org_id text not null references "Organization" (id), title text);
insert into posts (org_id, title) select case n when 3 then 'o2' else 'o1' end, 'post ' || n from generate_series(1, 3) n;
insert into photos (org_id, title) select case n when 3 then 'o2' else 'o1' end, 'photo ' || n from generate_series(1, 3) n;
create table comments (id text primary key, org_id text not null references "Organization" (id), commentable_type text not null,
    commentable_id bigint not null, seen_type text, seen_id varchar(25));
insert into comments values ('c1', 'o1', 'Post', 1, 'User', 'u1'), ('c2', 'o1', 'Photo', 1, null, null), ('c3', 'o2', 'Post', 3, 'User', 'u3'),
    ('c4', 'o1', 'Post', 99, null, null), ('c5', 'o1', 'Page', 1, null, null), ('c6', 'o1', 'Post', 3, 'User', 'gone'),
    ('c7', 'o1', 'Photo', 2, 'Robot', 'u1');
create table pages (id text primary key, org_id text not null references "Organization" (id), body text not null, tree jsonb, one jsonb,
    link text not null, owner text);
insert into pages values
    ('g1', 'o1', '{"b":1,  "post": 1, "list": [2, 99]}', '{"kind": "doc", "parts": [{"post": 1, "parts": [{"post": 2, "n": 1}]}, {"post": 3}]}',
        '1', 'see /orgs/o1/posts/1?x=1 and /orgs/o1/posts/2', 'user:u1'),
    ('g2', 'o2', '  ', null, '[3]', 'see nothing', 'team:u3'),
    ('g3', 'o1', '{"n":  1}', '[]', null, '/orgs/o1/posts/99 /orgs/o2/posts/3', 'user:gone'),
    ('g4', 'o1', 'no document', '{}', null, '', null);
"""
TARGET = (
    target_table("posts", ", title text")
    + target_table("photos", ", title text")
    + target_table("comments", ", kind text not null, commentable_id uuid not null, seen_type text, seen_id uuid")
    + target_table("pages", ", body text not null, tree jsonb, one jsonb, link text not null, owner text")
)
TABLES = """
[tables.posts]
from = "posts"
access = "tenant"
[tables.photos]
from = "photos"
access = "tenant"
[tables.comments]
from = "comments"
access = "tenant"
[tables.comments.columns]
kind = { from = "commentable_type", map = { Post = "post", Photo = "photo", Page = "page" } }
commentable_id = { as = "polymorphic", type = "commentable_type", ids = { Post = "posts", Photo = "photos" } }
seen_id = { as = "polymorphic", type = "seen_type", ids = { User = "people" }, stale = "drop", invalid = "carry" }
[tables.pages]
from = "pages"
access = "tenant"
[tables.pages.columns]
body = { as = "json_ids", ids = { post = "posts", "list[*]" = "posts" } }
tree = { as = "json_ids", ids = { "**.post" = "posts" }, stale = "drop" }
one = { as = "json_ids", ids = { "$" = "posts", "[*]" = "posts" } }
link = { as = "text_ids", ids = { '/orgs/(\\w+)/posts/(\\d+)' = ["orgs", "posts"] } }
owner = { as = "text_ids", ids = { '^(?:user|member):(.+)$' = "people", '^team:(.+)$' = "people" }, stale = "quarantine" }
"""


def _ids(app: Small, tables: Sequence[str] = ("posts", "photos", "people", "orgs")) -> dict[str, str]:
    return {
        f"{table}{legacy}": str(found)
        for table in tables
        for legacy, found in app.rows(f"select legacy_id, id from app.{table}")
    }


def _comments(app: Small) -> dict[str, tuple[str, str, str | None]]:
    rows = app.rows("select legacy_id, kind, commentable_id::text, seen_id::text from app.comments")
    return {legacy: (kind, commented, seen) for legacy, kind, commented, seen in rows}


def _page(app: Small, page: str) -> list[object]:
    found = app.rows(f"select body, tree, one, link, owner from app.pages where legacy_id = '{page}'")
    return list(found[0])


def _quarantined(app: Small) -> set[tuple[str, str, str]]:
    return set(
        app.rows(
            "select source_key, reason, column_name from tenantry.quarantine where state = 'open' and mapping <> 'members'"
        )
    )


def test_there_live_back_and_there_again(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES)
    before = (
        app.rows("select to_jsonb(c) from public.comments c order by id"),
        app.rows("select to_jsonb(c) from public.pages c order by id"),
    )
    analysed = json.dumps(app.run("analyze", "--json").json)
    app.migrate()
    ids = _ids(app)
    assert _comments(app) == {
        "c1": ("post", ids["posts1"], ids["peopleu1"]),
        "c2": ("photo", ids["photos1"], None),
        "c3": ("post", ids["posts3"], ids["peopleu3"]),
        # An unknown type becomes null if the manifest says so.
        "c7": ("photo", ids["photos2"], None),
    }
    assert _quarantined(app) == {
        ("c4", "reference_missing", "commentable_id"),
        ("c5", "value_invalid", "commentable_id"),
        ("c6", "reference_missing", "commentable_id"),  # it names a row of another tenant
        ("g3", "reference_missing", "owner"),
        ("g4", "value_invalid", "body"),
    }
    # The analysis said so before.
    assert all(f'"{key}"' in analysed for key in ("c4", "c5", "c6", "g3", "g4"))
    body, tree, one, link, owner = _page(app, "g1")
    assert json.loads(str(body)) == {"b": 1, "post": ids["posts1"], "list": [ids["posts2"], 99]}
    assert tree == {"kind": "doc", "parts": [{"post": ids["posts1"], "parts": [{"post": ids["posts2"], "n": 1}]}]}
    assert one == ids["posts1"]
    org = f"/orgs/{ids['orgso1']}/posts/"
    assert link == f"see {org}{ids['posts1']}?x=1 and {org}{ids['posts2']}"
    assert owner == f"user:{ids['peopleu1']}"
    assert _page(app, "g2") == ["  ", None, [ids["posts3"]], "see nothing", f"team:{ids['peopleu3']}"]
    app.run("verify", code=0)

    app.write(
        "update comments set commentable_type = 'Photo' where id = 'c1'",
        "insert into posts values (99, 'o1', 'late')",
        "delete from photos where id = 2",
        "update pages set owner = null where id = 'g3'",
        "update pages set link = 'x' || link, body = '[]' where id = 'g1'",
    )
    app.run("replay", "--until-idle", code=0)
    ids = _ids(app)
    comments = _comments(app)
    assert comments["c1"] == ("photo", ids["photos1"], ids["peopleu1"])
    # The row that c4 names is there now; the one of c7 is gone.
    assert comments["c4"] == ("post", ids["posts99"], None)
    assert "c7" not in comments
    # An id of another tenant's row is kept as it is.
    assert _page(app, "g3")[0] == '{"n":  1}'
    assert _page(app, "g3")[3] == f"{org}{ids['posts99']} /orgs/o2/posts/3"
    assert _page(app, "g1")[0] == "[]"
    app.run("verify", code=0)

    app.run("cutover", "--accept-quarantined", code=0)
    app.as_superuser(
        f"update app.comments set kind = 'post', commentable_id = '{ids['posts2']}', seen_id = null where legacy_id = 'c1'",
        f"update app.pages set body = '{{\"post\": \"{ids['posts2']}\"}}', one = to_jsonb('{ids['posts2']}'::text),"
        f" link = 'now {org}{ids['posts1']}', owner = 'member:{ids['peopleu2']}' where legacy_id = 'g1'",
        f"update app.pages set body = 'no document', tree = '{{\"post\": \"{ids['posts3']}\"}}' where legacy_id = 'g2'",
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    app.roll_back()
    after = (
        app.rows("select to_jsonb(c) from public.comments c order by id"),
        app.rows("select to_jsonb(c) from public.pages c order by id"),
    )
    changed = [after[0][0][0], after[1][0][0], after[1][1][0]]
    assert (changed[0]["commentable_type"], changed[0]["commentable_id"], changed[0]["seen_id"]) == ("Post", 2, None)
    assert json.loads(changed[1]["body"]) == {"post": 2}
    assert (changed[1]["one"], changed[1]["link"], changed[1]["owner"]) == (2, "now /orgs/o1/posts/1", "member:u2")
    assert (changed[2]["body"], changed[2]["tree"]) == ("no document", {"post": 3})
    assert after[0][1:] == before[0][1:]
    assert after[1][3:] == before[1][3:]
    # What is no document any more cannot be derived again.
    assert ("g2", "value_invalid", "body") in _quarantined(app)
    app.run("cutover", "--accept-quarantined", code=0)
    app.run("verify", code=0)
    app.roll_back()


def test_values_that_name_deleted_rows_go_back_with_their_old_ids(small: MakeSmall) -> None:
    """A log entry of a deletion names the row that is gone, in the same transaction or later: as the application wrote it in the source."""
    app = small(
        source="""
            create table posts (id bigserial primary key, org_id text not null references "Organization" (id));
            insert into posts (org_id) select 'o1' from generate_series(1, 4);
            create table logs (id text primary key, org_id text not null references "Organization" (id), said text, post_ids bigint[],
                data jsonb, about_type text, about_id bigint, post_id bigint, other_id bigint);
            insert into logs values ('g1', 'o1', 'posts/1', '{1,2}', '{"post": 1, "n": 1}', 'Post', 1, 1, 1);
        """,
        target=target_table("posts")
        + target_table(
            "logs",
            ", said text, post_ids uuid[], data jsonb, about_type text, about_id uuid, post_id uuid, other_id uuid",
        ),
        tables="""
            [tables.posts]
            from = "posts"
            tenant = ["org_id"]
            access = "tenant"
            [tables.logs]
            from = "logs"
            tenant = ["org_id"]
            access = "tenant"
            [tables.logs.columns]
            said = { as = "text_ids", ids = { 'posts/(\\\\d+)' = "posts" } }
            post_ids = { ref = "posts" }
            data = { as = "json_ids", ids = { post = "posts" } }
            about_id = { as = "polymorphic", type = "about_type", ids = { Post = "posts" }, stale = "drop" }
            post_id = { ref = "posts" }
            other_id = { ref = "posts", orphan = "null" }
        """,
    )
    app.migrate()
    ids = _ids(app, ("posts", "orgs"))
    app.run("cutover", "--dual-write", "1h", code=0)

    def log(legacy: str, post: str, org: str = "o1") -> str:
        found = ids[f"posts{post}"]
        return (
            "insert into app.logs (org_id, said, post_ids, data, about_type, about_id, post_id, other_id)"
            f" select '{ids['orgs' + org]}', '{legacy}: posts/{found}', array[z.id], jsonb_build_object('post', z.id), 'Post', z.id, z.id, z.id"
            f" from (select '{found}'::uuid) z (id)"
        )

    app.write("delete from posts where id = 3")
    app.run("replay", "--until-idle", code=0)
    app.as_superuser(log("deleted in the source", "3"))
    app.run("replay", "--until-idle", code=0)
    app.run("cutover", code=0)
    app.as_superuser(f"begin; delete from app.posts where legacy_id = '1'; {log('with it', '1')}; commit")
    app.run("replay", "--until-idle", code=0)
    # What nobody changed in a row that names the deleted one stays as it is, too.
    app.as_superuser(
        log("later", "1"), log("by another", "1", "o2"), "update app.logs set about_type = null, about_id = null"
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    found = app.rows(
        "select said, post_ids, data, post_id, other_id from public.logs where said not like 'by another%' order by 1"
    )
    assert found == [
        ("deleted in the source: posts/3", [3], {"post": 3}, 3, 3),
        ("later: posts/1", [1], {"post": 1}, 1, 1),
        ("posts/1", [1, 2], {"post": 1, "n": 1}, 1, 1),
        ("with it: posts/1", [1], {"post": 1}, 1, 1),
    ]
    assert app.rows("select said, post_ids, post_id, other_id from public.logs where said like 'by another%'") == [
        (f"by another: posts/{ids['posts1']}", [], None, None)
    ]


def test_values_that_name_rows_in_quarantine_go_back_with_their_old_ids(small: MakeSmall) -> None:
    """A list names a row that lost its own parent, with or without its tenant: it stays, and rows that take it over get the same."""
    app = small(
        source="""
            create table posts (id bigserial primary key, org_id text not null references "Organization" (id));
            insert into posts (org_id) select 'o1' from generate_series(1, 4);
            create table notes (id bigserial primary key, org_id text, post_id bigint not null);
            insert into notes (org_id, post_id) values ('o1', 1), (null, 2), ('o1', 3), ('o2', 4);
            create table logs (id text primary key, org_id text not null references "Organization" (id), note_ids bigint[]);
            insert into logs values ('g1', 'o1', '{1,2,3}'), ('g2', 'o1', '{3}'), ('g3', 'o1', '{3,4}');
        """,
        target=target_table("posts")
        + target_table("notes", ", post_id uuid not null")
        + target_table("logs", ", note_ids uuid[]"),
        tables="""
            [tables.posts]
            from = "posts"
            tenant = ["org_id"]
            access = "tenant"
            [tables.notes]
            from = "notes"
            tenant = ["org_id -> orgs", "post_id -> posts"]
            access = "tenant"
            [tables.notes.columns]
            post_id = { ref = "posts" }
            [tables.logs]
            from = "logs"
            tenant = ["org_id"]
            access = "tenant"
            [tables.logs.columns]
            note_ids = { ref = "notes" }
        """,
    )
    app.migrate()
    app.write("delete from posts where id in (1, 2)")
    app.run("replay", "--until-idle", code=0)
    quarantined = app.rows(
        "select source_key from tenantry.quarantine where mapping = 'notes' and state = 'open' order by 1"
    )
    assert quarantined == [("1",), ("2",), ("4",)]
    app.run("cutover", "--accept-quarantined", code=0)
    app.as_superuser(
        "insert into app.logs (org_id, note_ids) select org_id, note_ids from app.logs where legacy_id = 'g1'",
        "update app.logs set note_ids = (select note_ids from app.logs where legacy_id = 'g1') where legacy_id = 'g2'",
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    found = app.rows("select note_ids from public.logs where id <> 'g3'")
    assert found == [([1, 2, 3],)] * 3
