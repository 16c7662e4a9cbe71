"""What changed between two plans, from the JSON of `tenantry plan --json`: steps, their SQL, open questions, sizes, samples."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_COMPARED = ("phase", "kind", "title", "sql", "undo", "lock", "risk", "risk_note", "after", "table_locks")
"""What a step does; estimates are compared apart."""
_SHARE, _SECONDS = 0.2, 1.0
"""Estimates that differ by less than this share, or by less than these seconds, count as equal."""


@dataclass(frozen=True, slots=True)
class StepChange:
    """A step of both plans that is not the same.

    Attributes:
        what: the names of the differing parts, such as sql and lock.
        sql: the differing lines of statements and undo, as a unified diff.
        seconds: the estimates of both plans, if they differ notably.
    """

    id: str
    what: tuple[str, ...]
    sql: tuple[str, ...] = ()
    seconds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A fact of the whole plan that changed."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """The difference between an old plan and a new one."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[StepChange, ...] = ()
    facts: tuple[ValueChange, ...] = ()
    questions_added: tuple[str, ...] = ()
    questions_removed: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self == PlanDiff()

    @property
    def does_the_same(self) -> bool:
        """Whether both plans run the same statements in the same order."""
        return not (self.added or self.removed or any(set(each.what) - {"seconds"} for each in self.changed))

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "does_the_same": self.does_the_same}


def diff_plans(old: Mapping[str, Any], new: Mapping[str, Any]) -> PlanDiff:
    """Compare two plans, each as its JSON; parts that an older Tenantry did not write are not compared.

    Raises:
        KeyError: one is no plan.
    """
    before = {step["id"]: step for step in old["steps"]}
    after = {step["id"]: step for step in new["steps"]}
    changes = (_step(before[id], after[id]) for id in after if id in before)
    then, now = _questions(old), _questions(new)
    return PlanDiff(
        added=tuple(id for id in after if id not in before),
        removed=tuple(id for id in before if id not in after),
        changed=tuple(each for each in changes if each.what),
        facts=tuple(_facts(old, new)),
        questions_added=tuple(each for each in now if each not in then) if "questions" in old else (),
        questions_removed=tuple(each for each in then if each not in now),
    )


def _step(old: Mapping[str, Any], new: Mapping[str, Any]) -> StepChange:
    what = [name for name in _COMPARED if name in old and _plain(old[name]) != _plain(new.get(name))]
    text: list[str] = []
    for part in ("sql", "undo"):
        if part in what:
            text += _lines(old[part], new[part], part)
    was, now = float(old.get("seconds", 0)), float(new.get("seconds", 0))
    seconds = None
    if abs(now - was) >= _SECONDS and abs(now - was) > _SHARE * max(was, now):
        seconds = was, now
        what.append("seconds")
    return StepChange(new["id"], tuple(what), tuple(text), seconds)


def _lines(old: Sequence[str], new: Sequence[str], part: str) -> list[str]:
    before, after = ("\n".join(f"{each};" for each in texts).splitlines() for texts in (old, new))
    return list(difflib.unified_diff(before, after, f"old {part}", f"new {part}", lineterm="", n=2))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _questions(plan: Mapping[str, Any]) -> list[str]:
    return [f"{each['code']}: {each['subject']}: {each['question']}" for each in plan.get("questions", ())]


def _facts(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[ValueChange]:
    found = [
        ValueChange(name, old[name], new[name])
        for name in ("name", "source_schema", "target_schema", "manifest_digest", "digest")
        if name in old and old[name] != new[name]
    ]
    if _notable(old.get("seconds", 0.0), new.get("seconds", 0.0), _SECONDS):
        found.append(ValueChange("seconds", old["seconds"], new["seconds"]))
    for name in ("disk_bytes", "wal_bytes", "source_bytes"):
        was, now = (plan.get("size", {}).get(name, 0) for plan in (old, new))
        if was and _notable(was, now, 1_000_000):
            found.append(ValueChange(name, was, now))
    was, now = (
        {f"{each['mapping']}.{each['column']}": each["unconvertible"] for each in plan.get("samples", ())}
        for plan in (old, new)
    )
    found += [
        ValueChange(f"values of {name} that cannot be converted", was[name], now[name])
        for name in now
        if name in was and was[name] != now[name]
    ]
    return found


def _notable(was: float, now: float, least: float) -> bool:
    return abs(now - was) >= least and abs(now - was) > 0.05 * max(was, now)


__all__ = ["PlanDiff", "StepChange", "ValueChange", "diff_plans"]
