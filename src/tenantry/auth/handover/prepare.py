"""List in schema auth which migrations of Supabase Auth it contains, and read how far its server took it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg

from tenantry.accounts.auth_schema import AuthSchema, read_auth_schema
from tenantry.auth.handover.errors import HandoverImpossible
from tenantry.auth.handover.migrations import migrations
from tenantry.postgres import literal, load_sql

_PACKAGE = "tenantry.auth.handover"
_GRANTEE = "postgres"
"""The role that a migration of Supabase Auth grants to by name: without it the server does not start."""


class HandoverState(StrEnum):
    """Who runs the migrations of schema auth."""

    OURS = "ours"
    """No migration of Supabase Auth is listed: its server would run all of them, and fail."""
    PREPARED = "prepared"
    """What the schema contains is listed; the server has not started yet."""
    TAKEN_OVER = "taken over"
    """A Supabase Auth server has run its own migrations."""


@dataclass(frozen=True, slots=True)
class Handover:
    """What schema auth says about the migrations of Supabase Auth.

    Attributes:
        listed: number of versions in auth.schema_migrations.
        unlisted: versions that are to be listed, and are not.
        unknown: listed versions that this Tenantry does not know: a newer server ran.
        missing: objects (`kind name`) of listed versions that are not in the schema.
    """

    state: HandoverState
    listed: int
    unlisted: tuple[str, ...]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]


def handover_script() -> str:
    """Return the SQL that lists, in auth.schema_migrations, the migrations of Supabase Auth that our schema contains."""
    versions = [f"    ({literal(each.version)})" for each in migrations() if not each.left]
    rows = ",\n".join(versions)
    insert = f"insert into auth.schema_migrations (version)\nvalues\n{rows}\non conflict (version) do nothing;"
    return f"{load_sql(_PACKAGE, 'prepare')}\n{insert}\n"


def hand_over(connection: psycopg.Connection[Any]) -> Handover:
    """Run the script in one transaction, and return what the schema says then.

    Raises:
        HandoverImpossible: schema auth is not one that Tenantry made and completed, or the role postgres is missing.
    """
    state = read_auth_schema(connection)
    if state is not AuthSchema.OURS:
        raise HandoverImpossible(
            f"Schema auth is {state.value}. Only one that Tenantry made, and that is complete, can be prepared.",
            hint="A schema that Supabase made needs no preparation. An older one of ours is completed by `tenantry auth init`.",
        )
    if connection.execute("select from pg_roles where rolname = %s", [_GRANTEE]).fetchone() is None:
        raise HandoverImpossible(
            f"The role {_GRANTEE} does not exist. A migration of Supabase Auth grants to it, and would fail.",
            hint=f"Run `create role {_GRANTEE} nologin;` as an administrator of the server.",
        )
    with connection.transaction():
        connection.execute(handover_script().encode())
    return read_handover(connection)


def read_handover(connection: psycopg.Connection[Any]) -> Handover:
    """Read which migrations are listed, and whether what they bring is there. Only reads."""
    objects = schema_objects(connection)
    listed: set[str] = set()
    if "schema_migrations" in objects["tables"]:
        listed = {row[0] for row in connection.execute("select version from auth.schema_migrations")}
    known = {each.version: each for each in migrations()}
    left = {each.version for each in migrations() if each.left}
    state = HandoverState.PREPARED if listed else HandoverState.OURS
    if listed & left or listed - known.keys():
        state = HandoverState.TAKEN_OVER
    return Handover(
        state,
        len(listed),
        tuple(version for version, each in known.items() if not each.left and version not in listed),
        tuple(sorted(listed - known.keys())),
        tuple(name for version in known if version in listed for name in known[version].missing(objects)),
    )


def schema_objects(connection: psycopg.Connection[Any]) -> dict[str, frozenset[str]]:
    """Return the names of what schema auth holds by kind; see ServerMigration.brings."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for kind, name in connection.execute(load_sql(_PACKAGE, "objects")):
        found[kind].add(name)
    return defaultdict(frozenset, {kind: frozenset(names) for kind, names in found.items()})
