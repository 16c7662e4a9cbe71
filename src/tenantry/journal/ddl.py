"""The SQL that creates schema `tenantry`. Every statement can be run again."""

from __future__ import annotations

from tenantry.postgres import load_sql

_SQL = "tenantry.journal.sql"
_PARTS = ("journal", "throttle", "reverse", "window")


def journal_ddl() -> tuple[str, ...]:
    """The whole journal, in the order in which its parts are created."""
    return tuple(load_sql(_SQL, name).replace("-- include: run_lock.sql\n", run_lock_ddl()) for name in _PARTS)


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
