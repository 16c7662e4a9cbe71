"""Values: the known facts about a schema, and the facts that were read from a routine's body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

CALLER = "caller"


@dataclass(frozen=True, slots=True)
class Known:
    """The meaning of names in bodies.

    Attributes:
        relation: the oid of a table or view by schema (None if unqualified) and name.
        columns: by relation, column name → (number, type).
        caller: whether a function, by the parts of its name, returns the caller or depends on it.
        gate: whether a function without arguments decides by something other than memberships, as a gate for operators does.
    """

    relation: Callable[[str | None, str], int | None]
    columns: Mapping[int, Mapping[str, tuple[int, str]]]
    caller: Callable[[tuple[str, ...]], bool]
    gate: Callable[[tuple[str, ...]], bool]


@dataclass(frozen=True, slots=True)
class Body:
    """A function whose body is read.

    Attributes:
        language: `sql` or `plpgsql`; other languages are not read.
        text: for `sql` the statements; for `plpgsql` the whole CREATE FUNCTION.
        arguments: names of its arguments; '' for unnamed ones.
        types: types of its arguments.
    """

    name: str
    language: str
    text: str
    arguments: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pick:
    """Rows of a relation that an argument selects (or a tenant that it writes) without a tie to the caller."""

    argument: str
    relation: int
    column: int
    written: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """A relation that is queried about the caller: the columns in conditions, and those compared only with constants."""

    relation: int
    columns: tuple[int, ...]
    loose: tuple[int, ...]
    tied: bool
    """Whether it is tied to an argument: its answer then depends on the argument, not on the caller alone."""
    written: bool = False
    """Whether its rows are changed rather than queried."""
    caller: bool = True
    """Whether it is queried about the caller; otherwise about the person in an argument, e.g. a policy that passes auth.uid()."""


@dataclass(frozen=True, slots=True)
class RoutineReading:
    """The facts about a body."""

    picks: tuple[Pick, ...] = ()
    asks: tuple[Ask, ...] = ()
    sets: tuple[str, ...] = ()
    """Settings that it sets to a value that is not constant."""
    failed: str = ""
    """Why it could not be parsed."""
