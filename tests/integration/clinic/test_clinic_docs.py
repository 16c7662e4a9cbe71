"""Clinic's generated pages say what the catalog and the manifest say."""

from __future__ import annotations

from pathlib import Path

from tenantry.access.telling_columns import doubts
from tenantry.postgres import connect
from tests.conftest import Database
from tools.docs.clinic_pages import FOLDER, pages, read_project

ROOT = Path(__file__).parents[3]


def test_the_generated_pages_are_current_and_nothing_that_clients_write_is_undecided(database: Database) -> None:
    with connect(database.dsn) as connection:
        project = read_project(connection)
    assert [str(each) for each in doubts(project)] == []
    made = pages(project)
    assert set(made) == {path.name for path in (ROOT / FOLDER).glob("*.md")}
    for name, want in made.items():
        got = (ROOT / FOLDER / name).read_text(encoding="utf-8")
        assert got == want, f"{FOLDER / name} is stale: run `make docs`"
