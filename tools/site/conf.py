"""How Sphinx builds the documentation, from the Markdown files as they lie in the repository: `make site`."""

from __future__ import annotations

import html
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers.sql import PostgresLexer
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]

project = "Tenantry"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md", "apps/clinic/*.md"]
exclude_patterns = [
    ".*",
    "build",
    "dist",
    "demo",
    "report",
    "fuzz",
    "src",
    "tests",
    "benchmarks",
    "tools",
    "**/node_modules",
]

myst_enable_extensions = ["attrs_inline"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # Typer's page of the commands leaves a level out

html_theme = "furo"
html_title = f"Tenantry {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False

SECTIONS = {
    "Tutorial": "docs/tutorial",
    "How-to": "docs/how-to",
    "Reference": "docs/reference",
    "Explanation": "docs/explanation",
    "Clinic": "docs/clinic",
}

TITLES = {"docs/reference/cli": "The command line", "docs/README": "All pages"}
"""What pages are called in the list of pages, where that is not their heading."""


class Mermaid(SphinxDirective):
    """A diagram, drawn by the reader's browser with the copy of Mermaid that the site brings along."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        text = html.escape("\n".join(self.content), quote=False)
        self.env.metadata[self.env.docname]["mermaid"] = "yes"
        return [nodes.raw("", f'<pre class="mermaid">\n{text}\n</pre>\n', format="html")]


def _pages(folder: str) -> list[str]:
    """The pages of a folder, in the order in which docs/README.md links to them."""
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = [f"docs/{name}" for name in re.findall(r"\]\(([\w/-]+)\.md\)", index)]
    chosen = [name for name in dict.fromkeys(linked) if name.startswith(f"{folder}/")]
    there = {path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / folder).glob("*.md")}
    if missing := sorted(there - set(chosen)):
        raise ExtensionError(f"docs/README.md links to no {', '.join(missing)}")
    return chosen


def _toctree(caption: str, pages: list[str]) -> str:
    entries = [f"{TITLES[page]} </{page}>" if page in TITLES else f"/{page}" for page in pages]
    lines = ["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```"]
    return "\n".join(["", *lines, ""])


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    """What a forge does by itself: a link to a folder leads to its README, and one to an anchor in HTML to that. The pages are put in order here."""
    source[0] = re.sub(r"\]\(([^)\s:]+/)\)", r"](\1README.md)", source[0])
    source[0] = re.sub(r'^<a id="([\w-]+)"></a>$', r"(\1)=", source[0], flags=re.MULTILINE)
    if name == "docs/decisions/README":
        source[0] += "\n```{toctree}\n:glob:\n:titlesonly:\n\n[0-9]*\n```\n"
    if name != root_doc:
        return
    for caption, folder in SECTIONS.items():
        source[0] += _toctree(caption, _pages(folder))
    source[0] += _toctree("Decisions", ["docs/decisions/README"])
    more = [
        "docs/README",
        "apps/clinic/README",
        *sorted(path.stem for path in ROOT.glob("*.md") if path.stem != root_doc),
    ]
    source[0] += _toctree("More", more)


def _context(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Mermaid is large: only pages with a diagram load it."""
    if app.env.metadata.get(page, {}).get("mermaid"):
        app.add_js_file("mermaid.js")
        app.add_js_file("diagrams.js")


def _finished(app: Sphinx, failure: Exception | None) -> None:
    if failure is None:
        out = Path(app.outdir)
        (out / "index.html").write_bytes((out / f"{root_doc}.html").read_bytes())


def _bring_mermaid(app: Sphinx) -> None:
    target = Path(app.outdir) / "_static" / "mermaid.js"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(files("mermaidx").joinpath("assets", "mermaid.js").read_bytes())


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("mermaid", Mermaid)
    app.add_lexer("sql", PostgresLexer)  # which knows $1
    app.connect("source-read", _read)
    app.connect("builder-inited", _bring_mermaid)
    app.connect("html-page-context", _context)
    app.connect("build-finished", _finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
