"""Schemas of the corpus from the connection string to the cut-over. All of them: `make corpus`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry.postgres import EmbeddedServer
from tests.conftest import running_server
from tests.corpus.run.drive import drive
from tests.corpus.run.edits import EditsWrong, apply_edits, read_edits

STAGES = ["draft", "migrate", "prove", "dual-write", "cut over", "rolled back", "again"]


@pytest.mark.parametrize("name", ["composite_keys"])
def test_a_schema_comes_through(servers: dict[int, EmbeddedServer], tmp_path: Path, name: str) -> None:
    outcome = drive(running_server(servers, 18), name, tmp_path / name, scale=0.05, writes=10)
    assert outcome.problem == ""
    assert outcome.passed == STAGES
    assert outcome.writes["insert"] and outcome.writes["target update"]


def test_edits_are_applied_in_their_section_and_counted(tmp_path: Path) -> None:
    draft = tmp_path / "tenantry.toml"
    draft.write_text('[tables.a]\nfrom = "a"\n\n[tables.b]\nfrom = "a"\n')
    edits = tmp_path / "edits.txt"
    edits.write_text(
        '# b has its own\n=== tenantry.toml\n@@ [tables.b]\n-from = "a"\n+from = "b"\n+access = "tenant"\n\n+# said\n'
    )
    assert apply_edits(tmp_path, read_edits(edits)) == 3
    assert draft.read_text() == '[tables.a]\nfrom = "a"\n\n[tables.b]\n# said\nfrom = "b"\naccess = "tenant"\n'
    edits.write_text("=== tenantry.toml\n" + "+x = 1\n" * 11)
    with pytest.raises(EditsWrong, match="11 lines are edited; 10 are allowed"):
        apply_edits(tmp_path, read_edits(edits))
    edits.write_text("=== tenantry.toml\n-nothing\n")
    with pytest.raises(EditsWrong, match="0 places"):
        apply_edits(tmp_path, read_edits(edits))
    assert read_edits(tmp_path / "none") == ()
