"""The documentation says what there is: links lead somewhere, the command line's page is current, codes are documented."""

from __future__ import annotations

import re
from pathlib import Path

from tools.docs import command_line

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_relative_link_leads_to_a_file() -> None:
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []


def test_the_page_of_the_command_line_is_current() -> None:
    assert (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8") == command_line.page(), "stale: run `make docs`"
