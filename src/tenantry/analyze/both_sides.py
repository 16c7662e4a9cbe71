"""What matters where both sides are written, by turns or at the same time: numbers and triggers. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.catalog import Catalog
from tenantry.derivation.numbers import Place, carried_numbers, columns_of
from tenantry.mapping import Project

_ROOM = 100_000


def both_sides(project: Project) -> Iterator[Finding]:
    """All findings about numbers that both sides give out, and about triggers of the target."""
    there, here = _drawn(project.source), _drawn(project.target)
    for mapping, column in carried_numbers(project):
        sides = [
            (name, side)
            for name, side in (
                (f"{mapping.source.name}.{column.source}", there.get((mapping.source.name, str(column.source)))),
                (f"{mapping.target.name}.{column.name}", here.get((mapping.target.name, column.name))),
            )
            if side is not None
        ]
        if len(sides) < 2:
            yield Finding(
                "TA-156", "notice", "risk", mapping.target.name,
                f"numbers in {column.name} are given out once, and not drawn from sequences on both sides", column=column.name,
                advice="With `cutover --dual-write` two applications can make the same number; one of the rows is then refused on"
                " the other side, and named. Give both columns a sequence, or cut over without a grace.",
            )  # fmt: skip
            continue
        yield Finding(
            "TA-155", "info", "risk", mapping.target.name, f"both sides draw {column.name} from sequences", column=column.name,
            advice="The target's goes on behind the largest number. With `cutover --dual-write` they take turns.",
        )  # fmt: skip
        for name, room in sides:
            if room < _ROOM:
                yield Finding(
                    "TA-157", "warning", "risk", mapping.target.name, f"the sequence of {name} has room for {room:,} numbers",
                    count=max(room, 0), column=column.name,
                    advice="ALTER SEQUENCE … MAXVALUE …, and a column type that holds more. `cutover --dual-write` needs some"
                    " thousand numbers.",
                )  # fmt: skip
    for name in project.by_target:
        table = project.target.table(name)
        for trigger in table.triggers if table is not None else ():
            if trigger.enabled in ("origin", "always"):
                yield Finding(
                    "TA-158", "notice", "risk", name, f"trigger {trigger.name} does not fire for rows that are carried over",
                    advice="They are as the source has them. What the trigger writes into columns or tables that no source"
                    " feeds is missing for them: fill it by the manifest, or afterwards.",
                )  # fmt: skip


def _drawn(catalog: Catalog) -> dict[Place, int]:
    """By column, how many numbers its sequence can still give out."""
    found: dict[Place, int] = {}
    for sequence, places in columns_of(catalog):
        at = sequence.start if sequence.last_value is None else sequence.last_value
        room = ((sequence.max if sequence.increment > 0 else sequence.min) - at) // sequence.increment
        for place in places:
            found[place] = min(room, found.get(place, room))
    return found


__all__ = ["both_sides"]
