"""The HTML pages: they load nothing, escape everything, bear what is missing, and show what failed. No database."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tenantry.plan import Plan, Step
from tenantry.prove import Cell, Check, Proof
from tenantry.report.collect import next_steps
from tenantry.report.html import render_html, render_plan, write_plan, write_report

HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>`{{ 7 * 7 }}"""
MOST_BYTES = 1_500_000


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and the text that people see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.seen: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style":
            self.seen.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.seen))

    @property
    def ids(self) -> Counter[str]:
        return Counter(attributes["id"] for _, attributes in self.elements if "id" in attributes)

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def with_class(self, name: str) -> list[tuple[str, dict[str, str]]]:
        return [element for element in self.elements if name in element[1].get("class", "").split()]


def a_proof(*more: Cell, checks: tuple[Check, ...] = (), table: str = "goals") -> Proof:
    cells = (
        Cell("viewer", table, "select", "own tenant", "allow", "allow"),
        Cell("viewer", table, "select", "other tenant", "refuse", "refuse"),
        Cell("anon", table, "select", "any row", "refuse", "refuse"),
    )
    return Proof(
        cells + more, (Check("rls", "Every table has row-level security", "alter table …"), *checks), "app", 1.2
    )


def analysis(**more: Any) -> dict[str, Any]:
    """A report before any migration: what is always there, and no more."""
    return {
        "tool": {"name": "tenantry", "version": "1.2.3"},
        "made_at": "2026-11-22T12:43:38+00:00",
        "name": "clinic",
        "database": "clinic",
        "server_version": "18.4",
        "source": {"schema": "public", "tables": [{"name": "goals", "rows": 10, "bytes": 8192}]},
        "target": {"schema": "clinic", "tables": 1, "new_tables": []},
        "durations": [],
        "findings": [],
        "plan": {"digest": "d" * 64, "estimated_seconds": 0.0, "steps": []},
        "quarantine": [],
        "merged": [],
        "changes": [],
        "users": None,
        "planted": None,
        "proof": None,
        "summary": ["Found: one table."],
        "next": [],
        **more,
    }


def an_account(**more: Any) -> dict[str, Any]:
    counts = {"source": 10, "target": 7, "quarantined": 2, "merged": 1}
    return {"mapping": "goals", "source_table": "goals", **counts, "balanced": True, **more}


def a_check(**more: Any) -> dict[str, Any]:
    return {"check": "rows", "table": "goals", "compared": 7, "differences": [], "more": 0, "passed": True, **more}


def a_finding(severity: str = "warning", **more: Any) -> dict[str, Any]:
    said = {"code": "TA-302", "area": "data", "table": "goals", "title": "cannot be read", "advice": "Fix it."}
    return {**said, "severity": severity, "count": 2, "column": "value", "keys": ["k1", "k2"], **more}


def migrated(**more: Any) -> dict[str, Any]:
    """A report of a whole run in which everything went well."""
    parts: dict[str, Any] = {
        "durations": [{"stage": "analyze", "seconds": 1.0}, {"stage": "migrate", "seconds": 3.0}],
        "phases": [{"phase": "copy", "seconds": 2.0}, {"phase": "cut over", "seconds": 0.02}],
        "findings": [a_finding(), a_finding("info", code="TA-101", keys=[])],
        "plan": {
            "digest": "d" * 64,
            "estimated_seconds": 2.5,
            "steps": [
                {
                    "id": "copy.rows:goals",
                    "phase": "copy",
                    "title": "Copy goals",
                    "lock": "ACCESS SHARE on goals",
                    "risk": "low",
                    "risk_note": "Watch the disk.",
                    "estimated_seconds": 2.5,
                }
            ],
        },
        "quarantine": [
            {
                "mapping": "goals",
                "reason": "value_invalid",
                "column": "value",
                "count": 2,
                "keys": ["k1", "k2"],
                "what": "value cannot be read",
                "fix": "Fix value in goals.",
            }
        ],
        "merged": [{"mapping": "goals", "reason": "the same day twice", "count": 1, "keys": ["k3"]}],
        "changes": [{"mapping": "goals", "column": "value", "rule": "normalised", "count": 1, "keys": ["k4"]}],
        "users": {"profiles": 5, "linked": 1, "merged": 0, "quarantined": 0, "super_admins": 1},
        "planted": [
            {"code": "goals.bad", "planted": 2, "found": 2, "fate": "quarantined", "note": "No number."},
            {"code": "goals.good", "planted": 9, "found": None, "fate": "carried over", "note": "Odd but right."},
        ],
        "proof": a_proof().to_json(),
        "accounts": [an_account()],
        "verifications": [a_check()],
        "rows": 7,
        "migration_seconds": 3.0,
        "summary": ["Moved: 7 rows.", "Verified: 7 rows.", "Proved: 3 cells."],
        "next": ["Fix the rows in quarantine: `tenantry -m x.toml quarantine list`."],
    }
    return analysis(**{**parts, **more})


def a_plan(*steps: Step) -> Plan:
    first = Step(
        "expand.schema",
        "expand",
        "sql",
        "Make the schema",
        sql=("create schema clinic", "select 1 < 2 and 'a' <> 'b'"),
        undo=("drop schema clinic",),
        lock="none that others notice",
        risk="none",
        does="makes the schema",
        seconds=0.5,
    )
    second = Step(
        "copy.rows:goals",
        "copy",
        "copy",
        "Copy goals",
        sql=("insert into clinic.goals select * from goals where /* key range */ true",),
        undo=("truncate clinic.goals",),
        lock="ACCESS SHARE on goals",
        risk="high",
        risk_note="Watch the disk.",
        does="copies the rows of a mapping",
        seconds=60.0,
        after=("expand.schema",),
        rows=1234,
    )
    return Plan("clinic", "m" * 64, "public", "clinic", (first, second, *steps))


def failing(name: str = "goals") -> dict[str, Any]:
    """A report in which everything that can fail did."""
    difference = {"check": "rows", "table": name, "key": "k9", "column": "value", "expected": "12.5", "found": "13"}
    proof = a_proof(
        Cell("staff", name, "select", "other tenant", "refuse", "allow", "saw 3 rows"),
        checks=(Check("views", "Views show only what clients may see", "alter view …", (f"view {name}",)),),
    )
    return migrated(
        accounts=[an_account(), an_account(mapping=name, target=3, balanced=False)],
        verifications=[a_check(), a_check(table=name, differences=[difference], more=41, passed=False)],
        findings=[a_finding("blocker", table=name, title="nothing fits")],
        planted=[{"code": "goals.bad", "planted": 2, "found": 1, "fate": "quarantined", "note": ""}],
        proof=proof.to_json(),
    )


PAGES: dict[str, Callable[[], str]] = {
    "analysis": lambda: render_html(analysis()),
    "migrated": lambda: render_html(migrated()),
    "failing": lambda: render_html(failing()),
    "hostile": lambda: render_html(failing(HOSTILE)),
    "plan": lambda: render_plan(a_plan()),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_nothing_from_anywhere(name: str) -> None:
    html = PAGES[name]()
    page = Page(html)
    loaded = [(tag, attributes) for tag, attributes in page.elements if attributes.keys() & {"src", "srcset", "data"}]
    style = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL)) + " ".join(page.attributes("style"))
    assert loaded == []
    assert [tag for tag, _ in page.elements if tag in ("link", "img", "iframe", "object", "embed", "form")] == []
    assert [href for href in page.attributes("href") if not href.startswith("#")] == []
    assert not re.search(r"@import|url\(", style)
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|WebSocket", page.scripts[0])


@pytest.mark.parametrize("name", PAGES)
def test_only_the_script_of_the_page_may_run(name: str) -> None:
    page = Page(PAGES[name]())
    (script,) = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [attributes["content"] for tag, attributes in page.elements if "http-equiv" in attributes]
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy


@pytest.mark.parametrize("name", PAGES)
def test_links_within_a_page_lead_somewhere_and_ids_are_unique(name: str) -> None:
    page = Page(PAGES[name]())
    assert {href.removeprefix("#") for href in page.attributes("href")} <= page.ids.keys()
    assert [id_ for id_, count in page.ids.items() if count > 1] == []


def test_hostile_names_are_text_everywhere() -> None:
    report = failing(HOSTILE)
    for part in ("quarantine", "merged", "changes"):
        for entry in report[part]:
            entry.update({key: HOSTILE for key, value in entry.items() if isinstance(value, str)}, keys=[HOSTILE] * 2)
    report |= {"name": HOSTILE, "database": HOSTILE, "next": [f"Run `{HOSTILE}` now"], "summary": [HOSTILE]}
    report["plan"]["steps"][0] |= {"id": HOSTILE, "title": HOSTILE, "lock": HOSTILE, "risk_note": HOSTILE}
    page = Page(render_html(report))
    assert len(page.scripts) == 1
    assert [tag for tag, attributes in page.elements if any(name.startswith("on") for name in attributes)] == []
    assert page.text.count("<script>alert(1)</script>") > 20
    assert "{{ 7 * 7 }}" in page.text


@pytest.mark.parametrize("part", ["accounts", "phases", "verifications", "rows", "migration_seconds"])
def test_a_report_may_lack_any_part_of_the_outcome(part: str) -> None:
    report = migrated()
    del report[part]
    assert "clinic: migration report" in Page(render_html(report)).text


@pytest.mark.parametrize("part", ["users", "planted", "proof"])
def test_a_part_that_is_null_has_no_section(part: str) -> None:
    assert part in Page(render_html(migrated())).ids
    assert part not in Page(render_html(migrated(**{part: None}))).ids


def test_skipped_checks_are_neither_passed_nor_failed() -> None:
    page = Page(render_html(analysis()))
    assert all(f"Not {word} yet" in page.text for word in ("moved", "verified", "proved"))
    assert len(page.with_class("verdict")) == len(page.with_class("open")) == 3
    assert page.with_class("alarm") == []
    assert page.ids.keys() <= {"matrix"}


def test_a_run_without_failures_has_three_verdicts_and_no_alarm() -> None:
    page = Page(render_html(migrated()))
    assert [attributes["class"] for _, attributes in page.with_class("verdict")] == ["verdict ok"] * 3
    assert page.with_class("alarm") == page.with_class("wrong") == page.with_class("box") == []
    assert "FAILED" not in page.text


def test_failures_are_in_the_title_the_verdicts_an_alarm_and_their_sections() -> None:
    html = render_html(failing())
    page = Page(html)
    assert "<title>✗ FAILED: clinic" in html
    assert [attributes["class"] for _, attributes in page.with_class("verdict")] == ["verdict failed"] * 3
    alarm = page.text[: page.text.index("Moved:")]
    for said in (
        "6 things failed",
        "Accounting: goals does not add up: of 10 source rows 4 are nowhere",
        "Verification: rows of goals: 42 differences",
        "Proof: 1 cell not as the access matrix says",
        "Proof: Views show only what clients may see",
        "Blocker TA-302: goals: nothing fits",
        "Sample data: goals.bad: planted 2, found 1",
    ):
        assert said in alarm
    for said in (
        "✗ NO, 4 missing",
        "goals k9, column value: expected 12.5, found 13",
        "and 41 more",
        "staff: select goals, other tenant: must refuse, got allow (saw 3 rows)",
        "view goals",
        "To fix it: alter view …",
    ):
        assert said in page.text[len(alarm) :]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"accounts": [an_account(target=9, balanced=False)]}, "came 2 too many"),
        ({"verifications": [a_check(passed=False)]}, "rows of goals: the rows do not add up"),
        ({"proof": {**a_proof().to_json(), "passed": False}}, "Proof: it did not pass"),
        ({"findings": [a_finding("blocker")]}, "Blocker TA-302"),
    ],
)
def test_each_failure_alone_raises_the_alarm(part: dict[str, Any], said: str) -> None:
    page = Page(render_html(migrated(**part)))
    assert len(page.with_class("alarm")) == 1
    assert "1 thing failed" in page.text
    assert said in page.text


def test_failures_come_first_in_each_table() -> None:
    page = Page(
        render_html(
            migrated(
                accounts=[
                    an_account(source=900, target=897),
                    an_account(mapping="last_account", target=3, balanced=False),
                ],
                verifications=[a_check(), a_check(table="last_check", passed=False)],
                proof=a_proof(Cell("staff", "zebras", "select", "other tenant", "refuse", "allow")).to_json(),
            )
        )
    )
    wrong = [tag for tag, attributes in page.elements if tag == "tr" and attributes.get("class") == "wrong"]
    assert len(wrong) == 2
    matrix = page.text[page.text.index("The matrix as executed") :]
    assert matrix.index("zebras") < matrix.index("goals")


def test_the_matrix_has_the_marks_of_the_proof() -> None:
    proof = a_proof(
        Cell("staff", "goals", "insert", "own row", "allow", "allow"),
        Cell("staff", "goals", "delete", "own tenant", "refuse", "not tried", "cannot be removed"),
        Cell("staff", "goals", "select", "other tenant", "refuse", "error", "boom"),
    )
    page = Page(render_html(migrated(proof=proof.to_json())))
    want = Counter(mark.replace("not tried", "untried") for row in proof.matrix_rows() for _, mark in row.marks)
    got = Counter(attributes["class"] for tag, attributes in page.elements if tag == "td" and "class" in attributes)
    assert {mark: got[mark] for mark in want} == want
    assert "goals delete, as staff: cannot be removed" in page.text


def test_what_could_not_be_tried_is_listed_and_does_not_fail_the_proof() -> None:
    untried = Cell("staff", "goals", "delete", "own tenant", "refuse", "not tried", "cannot be removed")
    page = Page(render_html(migrated(proof=a_proof(untried).to_json())))
    assert "obeys the access matrix; 1 cell could not be tried" in page.text
    assert len(page.with_class("note")) == 1
    assert page.with_class("alarm") == []


def test_a_proof_of_thousands_of_cells_makes_a_small_page() -> None:
    cells = [
        Cell(f"role {role}", f"table {table}", command, relation, "refuse", "allow", "x" * 80)
        for role in range(13)
        for table in range(40)
        for command in ("select", "insert", "update", "delete")
        for relation in ("own tenant", "other tenant")
    ]
    html = render_html(migrated(proof=a_proof(*cells).to_json()))
    assert len(html.encode()) < MOST_BYTES
    assert "4,160 failed" in Page(html).text
    assert "and 4,060 more: see report.json" in Page(html).text


def test_a_proof_whose_cells_were_left_out_keeps_its_counts() -> None:
    proof = {
        **a_proof().to_json(),
        "cells": [],
        "counts": {"cells": 3000, "failed": 2, "passed": 2998},
        "passed": False,
    }
    page = Page(render_html(migrated(proof=proof)))
    assert "Proof: 2 cells not as the access matrix says" in page.text
    assert "3,000 cells of the access matrix" in page.text


def test_planted_kinds_that_nothing_searches_for_are_listed_as_migrated() -> None:
    text = Page(render_html(migrated())).text
    assert "1 kind migrated, confirmed by the comparison of rows" in text
    assert text.index("goals.bad") < text.index("1 kind migrated") < text.index("goals.good")


def test_quarantine_has_counts_keys_fixes_and_a_command() -> None:
    report = migrated()
    report["quarantine"][0]["mapping"] = "my goals"
    page = Page(render_html(report))
    assert "Quarantine: 2 rows" in page.text
    assert "Fix value in goals." in page.text
    assert "tenantry -m x.toml quarantine list --table 'my goals' --reason value_invalid" in page.text
    assert len(page.with_class("command")) >= 3


def test_commands_between_backticks_become_code_and_a_lone_backtick_stays() -> None:
    page = Page(render_html(analysis(next=["Run `a` and `b`, not ` this"])))
    assert len(page.with_class("command")) == 2
    assert "Run a and b, not ` this" in page.text


def test_time_shows_stages_with_the_phases_of_the_migration_within() -> None:
    page = Page(render_html(migrated()))
    bars = [style for style in page.attributes("style") if style.startswith("left:")]
    assert [re.findall(r"[\d.]+(?=%)", bar)[-1] for bar in bars] == ["25.00", "75.00", "50.00", "0.50"]
    assert len(page.with_class("inner")) == 2
    assert "20 ms" in page.text


def test_phases_that_are_given_as_stages_too_are_shown_once() -> None:
    stages = [{"stage": "copy", "seconds": 2.0}, {"stage": "cut over", "seconds": 0.02}]
    page = Page(render_html(migrated(durations=stages)))
    assert len([style for style in page.attributes("style") if style.startswith("left:")]) == 3


def test_informative_findings_are_folded_and_others_are_not() -> None:
    page = Page(render_html(migrated()))
    groups = [attributes for tag, attributes in page.elements if tag == "details" and "data-group" in attributes]
    assert ["open" in group for group in groups] == [True, False]


def test_an_empty_table_has_no_bar_and_no_division_by_zero() -> None:
    empty = an_account(source=0, target=0, quarantined=0, merged=0)
    assert Page(render_html(migrated(accounts=[empty], durations=[], phases=[]))).with_class("strip") == []


def test_write_report_writes_both_files_and_makes_the_folder(tmp_path: Path) -> None:
    write_report(migrated(), tmp_path / "a" / "b")
    written = json.loads((tmp_path / "a/b/report.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(migrated()))
    assert (tmp_path / "a/b/report.html").read_text(encoding="utf-8") == render_html(migrated())


@pytest.mark.parametrize(
    ("state", "want", "others"),
    [
        ({"direction": "forward"}, "`t cutover`", "`t contract`"),
        ({"direction": "reverse"}, "`t contract`", "`t cutover`"),
        ({"direction": "both"}, "`t rollback`", "`t cutover`"),
        ({"direction": "reverse", "contracted": True}, "`t prove`", "`t contract`"),
        ({"direction": "forward", "trial": "a pilot of 1 of 2 tenants"}, "`t migrate --rest`", "`t cutover`"),
    ],
)
def test_next_steps_depend_on_the_runs_phase(state: dict[str, Any], want: str, others: str) -> None:
    said = " ".join(next_steps(migrated(users=None, quarantine=[], **state), "t"))
    assert want in said
    assert others not in said


def test_the_plan_page_has_every_statement_undo_lock_risk_and_title() -> None:
    plan = a_plan()
    page = Page(render_plan(plan))
    for step in plan:
        for said in (*step.sql, *step.undo, step.lock, step.title, step.id, step.risk_note):
            assert said in page.text
    assert "1,234 rows" in page.text
    assert plan.digest() in page.text


def test_the_plan_page_links_dependencies_and_counts_by_phase() -> None:
    page = Page(render_plan(a_plan()))
    assert "#step-1" in page.attributes("href")
    assert [tag for tag, attributes in page.elements if tag == "section" and "data-group" in attributes] == [
        "section"
    ] * 2
    assert "Copy 1 step, about 60 s" in page.text


def test_hostile_names_in_a_plan_are_text() -> None:
    step = Step(
        HOSTILE,
        "secure",
        "sql",
        HOSTILE,
        (HOSTILE,),
        (),
        HOSTILE,
        "low",
        HOSTILE,
        after=(HOSTILE, "elsewhere"),
        does=HOSTILE,
    )
    page = Page(render_plan(a_plan(step)))
    assert len(page.scripts) == 1
    assert [tag for tag, attributes in page.elements if any(name.startswith("on") for name in attributes)] == []
    assert "Nothing to undo." in page.text
    assert page.text.count(HOSTILE) >= 5


def test_an_empty_plan_is_a_page(tmp_path: Path) -> None:
    write_plan(Plan("none", "m" * 64, "a", "b", ()), tmp_path / "new" / "plan.html")
    page = Page((tmp_path / "new/plan.html").read_text(encoding="utf-8"))
    assert page.with_class("step") == []
    assert "Plan of none" in page.text
