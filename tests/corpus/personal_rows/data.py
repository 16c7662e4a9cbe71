"""Most rows are one person's own. Some people also have organizations, and an invoice or a mailbox may belong to one of these."""

from __future__ import annotations

from tests.corpus.generate import Fill


def rows(f: Fill) -> None:
    f.key = "uuid text"
    people = f.rows("person", 200, lambda _: {"locale": f.one("en", "de", "pt")})
    f.rows("profile", 150, lambda i: {"person_id": people[i]["id"]} if i < len(people) else None)
    f.rows("organization", 8)
    f.rows("member", 60, lambda _: {"role": f.one("owner", "member")})
    f.rows("mailbox", 240, lambda _: {"address": f.email()})
    f.rows("mailbox_membership", 60, lambda _: mailbox_of_member(f))
    f.rows("rule", 500)
    f.rows("rule_action", 700, lambda _: {"kind": f.one("MOVE", "STAR", "ARCHIVE"), "move_to": f.word()})
    f.rows("notebook", 300, lambda _: {"shared_with": f.refs("person", 0, 3, dead=0.05) if f.chance(0.3) else []})
    notes = f.rows("note", 1200, lambda _: {"parent_id": None})
    for one in notes:
        beside = f.maybe("note", notebook_id=one["notebook_id"])
        one["parent_id"] = beside["id"] if beside and beside is not one and f.chance(0.3) else None
    f.connection.cursor().executemany("update note set parent_id = %(parent_id)s where id = %(id)s", notes)
    f.rows("tag", 300, lambda i: {"owner": f.ref("person", dead=0.03), "name": f"{f.word()} {i % 9}"})
    f.rows("_noteTotag", 800, lambda _: tag_of_note(f))
    f.rows("reminder", 400, lambda _: reminder(f))
    f.rows("invoice", 300, lambda i: invoice(f, i))
    f.rows("device", 250, lambda _: {"serial_id": f.hex(12).upper(), "push_id": f.nanoid(40)})


def mailbox_of_member(f: Fill) -> dict[str, object] | None:
    member = f.pick("member")
    mailbox = f.ref("mailbox", person_id=member["person_id"])
    return {"organization_id": member["organization_id"], "mailbox_id": mailbox} if mailbox else None


def owner_of(f: Fill, note: dict[str, object]) -> str:
    return str(f.pick("notebook", id=note["notebook_id"])["person_id"])


def tag_of_note(f: Fill) -> dict[str, object] | None:
    note = f.pick("note")
    tag = f.ref("tag", owner=owner_of(f, note))
    return {"A": note["id"], "B": tag} if tag else None


def reminder(f: Fill) -> dict[str, object]:
    note = f.pick("note")
    return {
        "user_id": owner_of(f, note),
        "item": {"note": f.ref("note", dead=1.0) if f.chance(0.1) else note["id"], "color": f"#{f.hex(6)}"},
    }


def invoice(f: Fill, i: int) -> dict[str, object]:
    if f.chance(0.4):
        member = f.pick("member")
        return {"number": i + 1, "organization_id": member["organization_id"], "person_id": member["person_id"]}
    return {"number": i + 1, "organization_id": None}
