"""Lint and proof on schemas that Tenantry did not make, without a manifest: what is planted is named, what is sound is not."""

from __future__ import annotations

from contextlib import suppress

import pytest
from psycopg import errors

from tenantry.prove.lint.scope import discover
from tests.conftest import Database
from tests.isolation.foreign import SCHEMAS, keep, measure, names


@pytest.fixture
def empty(database: Database) -> Database:
    for role in ("anon", "authenticated"):
        with database.connect() as admin, suppress(errors.DuplicateObject, errors.UniqueViolation):
            admin.execute(f"create role {role} nologin".encode())
    return database


@pytest.mark.parametrize("name", names())
def test_planted_holes_are_named_and_their_sound_neighbours_are_not(name: str, empty: Database) -> None:
    with empty.connect() as connection:
        connection.autocommit = False
        found = measure(connection, name)
    keep(found)
    assert found.missed == ()
    assert found.errors == ()
    assert found.warnings == ()
    assert found.cells == ()


def test_there_are_eight_schemas_with_three_holes_or_more_each() -> None:
    assert len(names()) >= 8
    for name in names():
        assert (SCHEMAS / f"{name}.sql").read_text(encoding="utf-8").count("-- hole: ") >= 3


@pytest.mark.parametrize(
    ("name", "column", "user_owned", "said"),
    [
        ("chat_with_files", "user_id", True, "Each row belongs to a person"),
        ("personal_workspaces", "workspace_id", False, "Owners of tenants: public.workspaces, by owner_id."),
        ("school", "school_id", False, "Memberships: public.enrolments"),
    ],
)
def test_the_tenant_is_found_by_evidence_and_can_be_named(
    name: str, column: str, user_owned: bool, said: str, empty: Database
) -> None:
    with empty.connect() as connection:
        for part in ("platform", name):
            text = (SCHEMAS / f"{part}.sql").read_text(encoding="utf-8")
            connection.execute(text.partition("-- hole: ")[0].encode())
        scope = discover(connection)
        other = discover(connection, tenant_column="id" if user_owned else "name")
        person = discover(connection, tenant_column="user_id") if user_owned else scope
    assert (scope.tenant_column, scope.user_owned) == (column, user_owned)
    assert any(said in sentence for sentence in scope.sentences)
    assert any("--tenant-column" in sentence for sentence in scope.sentences)
    assert not other.user_owned
    assert person.user_owned == user_owned
    # `public` stands first, and what is left out is said.
    assert scope.schemas[0] == "public"
    assert any("platform: auth" in sentence for sentence in scope.sentences)
