"""Groups results by fault: one defect, with all the places where it occurs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenantry.prove.formats import Level, Result, SarifRule

_LEVELS: tuple[Level, ...] = ("error", "warning", "info")
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}


@dataclass(frozen=True, slots=True)
class FaultPlace:
    """A place of a fault, with its detail. `object` is empty if the fault is about a role or the whole database."""

    object: str
    detail: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.object, self.detail) if part)


@dataclass(frozen=True, slots=True)
class Fault:
    """One defect.

    Attributes:
        name: of the check or attack; for the matrix, of the table.
        wanted: the property that holds once it is fixed.
    """

    group: str
    name: str
    level: Level
    wanted: str
    fix: str
    places: tuple[FaultPlace, ...]


def faults(results: Iterable[Result], rules: Sequence[SarifRule] = ()) -> tuple[Fault, ...]:
    """Group the failed results by check and level, the worst first: errors before others, then by number of places."""
    known = {rule.name: rule for rule in rules}
    found: dict[tuple[str, str, Level], dict[FaultPlace, None]] = {}
    for result in results:
        if result.outcome != "failed":
            continue
        # For the matrix the table is the defect, and callers with their commands are the places.
        matrix = result.group == "matrix"
        name = result.object if matrix else result.name
        place = FaultPlace(plain(result.name if matrix else result.object), plain(result.message))
        found.setdefault((result.group, plain(name), result.level), {})[place] = None
    every = [
        Fault(
            group,
            name,
            level,
            known[name].title if name in known else "",
            known[name].fix if name in known else "",
            tuple(places),
        )
        for (group, name, level), places in found.items()
    ]
    # Reached rows are evidence, so they come first.
    return tuple(
        sorted(every, key=lambda each: (_LEVELS.index(each.level), each.group == "lint", -len(each.places), each.name))
    )


def plain(text: str) -> str:
    """Return a text on one line: names may contain line breaks and terminal control sequences."""
    return text.translate(_CONTROLS)


__all__ = ["Fault", "FaultPlace", "faults", "plain"]
