"""An attack, what came of it, and how both are written down. Frozen, without I/O."""

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
"""A question to the catalog: which right would allow the attack; None where there is none."""


@dataclass(frozen=True, slots=True)
class AttackVerdict:
    """What came of an attack. `evidence` says what the server answered, or why nothing could be tried; never a secret."""

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
    """One way to get at another tenant's rows, or at rights that one should not have.

    Attributes:
        tries: what it does, in a sentence.
        gains: what would be won by it.
        source: where the idea is from: a CVE, a page of a manual; empty where it is plain.
        run: tries it on a scene, a copy of the database with invented tenants.
        rights: where nothing may be tried, the question that the catalog answers; None where it knows no answer.
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
    """What came of one attack in one proof.

    Attributes:
        by: whether it was tried, or answered from the catalog.
        accepted: the stated reason for which a broken one does not fail the proof; empty where none was stated.
    """

    attack: Attack
    outcome: Outcome
    evidence: str
    seconds: float = 0.0
    by: Literal["trial", "rights"] = "trial"
    accepted: str = ""

    @property
    def failed(self) -> bool:
        """Broken without a stated reason, or not judged for an error: never passed in silence."""
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
    """Make an attack of a function, under the function's name."""

    def made(run: Callable[[Attempt], AttackVerdict]) -> Attack:
        return Attack(run.__name__, family, tries, gains, run, source, rights)

    return made


def in_module(names: Mapping[str, object]) -> tuple[Attack, ...]:
    """The attacks that a module defines, in its order; names is its globals()."""
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
