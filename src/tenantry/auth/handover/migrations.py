"""The migrations of Supabase Auth 2.196, as facts: their versions, and what each brings that is still there after the last one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

LAST_SERVER = "2.196"
"""The version of Supabase Auth whose migrations are known here."""


@dataclass(frozen=True, slots=True)
class ServerMigration:
    """One migration of Supabase Auth.

    Attributes:
        left: it is left to the server, since our schema lacks something that it brings. It can run on our schema.
        brings: names of objects in schema auth by kind: tables, columns (`table.column`), constraints (`table.constraint`), indexes,
            types, functions, row_security (tables). A table that our schema lacks stands for its columns and indexes too.
        drops: what it drops that only a migration which is left to the server creates.
    """

    version: str
    left: bool
    brings: Mapping[str, tuple[str, ...]]
    drops: tuple[str, ...] = ()

    def missing(self, objects: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
        """What of `brings` is not among the objects, as `kind name`."""
        return tuple(
            f"{kind} {name}"
            for kind, names in self.brings.items()
            for name in names
            if name not in objects.get(kind, frozenset())
        )


@cache
def migrations() -> tuple[ServerMigration, ...]:
    """All migrations, in the order in which the server runs them."""
    text = resources.files("tenantry.auth.handover").joinpath("migrations.json").read_text(encoding="utf-8")
    return tuple(
        ServerMigration(
            entry["version"],
            entry["left"],
            {kind: tuple(names) for kind, names in entry["brings"].items()},
            tuple(entry.get("drops", ())),
        )
        for entry in json.loads(text)
    )
