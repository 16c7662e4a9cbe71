"""Code and queries together, as `tenantry analyze` looks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tenantry.mapping import Project
from tenantry.usage.changes import schema_changes
from tenantry.usage.queries import QueryUse, explain_queries, search_queries
from tenantry.usage.search import CodeLine, search_code


@dataclass(frozen=True, slots=True)
class UsageFiles:
    """Where to look: a folder of code, and queries with the number of their calls."""

    code: Path | None = None
    queries: Sequence[tuple[str, int | None]] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What was found; None where nothing was asked for."""

    code: tuple[CodeLine, ...] | None = None
    queries: tuple[QueryUse, ...] | None = None
    queries_read: int = 0

    def to_json(self) -> dict[str, object]:
        """Return the parts that were asked for."""
        said: dict[str, object] = {}
        if self.code is not None:
            said["code"] = [each.to_json() for each in self.code]
        if self.queries is not None:
            said["queries"] = [each.to_json() for each in self.queries]
            said["queries_read"] = self.queries_read
        return said


def usage(connection: psycopg.Connection[Any], project: Project, files: UsageFiles) -> Usage:
    """Search code and queries for what a migration changes. Queries are planned, never executed.

    Raises:
        SettingsError: the folder does not exist.
    """
    changes = schema_changes(project)
    code = search_code(files.code, changes) if files.code is not None else None
    if not files.queries:
        return Usage(code)
    found = explain_queries(connection, search_queries(files.queries, changes), changes)
    return Usage(code, found, len(files.queries))
