"""Numbers as offices type them: the texts of metric values and goals."""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from clinic.migration.legacy.sources import Measure

NOT_AVAILABLE: Final = "N/A"
EMPTY: Final = ("", " ", "   ")
INVALID: Final = ("abc", "12..5", "1,54,6.27", "--5", "#REF!", "1.2.3", "see note", "$", "#DIV/0!", "(45", "4O5")
"""Texts that are not numbers in any form that this module writes."""


class Number(NamedTuple):
    """One value: its text, its amount (currency in cents, percent in tenths, otherwise units), and its format."""

    text: str
    amount: int
    formatted: bool
    percent: bool


def number(measure: Measure, rng: Random) -> Number:
    """Return a value within the range of a measure, in one of the forms of its data type."""
    amount = rng.randint(measure.low, measure.high)
    if measure.data_type == "currency":
        text = _currency(amount, rng.random())
        return Number(text, amount, not text.lstrip("-").replace(".", "").isdigit(), False)
    if measure.data_type == "percentage":
        if rng.random() < 0.6:
            amount = amount // 10 * 10
        return Number(_percent(amount, rng.random()), amount, False, True)
    return Number(str(amount), amount, False, False)


def _currency(cents: int, chance: float) -> str:
    plain, sign = f"{abs(cents) // 100}.{abs(cents) % 100:02d}", "-" if cents < 0 else ""
    thousands = f"{abs(cents) // 100:,}.{abs(cents) % 100:02d}"
    if chance < 0.5:
        return sign + plain
    if chance < 0.7:
        return sign + thousands
    if cents < 0:
        return f"-${thousands}" if chance < 0.85 else f"({thousands})"
    return f" $ {thousands} " if chance < 0.9 else f"${thousands}"


def _percent(tenths: int, chance: float) -> str:
    sign, whole, rest = "-" if tenths < 0 else "", abs(tenths) // 10, abs(tenths) % 10
    text = f"{sign}{whole}.{rest}%" if rest else f"{sign}{whole}%"
    return f" {text} " if chance < 0.15 else text
