"""The outcome for each user: counted by situation, and as a list that an administrator can act on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import psycopg

from tenantry.accounts.auth_schema import complete_auth_schema
from tenantry.accounts.decide import decisions, profile_mapping
from tenantry.accounts.situations import SITUATIONS, Situation
from tenantry.mapping import Project
from tenantry.postgres import ident, literal, load_blocks, verbatim

Connection = psycopg.Connection[tuple[Any, ...]]

_OTHERS = (
    Situation("quarantined", "none", "is in quarantine, and has no profile yet",
              "Repair the row: `tenantry quarantine list`, `tenantry quarantine retry`."),
    Situation("merged", "merged", "is the same person as another user, whose profile and account count for both"),
)  # fmt: skip

FATES: tuple[Situation, ...] = (*SITUATIONS, *_OTHERS)
"""All outcomes that a user can have."""


@dataclass(frozen=True, slots=True)
class Fate:
    """The number of users in one situation; `keys` are some of their old ids."""

    situation: Situation
    count: int
    keys: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        return {**asdict(self.situation), "count": self.count, "keys": list(self.keys)}


@dataclass(frozen=True, slots=True)
class UserOutcome:
    """One user of the old application, and the outcome."""

    source_key: str
    situation: Situation
    email: str | None
    profile: UUID | None
    account: UUID | None
    detail: str | None

    def to_json(self) -> dict[str, object]:
        return {
            "old_id": self.source_key,
            "situation": self.situation.name,
            "email": self.email,
            "profile": str(self.profile) if self.profile else None,
            "account": str(self.account) if self.account else None,
            "what": self.situation.title,
            "to_do": self.situation.does,
            "detail": self.detail or "",
        }


def fates(connection: Connection, project: Project) -> tuple[Fate, ...]:
    """Count users by situation, in the order of FATES; situations without users are omitted."""
    rows = {
        str(row[0]): Fate(_known(str(row[0])), int(row[1]), tuple(row[2]))
        for row in connection.execute(_block(project, "counts").encode())
    }
    return tuple(rows[each.name] for each in FATES if each.name in rows)


def people(
    connection: Connection, project: Project, situations: Sequence[str] | None = None, *, limit: int | None = None
) -> Iterator[UserOutcome]:
    """Stream the users in some situations, or all users."""
    with connection.transaction(), connection.cursor(name="tenantry_people") as cursor:
        wanted = list(situations) if situations is not None else None
        cursor.execute(_block(project, "listed").encode(), {"situations": wanted, "limit": limit})
        for row in cursor:
            yield UserOutcome(row[0], _known(row[1]), row[2], row[3], row[4], row[5])


def planned(connection: Connection, project: Project, *, journal: bool = False) -> tuple[Fate, ...]:
    """Predict the outcomes before anything is done. Does not predict which rows the target would reject.

    Args:
        journal: a run exists; take its decisions and created accounts into account.
    """
    mapping = profile_mapping(project)
    if mapping is None:
        return ()
    rows = {
        str(row[0]): Fate(_known(str(row[0])), int(row[1]), tuple(row[2]))
        for row in connection.execute(
            "select situation, count(*), (array_agg(source_key order by source_key))[1:5]"
            f" from ({decisions(project, journal=journal)}) as d group by 1".encode()
        )
    }
    return tuple(rows[each.name] for each in FATES if each.name in rows)


def preview(connection: Connection, project: Project, *, journal: bool = False) -> tuple[bool, tuple[Fate, ...]]:
    """Return planned(), also for a database without auth.users, and whether the table exists; without it nobody has an
    account."""
    if connection.execute("select to_regclass('auth.users')").fetchone() != (None,):
        return True, planned(connection, project, journal=journal)
    with connection.transaction(force_rollback=True):
        complete_auth_schema(connection)
        return False, planned(connection, project)


def _known(name: str) -> Situation:
    return next(each for each in FATES if each.name == name)


def _block(project: Project, name: str) -> str:
    mapping, users = profile_mapping(project), project.manifest.users
    assert mapping is not None
    assert users is not None
    email = next(column.name for column in mapping.columns if column.source == users.email)
    blocks = load_blocks("tenantry.accounts.sql", "outcomes")
    found = blocks["fates"].format(
        email=ident(email),
        source_email=literal(users.email),
        mapping=literal(mapping.name),
        profiles=ident(project.target.schema, mapping.target.name),
        account=ident(users.account),
    )
    found = found.strip().rstrip(";")
    # In a statement with parameters, a percent sign in a name would be read as a placeholder.
    return blocks[name].replace("{fates}", verbatim(found) if name == "listed" else found)


__all__ = ["FATES", "Fate", "UserOutcome", "fates", "people", "planned", "preview"]
