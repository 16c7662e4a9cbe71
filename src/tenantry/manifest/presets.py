"""Kinds of tables: what `access = "tenant"` and its like stand for. Pure, over the manifest's text as it was parsed.

The cells that a kind gives are put in where the manifest says nothing, before anything is checked: everything behind sees
cells alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COMMANDS = ("select", "insert", "update", "delete")


def with_cells(manifest: object) -> object:
    """The same manifest, in which every table of a kind has its four cells. What is not as it should be is left for the model
    to say."""
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
    """What a kind says of a table, given the roles of a tenant, least first, and the column that holds a profile.

    tenant: read by all members, written from the second role on, deleted by the highest. managed: read by all members, written
    by the highest. own: one's own rows. shared: read by all who are signed in, written by super admins. system: managed, and
    rows without a tenant for everybody who is signed in. append_only: read by all members, added from the second role on.
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
            # 'service', and words that are no kind, which the model says.
            cells = ("service", "service", "service", "service")
    found: dict[str, object] = dict(zip(_COMMANDS, cells, strict=True))
    return {**found, "system": "signed_in"} if kind == "system" else found
