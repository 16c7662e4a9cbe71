"""Long lists on the terminal: one line for what is said of many tables alike."""

from __future__ import annotations

from dataclasses import replace

from tenantry.migrate.verify.not_compared import NotCompared
from tenantry.plan import Step
from tenantry.report.shortened import lock_lines, names, not_compared_lines
from tests import fixtures


def test_names_are_cut_after_some() -> None:
    assert names(["a"]) == "a"
    assert names(["a", "b", "a"]) == "a and b"
    assert names(list("abcdef")) == "a, b, c, d, e and f"
    assert names(list("abcdefg")) == "a, b, c, d, e and 2 more tables"


def test_locks_of_many_tables_are_one_line() -> None:
    planned = fixtures.plan("clinic")
    lines = lock_lines(planned)
    assert len(lines) == len(set(lines)) < 15
    captures = [step for step in planned if step.phase == "capture"]
    assert len(captures) > 7
    (line,) = [line for line in lines if "900 ms" in line]
    assert line.startswith(f"SHARE ROW EXCLUSIVE on {captures[0].table}, ")
    assert f" and {len(captures) - 5} more tables for a moment" in line


def test_a_table_is_not_taken_for_a_word() -> None:
    step: Step = next(step for step in fixtures.plan("clinic") if step.phase == "capture")
    odd = [
        replace(step, table=name, lock=f"SHARE ROW EXCLUSIVE on {name} for a moment, tried for 900 ms")
        for name in ("moment", "mom", "a+b", "on")
    ]
    assert lock_lines(odd) == ["SHARE ROW EXCLUSIVE on moment, mom, a+b and on for a moment, tried for 900 ms"]


def test_omitted_comparisons_are_one_line_per_reason() -> None:
    many = [NotCompared(f"app.t{n}", "seen", None, "no source column fills it") for n in range(8)]
    rows = [
        NotCompared("public.a", "", 3, "are in quarantine"),
        NotCompared("public.b", "", 1_200, "are in quarantine"),
    ]
    alone = NotCompared("auth.users", "", None, "another's")
    assert not_compared_lines([*many, *rows, alone]) == [
        "no source column fills it: app.t0.seen, app.t1.seen, app.t2.seen, app.t3.seen, app.t4.seen and 3 more columns",
        "1,203 rows are in quarantine: public.a (3) and public.b (1,200)",
        "auth.users: another's",
    ]
