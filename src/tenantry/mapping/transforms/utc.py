from __future__ import annotations

from tenantry.catalog import Column
from tenantry.mapping.transform import INSTANT, MOMENT, Between, Examples, Transform
from tenantry.mapping.values import times


class Utc(Transform):
    """Reads a timestamp without time zone as UTC, which is what Prisma writes, and returns the instant; a date becomes its
    midnight in UTC. The target is a `timestamp with time zone`. Results are shown in UTC.
    """

    name = "utc"
    reads = (MOMENT,)
    gives = INSTANT
    back = "the time in UTC"
    back_never = "for a date: other times than midnight"
    examples = (
        Examples(
            "timestamp without time zone",
            "timestamp with time zone",
            {"2024-03-10 07:30:00.123": "2024-03-10 07:30:00.123+00", "infinity": "infinity"},
        ),
    )

    def up(self, raw: str, between: Between) -> str:
        return times.instant(raw, between.source, "'UTC'", between.target.type)

    def down(self, value: str, between: Between) -> str:
        return times.wall_clock(value, between.source, "'UTC'")

    def misfit(self, source: Column, target: Column) -> str | None:
        return super().misfit(source, target) or times.fewer_digits(source, target)
