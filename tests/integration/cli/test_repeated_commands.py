"""A command that is run again, as after a kill, has the result of one: it never becomes another command."""

from __future__ import annotations

import pytest

from tenantry.migrate.run.handle import RunHandle
from tests.small import MakeSmall, Small


def _state(app: Small) -> list[tuple[object, ...]]:
    return app.rows("select direction, status from tenantry.run")


def _killed_behind_the_turn(app: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """`rollback`, whose process ends right behind the commit of its turn."""
    turned = RunHandle.refresh

    def end(live: RunHandle) -> None:
        turned(live)
        if not live.run.is_over:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunHandle, "refresh", end)
        assert app.run("rollback", "--yes").code != 0
    assert _state(app) == [("forward", "ready")]


def test_a_rollback_that_was_killed_behind_its_turn_and_is_run_again_undoes_nothing_more(
    small: MakeSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = small()
    app.migrate()
    app.cut_over()
    app.as_superuser("update app.people set name = 'Anna' where legacy_id = 'u1'")
    _killed_behind_the_turn(app, monkeypatch)
    for _ in range(2):
        said = app.roll_back()
        assert "Already done" in said.out
        assert _state(app) == [("forward", "ready")]
    assert app.one("""select name from "User" where id = 'u1'""") == "Anna"
    assert app.one("select count(*) from app.people") == 3
    # It can be cut over again; and that, run again, is one cut-over.
    app.cut_over()
    assert "Already done" in app.cut_over().out
    assert app.run("cutover", "--json", code=0).json["already"]
    assert _state(app) == [("reverse", "cut over")]
    refused = app.run("cutover", "--dual-write", "1h", code=2)
    assert "TN-407" in refused.err
    assert _state(app) == [("reverse", "cut over")]


def test_a_run_that_was_never_cut_over_is_undone_only_where_that_was_typed(small: MakeSmall) -> None:
    app = small()
    app.migrate()
    refused = app.run("rollback", "--yes", code=1)
    assert "TN-410" in refused.err
    assert "rollback --everything" in refused.err
    assert app.one("select count(*) from app.people") == 3
    assert "drop schema" not in app.run("rollback", "--sql", code=0).out.lower()
    app.roll_back("--everything")
    assert app.rows("select from pg_namespace where nspname in ('app', 'tenantry')") == []
    # Again, as after a kill behind its last commit.
    assert "nothing is left to undo" in app.roll_back("--everything").out


def test_an_interrupted_rollback_resumes_only_as_the_same_command(
    small: MakeSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = small()
    app.migrate()
    app.cut_over()
    with monkeypatch.context() as patched:

        def end(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patched.setattr("tenantry.migrate.switch.rollback.capture_tables", end)
        app.run("rollback", "--everything", "--yes")
    assert _state(app) == [("forward", "running")]
    refused = app.run("rollback", "--yes", code=1)
    assert "is being undone" in refused.err
    app.roll_back("--everything")
    assert app.rows("select from pg_namespace where nspname in ('app', 'tenantry')") == []


def test_a_repeated_contract_reports_that_it_was_done(small: MakeSmall) -> None:
    app = small()
    app.migrate()
    app.cut_over()
    app.run("contract", "--watch-for", "0", "--force", "--yes", code=0)
    assert "Already contracted" in app.run("contract", "--watch-for", "0", "--force", "--yes", code=0).out
    for command in (["cutover"], ["rollback"], ["rollback", "--everything"]):
        assert app.run(*command, "--yes" if command[0] == "rollback" else "--json").code != 0
    assert _state(app) == [("reverse", "contracted")]
