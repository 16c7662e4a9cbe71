"""A publishing application on Rails. Pairs of type and id name classes; the class names of engines have a module before them."""

from __future__ import annotations

import json

from tests.corpus.generate import Fill, Row

CLASSES = {"App::Post": "posts", "Photo": "photos", "Comment": "comments", "User": "users"}


def rows(f: Fill) -> None:
    f.rows("schema_migrations", 60, lambda i: {"version": f"2023{i + 1000:04d}{f.digits(6)}"})
    f.rows("ar_internal_metadata", 1, lambda _: {"key": "environment", "value": "production"}, fixed=True)
    f.rows("accounts", 12, lambda i: {"subdomain": f"site{i}", "plan": f.one("free", "pro")})
    f.rows(
        "users",
        240,
        lambda _: {
            "provider": "google_oauth2" if (google := f.chance(0.3)) else None,
            "uid": f.digits() if google else None,
            "encrypted_password": f.hash(),
            "role": f.number(0, 2),
        },
    )
    f.rows("categories", 90, lambda _: category(f))
    f.rows("posts", 900, lambda _: post(f))
    f.rows("photos", 300, lambda _: of_person(f, "owner_id"))
    f.rows("comments", 1500, lambda _: comment(f))
    f.rows("tags", 60, lambda i: {"name": f"{f.word()}-{i}"})
    f.rows("taggings", 1200, lambda _: tagging(f))
    f.rows("active_storage_blobs", 500, lambda _: blob(f))
    blobs = f.table["active_storage_blobs"]
    f.rows("active_storage_attachments", len(blobs), lambda i: {**attachment(f), "blob_id": blobs[i]["id"]}, fixed=True)
    f.rows("versions", 1500, lambda _: version(f))
    f.rows(
        "delayed_jobs",
        40,
        lambda _: {"locked_by": f"host:worker pid:{f.number(100, 9999)}", "queue": f.one("mail", "default")},
    )
    f.rows(
        "friendly_id_slugs",
        500,
        lambda _: {"sluggable_type": "App::Post", "sluggable_id": f.ref("posts", dead=0.15), "scope": None},
    )
    f.rows("posts_subscribers", 700, lambda _: subscriber(f))
    f.rows("imports", 1, lambda _: None)


def of(f: Fill, kind: str, dead: float) -> Row:
    """A class, and an id of its table."""
    table = CLASSES[kind]
    number = f.ref(table, dead=dead)
    found = f.maybe(table, id=number)
    if found and kind == "Comment":
        found = f.maybe(CLASSES[found["commentable_type"]], id=found["commentable_id"])
    account = found["account_id"] if found else f.ref("accounts")
    return {"type": kind, "id": number, "user": f.ref("users", account_id=account)}


def somebody(f: Fill, user: object, dead: float) -> object:
    return f.ref("users", dead=1.0) if f.chance(dead) else user


def category(f: Fill) -> Row:
    account = f.ref("accounts")
    return {"account_id": account, "parent_id": None if f.chance(0.4) else f.ref("categories", account_id=account)}


def of_person(f: Fill, column: str) -> Row:
    person = f.pick("users")
    return {"account_id": person["account_id"], column: f.ref("users", dead=1.0) if f.chance(0.03) else person["id"]}


def post(f: Fill) -> Row:
    row = of_person(f, "author_id")
    return {
        **row,
        "category_id": f.ref("categories", account_id=row["account_id"], dead=0.05),
        "type": f.one("App::Article", "App::Note", "App::Article"),
        "metadata": json.dumps(
            {"reviewer_id": f.ref("users", account_id=row["account_id"]), "words": f.number(100, 900)}
        ),
    }


def comment(f: Fill) -> Row:
    target = of(f, f.one("App::Post", "App::Post", "Photo"), 0.05)
    return {
        "commentable_type": target["type"],
        "commentable_id": target["id"],
        "user_id": somebody(f, target["user"], 0.1),
    }


def tagging(f: Fill) -> Row:
    target = of(f, f.one("App::Post", "Photo"), 0.08)
    tagger = target["user"] if f.chance(0.5) else None
    return {
        "taggable_type": target["type"],
        "taggable_id": target["id"],
        "tagger_type": "User" if tagger else None,
        "tagger_id": tagger,
        "context": "tags",
    }


def blob(f: Fill) -> Row:
    return {
        "key": f.hex(28),
        "checksum": f.hex(22) + "==",
        "service_name": "amazon",
        "byte_size": f.number(900, 9_000_000),
        "metadata": '{"identified":true,"analyzed":true}',
    }


def attachment(f: Fill) -> Row:
    target = of(f, f.one("User", "Photo", "App::Post"), 0.04)
    return {"name": f.one("avatar", "image"), "record_type": target["type"], "record_id": target["id"]}


def version(f: Fill) -> Row:
    target = of(f, f.one("App::Post", "App::Post", "Comment"), 0.12)
    return {
        "item_type": target["type"],
        "item_id": target["id"],
        "event": f.one("create", "update", "destroy"),
        "whodunnit": str(somebody(f, target["user"], 0.06)) if f.chance(0.9) else None,
        "object": f"---\nid: {target['id']}\ntitle: {f.words(2)}\n",
        "transaction_id": f.number(1_000_000, 9_000_000),
    }


def subscriber(f: Fill) -> Row:
    one = f.pick("posts")
    return {"post_id": one["id"], "user_id": f.ref("users", account_id=one["account_id"])}
