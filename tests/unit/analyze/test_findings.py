"""Findings from catalogs, made-up evidence and made-up surroundings, without a server: what is said, in which order, is pinned."""

from __future__ import annotations

import pytest

from tenantry.analyze import analyze
from tests.fixtures import APPLICATIONS, project, same_as_snapshot
from tests.unit.analyze.samples import AROUND, evidence, movable, neglected, shown


@pytest.mark.parametrize("application", APPLICATIONS)
def test_the_schemas_of_an_application_say_what_was_reviewed(application: str) -> None:
    same_as_snapshot(f"{application}-findings.txt", shown(analyze(project(application), ())))


def test_data_that_a_manifest_omits_is_reported() -> None:
    same_as_snapshot("neglected-findings.txt", shown(analyze(neglected(), (), AROUND["a busy database"])))


def test_client_writable_inputs_of_conversions_are_reported() -> None:
    more = {*analyze(movable(), ())} - {*analyze(project("clinic"), ())}
    assert [(each.code, each.table) for each in more] == [("TA-164", "clinics")]
    assert "location, time_zone" in more.pop().title


def test_surroundings_of_the_tables_are_reported() -> None:
    plain = {*analyze(project("depot"), ())}
    told = {name: analyze(project("depot"), (), around) for name, around in AROUND.items()}
    texts = [f"# {name}\n{shown(tuple(each for each in found if each not in plain))}" for name, found in told.items()]
    same_as_snapshot("surroundings-findings.txt", "\n".join(texts))


def test_results_of_the_data_are_reported() -> None:
    plain = {*analyze(project("clinic"), ())}
    told = {sampled: analyze(project("clinic"), evidence(sampled=sampled)) for sampled in (False, True)}
    texts = [shown(tuple(each for each in found if each not in plain)) for found in told.values()]
    same_as_snapshot("data-findings.txt", "\n".join(texts))
