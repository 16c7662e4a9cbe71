"""What the lab's tests found, as one table at the end of the session."""

from __future__ import annotations

import os

import pytest

from tests.isolation.foreign import kept as measured
from tests.isolation.laboratory import confusion_lines, kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """By the controller, or by a run without workers: the workers leave their rows in a folder that all know."""
    rows = kept() if "TENANTRY_TEST_SERVERS" in os.environ else []
    foreign = measured() if "TENANTRY_TEST_SERVERS" in os.environ else []
    if foreign:
        terminalreporter.section(
            "foreign schemas: which planted holes lint and proof named, and what they said of sound ones"
        )
        terminalreporter.write_line("\n".join(foreign))
    if rows:
        terminalreporter.section("the lab: which checks fired on broken and on mended schemas")
        terminalreporter.write_line("\n".join(confusion_lines(rows)))
