"""The static checks: one .sql file each, whose rows are the violations."""

from __future__ import annotations

from importlib import resources
from typing import Any

import psycopg

from tenantry.manifest.mapping import LEGACY_ID, ROW_ID, Project
from tenantry.postgres import load_sql
from tenantry.prove.model import Check

_SQL = "tenantry.prove.sql"
_AUDIT = ("created_at", "updated_at", "created_by", "updated_by")


def run_checks(conn: psycopg.Connection[Any], project: Project, login: str) -> tuple[Check, ...]:
    """Every check of the folder, in name order."""
    manifest = project.manifest
    roles = manifest.database_roles
    parameters = {
        "schema": manifest.target.schema_name,
        "login": login,
        "anon": roles.anon,
        "clients": [roles.anon, roles.authenticated],
        "callers": [roles.anon, roles.authenticated, login],
        "definer": roles.definer,
        "protected": [ROW_ID, LEGACY_ID, manifest.tenant.column, *_AUDIT],
    }
    names = sorted(file.name.removesuffix(".sql") for file in resources.files(_SQL).iterdir())
    return tuple(_run(conn, name, parameters) for name in names)


def _run(conn: psycopg.Connection[Any], name: str, parameters: dict[str, Any]) -> Check:
    text = load_sql(_SQL, name)
    rows = conn.execute(text, parameters).fetchall()
    return Check(name, _header(text, "title"), _header(text, "mending"), tuple(str(row[0]) for row in rows))


def _header(text: str, key: str) -> str:
    """The value of a `-- key: value` line, with the comment lines that go on from it."""
    found: list[str] = []
    for line in text.splitlines():
        if line.startswith(f"-- {key}:"):
            found.append(line.removeprefix(f"-- {key}:").strip())
        elif found and line.startswith("--   "):
            found.append(line.removeprefix("--").strip())
        elif found:
            break
    return " ".join(found)
