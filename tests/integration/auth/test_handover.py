"""The schema that Tenantry makes, handed over to a Supabase Auth server. What that server does is stated here as SQL: its first own
migration, and the versions that it lists."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tenantry.accounts.auth_schema import AuthSchema, auth_script, read_auth_schema
from tenantry.auth.handover import HandoverState, hand_over, handover_script, migrations, read_handover, schema_objects
from tenantry.auth.handover.errors import HandoverImpossible
from tenantry.cli.main import app
from tests.conftest import Database

LEFT = [each for each in migrations() if each.left]
KEPT = [each for each in migrations() if not each.left]


def test_a_migration_is_listed_just_where_our_schema_has_what_it_brings(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(auth_script().encode())
        before = read_handover(connection)
        assert (before.state, before.listed, len(before.unlisted)) == (HandoverState.OURS, 0, len(KEPT))

        after = hand_over(connection)
        assert (after.state, after.listed, after.unlisted, after.unknown, after.missing) == (
            HandoverState.PREPARED,
            len(KEPT),
            (),
            (),
            (),
        )
        objects = schema_objects(connection)
        absent = {name for each in LEFT for name in each.missing(objects)}
        # What drops something can only be left behind where what it drops comes from a migration that is left, too.
        pure = [each.version for each in LEFT if not each.missing(objects) and not each.drops]
        assert (len(migrations()), pure, "table sso_providers" in absent) == (70, [], False)
        assert {
            "tables saml_providers",
            "tables oauth_clients",
            "constraints sessions.sessions_oauth_client_id_fkey",
        } <= absent

        connection.execute(handover_script().encode())
        connection.execute(auth_script().encode())
        assert read_handover(connection) == after
        assert read_auth_schema(connection) is AuthSchema.OURS


def test_what_a_supabase_auth_server_did_is_read_and_kept(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(auth_script().encode())
        hand_over(connection)
        connection.execute("create table auth.sso_providers (id uuid primary key)")
        connection.execute("insert into auth.schema_migrations values ('20221021082433'), ('29990101000000')")
        taken = read_handover(connection)
        assert (taken.state, taken.unknown) == (HandoverState.TAKEN_OVER, ("29990101000000",))
        assert "tables saml_providers" in taken.missing
        assert "tables sso_providers" not in taken.missing
        connection.execute(auth_script().encode())
        assert read_handover(connection) == taken


def test_only_a_complete_schema_of_ours_is_handed_over(database: Database) -> None:
    with database.connect() as connection:
        with pytest.raises(HandoverImpossible, match="missing"):
            hand_over(connection)
        connection.execute("create schema auth")
        with pytest.raises(HandoverImpossible, match="foreign"):
            hand_over(connection)
        assert read_handover(connection).listed == 0


def test_the_command_prints_applies_and_checks(database: Database) -> None:
    def called(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["auth", "handover", *words])
        return result.exit_code, result.output

    code, told = called()
    assert (code, told.strip()) == (0, handover_script().strip())
    with database.connect() as connection:
        connection.execute(auth_script().encode())
        assert "Not prepared" in called("--check", "--dsn", database.dsn)[1]
        code, told = called("--apply", "--json", "--dsn", database.dsn)
        assert (code, json.loads(told)["state"]) == (0, "prepared")
        # A server that noted a migration, and whose tables another tool dropped.
        connection.execute("insert into auth.schema_migrations values ('20221021082433'), ('29990101000000')")
        code, told = called("--check", "--dsn", database.dsn)
        assert (code, "29990101000000" in told, "tables saml_providers" in told) == (1, True, True)
