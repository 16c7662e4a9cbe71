"""Rows, and what applications do to them: the small application whose migration the model goes through.

Parents (`p1`) stand under a tenant, children (`c1`) under a parent; the first letter of a key is its table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

BAD = "bad"
"""A value that cannot be carried over: its row is in quarantine, and so are the children of such a parent."""

Key = str
Slot = tuple[str, Key]
"""Where a row of the target stands: tenant and key."""
Row = tuple[str | None, str]
"""A value, and what the row hangs on: the tenant of a parent, the parent of a child."""
Rows = frozenset[tuple[Key, Row]]
TargetRows = frozenset[tuple[Slot, Row]]
Changes = dict[Key, Row | None]
Changed = list[tuple[str, Key | None, Key | None]]
"""Table, old key and new key, as a row trigger sees them; a TRUNCATE has neither."""


def up(value: str | None) -> str | None:
    """The transform of a value on its way over. It loses something (blanks), as transforms do."""
    return value and value.strip()


def derive(rows: Mapping[Key, Row], tenants: Mapping[Key, str] | None = None) -> dict[Slot, Row]:
    """The target that belongs to a source. Children stand under the tenants that are given, else under those of their parents."""
    own = {key: row[1] for key, row in rows.items() if key[0] == "p" and row[0] != BAD}
    made = {}
    for key, (value, hangs_on) in rows.items():
        tenant = own.get(key) if key[0] == "p" else (own if tenants is None else tenants).get(hangs_on)
        if tenant is not None and value != BAD:
            made[tenant, key] = (up(value), hangs_on)
    return made


class Op(NamedTuple):
    """One statement of an application, in terms of the source."""

    kind: str
    key: str
    value: str | None = None
    to: str = ""

    def __str__(self) -> str:
        value = "" if self.kind not in ("insert", "update") else f" = {self.value or 'NULL'}"
        to = f" {'under' if self.kind == 'insert' else 'to'} {self.to}" if self.to else ""
        return f"{self.kind} {self.key}{value}{to}"

    def run(self, rows: Mapping[Key, Row]) -> tuple[Changes, Changed] | None:
        """What the statement changes, and what row triggers see of it; None if a constraint refuses it."""
        table, row = self.key[0], rows.get(self.key)
        children = [key for key, each in rows.items() if key[0] == "c" and each[1] == self.key]
        changes: Changes
        seen: Changed = [(table, self.key, self.key)]
        match self.kind:
            case "truncate":  # of the parents: with the children, as CASCADE
                changes = {key: None for key in rows if table in ("p", key[0])}
                seen = [(each, None, None) for each in ("c", "p") if table in ("p", each)]
            case "insert":
                if row or (table == "c" and self.to not in rows):
                    return None
                changes, seen = {self.key: (self.value, self.to)}, [(table, None, self.key)]
            case _ if row is None:
                changes, seen = {}, []
            case "update":
                changes = {self.key: (self.value, row[1])}
            case "move":  # a parent to another tenant, a child to another parent
                if table == "c" and self.to not in rows:
                    return None
                changes = {self.key: (row[0], self.to)}
            case "delete":  # with the children, as ON DELETE CASCADE
                changes = dict.fromkeys([*children, self.key])
                seen = [(key[0], key, None) for key in changes]
            case "rekey":  # the children follow, as ON UPDATE CASCADE
                if self.to in rows:
                    return None
                changes = {self.key: None, self.to: row} | {key: (rows[key][0], self.to) for key in children}
                seen = [(table, self.key, self.to), *(("c", key, key) for key in children)]
            case _:
                raise ValueError(self.kind)
        return changes, seen


class Transaction(NamedTuple):
    """An application's transaction. It writes where the application is served when it begins, or on `side` only."""

    ops: tuple[Op, ...]
    side: str = ""
    lingers: bool = False  # is connected to a side some time before it writes


def conflict(mine: Changes, other: Changes) -> bool:
    """Whether one writer waits for another: for a row, or for the key of a parent."""
    if mine.keys() & other.keys():
        return True
    for one, two in ((mine, other), (other, mine)):
        gone = {key for key, row in one.items() if row is None}
        if any(key[0] == "c" and row and row[1] in gone for key, row in two.items()):
            return True
    return False
