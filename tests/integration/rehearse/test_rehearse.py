"""A rehearsal: every step on the copy, what is reported, and an unchanged original."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer

from tenantry.cli.main import app
from tenantry.dbcopy import fill
from tenantry.dbcopy.original import reading
from tenantry.dbcopy.pg_programs import run_program
from tenantry.errors import JournalMismatch, RightsMissing, RunInProgress, RunInterrupted, StepFailed
from tenantry.manifest import Manifest
from tenantry.postgres import literal
from tenantry.rehearse import run as rehearsing
from tenantry.rehearse import stages
from tenantry.rehearse.model import Rehearsal, Wishes
from tenantry.rehearse.run import rehearse
from tests.conftest import Database
from tests.integration.rehearse.stall import (
    ONLY_MEMBERS,
    QUICK,
    REHEARSER,
    STALL_OWNER,
    TARGET,
    TOML,
    copies,
    make_role,
    make_stall,
    untouched,
)
from tests.migrate_support import MANIFEST, OPTIONS, OWNER, clinic_manifest, one


def rehearsed(database: Database, manifest: Manifest, **wishes: Any) -> Rehearsal:
    return rehearse(
        database.dsn_as(STALL_OWNER),
        manifest,
        Wishes(**{"options": QUICK, "prove": False, **wishes}),
        prefix="tenantry",
    )


def run(*arguments: str) -> int:
    """The command, by its function; its exit code."""
    try:
        return int(app(["rehearse", *arguments], standalone_mode=False) or 0)
    except typer.Exit as end:
        return end.exit_code


# -- the whole -----------------------------------------------------------------------------------------------------------


def test_the_whole_of_clinic_while_sessions_are_connected(
    legacy: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_role(legacy.server, f"create role {REHEARSER} login createdb in role {OWNER}")
    dsn = f"{legacy.dsn_as(REHEARSER)} options='-c role={OWNER}'"
    before = untouched(legacy)
    with legacy.connect() as application:
        application.execute("select 1")
        code = run("--dsn", dsn, "--manifest", str(MANIFEST), "--no-proof", "--report", str(tmp_path), "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert (code, found["passed"], found["complete"]) == (0, True, True)
    assert untouched(legacy) == before
    assert copies(legacy) == {}
    # What it did: writes of another login, carried both ways, and both sides as they should be.
    assert found["copy"]["method"] == "dump and restore"
    source, target = found["writes"]
    assert source["login"] == target["login"] == clinic_manifest().database_roles.login
    assert source["writes"] == 2 * source["rows"] > 100
    assert source["fenced"]
    assert source["refused"] == target["refused"] == {}
    carried = {direction: sum(each["entries"] for each in found["carried"] if each["direction"] == direction)
               for direction in ("forward", "reverse")}  # fmt: skip
    assert carried["forward"] == source["writes"]
    assert carried["reverse"] >= target["writes"]
    assert [turn["name"] for turn in found["turns"]] == ["cut over", "roll back", "cut over again", "undo"]
    assert {lock["table"] for lock in found["locks"]} > {"users", "metric_values"}
    assert all(account["balanced"] for account in found["accounts"])
    assert sum(entry["count"] for entry in found["quarantine"]) == sum(a["quarantined"] for a in found["accounts"]) > 10
    # The target was written too, as members of the clinics: Clinic's trigger accepts no other writer.
    assert target["writes"] == 2 * target["rows"] > 100
    assert [note for note in found["notes"] if note.startswith("not written")] == []
    # The source is as it was, but for what triggers of the target stamp.
    for stage in ("roll back", "undo"):
        assert found["source"][stage]["differences"] == []
        assert {name.partition(".")[2] for name in found["source"][stage]["stamped"]} == {"updated_at"}
    assert found["estimate"]["migrate_seconds"] > 0 < found["estimate"]["stall_seconds"] < 1
    assert found["estimate"]["disk_bytes"] > 1_000_000 < found["estimate"]["wal_bytes"]
    page = (tmp_path / "rehearsal.md").read_text()
    assert "nothing was found that would stop or spoil the migration" in page
    assert json.loads((tmp_path / "rehearsal.json").read_text()) == found
    assert "<h1>" in (tmp_path / "report.html").read_text()


def test_a_copy_without_connections_is_made_by_template_and_proved(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    before = untouched(database)
    result = rehearsed(database, manifest, prove=True)
    assert (result.problems, result.passed, result.notes) == ([], True, [])
    assert result.copy is not None
    assert result.copy.method == "template"
    assert result.proof is not None
    assert result.proof.passed
    assert result.source["undo"].written == 3 + 6 + 20
    assert result.source["undo"].stamped == {}
    assert untouched(database) == before
    assert copies(database) == {}


def test_the_target_is_written_as_members_of_its_tenants_and_nothing_of_them_stays(
    database: Database, tmp_path: Path
) -> None:
    """Also without accounts, and with a tenant without members: the rehearsal makes a key, accounts and rights in its copy."""
    _, manifest = make_stall(
        database, tmp_path, TARGET + ONLY_MEMBERS, TOML.replace("[users]", '[users]\notherwise = "leave"')
    )
    with database.connect() as admin:
        admin.execute(
            "insert into shops values (9, 'nobody works here'); insert into items values (999, 9, 'lonely', 1)"
        )
    before = untouched(database)
    result = rehearsed(database, manifest, contract=True, keep=True)
    assert (result.problems, [note for note in result.notes if "contract dropped" not in note]) == ([], [])
    target = result.written[1]
    assert (target.tables, target.refused) == (4, {})
    assert target.writes == 2 * target.rows
    assert untouched(database) == before
    (copy,) = copies(database)
    with psycopg.connect(database.server.dsn(copy)) as kept:
        for table in ("tenantry.seal_key", "tenantry.account", "auth.users", "tenantry.proof_fixture"):
            assert kept.execute(f"select count(*) from {table}".encode()).fetchone() == (0,), table
        assert kept.execute("select count(account_id) from stall.people").fetchone() == (0,)
    with database.connect() as admin:
        admin.execute(f"drop database {copy} with (force)".encode())


def test_it_is_written_all_the_time_under_load_and_may_end_with_the_contract(stall: tuple[Database, Manifest]) -> None:
    """Rules of the source sleep while changes are carried back: what one changed then would be a write that capture does not see."""
    database, manifest = stall
    with database.connect() as admin:
        admin.execute("insert into shops select n, 'shop ' || n from generate_series(10, 40) n")
        admin.execute(
            "create rule note as on update to items do also update public.shops set changes = changes + 1 where id = 20"
        )
    result = rehearsed(database, manifest, load=1.0, contract=True)
    assert (result.problems, result.passed) == ([], True)
    source, target = result.written
    assert source.fenced
    assert source.writes > 2 * source.rows
    assert target.writes > target.rows
    assert not result.source["roll back"].differences
    assert any("contract dropped 3 source tables" in note for note in result.notes)
    assert result.stage("undo") is None
    assert one(database, "select count(*) from items") == 120


def test_parts_skipped_without_a_login_are_reported(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    result = rehearsed(database, manifest, prove=True, login_dsn="user=nobody_of_this_name")
    assert result.passed
    assert (result.written, result.proof) == ([], None)
    assert len([note for note in result.notes if note.startswith("NOT rehearsed")]) == 2


# -- problems ------------------------------------------------------------------------------------------------------------


def test_a_source_that_refuses_what_comes_back_is_a_problem(stall: tuple[Database, Manifest], tmp_path: Path) -> None:
    """The application's login may write what the migrator may not: the way back fails, and only there."""
    database, _ = stall
    with database.connect() as admin:
        admin.execute(
            "alter table items add constraint only_by_the_application"
            f" check (session_user <> {literal(STALL_OWNER)}) not valid"
        )
    dsn = database.dsn_as(STALL_OWNER)
    assert (
        run("--dsn", dsn, "--manifest", str(tmp_path / "tenantry.toml"), "--no-proof", "--report", str(tmp_path / "r"))
        == 1
    )
    found = json.loads((tmp_path / "r" / "rehearsal.json").read_text())
    assert not found["passed"]
    assert [(entry["table_name"], entry["count"] > 0) for entry in found["conflicts"]] == [("items", True)]
    assert any("only_by_the_application" in problem["what"] for problem in found["problems"])
    assert copies(database) == {}


def test_rights_that_only_the_original_lacks_are_found(stall: tuple[Database, Manifest]) -> None:
    """A restored copy belongs to the login with everything in it."""
    database, manifest = stall
    with database.connect() as admin:
        admin.execute(f"alter table items owner to postgres; grant select on items to {STALL_OWNER}")
        admin.execute(f"revoke create on database {database.name} from {STALL_OWNER}")
        admin.execute(f"alter database {database.name} owner to postgres")
        with reading(database.dsn_as(STALL_OWNER), manifest) as (connection, original):
            problems = rehearsing._rights(connection, original)
    said = " ".join(problem.what for problem in problems)
    assert "items belongs to postgres" in said
    assert "no right to CREATE" in said
    assert {problem.code for problem in problems} == {RightsMissing.code}


def test_a_login_that_others_use_is_a_problem(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    with database.connect(user=STALL_OWNER), reading(database.dsn_as(STALL_OWNER), manifest) as (connection, original):
        assert [problem.code for problem in rehearsing._rights(connection, original)] == ["TN-409"]


# -- failing and stopping ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [StepFailed("it broke", hint="fix it"), psycopg.OperationalError("gone")])
def test_what_fails_on_the_copy_is_reported_and_the_copy_dropped(
    stall: tuple[Database, Manifest], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    database, manifest = stall

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(stages, "cut_over", fail)
    result = rehearsed(database, manifest)
    assert (result.passed, result.complete) == (False, False)
    assert [problem.stage for problem in result.problems] == ["cut over"]
    assert result.outcome is not None
    assert copies(database) == {}


@pytest.mark.parametrize("place", ["while it is migrated", "while it is filled"])
def test_stopped_by_the_user_it_drops_the_copy(
    stall: tuple[Database, Manifest], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    database, manifest = stall
    seen: list[str] = []

    def stop(*_: object, **__: object) -> None:
        seen.extend(copies(database))
        raise KeyboardInterrupt

    if place == "while it is migrated":
        monkeypatch.setattr(stages, "Migration", stop)
    else:
        monkeypatch.setattr(fill, "run_program", stop)
    # With an open connection it is dumped.
    with database.connect(), pytest.raises(RunInterrupted, match="the copy was dropped"):
        rehearsed(database, manifest)
    assert seen == [f"{database.name}_rehearsal_1"]
    assert copies(database) == {}


def test_a_program_is_ended_with_us(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    processes: list[subprocess.Popen[str]] = []
    plain = subprocess.Popen

    def popen(*arguments: Any, **named: Any) -> Any:
        processes.append(plain(*arguments, **named))
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt):
        run_program(["sh", "-c", "echo dumping >&2; exec sleep 600"], dict(os.environ), "dumping", stop)
    assert processes[0].returncode is not None


def test_a_run_that_is_under_way_cannot_be_rehearsed(finished: Database) -> None:
    with pytest.raises(JournalMismatch, match="already in progress"):
        rehearse(finished.dsn_as(OWNER), clinic_manifest(), Wishes(options=OPTIONS))


def test_two_rehearsals_of_one_database_exclude_each_other(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    with reading(database.dsn_as("postgres"), manifest), pytest.raises(RunInProgress):
        rehearsed(database, manifest)
