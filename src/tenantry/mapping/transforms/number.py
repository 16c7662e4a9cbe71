from __future__ import annotations

from tenantry.mapping.transform import NUMBER, TEXT, Between, Examples, Invalid, Transform, no_digit_no_at
from tenantry.mapping.values import numbers


class Numeral(Transform):
    """Reads numbers as people write them: commas between thousands, a dollar sign, a minus or plus sign, parentheses for a
    negative number, a percent sign. The decimal separator is a point. Blanks may be at both ends and around signs. A text of
    more than 255 bytes is invalid.

    The target is any number type: `smallint`, `integer`, `bigint`, `numeric`, `real`, `double precision`.
    """

    name = "number"
    reads = (TEXT,)
    gives = NUMBER
    back = "its digits: `1234.5`, without `$`, commas or `%`"
    back_never = "NaN, infinity, texts longer than the column"
    examples = (
        Examples(
            "text",
            "numeric(14,2)",
            {
                "1546.27": "1546.27",
                "1,546.27": "1546.27",
                " $ 1,322.35 ": "1322.35",
                "\u00a01322.35\u00a0": "1322.35",
                "-$459.08": "-459.08",
                "$-459.08": "-459.08",
                "(459.08)": "-459.08",
                "$(459.08)": "-459.08",
                "+3": "3.00",
                ".5": "0.50",
                "5.": "5.00",
                "-77%": "-0.77",
                "(77%)": "-0.77",
                "12.500": "12.50",
                "12.345": Invalid("three digits after the point"),
                "0.5%": Invalid("0.005 has three as well"),
                "1000000000000": Invalid("more than twelve digits before it"),
                "(-5)": Invalid("two signs"),
                "--5": Invalid("two signs"),
                "1,54,6.27": Invalid("no groups of three"),
                "1,,2": Invalid(),
                "0,123": Invalid("perhaps a decimal comma"),
                "1.234,56": Invalid("a decimal comma"),
                "$5%": Invalid(),
                "1e5": Invalid(),
                "NaN": Invalid(),
                "٣": Invalid("no digit of 0 to 9"),
                "12 apples": Invalid(),
            },
        ),
    )

    def up(self, raw: str, between: Between) -> str:
        return numbers.number(raw, between.target.type)

    def refuses_word(self, word: str) -> bool:
        return no_digit_no_at(word)
