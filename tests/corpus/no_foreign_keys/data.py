"""A help desk whose schema says nothing: each reference is an integer with a short name, and 0 stands for none in some of them."""

from __future__ import annotations

import json

from tests.corpus.generate import Fill, Row


def rows(f: Fill) -> None:
    f.rows("t_client", 15, lambda _: {"created": f.number(1_600_000_000, 1_700_000_000), "vat_no": f"SE{f.digits(10)}"})
    f.rows("t_user", 300, lambda i: user(f, i))
    f.rows("t_group", 5, lambda i: {"id": i + 1}, fixed=True)
    f.rows("t_user_group", 400, lambda _: {"usr": f.ref("t_user", dead=0.03), "grp": f.ref("t_group")})
    f.rows("t_section", 60, lambda i: section(f, i))
    f.rows("t_article", 400, lambda _: article(f))
    f.rows("t_article_section", 500, lambda _: article_section(f))
    f.rows("t_ticket", 900, lambda i: ticket(f, i))
    f.rows("t_reply", 1500, lambda i: reply(f, i))
    f.rows("t_file", 500, lambda _: file(f))
    f.rows("t_invoice", 500, lambda i: invoice(f, i))
    f.rows(
        "t_login_log",
        1200,
        lambda _: {
            "uid": f.ref("t_user", dead=0.1),
            "at": f.number(1_690_000_000, 1_700_000_000),
            "ip": f"198.51.100.{f.number(1, 200)}",
            "ok": f.number(0, 1),
        },
    )
    f.rows("t_option", 20, lambda i: {"name": f"{f.word()}.{i}"})
    f.rows("t_queue", 1, lambda _: None)


def user(f: Fill, i: int) -> Row:
    client = f.ref("t_client")
    inviter = f.ref("t_user", client=client) if f.chance(0.95) else None
    return {
        "client": client,
        "login": f"{f.word()}{i}",
        "mail": f.email(),
        "passwd": f.hex(32),
        "inviter": inviter or 0,
    }


def section(f: Fill, i: int) -> Row:
    client = f.ref("t_client")
    return {"cid": client, "up": f.ref("t_section", cid=client, null=0.3) if i else None}


def article(f: Fill) -> Row:
    writer = f.pick("t_user")
    return {
        "cid": writer["client"],
        "writer": f.ref("t_user", dead=1.0) if f.chance(0.12) else writer["id"],
        "section": f.ref("t_section", cid=writer["client"], dead=0.05),
        "hits": f.number(0, 90_000),
        "sort_id": f.number(0, 9) * 1000 + 500,
    }


def article_section(f: Fill) -> Row | None:
    one = f.pick("t_article")
    found = f.ref("t_section", cid=one["cid"])
    return {"article": one["article_id"], "section": found} if found else None


def colleague(f: Fill, client: object, dead: float = 0.05) -> object:
    return f.ref("t_user", client=client, dead=dead)


def ticket(f: Fill, i: int) -> Row:
    author = f.pick("t_user")
    client = author["client"]
    parent = f.ref("t_ticket", client=client, dead=0.02) if i and f.chance(0.85) else None
    return {
        "client": client,
        "author": f.ref("t_user", dead=1.0) if f.chance(0.06) else author["id"],
        "assigned": colleague(f, client) if f.chance(0.7) else None,
        "parent": parent or 0,
        "prio": f.number(1, 5),
        "opened": f.when().strftime("%Y-%m-%d %H:%M:%S"),
        "closed": f.when().strftime("%Y-%m-%d %H:%M:%S") if f.chance(0.5) else None,
        "is_spam": f.one("true", "false"),
    }


def reply(f: Fill, i: int) -> Row:
    one = f.pick("t_ticket")
    return {
        "ticket": f.ref("t_ticket", dead=1.0) if f.chance(0.04) else one["id"],
        "created_by": colleague(f, one["client"], 0.08) or one["author"],
        "seq_no": 40_000 + i,
        "minutes": f.number(0, 240),
    }


def file(f: Fill) -> Row:
    module = f.one("ticket", "article")
    one = f.pick(f"t_{module}")
    client = one["client"] if module == "ticket" else one["cid"]
    number = one["id"] if module == "ticket" else one["article_id"]
    return {"owner_ref": colleague(f, client) or 0, "module": module, "object": number, "crc": f.number(10**8, 2**32)}


def invoice(f: Fill, i: int) -> Row:
    customer = f.pick("t_client")["id"]
    return {
        "customer": customer,
        "order_no": 20_230_000 + i,
        "amount": f.price(),
        "zip_id": f.number(10_000, 99_999),
        "due": f.day(),
        "items": json.dumps([{"ticket": f.ref("t_ticket", client=customer, dead=0.05), "hours": f.number(1, 9)}]),
    }
