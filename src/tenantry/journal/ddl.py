"""The SQL that creates schema `tenantry`. Every statement can be run again."""

from __future__ import annotations

from tenantry.postgres import load_sql

_SQL = "tenantry.journal.sql"
_JOURNAL = ("tables", "documents", "fences", "disabled_triggers", "capture")
"""The files of the first part, which is one statement of the plan."""
_LATER_PARTS = ("throttle", "reverse", "window")


def journal_ddl() -> tuple[str, ...]:
    """The whole journal, in the order in which its parts are created."""
    first = "".join(load_sql(_SQL, name) for name in _JOURNAL)
    return (
        first.replace("-- include: run_lock.sql\n", run_lock_ddl()),
        *(load_sql(_SQL, name) for name in _LATER_PARTS),
    )


def run_lock_ddl() -> str:
    """Which process works on the run; a journal of an older version lacks this table."""
    return load_sql(_SQL, "run_lock")


def throttle_ddl() -> str:
    """The settings that can be changed during a run; a journal of an older version lacks them."""
    return load_sql(_SQL, "throttle")


def reverse_ddl() -> str:
    """The tables of the reverse direction; a journal of an older version lacks some of them."""
    return load_sql(_SQL, "reverse")


def proof_fixture_ddl() -> str:
    """The table that lists the synthetic rows of a proof, so that nothing else takes them for real ones."""
    return load_sql(_SQL, "proof_fixture")
