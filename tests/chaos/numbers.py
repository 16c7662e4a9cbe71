"""Numbers as the old application wrote them, read as docs/reference/transforms.md says: again, by nothing of Tenantry's."""

from __future__ import annotations

import re
from decimal import Decimal

BLANKS = " \t\r\n\u00a0"
_DIGITS = r"(?:[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.[0-9]*)?|\.[0-9]+"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)\s*\$?\s*(?P<plain>{_DIGITS})|\$\s*(?P<inner>[-+]?)\s*(?P<after>{_DIGITS})"
    rf"|(?:\(\s*\$?|\$\s*\()\s*(?P<bracket>{_DIGITS})\s*\)"
)
_PERCENT = re.compile(rf"(?P<sign>[-+]?)\s*(?P<plain>{_DIGITS})\s*%|\(\s*(?P<bracket>{_DIGITS})\s*(?:\)\s*%|%\s*\))")


def number(text: str) -> Decimal | None:
    """The number that a text of the old application means; None where it means none."""
    bare = text.strip(BLANKS)
    if found := _NUMBER.fullmatch(bare):
        digits = found["plain"] or found["after"] or found["bracket"]
        negative = found["bracket"] or "-" in (found["sign"] or "") or "-" in (found["inner"] or "")
        amount = Decimal(digits.replace(",", ""))
    elif found := _PERCENT.fullmatch(bare):
        digits = found["plain"] or found["bracket"]
        negative = found["bracket"] or found["sign"] == "-"
        amount = Decimal(digits.replace(",", "")).scaleb(-2)
    else:
        return None
    if amount != round(amount, 4) or abs(amount) >= 10**16:
        return None
    return -amount if negative else amount
