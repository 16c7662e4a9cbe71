from __future__ import annotations

from tenantry.mapping.transform import DATE, MOMENT, ZONE, Between, Examples, Transform
from tenantry.mapping.values.type_names import has_zone


class LocalDay(Transform):
    """Returns the day in the tenant's time zone. A timestamp at midnight already states a day, whatever the zone. Any other
    time is an instant in UTC and becomes the local day in the zone. `zone` works as in local_time; the target is a `date`.
    """

    name = "local_day"
    reads = (MOMENT,)
    gives = DATE
    options = (ZONE,)
    back = "plain midnight; for a `timestamptz` the zone's"
    back_never = "days that the zone skipped"
    examples = (
        Examples(
            "timestamp without time zone",
            "date",
            {
                "2024-03-10 00:00:00": "2024-03-10",
                "2024-03-10 03:30:00": "2024-03-09",
                "2024-03-10 05:00:00": "2024-03-10",
                "infinity": "infinity",
            },
            zone="America/New_York",
        ),
        Examples("timestamp with time zone", "date", {"2024-03-10 00:00:00+00": "2024-03-09"}, zone="America/New_York"),
        Examples("date", "date", {"2024-03-10": "2024-03-10"}, zone="America/New_York"),
    )

    def up(self, raw: str, between: Between) -> str:
        to, zone = between.target.type, between.zone
        if between.source.type == "date":
            return f"{raw}::{to}"
        if has_zone(between.source):
            return f"({raw} at time zone {zone})::{to}"
        return (
            f"case when {raw} = date_trunc('day', {raw}) then {raw}::{to}"
            f" else ({raw} at time zone 'UTC' at time zone {zone})::{to} end"
        )

    def down(self, value: str, between: Between) -> str:
        to, zone = between.source.type, between.zone
        if to == "date":
            return value
        # Days outside the range of timestamps, and days that a zone skipped, cannot be converted back.
        reached = f"not isfinite({value}) or {value} between date '4713-01-02 BC' and date '294276-12-30'"
        if not has_zone(between.source):
            return f"case when {reached} then {value}::{to} end"
        return (
            f"(select case when (v.moment at time zone {zone})::date = {value} then v.moment end"
            f" from (select case when {reached} then ({value}::timestamp at time zone {zone})::{to} end offset 0) as v (moment))"
        )
