"""docs/reference/cli.md: every command and option, from their own help."""

from __future__ import annotations

import subprocess
import sys

from tools.docs import ROOT


def page() -> str:
    """The reference of the command line, as Typer writes it."""
    command = [sys.executable, "-m", "typer", "tenantry.cli.main", "utils", "docs", "--name", "tenantry"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)  # noqa: S603 - our own program
    return done.stdout.rstrip() + "\n"
