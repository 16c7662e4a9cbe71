"""Renders the access matrix as an HTML fragment for the report. Pure and deterministic; everything is escaped."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from tenantry.access.explain import PREMISE, describe, title
from tenantry.access.matrix import VERBS, columns, marks
from tenantry.manifest.model import COMMANDS
from tenantry.mapping.project import Project


def matrix_html(project: Project) -> str:
    """Return one <section class="access">: the matrix, the access of each role, and how each table's access is decided."""
    template = _environment().get_template("matrix.html.j2")
    return template.render(
        document=describe(project),
        premise=PREMISE,
        title=title,
        marks=marks,
        columns=columns,
        verbs=VERBS,
        commands=COMMANDS,
    )


@cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("tenantry.access", "templates"), autoescape=True, undefined=StrictUndefined)
