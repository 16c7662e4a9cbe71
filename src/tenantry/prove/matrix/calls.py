"""Calls functions with ids of another tenant, where no manifest says what the functions are for.

Each function is called twice as the same caller: with ids that do not exist, and with ids of the other tenant. Whatever it returns or
changes only in the second call is a leak. Each call runs under a savepoint that is rolled back. Volatile functions may have effects that
no rollback undoes (send, write files, advance sequences), so they are called on a copy only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import errors

from tenantry.postgres import ident, literal, load_blocks
from tenantry.prove.lint.scope import Scope
from tenantry.prove.model import Outcome

_MOST = 24
"""Calls of one function with ids of the other tenant."""
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Routine:
    """A function that a client role may call and that has arguments of an id type."""

    schema: str
    name: str
    types: tuple[str, ...]
    volatile: bool
    roles: tuple[str, ...]

    @property
    def shown(self) -> str:
        return f"{ident(self.schema, self.name)}({', '.join(self.types)})"

    def call(self, values: Sequence[str]) -> str:
        given = ", ".join(f"{value}::{kind}" for value, kind in zip(values, self.types, strict=True))
        return f"{ident(self.schema, self.name)}({given})"


def functions_of(owner: psycopg.Connection[Any], scope: Scope) -> list[Routine]:
    """Return the functions in the inspected schemas that a client may call with an id."""
    rows = owner.execute(
        load_blocks("tenantry.prove.matrix", "without_manifest")["functions"],
        {"schemas": list(scope.schemas), "clients": list(scope.clients)},
    ).fetchall()
    return [Routine(row[0], row[1], tuple(row[2]), bool(row[3]), tuple(row[4])) for row in rows]


def combinations(function: Routine, ids: Mapping[str, Sequence[str]]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield pairs of arguments: ids of the other tenant, and ids that do not exist. Other arguments get a plain value."""
    choices: list[list[tuple[str, str]]] = []
    for kind in function.types:
        base = kind.removesuffix("[]")
        theirs = ids.get(base, ())
        if theirs:
            nobody = str(uuid4()) if base == "uuid" else "-2147483" if base != "text" else str(uuid4())
            wrap = "{%s}" if kind.endswith("[]") else "%s"
            choices.append([(literal(wrap % each), literal(wrap % nobody)) for each in theirs])
        else:
            plain = _PLAIN.get(base, "null")
            choices.append([(plain, plain)])
    for picked in itertools.islice(itertools.product(*choices), _MOST):
        yield [each[0] for each in picked], [each[1] for each in picked]


_PLAIN = {
    **dict.fromkeys(("text", "character varying", "citext"), "'a'"),
    **dict.fromkeys(("integer", "bigint", "smallint", "numeric"), "10"),
    **dict.fromkeys(("json", "jsonb"), "'{}'"),
    "boolean": "true",
}


def call(owner: psycopg.Connection[Any], function: Routine, ids: Mapping[str, Sequence[str]]) -> tuple[Outcome, str]:
    """Call a function as the connection's current role, and report whether it reached the other tenant."""
    refused = ""
    tried = False
    for theirs, nobody in combinations(function, ids):
        plain, changed, said = _answer(owner, function.call(nobody))
        answer, touched, error = _answer(owner, function.call(theirs))
        if _NO_RIGHT in (said, error):
            return "refuse", "permission denied"
        if error.startswith("23") and plain is not None:
            return "allow", f"{function.call(theirs)} reaches rows: only a constraint stops it ({error})"
        tried = tried or answer is not None or error.startswith("P0") or error == "42501"
        refused = refused or error
        if answer is not None and plain is not None and (answer != plain or touched != changed):
            what = "changes other rows" if touched != changed else "answers otherwise"
            return "allow", f"{function.call(theirs)} {what} than with ids that do not exist"
        if answer is not None and plain is None and answer.strip(" ()\n,") not in ("", "None", "f"):
            return "allow", f"{function.call(theirs)} answers; with ids that do not exist it is refused ({said})"
    return (
        ("refuse", refused) if tried else ("not tried", f"the server said {refused}" if refused else "no call fits it")
    )


_NO_RIGHT = "no right"


def _answer(owner: psycopg.Connection[Any], expression: str) -> tuple[str | None, int, str]:
    """Return the call's result as JSON, the number of rows it wrote, and the server's messages."""
    try:
        with owner.transaction(force_rollback=True):
            before = _written(owner)
            rows = owner.execute(f"select f::text from {expression} as f limit 20".encode()).fetchall()
            return ("\n".join(str(row[0]) for row in rows)[:_LONGEST]), _written(owner) - before, ""
    except errors.InsufficientPrivilege as error:
        own = "permission denied for function" in (error.diag.message_primary or "")
        return None, 0, _NO_RIGHT if own else "42501"
    except psycopg.Error as error:
        return None, 0, error.sqlstate or "an error"


def _written(owner: psycopg.Connection[Any]) -> int:
    row = owner.execute(
        "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_catalog.pg_stat_xact_all_tables"
    ).fetchone()
    return int(row[0]) if row else 0
