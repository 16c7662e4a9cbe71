"""`prove` or `access diff` finds each mutation of Clinic's access.

Two representatives are part of the suite. All of them, with a line for each in a file that says who found it:
`python -m tests.isolation.mutations FILE`. With `TENANTRY_TEST_MUTATIONS_COPY=1`
the proof attacks a copy of the database, too.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.isolation.build import CLINIC
from tests.isolation.mutations.catalogue import EQUIVALENT, MUTATIONS
from tests.migrate_support import OWNER, cli

REPRESENTATIVES = ("shared_ignores_accepted", "definer_function")

KEPT = os.environ.get("TENANTRY_TEST_MUTATIONS")
COPY = os.environ.get("TENANTRY_TEST_MUTATIONS_COPY") == "1"


@pytest.mark.parametrize("name", list(MUTATIONS) if KEPT else REPRESENTATIVES)
def test_mutation_is_found(finished: Database, name: str) -> None:
    MUTATIONS[name](finished)
    dsn = finished.dsn if COPY else finished.dsn_as(OWNER)
    proved = cli("prove", "--dsn", dsn, "--manifest", str(CLINIC), "--json", *(("--copy",) if COPY else ()))
    parts = [part["part"] for part in proved.json["summary"] if part["failed"]] if proved.out.startswith("{") else []
    # Warnings name it, and fail nothing.
    lint = proved.json["lint"]["findings"] if proved.out.startswith("{") else []
    named = sorted({f"warning {each['check']}" for each in lint if each["level"] == "warning"})
    found = parts or named or ([f"error: {proved.everything[:300]}"] if proved.code else [])
    if KEPT or not found:
        compared = cli("access", "diff", "--dsn", finished.dsn_as(OWNER), "--manifest", str(CLINIC), "--json")
        found += ["access diff"] if compared.code == 1 else []
    if KEPT:
        with Path(KEPT).open("a") as file:
            file.write(json.dumps({"mutation": name, "found": found}) + "\n")
    # An error of the proof finds nothing, and `access diff` alone is said in the file of all.
    assert (parts if not KEPT else found) or name in EQUIVALENT, f"nothing finds {name}: {found}"
