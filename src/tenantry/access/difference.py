"""Differences between a live database and its manifest, and the changes that repair them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from tenantry.postgres import ident

Kind = Literal[
    "table", "row-level security", "policy", "right", "function", "default privileges", "owner", "view", "trigger"
]


State = Literal["missing", "different", "extra"]


@dataclass(frozen=True, slots=True)
class AccessDifference:
    """One difference between the database and the manifest.

    Attributes:
        on: the table, view, sequence or function; the schema's name for differences of the whole schema.
        what: the policy, the right and its role, …
        fix: the statements that repair it, in order. Empty if people must repair it: `advice` says how.
        script: running the script of the context functions again repairs it.
        removes: the repair drops or revokes something.
    """

    kind: Kind
    state: State
    on: str
    what: str
    expected: str
    found: str
    fix: tuple[str, ...] = ()
    script: bool = False
    removes: bool = False
    advice: str = ""

    @property
    def fixable(self) -> bool:
        return bool(self.fix) or self.script

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "fix": list(self.fix), "fixable": self.fixable}


@dataclass(frozen=True, slots=True)
class AccessChange:
    """One change that `access apply` makes."""

    on: str
    title: str
    statements: tuple[str, ...]
    removes: bool = False


def other_owner(on: str, what: str, expected: str, found: str) -> AccessDifference:
    """Return a difference of ownership; only the owner and superusers can repair it, so it has no statements."""
    statement = f"alter {what} owner to {ident(expected)};"
    return AccessDifference(
        "owner", "different", on, "owner", expected, found, advice=f"Ask {found}, or a superuser, to run: {statement}"
    )
