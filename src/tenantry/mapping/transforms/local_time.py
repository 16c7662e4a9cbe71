from __future__ import annotations

from tenantry.catalog import Column
from tenantry.mapping.transform import INSTANT, MOMENT, WALL_CLOCK, ZONE, Between, Examples, Transform
from tenantry.mapping.values import times


class LocalTime(Transform):
    """Reads a timestamp without time zone as local time of a zone and returns the instant; a date becomes its local midnight.
    `zone` is a time zone's name, or `tenant.<column>`: a column of the tenant's row in the target.

    A local time that the clock skips in spring is read with the offset before the change. A time that occurs twice in autumn
    is read as the second one.
    """

    name = "local_time"
    reads = (MOMENT, WALL_CLOCK)
    gives = INSTANT
    options = (ZONE,)
    back = "the local time of the zone"
    back_never = "the first hour of two that occur twice"
    examples = (
        Examples(
            "timestamp without time zone",
            "timestamp with time zone",
            {
                "2024-01-15 09:00:00": "2024-01-15 14:00:00+00",
                "2024-03-10 02:30:00": "2024-03-10 07:30:00+00",
                "2024-11-03 01:30:00": "2024-11-03 06:30:00+00",
                "-infinity": "-infinity",
            },
            zone="America/New_York",
        ),
    )

    def up(self, raw: str, between: Between) -> str:
        return times.instant(raw, between.source, between.zone, between.target.type)

    def down(self, value: str, between: Between) -> str:
        return times.wall_clock(value, between.source, between.zone)

    def misfit(self, source: Column, target: Column) -> str | None:
        return super().misfit(source, target) or times.fewer_digits(source, target)
