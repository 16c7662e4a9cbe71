"""Words of names: `createdByUserId` and `created_by_user_id` are the same words."""

from __future__ import annotations

import re
from functools import cache

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

PEOPLE = frozenset(
    ("user", "person", "people", "member", "profile", "customer", "employee", "staff", "contact", "login")
)
ACTORS = frozenset(
    (
        *(
            "author",
            "owner",
            "creator",
            "assignee",
            "approver",
            "reviewer",
            "sender",
            "recipient",
            "manager",
            "inviter",
        ),
        *("invitee", "editor", "uploader", "requester", "reporter", "actor", "agent", "holder", "lead", "follower"),
        *("subscriber", "participant", "attendee", "host", "organizer", "commenter", "updater", "deleter", "signer"),
    )
)
"""Nouns for somebody who did something: they name a person."""
TENANTS = frozenset(
    (
        *(
            "tenant",
            "organization",
            "organisation",
            "org",
            "company",
            "account",
            "workspace",
            "team",
            "clinic",
            "practice",
        ),
        *(
            "shop",
            "store",
            "merchant",
            "school",
            "business",
            "agency",
            "firm",
            "hospital",
            "property",
            "hotel",
            "restaurant",
        ),
        *(
            "customer",
            "client",
            "site",
            "instance",
            "space",
            "community",
            "enterprise",
            "branch",
            "studio",
            "gym",
            "venue",
        ),
        *(
            "office",
            "brand",
            "franchise",
            "dealer",
            "vendor",
            "household",
            "family",
            "club",
            "association",
            "municipality",
        ),
        *("depot", "warehouse", "station", "garage", "farm", "group", "institution", "publisher", "provider"),
    )
)
"""Nouns for what a tenant is called."""
_ID = frozenset(("id", "ids", "uuid", "guid", "key", "ref", "fk", "no", "number", "code", "uid", "pk"))


def words(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case."""
    return tuple(word.lower() for word in _WORD.findall(name))


@cache
def singular(word: str) -> str:
    """A word in the singular, as English forms it."""
    import inflect  # noqa: PLC0415 - its import costs more than all that the command line does without it

    if len(word) < 3 or word.endswith("ss"):
        return word
    found = inflect.engine().singular_noun(word)
    return str(found) if found else word


@cache
def stem(name: str) -> tuple[str, ...]:
    """The words of a name without what says that it is an id, in the singular: `authorIds` is (author,)."""
    found = [singular(word) for word in words(name)]
    while len(found) > 1 and found[-1] in _ID:
        found.pop()
    return tuple(found)


def names_ids(name: str) -> bool:
    """Whether a column's name says that it holds ids."""
    last = words(name)[-1:] or ("",)
    return last[0] in ("id", "ids", "uuid", "uuids", "guid", "fk", "ref", "uid") and len(words(name)) > 1


def agrees(column: str, table: str) -> int:
    """How well a column's name says that it names rows of a table: 3 as itself, 2 by its last words, 1 by one word, 0 not."""
    mine, theirs = stem(column), stem(table)
    if not mine or not theirs:
        return 0
    if mine == theirs:
        return 3
    if mine[-len(theirs) :] == theirs or theirs[-len(mine) :] == mine:
        return 2
    return 1 if mine[-1] == theirs[-1] or (len(theirs) == 1 and theirs[0] in mine) else 0


def names_a_person(column: str) -> bool:
    """Whether a column's name says that it names a person: author, owner, created_by."""
    found = stem(column)
    return bool(found) and (found[-1] in ACTORS | PEOPLE or found[-1] == "by" or (len(found) > 1 and found[-2] == "by"))
