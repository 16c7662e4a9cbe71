"""Ids in documents, at their roots, in lists of lists, as keys, in documents kept in text; and in prefixed strings, URNs and URLs."""

from __future__ import annotations

import json

from tests.corpus.generate import Fill, Row


def rows(f: Fill) -> None:
    f.rows("users", 180, lambda _: {"prefs": {"home": {"tab": f.one("a", "b")}, "recent": f.refs("users", 0, 2)}})
    f.rows("workspaces", 10, lambda _: {"settings": settings(f)})
    f.rows("workspace_users", 300, lambda _: {"role": f.one("owner", "member")})
    f.rows("orders", 800, lambda _: {"state": f.one("open", "paid")})
    f.rows("boards", 250, lambda _: board(f))
    f.rows(
        "forms",
        120,
        lambda _: {"fields": [{"name": f.word(), "required": f.chance(0.5), "n": f.number(1, 90)} for _ in range(3)]},
    )
    f.rows("answers", 700, lambda _: answer(f))
    f.rows("flows", 200, lambda _: flow(f))
    f.rows("messages", 900, lambda _: message(f))
    f.rows("notifications", 700, lambda _: notification(f))
    f.rows("links", 400, lambda _: link(f))
    f.rows(
        "caches",
        200,
        lambda _: {
            "key": f"board:{f.ref('boards', dead=0.15)}:summary",
            "value": [f.ref("users"), f.ref("users", dead=0.1)],
        },
    )
    f.rows("webhooks", 300, lambda _: hook(f))
    f.rows("documents", 300, lambda _: document(f))


def users_of(f: Fill, workspace: object, low: int, high: int) -> list[str]:
    found = [one["user_id"] for one in f.all("workspace_users", workspace_id=workspace)]
    drawn = (f.ref("users", dead=1.0) if f.chance(0.05) else f.random.choice(found) for _ in range(f.number(low, high)))
    return list(dict.fromkeys(drawn))


def settings(f: Fill) -> Row:
    return {
        "billing": {"contact": f.ref("users"), "customer": f.prefixed("cus_")},
        "limits": {"seats": f.number(1, 90)},
    }


def board(f: Fill) -> Row:
    one = f.pick("workspace_users")
    workspace = one["workspace_id"]
    cells = [
        [{"order": f.ref("orders", workspace_id=workspace, dead=0.04), "w": f.number(1, 9)} for _ in range(2)]
        for _ in range(2)
    ]
    return {"workspace_id": None if f.chance(0.15) else workspace, "owner_id": one["user_id"], "layout": cells}


def answer(f: Fill) -> Row:
    form = f.pick("forms")
    people = users_of(f, form["workspace_id"], 1, 3)
    return {
        "form_id": form["id"],
        "by_field": {one: {"at": f.day(), "score": f.number(1, 9)} for one in people},
        "raw": json.dumps({"author": {"id": people[0]}, "agent": f"Browser/{f.number(90, 120)}"}),
    }


def flow(f: Fill) -> Row:
    workspace = f.ref("workspaces")
    steps = [
        {"kind": "assign", "users": users_of(f, workspace, 1, 2), "next": f.number(1, 5)},
        {"kind": "form", "form": f.ref("forms", workspace_id=workspace, dead=0.05)},
    ]
    return {
        "workspace_id": workspace,
        "graph": {"version": 2, "steps": steps, "seen": dict.fromkeys(users_of(f, workspace, 0, 3), True)},
        "last_run": f.when().isoformat(),
    }


def message(f: Fill) -> Row:
    one = f.pick("flows")
    people = users_of(f, one["workspace_id"], 1, 1)
    return {
        "flow_id": one["id"],
        "envelope": json.dumps([{"flow": str(one["id"]), "to": f"user:{people[0]}"}]),
        "trace_id": f.hex(32),
    }


def notification(f: Fill) -> Row:
    order = f.ref("orders", dead=0.06)
    return {
        "recipient": f"user:{f.ref('users', dead=0.05)}",
        "link": f"https://app.example.org/orders/{order}?tab=items" if f.chance(0.8) else None,
    }


def link(f: Fill) -> Row:
    workspace = f.ref("workspaces")
    ends = [
        f"urn:doc:{f.ref('forms', workspace_id=workspace, dead=0.05)}",
        f"urn:board:{f.ref('boards', workspace_id=workspace, dead=0.05)}",
    ]
    return {"source": ends[0], "target": ends[1]}


def hook(f: Fill) -> Row:
    workspace = f.ref("workspaces")
    return {
        "workspace_id": f.ref("workspaces", dead=1.0) if f.chance(0.02) else workspace,
        "url": f"https://hooks.example.net/{f.hex(20)}/{f.number(1, 500)}",
        "payload": {
            "event": {"id": f.prefixed("evt_"), "object": {"order_id": f.ref("orders", workspace_id=workspace)}}
        },
        "attempt": f.number(1, 5),
    }


def document(f: Fill) -> Row:
    workspace = f.ref("workspaces")
    people = users_of(f, workspace, 1, 2)
    mentions = " ".join(f'<a data-user="{one}">@{f.word()}</a>' for one in people)
    return {"workspace_id": workspace, "html": f"<p>{f.words(5)} {mentions}</p>", "revision": f.number(1, 40)}
