"""What was found, fault by fault: one thing that is wrong, with all the places where it is. Pure."""

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
    """Where a fault is, and what it is there. `object` is empty where it is about a role or the whole database."""

    object: str
    detail: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.object, self.detail) if part)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        name: the check's or the attack's; of the matrix, the table's.
        wanted: what holds where it is mended.
    """

    group: str
    name: str
    level: Level
    wanted: str
    mending: str
    places: tuple[FaultPlace, ...]


def faults(results: Iterable[Result], rules: Sequence[SarifRule] = ()) -> tuple[Fault, ...]:
    """The failed results, those of one check and level together, the worst first: errors, and of these what is in most places."""
    known = {rule.name: rule for rule in rules}
    found: dict[tuple[str, str, Level], dict[FaultPlace, None]] = {}
    for result in results:
        if result.outcome != "failed":
            continue
        # Of the matrix the table is what is wrong, and who reached it how are the places.
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
            known[name].mending if name in known else "",
            tuple(places),
        )
        for (group, name, level), places in found.items()
    ]
    # Rows that were reached are no opinion.
    return tuple(
        sorted(every, key=lambda each: (_LEVELS.index(each.level), each.group == "lint", -len(each.places), each.name))
    )


def plain(text: str) -> str:
    """A text on one line: names may hold line breaks and what a terminal would obey."""
    return text.translate(_CONTROLS)


__all__ = ["Fault", "FaultPlace", "faults", "plain"]
