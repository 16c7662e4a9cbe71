"""One connection of an attacker or a victim: statements never raise, their answers are inspected."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

_POINT = "tenantry_attack"


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    """The server's answer to a statement: rows or an error, and the notices.

    Attributes:
        touched: rows that a command found or changed; 0 for an error.
        error: the primary message; empty if there was no error.
        text: message, detail, hint, context and notices together; leaks are searched in it.
    """

    rows: Sequence[tuple[Any, ...]] = ()
    touched: int = 0
    error: str = ""
    sqlstate: str = ""
    text: str = ""
    notices: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.error

    @property
    def value(self) -> Any:
        """The first column of the first row; None without a row."""
        return self.rows[0][0] if self.rows else None

    @property
    def number(self) -> int:
        """The first value as a number; 0 for an error, for no row and for null."""
        return int(self.value or 0)

    def __str__(self) -> str:
        """Return the evidence: the server's refusal, or the number of touched rows."""
        return f"{self.sqlstate} {self.error}" if self.error else f"{self.touched} rows"


class AttackSession:
    """A connection in autocommit mode that runs arbitrary SQL."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self._notices: list[str] = []
        connection.add_notice_handler(self._note)

    def _note(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        parts = (diagnostic.message_primary, diagnostic.message_detail, diagnostic.message_hint)
        self._notices.append(" ".join(part for part in parts if part))

    @property
    def in_transaction(self) -> bool:
        return self.connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def run(self, statement: str, parameters: Sequence[Any] | None = None, *, undo: bool = False) -> SessionAnswer:
        """Run a statement under a savepoint that a refusal rolls back to; with `undo`, success does too.

        Without a transaction the statement commits by itself.
        """
        if self.connection.info.transaction_status != TransactionStatus.INTRANS:
            return self.raw(statement, parameters)
        self.connection.execute(f"savepoint {_POINT}".encode())
        answer = self.raw(statement, parameters)
        if self.connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            # A COMMIT or ROLLBACK in the statement destroys the savepoint.
            with suppress(psycopg.errors.InvalidSavepointSpecification):
                back = f"rollback to savepoint {_POINT}; " if undo or not answer.ok else ""
                self.connection.execute(f"{back}release savepoint {_POINT}".encode(), prepare=False)
        return answer

    def raw(self, statement: str, parameters: Sequence[Any] | None = None) -> SessionAnswer:
        """Run one or more statements without a savepoint: their effects on transaction and session remain."""
        self._notices.clear()
        try:
            cursor = self.connection.execute(statement.encode(), parameters, prepare=False)
            while cursor.nextset():
                pass
            rows = cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            return _refused(error, tuple(self._notices))
        notices = tuple(self._notices)
        return SessionAnswer(rows, max(cursor.rowcount, 0), text=" ".join(notices), notices=notices)

    def copy_out(self, statement: str) -> tuple[SessionAnswer, str]:
        """Run COPY … TO STDOUT, and return its output."""
        got = bytearray()
        self._notices.clear()
        self.connection.execute(f"savepoint {_POINT}".encode())
        try:
            with self.connection.cursor().copy(statement.encode()) as copy:
                for piece in copy:
                    got += piece
        except psycopg.Error as error:
            answer = _refused(error, tuple(self._notices))
        else:
            answer = SessionAnswer(touched=got.count(b"\n"))
        self.connection.execute(f"rollback to savepoint {_POINT}; release savepoint {_POINT}".encode(), prepare=False)
        return answer, got.decode(errors="replace")

    def copy_in(self, statement: str, lines: str) -> SessionAnswer:
        """Run COPY … FROM STDIN, and roll it back."""
        self._notices.clear()
        self.connection.execute(f"savepoint {_POINT}".encode())
        try:
            with self.connection.cursor() as cursor:
                with cursor.copy(statement.encode()) as copy:
                    copy.write(lines)
                answer = SessionAnswer(touched=max(cursor.rowcount, 0))
        except psycopg.Error as error:
            answer = _refused(error, tuple(self._notices))
        self.connection.execute(f"rollback to savepoint {_POINT}; release savepoint {_POINT}".encode(), prepare=False)
        return answer


def _refused(error: psycopg.Error, notices: tuple[str, ...]) -> SessionAnswer:
    diagnostic = error.diag
    primary = diagnostic.message_primary or str(error).strip().partition("\n")[0] or type(error).__name__
    parts = (primary, diagnostic.message_detail, diagnostic.message_hint, diagnostic.context, *notices)
    return SessionAnswer(
        error=primary,
        sqlstate=error.sqlstate or "",
        text=" ".join(part for part in parts if part),
        notices=notices,
    )


__all__ = ["AttackSession", "SessionAnswer"]
