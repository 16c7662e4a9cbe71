"""One-time codes of a second factor: a code belongs to one step of time, whenever it is typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyotp

from tenantry.auth.server.routes.factors import matched_counter

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def test_a_code_has_one_counter_for_as_long_as_it_is_right() -> None:
    totp = pyotp.TOTP(SECRET)
    for step in range(1_000_000, 1_000_008):
        code, begun = totp.generate_otp(step), datetime.fromtimestamp(step * 30, UTC)
        found = [matched_counter(SECRET, code, begun + timedelta(seconds=at)) for at in range(-60, 91, 10)]
        assert found == [None] * 3 + [step] * 9 + [None] * 4


def test_what_is_no_code_has_none() -> None:
    now = datetime.now(UTC)
    for text in ("", "12345", "1234567", "abcdef", "١٢٣٤٥٦", " 12345"):
        assert matched_counter(SECRET, text, now) is None
