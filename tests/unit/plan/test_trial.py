"""What a trial of the target's files runs before them: the journal's tables only where the files, or an existing schema, could show
the difference."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry.catalog.environment import Environment
from tenantry.plan import prerequisites, trial_prerequisites
from tests.migrate_support import clinic_manifest


@pytest.mark.parametrize(
    ("text", "has_schema", "whole"),
    [
        ("create table notes (id uuid primary key);", False, False),
        ("create view ours as select * from Tenantry.conflict;", False, True),
        ("create function me() returns uuid return tenantry.profile_id();", False, False),
        ("create function me() returns uuid return tenantry.profile_id (); -- tenantry.run", False, True),
        ("create function now() returns text return tenantry.direction();", False, True),
        ("alter function tenantry.profile_id rename to tenantry_id;", False, True),
        ("create table notes (id uuid primary key);", True, True),
    ],
)
def test_a_trial_creates_the_journal_only_where_it_matters(
    tmp_path: Path, text: str, has_schema: bool, whole: bool
) -> None:
    file = tmp_path / "target.sql"
    file.write_text(text, encoding="utf-8")
    manifest, environment = clinic_manifest(), Environment("shop", "owner", "migrator", 180000, has_auth=False)
    everything = prerequisites(manifest, environment)
    tried = trial_prerequisites(manifest, environment, [file], has_schema=has_schema)
    if whole:
        assert tried == everything
    else:
        # The caller's functions, the trigger on the accounts and the schema of the accounts need rights: they stay.
        assert tried == ("create schema tenantry", *everything[-2:])
    assert any("create table if not exists tenantry.run" in statement for statement in tried) == whole
