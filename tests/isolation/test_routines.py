"""What bodies of functions do with their arguments: which of them pick rows that nothing ties to the caller."""

from __future__ import annotations

import pytest

from tenantry.prove.lint.routine_reading import Body, Known, RoutineReading
from tenantry.prove.lint.routines import read_body

DOC, MEMBERS, PROFILE, INVITES = 1, 2, 3, 4
_NAMES = {"doc": DOC, "members": MEMBERS, "profile": PROFILE, "invites": INVITES}
_COLUMNS = {
    DOC: {"id": (1, "uuid"), "org_id": (2, "uuid"), "author_id": (3, "uuid"), "body": (4, "text")},
    MEMBERS: {"org_id": (1, "uuid"), "user_id": (2, "uuid"), "role": (3, "text"), "is_active": (4, "bool")},
    PROFILE: {"id": (1, "uuid"), "name": (2, "text"), "is_staff": (3, "bool")},
    INVITES: {"id": (1, "uuid"), "org_id": (2, "uuid"), "token": (3, "text")},
}
_CALLERS = {"uid", "role", "jwt", "is_member", "my_orgs", "is_operator"}
KNOWN = Known(
    lambda _schema, name: _NAMES.get(name),
    _COLUMNS,
    lambda name: name[-1] in _CALLERS,
    lambda name: name[-1] == "is_operator",
)


def _sql(text: str, *arguments: str) -> RoutineReading:
    names = arguments or ("org",)
    return read_body(Body("f", "sql", text, names, ("uuid",) * len(names)), KNOWN)


def _plpgsql(text: str, *arguments: str) -> RoutineReading:
    names = arguments or ("org",)
    kind = "setof doc" if "return query" in text or "return next" in text else "void"
    head = f"create function f({', '.join(f'{name} uuid' for name in names)}) returns {kind} language plpgsql as $$ {text} $$"
    return read_body(Body("f", "plpgsql", head, names, ("uuid",) * len(names)), KNOWN)


OPEN_SQL = [
    "select * from doc where org_id = org",
    "select * from doc d where d.org_id = $1 and auth.uid() is not null",
    "select * from doc where org_id = any (array[org])",
    "select * from doc d join members m on m.org_id = d.org_id where d.org_id = org",
    # Either side of OR opens.
    "select * from doc where org_id = org and (author_id = auth.uid() or body like 'open%')",
    # Whose row it is not, is no tie.
    "select * from doc where org_id = org and author_id <> auth.uid()",
    "select * from doc where org_id = org and not (author_id = auth.uid())",
    # A default is a suggestion.
    "select * from members where user_id = coalesce(org, auth.uid())",
    "with d as (select * from doc where org_id = org) select * from d",
    "update doc set body = '' where org_id = org",
    "delete from doc where id = org and exists (select from members where user_id = auth.uid())",
    "insert into doc (org_id, body) values (org, 'mine')",
    "select auth.uid(), d.body from doc d where d.id = org",
]


@pytest.mark.parametrize("text", OPEN_SQL)
def test_an_argument_that_nothing_ties_to_the_caller_is_named(text: str) -> None:
    found = _sql(text)
    assert found.failed == ""
    assert {pick.argument for pick in found.picks} == {"org"}


CLOSED_SQL = [
    "select * from doc where org_id = org and org_id = any (my_orgs())",
    "select * from doc where org_id = org and org = any ((select my_orgs())::uuid[])",
    "select * from doc d where d.id = org and is_member(d.org_id)",
    "select * from doc d where d.id = org and coalesce(is_member(d.org_id), false)",
    "select case when is_member(org) then (select count(*) from doc where org_id = org) end",
    "select * from doc where org_id = org and (author_id = auth.uid() or is_member(org))",
    "select * from doc d join members m using (org_id) where d.org_id = org and m.user_id = auth.uid()",
    "select * from doc d where d.id = org and d.org_id in (select m.org_id from members m where m.user_id = auth.uid())",
    "with mine as (select org_id from members where user_id = auth.uid()) select * from doc where org_id = org and org in (select org_id from mine)",
    "select d.* from doc d, lateral (select m.org_id from members m where m.user_id = auth.uid()) o where d.org_id = o.org_id and o.org_id = org",
    "select * from doc where org_id = org and is_operator()",
    "select * from doc where org_id = org and auth.role() = 'service_role'",
    "select * from invites where token = org::text",
    "select count(*) from doc where author_id = auth.uid() and body = org::text",
]


@pytest.mark.parametrize("text", CLOSED_SQL)
def test_one_that_is_tied_is_not(text: str) -> None:
    found = _sql(text)
    assert found.failed == ""
    assert found.picks == ()


@pytest.mark.parametrize(
    ("text", "open_to"),
    [
        ("begin if auth.uid() is null then raise 'no'; end if; delete from doc where id = org; end", True),
        ("begin if not is_member(org) then raise 'no'; end if; delete from doc where org_id = org; end", False),
        ("declare me uuid := auth.uid(); begin delete from doc where id = org and author_id = me; end", False),
        (
            "declare found_role text; begin select role into found_role from members where org_id = org and user_id = auth.uid();"
            " if found_role is null then raise 'no'; end if; delete from doc where org_id = org; end",
            False,
        ),
        (
            "declare d doc%rowtype; begin select * into d from doc where id = org;"
            " if d.author_id <> auth.uid() then raise 'no'; end if; delete from doc where id = d.id; end",
            False,
        ),
        (
            "declare d record; begin for d in select * from doc where org_id = org loop return next d; end loop; end",
            True,
        ),
        ("begin return query select * from doc where org_id = org; end", True),
        ("begin return query select * from doc where org_id = org and is_member(org); end", False),
        # Owner somewhere, and everybody anywhere.
        (
            "begin if (select role from members where user_id = auth.uid() limit 1) <> 'owner' then raise 'no'; end if;"
            " update members set role = 'owner' where user_id = org; end",
            True,
        ),
        (
            "declare i invites%rowtype; begin select * into i from invites where token = org::text;"
            " insert into members (org_id, user_id) values (i.org_id, auth.uid()); end",
            False,
        ),
        ("begin if not is_operator() then raise 'no'; end if; delete from doc where org_id = org; end", False),
    ],
)
def test_procedures_are_read_as_well(text: str, open_to: bool) -> None:
    found = _plpgsql(text)
    assert found.failed == ""
    assert bool(found.picks) == open_to


def test_settings_with_a_value_from_the_caller_are_recorded() -> None:
    assert _sql("select set_config('request.jwt.claims', org::text, true)").sets == ("request.jwt.claims",)
    assert _plpgsql("begin perform set_config('app.user', org::text, true); end").sets == ("app.user",)
    assert _sql("select set_config('timezone', 'UTC', true)").sets == ()


def test_queries_of_memberships_are_recorded() -> None:
    (ask,) = _sql("select org_id from members where user_id = auth.uid() and is_active").asks
    assert (ask.relation, ask.columns, ask.loose, ask.tied, ask.caller) == (MEMBERS, (2, 4), (4,), False, True)
    (ask,) = _sql("select exists (select from members m where m.org_id = org and m.user_id = who)", "org", "who").asks
    assert (ask.columns, ask.tied, ask.caller) == ((1, 2), True, False)


@pytest.mark.parametrize("body", [Body("f", "sql", "select from where"), Body("f", "plpython3u", "return 1")])
def test_an_unreadable_body_is_reported(body: Body) -> None:
    assert read_body(body, KNOWN).failed
