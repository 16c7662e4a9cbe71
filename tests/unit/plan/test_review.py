"""The review of a plan, without a server: locks, criteria, sizes, what samples show, and its forms."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest
import typer.main

from tenantry.cli.main import app
from tenantry.mapping import MappedColumn
from tenantry.plan import PHASES, Plan, Step
from tenantry.plan.guide import GUIDE
from tenantry.plan.locks import locks
from tenantry.report.html import render_plan
from tenantry.report.plan_markdown import plan_markdown
from tenantry.review.calibrate import REFERENCE, Calibration, scaled
from tenantry.review.review import PlanReview, review_plan
from tenantry.review.samples import ColumnSample, ValueSample, is_transformed, masked, may_be_personal, source_columns
from tests.fixtures import APPLICATIONS, plan, project
from tests.unit.report.test_report import HOSTILE, Page


def a_step(*sql: str, **more: Any) -> Step:
    values = {
        "id": "expand.x",
        "phase": "expand",
        "kind": "sql",
        "title": "t",
        "sql": sql,
        "undo": (),
        "lock": "",
        "risk": "none",
    }
    return Step(does="", **(values | more))


@pytest.mark.parametrize(
    ("sql", "want"),
    [
        ("create trigger t after insert on public.a for each row execute function f()", {"a": "SHARE ROW EXCLUSIVE"}),
        ("alter table public.a enable always trigger t", {"a": "SHARE ROW EXCLUSIVE"}),
        ("alter table app.x add constraint c foreign key (a) references public.a (id) not valid", {"a": "SHARE ROW EXCLUSIVE"}),
        ("create table app.x (a int references public.a (id))", {"a": "SHARE ROW EXCLUSIVE"}),
        ("alter table public.a add constraint c check (true)", {"a": "ACCESS EXCLUSIVE"}),
        ("alter table public.a validate constraint c", {"a": "SHARE UPDATE EXCLUSIVE"}),
        ("alter table public.a add b int", {"a": "ACCESS EXCLUSIVE"}),
        ("create index on public.a (b)", {"a": "SHARE"}),
        ("create index concurrently on public.a (b)", {"a": "SHARE UPDATE EXCLUSIVE"}),
        ("drop trigger if exists t on public.a", {"a": "ACCESS EXCLUSIVE"}),
        ('drop table public.a, public."B"', {"a": "ACCESS EXCLUSIVE", "B": "ACCESS EXCLUSIVE"}),
        ("truncate public.a", {"a": "ACCESS EXCLUSIVE"}),
        ("lock table public.a in share row exclusive mode", {"a": "SHARE ROW EXCLUSIVE"}),
        ("insert into app.x select * from public.a join public.b using (id)", {"a": "ACCESS SHARE", "b": "ACCESS SHARE"}),
        ("with d as (delete from public.a returning id) insert into app.x select id from d", {"a": "ROW EXCLUSIVE"}),
        ("select * from public.a for update", {"a": "ROW SHARE"}),
        ("comment on table public.a is 'x'", {"a": "SHARE UPDATE EXCLUSIVE"}),
        ("comment on trigger t on public.a is 'x'", {"a": "SHARE UPDATE EXCLUSIVE"}),
        ("create policy p on public.a", {"a": "ACCESS EXCLUSIVE"}),
        ("analyze public.a", {"a": "SHARE UPDATE EXCLUSIVE"}),
        ("alter table app.x add b int; insert into tenantry.run default values", {}),
        # DO blocks: statements, conditions, and texts for EXECUTE.
        ("do $$ begin if exists (select from public.a) then alter table public.b add c int; end if; end $$",
         {"a": "ACCESS SHARE", "b": "ACCESS EXCLUSIVE"}),
        ("do $$ declare n bigint; begin n := (select count(*) from public.a); lock table public.b; end $$",
         {"a": "ACCESS SHARE", "b": "ACCESS EXCLUSIVE"}),
        ("do $$ declare r record; begin for r in select id from public.a loop update public.b set x = r.id; end loop; end $$",
         {"a": "ACCESS SHARE", "b": "ROW EXCLUSIVE"}),
        ("do $$ begin execute format('alter table public.a add %I int default %L', 'x', 1); execute 'truncate public.b' || ' cascade'; end $$",
         {"a": "ACCESS EXCLUSIVE", "b": "ACCESS EXCLUSIVE"}),
        ("do $$ begin execute format('alter table %I.%I add x int', 'public', 'a'); end $$", {}),
        ("do language plpgsql 'begin do ''begin delete from public.a; end''; end'", {"a": "ROW EXCLUSIVE"}),
    ],
)  # fmt: skip
def test_the_lock_of_a_statement_is_that_of_postgresql(sql: str, want: dict[str, str]) -> None:
    (found,) = locks(Plan("p", "m", "public", "app", (a_step(sql),))).values()
    assert {each.table: each.mode for each in found} == want


def test_a_foreign_key_is_validated_against_the_table_that_it_refers_to() -> None:
    add = a_step("alter table app.x add constraint c foreign key (a) references public.a (id) not valid")
    validate = a_step("alter table app.x validate constraint c", id="expand.y")
    found = locks(Plan("p", "m", "public", "app", (add, validate)))
    assert [(each.table, each.mode, each.blocks) for each in found["expand.y"]] == [("a", "ROW SHARE", ("DDL",))]


@pytest.mark.parametrize("application", APPLICATIONS)
def test_until_the_contract_nothing_makes_readers_wait(application: str) -> None:
    made = plan(application)
    blocking = {step: [each for each in taken if "reads" in each.blocks] for step, taken in locks(made).items()}
    assert {made.step(id).phase for id, found in blocking.items() if found} == {"contract"}
    # Each source table is locked against writes once for its triggers, and once at the cut-over.
    captured = {each.table for step in made.phase("capture") for each in locks(made)[step.id]}
    assert captured <= {each.table for each in locks(made)["cut_over"]}


def test_every_criterion_names_a_command_that_exists() -> None:
    root = typer.main.get_command(app)
    for phase in PHASES:
        for criterion in GUIDE[phase].criteria:
            words = shlex.split(criterion.command)[1:]
            found: Any = root
            while words and not words[0].startswith("-") and words[0] in getattr(found, "commands", {}):
                found = found.commands[words.pop(0)]
            assert found is not root, criterion.command
            options = {name for parameter in found.params for name in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= options, criterion.command


@pytest.mark.parametrize("application", APPLICATIONS)
def test_a_review_survives_json_as_a_plan(application: str) -> None:
    review = review_plan(project(application), plan(application), Calibration(why="no server"))
    said = review.to_json()
    assert Plan.from_json(said) == review.plan
    assert [each["phase"] for each in said["phases"]] == list(PHASES)  # type: ignore[attr-defined]
    assert said["calibration"]["calibrated"] is False  # type: ignore[index]


def test_sizes_grow_with_the_rows_and_the_indexes() -> None:
    made = review_plan(project("clinic"), plan("clinic"), Calibration(why="no server")).sizes
    assert made.disk > sum(each.heap + each.indexes for each in made.tables) > 0
    assert made.wal > sum(each.heap for each in made.tables)


def test_a_calibration_scales_the_constants_within_reason() -> None:
    slow = scaled(replace(REFERENCE, copy=REFERENCE.copy * 3, index=REFERENCE.index * 1000))
    assert slow.copy == pytest.approx(24e-6)
    assert slow.index == pytest.approx(0.8e-6 * 50)
    assert slow.python == 60e-6


def a_column(name: str, value: str, type: str = "text", source: str | None = None, kind: Any = "value") -> MappedColumn:
    return MappedColumn(name, type, nullable=True, kind=kind, source=source, value=value)


def test_only_converted_columns_have_samples() -> None:
    assert not is_transformed(a_column("a", 's."aB"'))
    assert not is_transformed(a_column("a", "s.a"))
    assert is_transformed(a_column("a", "s.a::integer"))
    assert is_transformed(a_column("id", "s.id", kind="id"))
    assert not is_transformed(a_column("parent_id", "r_parent_id.new", kind="reference"))


def test_personal_values_are_shown_as_their_shape() -> None:
    mapping = project("clinic").mapping("profiles")
    assert masked("Ann-3 <ann@one.example>") == "xxx-9 <xxx@xxx.xxxxxxx>"
    for name in ("email", "firstName", "phone_number", "birthDate", "home_address", "passwordHash"):
        assert may_be_personal(mapping, a_column("x", "f(s.a)", "date", source=name)), name
    # Text that anyone can write may hold anything.
    assert may_be_personal(mapping, a_column("remark", "trim(s.remark)"))
    assert not may_be_personal(mapping, a_column("amount", "s.amount::numeric", "numeric(12,2)"))


def test_an_expression_names_the_columns_that_it_reads() -> None:
    mapping = project("clinic").mapping("profiles")
    said = a_column("x", "concat(s.email, ' s.id ', s.\"email\", s.nothing)")
    assert source_columns(mapping, said) == ("email",)


def hostile() -> PlanReview:
    sample = ColumnSample(
        "t", HOSTILE, (HOSTILE,), "text", (ValueSample(HOSTILE, None, converts=False),), 5, unconvertible=1
    )
    none = ColumnSample("t", "p", ("p",), "text", why_not="converted in Python")
    return review_plan(project("depot"), plan("depot"), Calibration(why="no server"), (sample, none))


def test_the_page_and_markdown_show_values_verbatim() -> None:
    review = hostile()
    page = Page(render_plan(review.plan, review))
    assert "onerror" not in {name for _, attributes in page.elements for name in attributes}
    for part in (HOSTILE, "1 of 5", "converted in Python", "not calibrated (no server)", GUIDE["copy"].purpose):
        assert " ".join(part.split()) in page.text
    text = plan_markdown(review)
    assert "<script>" not in text
    table = [line for line in text.splitlines() if line.startswith("| t.")]
    assert all(line.replace("\\|", "").count("|") == 5 for line in table) and len(table) == 2
    for phase in PHASES:
        assert f"## {phase.capitalize()}" in text
