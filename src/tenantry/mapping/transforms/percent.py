from __future__ import annotations

from tenantry.mapping.transform import Between, Examples, Invalid
from tenantry.mapping.transforms.number import Numeral
from tenantry.mapping.values import numbers


class Percent(Numeral):
    """Works like [number](#number), without a dollar sign. A percentage is divided by 100; a number without `%` is
    unchanged."""

    name = "percent"
    examples = (
        Examples(
            "text",
            "numeric(7,4)",
            {
                "87.25%": "0.8725",
                "0.8725": "0.8725",
                "1,200%": "12.0000",
                "87.255%": Invalid("six digits after the point"),
                "$5": Invalid(),
            },
        ),
    )

    def up(self, raw: str, between: Between) -> str:
        return numbers.number(raw, between.target.type, currency=False)
