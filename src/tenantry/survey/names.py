"""The words of names: `createdByUserId` and `created_by_user_id` have the same words."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, cast

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

PEOPLE = frozenset(("user", "person", "people", "member", "profile", "uid", "employee", "staff", "contact", "login"))
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
        *(
            "assigned",
            "deputy",
            "substitute",
            "admin",
            "administrator",
            "writer",
            "boss",
            "supervisor",
            "tagger",
            "whodunnit",
        ),
        *("operator", "referrer", "coach", "mentor", "grantee", "installer", "sponsor", "driver", "teacher", "doctor"),
        *("subscriber", "participant", "attendee", "host", "organizer", "commenter", "updater", "deleter", "signer"),
    )
)
"""Nouns for a person who did something."""
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
"""Nouns for common names of a tenant."""
_ID = frozenset(("id", "ids", "uuid", "guid", "key", "ref", "fk", "no", "number", "code", "uid", "pk"))


def words(name: str) -> tuple[str, ...]:
    """Return the words of a name, in lower case."""
    return tuple(word.lower() for word in _WORD.findall(name))


@cache
def _english() -> Any:
    """Return inflect's engine without the checks of its arguments: typeguard would compile each method again at the import, which takes
    seconds, more than everything else that a survey does."""
    import typeguard  # noqa: PLC0415 - needed by inflect alone

    checked = typeguard.typechecked
    typeguard.typechecked = cast(Any, lambda target: target)
    try:
        import inflect  # noqa: PLC0415 - its import costs more than all that the command line does without it
    finally:
        typeguard.typechecked = checked
    return inflect.engine()


@cache
def singular(word: str) -> str:
    """Return an English word in the singular."""
    if len(word) < 3 or word.endswith("ss"):
        return word
    found = _english().singular_noun(word)
    return str(found) if found else word


@cache
def plural(word: str) -> str:
    """Return an English word in the plural."""
    return str(_english().plural_noun(singular(word)))


@cache
def stem(name: str) -> tuple[str, ...]:
    """Return the words of a name without the suffix of an id, in the singular: `authorIds` is (author,)."""
    found = [singular(word) for word in words(name)]
    while len(found) > 1 and found[-1] in _ID:
        found.pop()
    return tuple(found)


_SYNONYMS = {"organisation": "organization", "org": "organization", "customer": "client", "people": "person"}


def _canonical(found: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_SYNONYMS.get(word, word) for word in found)


_LAST = frozenset(("id", "ids", "uuid", "uuids", "guid", "fk", "ref", "refs", "uid", "pk"))


def names_ids(name: str) -> bool:
    """Whether a column's name suggests that it holds ids."""
    last = words(name)[-1:] or ("",)
    return last[0] in _LAST and len(words(name)) > 1


SELF = frozenset(
    (
        *("parent", "up", "root", "previous", "prev", "next", "original", "copy", "duplicate", "successor"),
        *("predecessor", "merged", "supersede", "related", "prerequisite", "ancestor", "sibling", "referred"),
    )
)
"""Words for another row of the same table."""
MEASURES = frozenset(
    (
        *("count", "number", "no", "position", "pos", "sort", "order", "version", "seq", "sequence", "quantity", "qty"),
        *("amount", "price", "total", "size", "length", "width", "height", "weight", "year", "month", "day", "hour"),
        *(
            "minute",
            "second",
            "duration",
            "age",
            "score",
            "rating",
            "rank",
            "level",
            "priority",
            "prio",
            "status",
            "state",
        ),
        *(
            "flag",
            "hit",
            "view",
            "page",
            "line",
            "floor",
            "capacity",
            "credit",
            "percent",
            "rate",
            "port",
            "zip",
            "stock",
        ),
        *(
            "child",
            "children",
            "byte",
            "star",
            "revision",
            "attempt",
            "retry",
            "limit",
            "offset",
            "index",
            "ordinal",
            "severity",
            "delta",
        ),
    )
)
"""Words for numbers that are not ids."""


def is_measure(column: str) -> bool:
    """Whether a column's name suggests that it holds a number, not an id."""
    found = [singular(word) for word in words(column)]
    return bool(found) and (found[-1] in MEASURES or (found[-1] == "id" and len(found) > 1 and found[-2] in MEASURES))


def names_itself(column: str) -> bool:
    """Whether a column's name suggests that it refers to another row of its own table: parent_id, replaces."""
    found = stem(column)
    return bool(found) and (found[-1] in SELF or found[0] in SELF)


def is_short_for(word: str, whole: str) -> bool:
    """Whether a word is a common abbreviation: `usr` of user, `grp` of group, `cust` of customer."""
    if not 2 < len(word) < len(whole) or word[0] != whole[0]:
        return False
    letters = iter(whole)
    return all(letter in letters for letter in word)


def agrees(column: str, table: str) -> int:
    """How well a column's name matches a table's: 3 by the whole name, 2 by its last words, 1 by one word, 0 not."""
    mine, theirs = _canonical(stem(column)), _canonical(stem(table))
    if not mine or not theirs:
        return 0
    if mine == theirs:
        return 3
    if mine[-len(theirs) :] == theirs or theirs[-len(mine) :] == mine:
        return 2
    if mine[-1] == theirs[-1] or (len(theirs) == 1 and theirs[0] in mine):
        return 1
    if len(mine) == 1 and (
        is_short_for(mine[0], theirs[-1])
        or (len(column) == 3 and column.lower().endswith("id") and column[0].lower() == theirs[-1][0])
    ):
        return 1
    return 0


def names_a_person(column: str) -> bool:
    """Whether a column's name suggests that it refers to a person: author, owner, created_by."""
    found = stem(column)
    return bool(found) and (
        found[-1] in ACTORS | PEOPLE or found[-1] in ("by", "to") or (len(found) > 1 and found[-2] == "by")
    )
