"""What a survey finds in the schemas of the corpus, against the known answers; and that each of them gets a draft that fits."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.catalog import read_catalog
from tenantry.draft import DraftOptions, make_draft
from tenantry.draft.check import project_of_files
from tenantry.postgres import EmbeddedServer
from tenantry.survey import Survey, survey
from tenantry.survey.model import CONSTANT
from tests.conftest import running_server
from tests.corpus.answer import Answer
from tests.corpus.filled import filled
from tests.corpus.load import load, names

Place = tuple[str, str, str, str, tuple[str, str] | None]

ENOUGH = 0.95
"""Precision and recall over all schemas."""
EACH = 0.7
"""The same of each: schemas without foreign keys, with keys of several columns, are harder than others."""


@dataclass(frozen=True)
class Counted:
    """How many references were found rightly, wrongly, and not at all."""

    right: int
    wrong: frozenset[Place]
    missed: frozenset[Place]

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + len(self.wrong))

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + len(self.missed))


def counted(found: Survey, answer: Answer) -> Counted:
    wanted: set[Place] = {
        (each.column.table, each.column.name, each.form, each.parent, each.when) for each in answer.references
    }
    got: set[Place] = {
        (each.place.table, each.place.column, each.place.form.replace(" ", "_"), each.parent, each.when)
        for each in found.undeclared
        if each.proved
    }
    return Counted(len(wanted & got), frozenset(got - wanted), frozenset(wanted - got))


def test_references_tenants_and_people_are_found_and_every_schema_gets_a_draft(
    servers: dict[int, EmbeddedServer],
) -> None:
    results: dict[str, Counted] = {}
    for name in names():
        answer = load(name).answer
        with filled(running_server(servers, 18), name).connect() as connection:
            found = survey(connection)
            connection.rollback()
            results[name] = counted(found, answer)
            assert results[name].precision >= EACH, (name, results[name].wrong)
            assert results[name].recall >= EACH, (name, results[name].missed)

            best = found.tenant
            assert best is not None
            assert (best.form, best.table or None) in {
                (each.form, each.table) for each in (answer.tenant, *answer.acceptable)
            }, (name, found.tenants)
            assert answer.users is None or found.users[0].table == answer.users.table, (name, found.users)
            assert answer.users is None or found.users_columns.email == (answer.users.email or ""), name

            if answer.tenant.form != "column":
                options = DraftOptions(
                    tenant={"table": answer.tenant.table, "constant": CONSTANT}.get(answer.tenant.form),
                    person=answer.tenant.form == "person",
                )
                drafted = make_draft(read_catalog(connection, "public"), found, options)
                project = project_of_files(connection, drafted.files)
                assert {mapping.source.name for mapping in project} | set(drafted.left_out) == set(answer.tables), name
    for name, each in results.items():
        print(f"{name:24} precision {each.precision:.2f} recall {each.recall:.2f}")  # noqa: T201 - the suite shows it with -rP
    right = sum(each.right for each in results.values())
    precision = right / (right + sum(len(each.wrong) for each in results.values()))
    recall = right / (right + sum(len(each.missed) for each in results.values()))
    assert precision >= ENOUGH
    assert recall >= ENOUGH
