"""Which rows depend on changed ones, without a server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tenantry.migrate.replay import dependents
from tests.fixtures import project


def test_documents_are_searched_with_one_look_up_of_the_changed_rows() -> None:
    """A join inside EXISTS reads all changed rows for each document: 20 s instead of 0.4 s for 2,000 rows and 20,000 documents."""
    clinic = project("clinic")
    named = {each.parent for mapping in clinic for column in mapping.columns for each in column.ids}
    parents = [mapping for mapping in clinic if mapping.target.name in named]
    batches: list[Any] = [SimpleNamespace(project=clinic, mapping=parent) for parent in parents]
    found = [sql for batch in batches for sql in dependents._documents(batch, thorough=False)]
    assert found
    for sql in found:
        assert "join tenantry_moved" not in sql
        assert "in (select v.key from tenantry_moved v where v.named)) is true" in sql
