"""An attack and its result, and their JSON form. Frozen, without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import psycopg

from tenantry.mapping.project import Project

if TYPE_CHECKING:
    from tenantry.prove.attacks.harness.attempt import Attempt

Family = Literal["reads", "session", "writes", "context", "privileges"]
FAMILIES: tuple[Family, ...] = ("reads", "session", "writes", "context", "privileges")

Outcome = Literal["held", "broken", "not applicable", "error"]

Rights = Callable[[psycopg.Connection[Any], Project], str | None]
"""A query of the catalog: which right would allow the attack; None if no right does."""


@dataclass(frozen=True, slots=True)
class AttackVerdict:
    """The result of an attack. `evidence` is the server's answer, or why nothing could be tried; never a secret."""

    outcome: Literal["held", "broken", "not applicable"]
    evidence: str


def held(evidence: str) -> AttackVerdict:
    return AttackVerdict("held", evidence)


def broken(evidence: str) -> AttackVerdict:
    return AttackVerdict("broken", evidence)


def not_applicable(reason: str) -> AttackVerdict:
    return AttackVerdict("not applicable", reason)


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to reach another tenant's rows, or rights that the attacker should not have.

    Attributes:
        tries: what it does, in a sentence.
        gains: what the attacker would win.
        source: where the idea comes from: a CVE or a page of a manual; empty if it is obvious.
        run: tries it in an attempt, on a copy of the database with synthetic tenants.
        rights: for databases on which nothing may be tried, the query of the catalog; None if the catalog cannot tell.
    """

    name: str
    family: Family
    tries: str
    gains: str
    run: Callable[[Attempt], AttackVerdict]
    source: str = ""
    rights: Rights | None = None


@dataclass(frozen=True, slots=True)
class AttackResult:
    """The result of one attack in one proof.

    Attributes:
        by: whether it was tried, or answered from the catalog.
        accepted: the stated reason why a successful attack does not fail the proof; empty if none was stated.
    """

    attack: Attack
    outcome: Outcome
    evidence: str
    seconds: float = 0.0
    by: Literal["trial", "rights"] = "trial"
    accepted: str = ""

    @property
    def failed(self) -> bool:
        """Whether the attack succeeded without a stated reason, or could not be judged because of an error."""
        return self.outcome == "error" or (self.outcome == "broken" and not self.accepted)

    def to_json(self) -> Mapping[str, object]:
        return {
            "name": self.attack.name,
            "family": self.attack.family,
            "tries": self.attack.tries,
            "gains": self.attack.gains,
            "source": self.attack.source,
            "outcome": self.outcome,
            "evidence": self.evidence,
            "by": self.by,
            "accepted": self.accepted,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
        }


def attack(
    family: Family, *, tries: str, gains: str, source: str = "", rights: Rights | None = None
) -> Callable[[Callable[[Attempt], AttackVerdict]], Attack]:
    """Turn a function into an attack of the same name."""

    def made(run: Callable[[Attempt], AttackVerdict]) -> Attack:
        return Attack(run.__name__, family, tries, gains, run, source, rights)

    return made


def in_module(names: Mapping[str, object]) -> tuple[Attack, ...]:
    """Return the attacks that a module defines, in its order; `names` is its globals()."""
    return tuple(value for value in names.values() if isinstance(value, Attack))


__all__ = [
    "FAMILIES",
    "Attack",
    "AttackResult",
    "AttackVerdict",
    "Family",
    "Outcome",
    "Rights",
    "attack",
    "broken",
    "held",
    "in_module",
    "not_applicable",
]
