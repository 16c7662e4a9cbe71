"""Two clinics with a member each, for tests of the sealed context."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest

from tenantry.postgres.seal import SealKey
from tests.conftest import Database
from tests.isolation.build import KEY, Built, Connection, build_clinic

SCHEMA = "clinic"


WHO = "select tenantry.uid()::text"


OTHER = SealKey("other", b"another key that nobody knows of!")


class World:
    """Two clinics with a member each."""

    def __init__(self, built: Built) -> None:
        self.built = built
        with built.owner() as owner:
            self.clinics = [self._clinic(owner, name) for name in ("Fernhill", "Oakdale")]
            self.people = [self._member(owner, clinic) for clinic in self.clinics]

    @staticmethod
    def _clinic(owner: Connection, name: str) -> UUID:
        row = owner.execute(
            "insert into clinic.clinics (name, location, time_zone) values (%s, 'x', 'UTC') returning id", [name]
        ).fetchone()
        assert row is not None
        return UUID(str(row[0]))

    @staticmethod
    def _member(owner: Connection, clinic: UUID) -> UUID:
        account = uuid4()
        owner.execute("insert into auth.users (id, email) values (%s, %s)", [account, f"{account}@example.org"])
        row = owner.execute(
            "insert into clinic.profiles (auth_user_id, email, name) values (%s, %s, 'N') returning id",
            [account, f"{account}@example.org"],
        ).fetchone()
        assert row is not None
        owner.execute(
            "insert into clinic.user_clinic_roles (clinic_id, profile_id, role) values (%s, %s, 'staff')",
            [clinic, row[0]],
        )
        return account

    def claims(self, person: int = 0, **more: object) -> dict[str, object]:
        return {"sub": str(self.people[person]), "role": "authenticated", **more}

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """As the pool's connections are."""
        with psycopg.connect(self.built.login_dsn, autocommit=True, prepare_threshold=None) as made:
            yield made


@pytest.fixture
def world(database: Database) -> World:
    return World(build_clinic(database))


@pytest.fixture
def world_each(database_each: Database) -> World:
    return World(build_clinic(database_each))


def value(cursor: psycopg.Cursor[tuple[object, ...]]) -> object:
    row = cursor.fetchone()
    assert row is not None
    return row[0]


# -- tokens -----------------------------------------------------------------------------------------------------------


def challenge(connection: Connection) -> str:
    return str(value(connection.execute("select tenantry.challenge()")))


def open(
    connection: Connection,
    claims: str,
    key: SealKey = KEY,
    *,
    age: float = 0,
    spoil: Callable[[str, str], tuple[str, str]] = lambda claims, token: (claims, token),
) -> None:
    """In a transaction of its own, which is taken back."""
    with connection.transaction(force_rollback=True):
        token = key.token(claims, challenge(connection), now=time.time() - age)
        connection.execute("select tenantry.open(%s, %s)", spoil(claims, token))
