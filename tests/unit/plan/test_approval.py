"""What changed between two plans, the files of the phases, and signed plans. No server."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenantry.catalog import Catalog, Column, Constraint, EnumType, Table, Trigger
from tenantry.errors import PlanChanged, PlanFileWrong, PlanNotSigned, SignatureWrong
from tenantry.plan import PHASES, Plan
from tenantry.plan.diff import PlanDiff, diff_plans
from tenantry.report.plan_files import read_plan, write_phases
from tenantry.review.calibrate import Calibration
from tenantry.review.review import review_plan
from tenantry.review.signature import (
    Signed,
    SignedPlan,
    check_signature,
    objects,
    read_signature,
    signature_file,
    write_signature,
)
from tests.fixtures import catalogs, plan, project


def reviewed(made: Plan) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        json.dumps(review_plan(project("depot"), made, Calibration(why="no server")).to_json())
    )
    return found


def test_a_plan_does_not_differ_from_itself() -> None:
    assert diff_plans(reviewed(plan("depot")), reviewed(plan("depot"))) == PlanDiff()


def test_a_diff_names_steps_statements_and_estimates() -> None:
    old = plan("depot")
    first, second, third, *rest = old.steps
    changed = replace(second, sql=(*second.sql, "select 1"), risk="high")
    slow = replace(rest[-1], seconds=100.0)
    new = replace(old, steps=(first, replace(third, id="expand.new"), changed, *rest[:-1], slow))
    found = diff_plans(reviewed(old), reviewed(new))
    assert (found.added, found.removed) == (("expand.new",), (third.id,))
    assert {each.id: each.what for each in found.changed} == {second.id: ("sql", "risk"), slow.id: ("seconds",)}
    assert "+select 1;" in found.changed[0].sql
    assert {each.name for each in found.facts} == {"digest", "seconds"}
    assert not found.does_the_same
    # Estimates alone are no other plan.
    assert diff_plans(reviewed(old), reviewed(replace(old, steps=(*old.steps[:-1], slow)))).does_the_same


def test_a_plan_of_an_older_version_is_compared_as_far_as_it_goes() -> None:
    old = json.loads(json.dumps(plan("depot").to_json()))
    assert diff_plans(old, reviewed(plan("depot"))) == PlanDiff()


def test_each_phase_is_a_file_in_order(tmp_path: Path) -> None:
    made = plan("depot")
    files = write_phases(made, tmp_path / "sql")
    assert [file.name for file in files] == [f"{n}-{phase.replace(' ', '-')}.sql" for n, phase in enumerate(PHASES, 1)]
    together = "".join(file.read_text(encoding="utf-8") for file in files)
    for step in made:
        assert f" {step.id} [" in together
        assert all(statement.strip().rstrip(";") in together for statement in step.sql)
    assert write_phases(made, tmp_path / "sql") == files
    files[0].write_text("drop table mine;", encoding="utf-8")
    with pytest.raises(PlanFileWrong, match=r"1-expand\.sql"):
        write_phases(made, tmp_path / "sql")
    assert files[0].read_text(encoding="utf-8") == "drop table mine;"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"steps": 3}', "null"])
def test_what_is_no_plan_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PlanFileWrong):
        read_plan(file)


# -- signed plans ------------------------------------------------------------------------------------------------------

SOURCE = Catalog(
    "public",
    tables=(
        Table(
            "public", "users",
            columns=(Column("id", "integer", nullable=False), Column("email", "text", position=2)),
            constraints=(Constraint("users_pkey", "primary", ("id",), "PRIMARY KEY (id)"),),
            triggers=(Trigger("touch", "CREATE TRIGGER touch …"),),
        ),
    ),
    enums=(EnumType("public", "kind", ("a", "b")),),
)  # fmt: skip


def a_signature(source: Catalog = SOURCE) -> SignedPlan:
    return SignedPlan(
        "p", "Kim Lee", "2026-03-04T05:06:07+00:00", "plan", "manifest", source.digest(), 3, objects(source)
    )


def changes(now: Catalog, plan: str = "plan", manifest: str = "manifest", only: str | None = None) -> list[str]:
    with pytest.raises(PlanChanged) as raised:
        check_signature(a_signature(), Signed(plan, manifest, now, only), required=False, file=Path("x.json"))
    assert "Kim Lee signed on 2026-03-04" in raised.value.message
    found = raised.value.detail["changes"]
    assert isinstance(found, list)
    return found


def test_what_changed_since_the_signature_is_named() -> None:
    (users,) = SOURCE.tables

    def with_table(**parts: object) -> Catalog:
        return replace(SOURCE, tables=(replace(users, **parts),))  # type: ignore[arg-type]

    email = replace(users.columns[1], type="character varying(100)", nullable=False)
    assert changes(with_table(columns=(users.columns[0], email))) == [
        "changed: column users.email: text → character varying(100) not null"
    ]
    assert changes(with_table(constraints=())) == ["dropped: constraint users_pkey of users"]
    assert changes(with_table(triggers=(replace(users.triggers[0], enabled="disabled"),)))[0].startswith(
        "changed: trigger touch of users"
    )
    assert changes(replace(SOURCE, tables=(*SOURCE.tables, Table("public", "b")))) == [
        "new: table b (table, no row-level security, 0 rules)"
    ]
    assert changes(replace(SOURCE, tables=()))[-1] == "dropped: trigger touch of users"
    assert changes(replace(SOURCE, enums=(EnumType("public", "kind", ("a",)),))) == ["changed: type kind: a, b → a"]
    assert changes(SOURCE, manifest="other", plan="other") == ["manifest: tenantry.toml or the target's files"]
    assert "another login or another version" in changes(SOURCE, plan="other")[0]
    assert changes(SOURCE, only="x", plan="other") == ["pilot: signed without --only, would run with --only 'x'"]


def test_what_changes_every_day_needs_no_new_signature() -> None:
    (users,) = SOURCE.tables
    partition = Table("public", "users_2026", kind="partition", partition_of=("public", "users"))
    now = replace(SOURCE, tables=(replace(users, row_estimate=7, size_bytes=9), partition))
    check_signature(a_signature(), Signed("plan", "manifest", now), required=True, file=Path("x.json"))


def test_every_object_of_an_application_is_in_its_signature() -> None:
    source, _ = catalogs("depot")
    found = objects(source)
    for table in (each for each in source.tables if each.partition_of is None):
        assert {f"column {table.name}.{each.name}" for each in table.columns} <= found.keys()
        assert {f"constraint {each.name} of {table.name}" for each in table.constraints} <= found.keys()


def test_a_signature_is_read_as_it_was_written_or_refused(tmp_path: Path) -> None:
    file = signature_file(tmp_path / "tenantry.toml")
    assert file.name == "tenantry.signed.json"
    assert read_signature(file) is None
    check_signature(None, Signed("p", "m", SOURCE), required=False, file=file)
    with pytest.raises(PlanNotSigned):
        check_signature(None, Signed("p", "m", SOURCE), required=True, file=file)
    write_signature(a_signature(), file)
    assert read_signature(file) == a_signature()
    for text in ("", "[]", "{}", '{"seal": 1}', file.read_text(encoding="utf-8").replace("Kim Lee", "Ann")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SignatureWrong):
            read_signature(file)
