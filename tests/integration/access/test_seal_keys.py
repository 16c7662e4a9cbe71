"""The keys of sealed contexts: who reads them, and the command that makes, lists and retires them."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql

from tenantry.errors import SettingsError
from tenantry.postgres.seal import SealKey, claims_text
from tenantry.prove.expected.callers import people
from tenantry.prove.fixtures.build import make_fixtures, remove_leftovers
from tests.integration.access.seal_world import OTHER, World, open, world
from tests.migrate_support import Said, cli

__all__ = ["world"]


def test_only_the_definer_reads_the_keys(world: World) -> None:
    with world.connection() as connection:
        for role in ("none", "anon", "authenticated"):
            with connection.transaction(force_rollback=True):
                connection.execute(sql.SQL("set local role {}").format(sql.SQL(role)))
                for query in ("table tenantry.seal_key", "select open_inner from tenantry.seal_key"):
                    with pytest.raises(errors.InsufficientPrivilege), connection.transaction():
                        connection.execute(query.encode())
        for role in ("anon", "authenticated"):
            with connection.transaction(force_rollback=True), pytest.raises(errors.InsufficientPrivilege):
                connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
                connection.execute("select tenantry.open('{}', 'x')")
    assert "that nobody knows" not in repr(OTHER)


def test_a_keys_text_is_read_again_and_a_wrong_one_is_not_repeated() -> None:
    key = SealKey.new()
    assert SealKey.parse(key.text() + "\n") == key
    for wrong in ("", "k", "k:", "k:***", "k:c2hvcnQ", "two words:" + "A" * 44):
        with pytest.raises(SettingsError) as caught:
            SealKey.parse(wrong)
        assert not wrong.partition(":")[2] or wrong.partition(":")[2] not in str(caught.value)


# -- the command ------------------------------------------------------------------------------------------------------


def _seal(world: World, *arguments: str) -> Said:
    return cli("seal", *arguments, "--dsn", world.built.owner_dsn)


def test_keys_are_made_listed_and_retired_by_the_command(world: World, tmp_path: Path) -> None:
    file = tmp_path / "seal.key"
    server, name = world.built.database.server, world.built.database.name
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for setting in ("log_statement = 'all'", "log_min_duration_statement = 0", "debug_print_plan = on",
                        "log_parameter_max_length_on_error = -1", "log_error_verbosity = 'verbose'"):  # fmt: skip
            admin.execute(f"alter database {name} set {setting}".encode())
    made = _seal(world, "new", "--name", "by-command", "--out", str(file))
    # One that is registered as it is, also where that is refused, and those of a test and a proof.
    given = SealKey.new("given")
    with world.built.owner() as owner, owner.transaction(force_rollback=True):
        given.register(owner)
        with pytest.raises(errors.UniqueViolation), owner.transaction():
            given.register(owner)
        project = world.built.project
        remove_leftovers(owner)
        drawn = make_fixtures(owner, project, people(project.manifest), removable=False).key
    assert drawn is not None
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"alter database {name} reset all".encode())
    assert made.code == 0, made.err
    assert file.stat().st_mode & 0o777 == 0o600
    key = SealKey.parse(file.read_text())
    secret = file.read_text().partition(":")[2].strip()
    assert key.kid == "by-command"
    assert secret not in made.out + made.err
    # Whatever the server logs, the key is not among it, in none of the forms in which it would be written.
    log = " ".join(server.log_file.read_text(errors="replace").split())
    assert "by-command" in log
    for block in (each for one in (key, given, drawn) for each in (one.secret, *one.blocks().values())):
        signed = " ".join(str(byte - 256 if byte > 127 else byte) for byte in block)
        assert [form for form in (block.hex(), signed) if form in log] == []
    claims = claims_text(world.claims())
    with world.connection() as connection:
        open(connection, claims, key)
        listed = _seal(world, "list", "--json")
        assert [(each["name"], each["opens"]) for each in json.loads(listed.out)["keys"]] == [
            ("test", True),
            ("by-command", True),
        ]
        assert secret not in listed.out
        assert _seal(world, "retire", "by-command").code == 0
        with pytest.raises(errors.InvalidAuthorizationSpecification):
            open(connection, claims, key)
    printed = _seal(world, "new", "--name", "printed", "--print")
    assert SealKey.parse(printed.out).kid == "printed"


def test_an_impossible_command_is_reported_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    for arguments, said in (
        (("new",), "Choose where the key goes"),
        (("new", "--out", str(tmp_path)), "cannot be written"),
        (("new", "--print", "--name", "test"), "There is a key of the name test"),
        (("new", "--print", "--name", "two words"), "letters, digits"),
        (("retire", "nobody"), "There is no key of the name 'nobody'"),
        (("retire", "test", "--in", "soon"), "is not a duration"),
    ):
        done = _seal(world, *arguments)
        assert done.code == 2, arguments
        assert said in " ".join(done.err.split()), done.err
    with world.built.owner() as owner:
        assert owner.execute("select kid from tenantry.seal_key where not_after is null").fetchall() == [("test",)]
