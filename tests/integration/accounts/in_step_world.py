"""A Clinic after its cut-over, with the login by which Supabase Auth writes accounts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from tenantry.accounts.sync import functions_sql, triggers_sql
from tenantry.manifest import Manifest
from tests.conftest import Database
from tests.migrate_support import OWNER, engine, project_of, rows

AUTH_TABLES = "auth.users, auth.identities, auth.sessions, auth.one_time_tokens"


class World:
    """A Clinic after its cut-over."""

    def __init__(self, database: Database, auth: str) -> None:
        self.database = database
        self.login = auth
        self.auth = database.connect(user=auth)
        self.clinics = [
            clinic for (clinic,) in rows(database, "select id from clinic.clinics order by status <> 'active', id")
        ]

    def sign_up(self, email: str | None, *, confirmed: bool = False, **columns: Any) -> UUID:
        """A row of auth.users as Supabase Auth inserts it."""
        given = {"id": uuid4(), "email": email, **columns}
        names = sql.SQL(", ").join(map(sql.Identifier, given))
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(given))
        when = sql.SQL("now()" if confirmed else "null")
        self.auth.execute(
            sql.SQL("insert into auth.users ({}, email_confirmed_at) values ({}, {})").format(names, marks, when),
            list(given.values()),
        )
        account = given["id"]
        assert isinstance(account, UUID)
        return account

    def confirm(self, account: UUID) -> None:
        self.auth.execute("update auth.users set email_confirmed_at = now() where id = %s", [account])

    def invite(self, email: str, *, clinic: UUID | None = None, role: str = "staff", **columns: Any) -> UUID:
        given = {
            "clinic_id": clinic or self.clinics[0],
            "email": email,
            "role": role,
            "token_hash": uuid4().bytes * 2,
            **columns,
        }
        names = sql.SQL(", ").join(map(sql.Identifier, given))
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(given))
        with self.database.connect() as admin:
            row = admin.execute(
                sql.SQL("insert into clinic.clinic_invitations ({}) values ({}) returning id").format(names, marks),
                list(given.values()),
            ).fetchone()
        assert row is not None
        assert isinstance(row[0], UUID)
        return row[0]

    def person(self, email: str, **columns: Any) -> UUID:
        """A profile without an account."""
        given = {"email": email, "name": "Somebody", **columns}
        names = sql.SQL(", ").join(map(sql.Identifier, given))
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(given))
        with self.database.connect() as admin:
            row = admin.execute(
                sql.SQL("insert into clinic.profiles ({}) values ({}) returning id").format(names, marks),
                list(given.values()),
            ).fetchone()
        assert row is not None
        assert isinstance(row[0], UUID)
        return row[0]

    def profile(self, account: UUID) -> UUID | None:
        found = rows(self.database, "select id from clinic.profiles where auth_user_id = %s", [account])
        assert len(found) < 2
        return found[0][0] if found else None

    def memberships(self, profile: UUID | None) -> list[tuple[UUID, str, bool]]:
        return [
            (clinic, role, active)
            for clinic, role, active in rows(
                self.database,
                "select clinic_id, role::text, is_active from clinic.user_clinic_roles where profile_id = %s order by 1",
                [profile],
            )
        ]

    def events(self) -> list[tuple[Any, ...]]:
        return rows(self.database, "select kind, code from tenantry.auth_event where done_at is null order by kind")

    @contextmanager
    def service(self) -> Iterator[psycopg.Connection[Any]]:
        """The application itself."""
        with self.database.connect() as connection:
            connection.execute("set role service_role")
            yield connection

    def email_of(self, account: UUID) -> tuple[str | None, bool]:
        ((email, confirmed),) = rows(
            self.database, "select email, email_confirmed_at is not null from auth.users where id = %s", [account]
        )
        return email, confirmed


@contextmanager
def world_of(database: Database) -> Iterator[World]:
    name = f"{database.name}_auth"
    role = sql.Identifier(name)
    with database.connect() as admin:
        admin.execute(sql.SQL("create role {} login").format(role))
        admin.execute(sql.SQL("grant usage on schema auth to {}").format(role))
        admin.execute(sql.SQL("grant select, insert, update, delete on {} to {}").format(sql.SQL(AUTH_TABLES), role))
        for table in AUTH_TABLES.split(", "):
            admin.execute(sql.SQL("create policy auth_service on {} to {} using (true)").format(sql.SQL(table), role))
    world = World(database, name)
    try:
        yield world
    finally:
        world.auth.close()
        with database.connect() as admin:
            for last in (False, False, False, True):
                try:
                    admin.execute(sql.SQL("drop owned by {0}; drop role {0}").format(role))
                    break
                except psycopg.errors.DeadlockDetected:
                    # Autovacuum analyses what a test has filled, and locks in another order.
                    if last:
                        raise


@pytest.fixture
def world(finished: Database) -> Iterator[World]:
    with world_of(finished) as made:
        yield made


@pytest.fixture
def world_each(finished_each: Database) -> Iterator[World]:
    with world_of(finished_each) as made:
        yield made


def person_with_traces(world: World, email: str) -> tuple[UUID, UUID]:
    """An account with a membership on which a dashboard hangs, and another one on which nothing hangs."""
    for clinic in world.clinics[:2]:
        world.invite(email, clinic=clinic)
    account = world.sign_up(email, confirmed=True)
    profile = world.profile(account)
    assert profile is not None
    assert len(world.memberships(profile)) == 2
    with world.database.connect() as admin:
        admin.execute(
            "insert into clinic.dashboards (clinic_id, profile_id, name, layout_config, created_by) values (%s, %s, 'Mine', '{}', %s)",
            [world.clinics[0], profile, profile],
        )
    return account, profile


def with_other_functions(world: World, manifest: Manifest) -> None:
    project = project_of(world.database)
    changed = type(project)(
        manifest, project.digest, project.source, project.target, project.mappings, project.by_target
    )
    with engine(world.database) as owner, owner.transaction():
        for statement in (*functions_sql(changed), *triggers_sql(changed, OWNER, on=True)):
            owner.execute(statement.encode())


def tenantry_triggers(database: Database) -> list[tuple[Any, ...]]:
    return rows(
        database,
        "select tgname from pg_trigger where tgname like 'tenantry_in_step%' and not tgisinternal and tgenabled <> 'D' order by 1",
    )
