"""Runs the statements of a proof: each caller in a transaction of their own that is rolled back, in every membership state."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from tenantry.catalog import Table
from tenantry.postgres import ident
from tenantry.postgres.seal import SealKey, open_context
from tenantry.prove.expected.callers import REMOVED, Caller
from tenantry.prove.fixtures.row_factory import CannotMake
from tenantry.prove.matrix.attempts import AttemptCatalog, MatrixAttempt
from tenantry.prove.matrix.membership_states import StateChange, StateScenario, changed, gone
from tenantry.prove.model import Cell, Outcome

Progress = Callable[[str, int, int], None]
"""Called with the caller being tried, the number of callers done, and the number of all callers."""


@dataclass(slots=True)
class MatrixExecutor:
    """The connections and attempts of one proof; in place both connections are the same one."""

    owner: psycopg.Connection[Any]
    client: psycopg.Connection[Any]
    book: AttemptCatalog
    everybody: Sequence[Caller]
    scenarios: Sequence[StateScenario] = ()
    unknown: Sequence[str] = ()
    """The states that the manifest does not know, with the reason."""
    _role: str = "none"
    """The role of the owner's session."""
    _went: dict[str, set[str]] = field(default_factory=dict)
    """By state: tables whose rows were deleted with the membership, with the relations that no row has then."""

    def notes(self) -> list[str]:
        """Return which states cannot be tried (in part), and why."""
        went = (
            f"{state}: not applicable, these rows go with the membership: {', '.join(sorted(what))}"
            for state, what in self._went.items()
        )
        return [*self.unknown, *went]

    def try_all(self, tables: Sequence[Table], progress: Progress | None) -> Iterator[Cell]:
        """Try everything that all callers attempt on these tables: first with active memberships, then in each state."""
        role = self.owner.execute("select current_setting('role')").fetchone()
        assert role is not None
        self._role = role[0]
        of_all = len(self.everybody) + sum(len(scenario.callers) for scenario in self.scenarios)
        for done, (caller, cells) in enumerate(self._everything(tables)):
            if progress is not None:
                progress(f"{caller.label}, {caller.state}" if caller.state else caller.label, done, of_all)
            yield from cells
        if progress is not None:
            progress("", of_all, of_all)

    def _everything(self, tables: Sequence[Table]) -> Iterator[tuple[Caller, Iterator[Cell]]]:
        """Yield each caller with their cells. Consume the cells before asking for the next caller."""
        for caller in self.everybody:
            yield caller, self._try(caller, tables)
        for scenario in self.scenarios:
            if scenario.reason:
                for caller in scenario.callers:
                    yield caller, self._not_tried(caller, tables, scenario.reason)
            elif scenario.state == REMOVED:
                for caller, member in zip(scenario.callers, scenario.members, strict=True):
                    yield caller, self._try_removed(scenario, caller, member, tables)
            else:
                try:
                    with self._changed(scenario.changes):
                        for caller in scenario.callers:
                            self._note_gone(caller, tables)
                            yield caller, self._try(caller, tables)
                except CannotMake as error:
                    for caller in scenario.callers:
                        yield caller, self._not_tried(caller, tables, str(error))

    def _not_tried(self, caller: Caller, tables: Sequence[Table], reason: str) -> Iterator[Cell]:
        for table in tables:
            for attempt in self.book.attempts(caller, table):
                yield _cell(attempt, "not tried", reason)

    # -- one caller ----------------------------------------------------------------------------------------------------

    def _try(self, caller: Caller, tables: Sequence[Table]) -> Iterator[Cell]:
        """Try everything of one caller in one transaction that is rolled back, as a request of the application would run."""
        with self._context(caller):
            yield from self._attempts(caller, tables)

    def _try_removed(
        self, scenario: StateScenario, caller: Caller, member: Caller, tables: Sequence[Table]
    ) -> Iterator[Cell]:
        """Let a member read their rows, then lose the membership and try again, all in one transaction."""
        with self._context(member):
            for table in tables:
                for attempt in self.book.attempts(member, table):
                    if attempt.command == "select" and attempt.expected == "allow":
                        # Not rolled back: the session must keep whatever the read leaves in it.
                        with suppress(psycopg.Error), self.client.transaction():
                            self.client.execute(attempt.statement.encode())
            try:
                with self._changed(scenario.changes, meanwhile=caller):
                    self._note_gone(caller, tables)
                    yield from self._attempts(caller, tables)
            except CannotMake as error:
                yield from self._not_tried(caller, tables, str(error))

    def _attempts(self, caller: Caller, tables: Sequence[Table]) -> Iterator[Cell]:
        # One savepoint serves all: rolling back to it keeps it, which halves the statements of an attempt.
        self.client.execute(f"savepoint {_POINT}".encode())
        attempts = [attempt for table in tables for attempt in self.book.attempts(caller, table)]
        for attempt, (got, detail) in zip(attempts, _run_all(self.client, attempts), strict=True):
            yield _cell(attempt, got, detail)
        self.client.execute(f"{_BACK}; release savepoint {_POINT}".encode())

    # -- connections and state -----------------------------------------------------------------------------------------

    @contextmanager
    def _context(self, caller: Caller) -> Iterator[None]:
        with self.client.transaction(force_rollback=True):
            _open(self.client, caller, self.book.fixtures.key)
            _become(self.client, caller)
            # Rows are found by their keys: no table is scanned from end to end, however large it is.
            self.client.execute("set local enable_seqscan = off")
            self.client.execute("set constraints all deferred")
            yield

    @contextmanager
    def _changed(self, changes: Sequence[StateChange], *, meanwhile: Caller | None = None) -> Iterator[None]:
        """Apply the owner's changes for the duration of this context.

        Args:
            meanwhile: the caller whose transaction is open; in place the owner takes over the connection for the change.

        Raises:
            CannotMake: the server refuses the change.
        """
        in_place = self.owner is self.client
        steps_in = in_place and meanwhile is not None
        if steps_in:
            self.owner.execute("select set_config('role', %s, true)", [self._role])
        with changed(self.owner, changes, in_place=in_place):
            rows = [row for several in self.book.fixtures.rows.values() for row in several]
            self.book.gone = gone(self.owner, rows)
            try:
                if steps_in and meanwhile is not None:
                    _become(self.client, meanwhile)
                    self.client.execute("set constraints all deferred")
                yield
            finally:
                self.book.gone = set()

    def _note_gone(self, caller: Caller, tables: Sequence[Table]) -> None:
        for table in tables:
            for relation in self.book.missing(caller, table):
                self._went.setdefault(caller.state, set()).add(f"{table.name} ({relation})")


def _cell(attempt: MatrixAttempt, got: Outcome, detail: str) -> Cell:
    return Cell(attempt.caller.label, attempt.table, attempt.command, attempt.relation, attempt.expected, got, detail)


def _become(client: psycopg.Connection[Any], caller: Caller) -> None:
    client.execute(f"set local role {ident(caller.database_role)}".encode())


def _open(client: psycopg.Connection[Any], caller: Caller, key: SealKey | None) -> None:
    """Open the caller's context. Claims that are no JSON, which no application can send, are set without a seal."""
    if key is not None and caller.claims and _is_json(caller.claims):
        open_context(client, key, caller.claims)
    else:
        client.execute("select set_config('request.jwt.claims', %s, true)", [caller.claims])


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


_POINT = "tenantry_attempt"
_BACK = f"rollback to savepoint {_POINT}"
_TOGETHER = 8
"""Attempts in one message to the server. Those after an error are sent again, so that more would cost more than it saves."""
_NO_RIGHT = b"42501"
_REFERENCED = (b"23503", b"23001")


def _run_all(client: psycopg.Connection[Any], attempts: Sequence[MatrixAttempt]) -> Iterator[tuple[Outcome, str]]:
    """Try each statement by itself, from the savepoint that is set, several in one round trip.

    The server runs the statements of a message one after the other and stops at the first that fails. The next message begins with the
    statement after it: rolling back to the savepoint is what a failed transaction still accepts.
    """
    done = 0
    while done < len(attempts):
        group = attempts[done : done + _TOGETHER]
        text = ";\n".join(part for attempt in group for part in (_BACK, attempt.statement))
        with client.lock:
            client.pgconn.send_query(text.encode())
            results = client.wait(execute(client.pgconn))
        for attempt, result in zip(group, results[1::2], strict=False):
            yield _outcome(attempt, result)
            done += 1
        if len(results) % 2:  # not even the savepoint was there: the connection, or the transaction, is lost
            raise error_from_result(results[-1], client.info.encoding)


def _outcome(attempt: MatrixAttempt, result: PGresult) -> tuple[Outcome, str]:
    if result.status == ExecStatus.FATAL_ERROR:
        return _refused(attempt, result)
    if attempt.relation.startswith("column"):
        return "allow", "the right to the column exists"
    touched = int(result.get_value(0, 0) or 0) if attempt.counts else result.command_tuples or 0
    if attempt.doubt and not touched:
        return "not tried", attempt.doubt
    return ("allow" if touched else "refuse"), ""


def _refused(attempt: MatrixAttempt, result: PGresult) -> tuple[Outcome, str]:
    state = result.error_field(DiagnosticField.SQLSTATE) or b""
    primary = (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace")
    if state == _NO_RIGHT:
        return "refuse", primary
    said = f"{state.decode()}: {primary}"
    if attempt.doubt:
        return "not tried", f"{attempt.doubt}; the server said {said}"
    if attempt.command == "delete" and state in _REFERENCED:
        # Foreign keys are checked after the policy has let the row through.
        return "allow", said
    return "error", said
