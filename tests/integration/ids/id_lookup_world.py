"""Clinic's map of ids, and the callers who ask for ids."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import pytest

from tenantry.manifest import Manifest
from tenantry.manifest.model import Ids
from tenantry.mapping import Project
from tenantry.plan.operations.id_map import id_map
from tenantry.postgres.tenant import tenant
from tests.conftest import Database, running_server
from tests.integration.migrate.test_generic_schema import (
    shop,  # noqa: F401 - a fixture
)
from tests.isolation.build import KEY, LOGIN, add_key
from tests.migrate_support import (
    MANIFEST,
    OWNER,
    clinic_manifest,
    clone_finished,
    engine,
    project_of,
    rows,
)

BOTH = ("clinics", "profiles", "providers", "metric_values")


def naming(*both: str) -> Manifest:
    return clinic_manifest().model_copy(update={"ids": Ids(namespace="clinic", both=both)})


def accept(database: Database, *both: str, owner: str = OWNER) -> Project:
    """As `tenantry ids apply` does."""
    project = project_of(database, naming(*both))
    with engine(database, owner) as connection, connection.transaction():
        for statement in id_map(project).sql:
            connection.execute(statement.encode())
    return project


def map_of(database: Database, table: str) -> dict[str, tuple[uuid.UUID | None, str]]:
    return {
        old: (new, state)
        for old, new, state in rows(
            database, "select old_id, new_id, state from tenantry.id_map where target_table = %s", [table]
        )
    }


def ask(database: Database, function: LiteralString, *arguments: object, user: str | None = None) -> Any:
    with database.connect(user=user) as connection:
        marks = ", ".join(["%s"] * len(arguments))
        return connection.execute(f"select tenantry.{function}({marks})".encode(), arguments).fetchone()[0]  # type: ignore[index]


# -- who may ask -------------------------------------------------------------------------------------------------------


class Members:
    """A clinic's administrator, and one of another clinic, with the clinics' old ids, on a migrated database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        found = rows(
            database,
            "select distinct on (r.clinic_id) p.auth_user_id::text, r.clinic_id, c.legacy_id from clinic.user_clinic_roles r"
            " join clinic.profiles p on p.id = r.profile_id join clinic.clinics c on c.id = r.clinic_id"
            " join tenantry.account a on a.user_id = p.auth_user_id"
            " where r.is_active and r.role in ('clinic_admin', 'provider', 'staff') and c.status = 'active' and not a.is_super"
            " and (select count(*) from clinic.user_clinic_roles o where o.profile_id = p.id) = 1"
            " order by r.clinic_id, r.role desc",
        )
        assert len(found) >= 2
        (self.me, self.mine, self.my_old), (self.other, self.theirs, self.their_old) = found[:2]
        with database.connect(user=OWNER) as owner:
            add_key(owner, KEY)

    @contextmanager
    def as_client(self, account: str | None, role: str = "authenticated") -> Iterator[Any]:
        with psycopg.connect(self.database.dsn_as(LOGIN), autocommit=True, prepare_threshold=None) as connection:
            claims = {"sub": account, "role": role} if account else {"role": role}
            with tenant(connection, claims, KEY, schema="clinic") as who:
                yield who

    def asks(self, account: str, query: LiteralString, *values: object) -> Any:
        with self.as_client(account) as who:
            return who.execute(query, values).fetchone()[0]


@pytest.fixture(scope="module")
def members(servers: dict[int, Any]) -> Iterator[Members]:
    """To be read only, but for counts."""
    with clone_finished(running_server(servers, 18)) as database:
        accept(database, *BOTH)
        yield Members(database)


# -- the command -----------------------------------------------------------------------------------------------------------


WHERE = ("--manifest", str(MANIFEST))
