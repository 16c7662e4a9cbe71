"""The search for a backup, and what follows from its signs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry.migrate.session.backups import backup_lines, judge, look_for_backups, managed_service
from tenantry.postgres import EmbeddedServer, connect
from tests.conftest import Database
from tests.migrate_support import OWNER, wait_for

NOTHING: dict[str, Any] = {
    "archive_mode": "off", "archive_tool": "", "has_command": False, "archived": 0, "archived_ago": None, "failed": 0,
    "failed_ago": None, "failing": False, "standbys": 0, "receivers": 0, "running": 0, "idle_slots": [], "standby": False,
    "prefixes": [], "roles": [], "may_list_wal": True,
}  # fmt: skip
ARCHIVES = {
    "archive_mode": "on",
    "has_command": True,
    "archive_tool": "pgBackRest",
    "archived": 900,
    "archived_ago": 60.0,
}


@pytest.mark.parametrize(
    ("facts", "base", "severity", "says"),
    [
        ({}, None, "warning", "No backup was found"),
        (ARCHIVES, 3600.0, "info", "There is a base backup, and WAL is archived"),
        (ARCHIVES, 30 * 86400.0, "notice", "only together with a base backup"),
        (ARCHIVES, None, "notice", "only together with a base backup"),
        ({}, 3600.0, "notice", "could not be restored"),
        ({"receivers": 1}, 3600.0, "info", "There is a base backup"),
        ({"receivers": 1}, None, "notice", "backup program is connected"),
        ({"standbys": 2}, None, "warning", "No backup"),
        ({**ARCHIVES, "failing": True, "failed": 7, "failed_ago": 5.0}, 3600.0, "blocker", "cannot be archived"),
        ({"archive_mode": "on"}, None, "blocker", "cannot be archived"),
        ({**ARCHIVES, "archived_ago": 5 * 86400.0}, None, "warning", "a day or longer"),
        ({"prefixes": ["rds", "plpgsql"]}, None, "notice", "Amazon RDS"),
        ({"roles": ["postgres", "supabase_admin"]}, None, "notice", "Supabase"),
    ],
)
def test_what_follows_from_the_signs_of_a_backup(
    facts: dict[str, Any], base: float | None, severity: str, says: str
) -> None:
    found = judge({**NOTHING, **facts}, base)
    assert found.severity == severity
    lines = backup_lines(found)
    assert says in lines[0]
    # What cannot be known is said in any case.
    assert any("can be restored" in line and "cannot be known" in line for line in lines)
    assert json.loads(json.dumps(found.to_json()))["severity"] == severity


def test_a_service_is_known_by_settings_or_roles_that_it_alone_has() -> None:
    assert managed_service(["plpgsql", "pg_stat_statements"], ["postgres", "app"]) == ""
    assert managed_service(["cloudsql"], []) == "Google Cloud SQL"


def test_looking_for_copies_needs_no_rights_and_finds_none(legacy_each: Database) -> None:
    with connect(legacy_each.dsn_as(OWNER)) as connection:
        found = look_for_backups(connection)
    assert (found.severity, found.service) == ("warning", "")
    assert any("WAL is not archived" in line for line in found.seen)
    assert any("pg_monitor could see more" in line for line in found.unknown)


def test_archiving_and_base_backups_are_seen_where_there_are_any(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = Path(os.environ["TENANTRY_TEST_SERVERS"]) / f"archiving-{os.getpid()}"
    settings = {"archive_mode": "on", "archive_command": "'cd . # barman-wal-archive --token=hush'", "fsync": "off"}
    with EmbeddedServer(folder, settings=settings) as server, connect(server.dsn()) as connection:
        connection.execute("select pg_backup_start('x', true)")
        connection.execute("select pg_backup_stop(false)")
        connection.execute("select pg_switch_wal()")
        wait_until(connection, "select archived_count > 0 from pg_stat_archiver")
        found = look_for_backups(connection)
        assert found.severity == "info"
        said = " ".join(backup_lines(found))
        assert "barman" in said
        assert "hush" not in said
        connection.execute("alter system set archive_command = 'false'")
        connection.execute("select pg_reload_conf()")
        connection.execute("create table t (n int)")
        connection.execute("select pg_switch_wal()")
        wait_until(connection, "select failed_count > 0 from pg_stat_archiver")
        assert look_for_backups(connection).severity == "blocker"


def wait_until(connection: psycopg.Connection[Any], query: str) -> None:
    def asked() -> bool:
        connection.execute("select pg_stat_clear_snapshot()")
        return connection.execute(query.encode()).fetchone() == (True,)

    wait_for(query, asked)
