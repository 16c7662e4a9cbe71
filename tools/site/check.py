"""`python -m tools.site.check FOLDER`: fail where a built page would load something from another host.

Links to other sites are fine: they are followed by readers, not loaded by pages.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

_FOLLOWED = {("a", "href"), ("area", "href"), ("form", "action"), ("blockquote", "cite"), ("q", "cite")}
"""Attributes with an address that nothing is loaded from until somebody follows it; all others are taken to load."""
_RELATIONS = {"next", "prev", "canonical", "index", "search", "author", "license", "help"}
_ELSEWHERE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_IN_CSS = re.compile(r"(?:url\(|@import)\s*['\"]?\s*((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self._style = tag == "style"
        if tag == "link" and set(said.get("rel", "").split()) <= _RELATIONS:
            return
        for name, value in said.items():
            if (tag, name) in _FOLLOWED or name.startswith("xmlns"):
                continue
            parts = value.split(",") if name == "srcset" else [value]
            self.loaded += [part.strip() for part in parts if _ELSEWHERE.match(part)]
            if name == "style":
                self.loaded += _IN_CSS.findall(value)

    def handle_endtag(self, tag: str) -> None:
        self._style = self._style and tag != "style"

    def handle_data(self, data: str) -> None:
        if self._style:
            self.loaded += _IN_CSS.findall(data)


def loaded_by_page(text: str) -> list[str]:
    """Addresses on other hosts that a page loads as soon as it is opened."""
    page = _Page()
    page.feed(text)
    return page.loaded


def loaded_by_style(text: str) -> list[str]:
    """Addresses on other hosts that a style sheet loads."""
    return _IN_CSS.findall(text)


def loaded(site: Path) -> Iterator[tuple[str, str]]:
    """Each file of the site with an address on another host that it loads."""
    for path in sorted(site.rglob("*")):
        if path.suffix in {".html", ".css"}:
            find = loaded_by_page if path.suffix == ".html" else loaded_by_style
            yield from ((str(path.relative_to(site)), each) for each in find(path.read_text(encoding="utf-8")))


def main(site: Path) -> int:
    found = list(loaded(site))
    for file, address in found:
        sys.stderr.write(f"{file} loads {address}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
