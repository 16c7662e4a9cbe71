"""What the linters found, and what of it is excepted, with the reason. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a linter found, of level error or warning. `place` is an object of the database, or a step of the plan."""

    tool: str
    rule: str
    place: str
    level: str
    message: str

    def __str__(self) -> str:
        return f"{self.tool}: {self.level}: {self.rule}: {self.place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Exception_:
    """Findings of some rules at places that a glob matches, and why they may stand."""

    tool: str
    rules: tuple[str, ...]
    place: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        return finding.tool == self.tool and finding.rule in self.rules and fnmatchcase(finding.place, self.place)


def load_exceptions(path: Path) -> tuple[Exception_, ...]:
    """
    Raises:
        ValueError: an entry lacks something, above all its reason.
    """
    found = []
    for number, entry in enumerate(tomllib.loads(path.read_text(encoding="utf-8"))["allow"], start=1):
        if set(entry) != {"tool", "rules", "place", "reason"} or not str(entry["reason"]).strip():
            raise ValueError(f"{path.name}: exception {number} must have tool, rules, place and reason")
        found.append(Exception_(entry["tool"], tuple(entry["rules"]), entry["place"], entry["reason"]))
    return tuple(found)


def standing(findings: Sequence[Finding], exceptions: Sequence[Exception_]) -> list[Finding]:
    """Those that nothing excepts."""
    return [each for each in findings if not any(exception.covers(each) for exception in exceptions)]


def unused(findings: Sequence[Finding], exceptions: Sequence[Exception_]) -> list[str]:
    """Rules of exceptions for which nothing is found any more: what was excepted is fixed, or is called otherwise now."""
    return [
        f"{exception.tool}: {rule} on {exception.place}"
        for exception in exceptions
        for rule in exception.rules
        if not any(each.rule == rule and exception.covers(each) for each in findings)
    ]
