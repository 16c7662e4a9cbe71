"""What PostgreSQL allows everyone who can run their own statements: counting, guessing and disturbance, never a row of another tenant.

No schema, policy or grant prevents these and still lets an application work. A proof reports them with these reasons, and
fails because of them only with the option `strict`.
"""

from __future__ import annotations

from collections.abc import Mapping

_EXPLAIN = "everyone who can run their own statements may explain them; a schema whose plans reveal nothing would have no indexes"

INHERENT: Mapping[str, str] = {
    "explain_tells_whether_rows_exist": _EXPLAIN,
    "explain_finds_a_guessed_value": _EXPLAIN,
    "explain_estimates_a_tenant": _EXPLAIN,
    "lock_table": "a role that may delete rows may lock their table, as long as the application's timeouts allow",
    "end_others_sessions": "all sessions of an application are of one login, which only a superuser can keep from ending them",
    "lock_queue": "PostgreSQL waits for some locks before it asks for the right to them; timeouts end the wait",
    "fill_the_lock_table": "any session may take advisory locks, and a writer can fill the same table with savepoints",
}
"""Attack → why it succeeds even on a correct database."""

__all__ = ["INHERENT"]
