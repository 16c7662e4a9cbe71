"""What is known of a schema, and what was read of a routine's body, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

CALLER = "caller"


@dataclass(frozen=True, slots=True)
class Known:
    """What names in bodies stand for.

    Attributes:
        relation: the oid of a table or view by schema (None where none is said) and name.
        columns: of each relation, name → (number, type).
        caller: whether a function, by the parts of its name, says who calls or asks for it.
        gate: whether it is one without arguments that says yes or no by something else than memberships: for operators.
    """

    relation: Callable[[str | None, str], int | None]
    columns: Mapping[int, Mapping[str, tuple[int, str]]]
    caller: Callable[[tuple[str, ...]], bool]
    gate: Callable[[tuple[str, ...]], bool]


@dataclass(frozen=True, slots=True)
class Body:
    """A function to be read.

    Attributes:
        language: `sql` or `plpgsql`; others are not read.
        text: of `sql` the statements; of `plpgsql` the whole CREATE FUNCTION.
        arguments: names of its arguments; '' where they have none.
        types: of these.
    """

    name: str
    language: str
    text: str
    arguments: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pick:
    """Rows of a relation that an argument picks (or a tenant that it writes), without being tied to the caller."""

    argument: str
    relation: int
    column: int
    written: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """A relation that is asked about the caller: which of its columns conditions look at, and which only against constants."""

    relation: int
    columns: tuple[int, ...]
    loose: tuple[int, ...]
    tied: bool
    """To an argument: its answer is about what is asked for, not about the caller alone."""
    written: bool = False
    """Its rows are changed, not asked."""
    caller: bool = True
    """It is asked about who calls; else about whom an argument names, as by a policy that hands over auth.uid()."""


@dataclass(frozen=True, slots=True)
class RoutineReading:
    """What a body does."""

    picks: tuple[Pick, ...] = ()
    asks: tuple[Ask, ...] = ()
    sets: tuple[str, ...] = ()
    """Settings that it sets to what is not constant."""
    failed: str = ""
    """Why it could not be read."""
