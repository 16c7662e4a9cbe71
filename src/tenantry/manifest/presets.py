"""Kinds of tables: the meaning of `access = "tenant"` and other short forms. Pure, over the manifest's parsed text.

The cells of a kind are filled in where the manifest has none, before any check: all later code only sees cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COMMANDS = ("select", "insert", "update", "delete")


def with_cells(manifest: object) -> object:
    """Return the manifest with all four cells for every table of a kind. Malformed values are left for the model to
    report."""
    if not isinstance(manifest, Mapping) or not isinstance(manifest.get("tables"), Mapping):
        return manifest
    order = _get(manifest, "roles", "order")
    roles = [role for role in order if isinstance(role, str)] if isinstance(order, list | tuple) else []
    profile = _get(manifest, "membership", "profile")
    tables = {
        name: {**rule, "access": _expanded(rule["access"], roles, profile)}
        if isinstance(rule, Mapping) and "access" in rule
        else rule
        for name, rule in manifest["tables"].items()
    }
    return {**manifest, "tables": tables}


def _get(manifest: Mapping[str, Any], section: str, key: str) -> object:
    found = manifest.get(section)
    return found.get(key) if isinstance(found, Mapping) else None


def _expanded(access: object, roles: list[str], profile: object) -> object:
    if isinstance(access, str):
        access = {"kind": access}
    if not isinstance(access, Mapping) or "kind" not in access:
        return access
    return {**cells_of(access["kind"], roles, access.get("by", profile)), **access}


def cells_of(kind: object, roles: list[str], own: object = None) -> dict[str, object]:
    """Return the cells of a kind, given the tenant roles, lowest first, and the column that holds a profile.

    tenant: read by all members, written from the second role on, deleted by the highest. managed: read by all members,
    written by the highest. own: one's own rows. shared: read by all signed-in users, written by super admins. system:
    managed, and every signed-in user reads rows without a tenant. append_only: read by all members, added from the second
    role on.
    service: no client.
    """
    lowest, next_one, highest = (roles[0], roles[min(1, len(roles) - 1)], roles[-1]) if roles else ("service",) * 3
    mine = {"own": own, "role": lowest}
    match kind:
        case "tenant":
            cells: tuple[object, ...] = (lowest, next_one, next_one, highest)
        case "managed" | "system":
            cells = (lowest, highest, highest, highest)
        case "own":
            cells = (mine, mine, mine, mine)
        case "shared":
            cells = ("signed_in", "super", "super", "super")
        case "append_only":
            cells = (lowest, next_one, "service", "service")
        case _:
            # 'service', and unknown words, which the model reports.
            cells = ("service", "service", "service", "service")
    found: dict[str, object] = dict(zip(_COMMANDS, cells, strict=True))
    return {**found, "system": "signed_in"} if kind == "system" else found
