from __future__ import annotations

from tenantry.mapping.transform import Between, Examples, Invalid
from tenantry.mapping.transforms.number import Numeral
from tenantry.mapping.values import numbers


class Money(Numeral):
    """Works like [number](#number), without percentages."""

    name = "money"
    examples = (Examples("text", "numeric(14,2)", {"$1,322.35": "1322.35", "(5.00)": "-5.00", "5%": Invalid()}),)

    def up(self, raw: str, between: Between) -> str:
        return numbers.number(raw, between.target.type, percent=False)
