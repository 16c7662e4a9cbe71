"""A Clinic that is carried over and waits for its cut-over, an application that writes it, and what the two sides hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tenantry.migrate.follow import follow
from tenantry.migrate.run.compare_sides import compare_sides
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.observer import Silent
from tenantry.migrate.switch.cutover import cut_over
from tenantry.migrate.switch.rollback import roll_back
from tenantry.migrate.switch.switchover import Bounds
from tests.conftest import Database, fresh_database, running_server
from tests.migrate_support import (
    MANIFEST,
    OWNER,
    PATIENCE,
    carry_over,
    clinic_manifest,
    fill_legacy,
    grant_rights,
    one,
    rows,
    shared_template,
)

APPLICATION = "clinic_app_of_tests"


SHORT = Bounds(max_stall=1.0, patience=PATIENCE)


WHERE_MANIFEST = ("--manifest", str(MANIFEST))


class Notes(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def notice(self, message: str) -> None:
        self.said.append(message)


def let_write(database: Database) -> None:
    """A login of an application: rights on the source, and none of Tenantry's."""
    with database.connect() as admin, psycopg.connect(database.server.dsn(), autocommit=True) as lock:
        lock.execute("select pg_advisory_lock(4712)")
        admin.execute(
            sql.SQL(
                "do $$ begin if to_regrole({0}) is null then create role {1} login; end if; end $$;"
                " grant usage on schema public to {1};"
                " grant select, insert, update, delete, truncate on all tables in schema public to {1};"
                " grant service_role to {1} "
            ).format(sql.Literal(APPLICATION), sql.Identifier(APPLICATION))
        )


def _fill_ready(database: Database) -> None:
    fill_legacy(database)
    let_write(database)
    carry_over(database)


def clone_ready(servers: dict[int, Any], version: int) -> Iterator[Database]:
    server = running_server(servers, version)
    with fresh_database(server, shared_template(server, "clinic_live", _fill_ready)) as made:
        grant_rights(made, clinic_manifest())
        yield made


@pytest.fixture
def ready(servers: dict[int, Any]) -> Iterator[Database]:
    """A Clinic that is carried over and waits for its cut-over, on PostgreSQL 18."""
    yield from clone_ready(servers, 18)


def application(database: Database, *, autocommit: bool = True) -> psycopg.Connection[Any]:
    return psycopg.connect(database.dsn_as(APPLICATION), autocommit=autocommit)


def catch_up(database: Database) -> None:
    follow(database.dsn_as(OWNER), clinic_manifest(), until_idle=True)


def turn_over(database: Database, **more: Any) -> Any:
    return cut_over(database.dsn_as(OWNER), clinic_manifest(), bounds=SHORT, **more)


def turn_back(database: Database, **more: Any) -> Any:
    return roll_back(database.dsn_as(OWNER), clinic_manifest(), bounds=SHORT, **more)


def differences(database: Database) -> list[str]:
    """What is not the same on both sides, but for what is listed as kept in the target only."""
    with RunHandle(database.dsn_as(OWNER), clinic_manifest()) as live:
        live.check()
        return [str(each) for check in compare_sides(live) for each in check.differences]


def contents(database: Database) -> dict[str, Any]:
    """A checksum of every row of the source, by table."""
    tables = rows(
        database, "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    )
    return {
        name: one(database, f"select concat(count(*), ' ', sum(hashtextextended(t::text, 0))) from public.{name} t")
        for (name,) in tables
    }


def log(database: Database) -> list[tuple[Any, ...]]:
    return rows(database, "select table_name, old_key, new_key from tenantry.source_log order by at")
