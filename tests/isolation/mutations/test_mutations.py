"""`prove` or `access diff` finds each mutation of Clinic's access.

Two representatives, in one database, are part of the suite: the matrix finds the one, lint the other.
All of them, with a line for each in a file that says who found it:
`python -m tests.isolation.mutations FILE`. With `TENANTRY_TEST_MUTATIONS_COPY=1`
the proof attacks a copy of the database, too.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Database
from tests.isolation.build import CLINIC
from tests.isolation.mutations.catalogue import EQUIVALENT, MUTATIONS
from tests.migrate_support import OWNER, Said, cli

REPRESENTATIVES = ("shared_ignores_accepted", "definer_function")

KEPT = os.environ.get("TENANTRY_TEST_MUTATIONS")
COPY = os.environ.get("TENANTRY_TEST_MUTATIONS_COPY") == "1"


@pytest.mark.parametrize("names", [(name,) for name in MUTATIONS] if KEPT else [REPRESENTATIVES], ids="+".join)
def test_mutations_are_found(finished: Database, names: tuple[str, ...]) -> None:
    for name in names:
        MUTATIONS[name](finished)
    dsn = finished.dsn if COPY else finished.dsn_as(OWNER)
    proved = cli("prove", "--dsn", dsn, "--manifest", str(CLINIC), "--json", *(("--copy",) if COPY else ()))
    if KEPT:
        _keep(finished, names[0], proved)
        return
    found = proved.json
    assert {part["part"] for part in found["summary"] if part["failed"]} >= {"matrix", "lint"}
    failed = {cell["relation"] for cell in found["matrix"]["cells"] if not cell["passed"] and cell["got"] == "allow"}
    assert failed == {"share that was not accepted: shared row"}
    errors = {each["object"] for each in found["lint"]["findings"] if each["level"] == "error"}
    assert any("goals_of" in each for each in errors), errors


def _keep(finished: Database, name: str, proved: Said) -> None:
    said: dict[str, Any] = proved.json if proved.code in (0, 1) else {"summary": [], "lint": {"findings": []}}
    parts = [part["part"] for part in said["summary"] if part["failed"]]
    # Warnings name it, and fail nothing.
    lint = said["lint"]["findings"]
    named = sorted({f"warning {each['check']}" for each in lint if each["level"] == "warning"})
    found = parts or named or ([f"error: {proved.everything[:300]}"] if proved.code else [])
    compared = cli("access", "diff", "--dsn", finished.dsn_as(OWNER), "--manifest", str(CLINIC), "--json")
    found += ["access diff"] if compared.code == 1 else []
    with Path(str(KEPT)).open("a") as file:
        file.write(json.dumps({"mutation": name, "found": found}) + "\n")
    # An error of the proof finds nothing, and `access diff` alone is said in the file of all.
    assert found or name in EQUIVALENT, f"nothing finds {name}: {found}"
