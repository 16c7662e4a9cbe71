from __future__ import annotations

from tenantry.mapping.transform import Between, Examples, Invalid
from tenantry.mapping.transforms.number import Numeral
from tenantry.mapping.values import numbers


class Integer(Numeral):
    """Reads whole numbers, with commas and parentheses as in [number](#number), but no dollar or percent sign. A fraction of
    zeros is allowed.
    """

    name = "integer"
    examples = (
        Examples(
            "text",
            "smallint",
            {
                "12": "12",
                " -3 ": "-3",
                "1,200": "1200",
                "5.00": "5",
                "32767": "32767",
                "32768": Invalid("the type ends at 32767"),
                "5.5": Invalid(),
            },
        ),
    )

    def up(self, raw: str, between: Between) -> str:
        return numbers.number(raw, between.target.type, currency=False, percent=False, whole=True)
