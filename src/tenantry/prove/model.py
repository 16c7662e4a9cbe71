"""The results of a proof: cells of the access matrix, static checks, and what could not be tried. Frozen, without I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Literal

from tenantry.manifest.model import COMMANDS
from tenantry.prove.expected.callers import SHARE, STATES

Outcome = Literal["allow", "refuse", "error", "not tried"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One statement, run as one caller against one row, with the matrix's expectation."""

    role: str
    """The caller: a role of the matrix, 'super admin', 'signed in', or an anonymous caller."""
    table: str
    command: str
    relation: str
    """The relation of the row to the caller: 'own tenant', 'other tenant', 'own row', …; prefixed with a state if the membership
    no longer counts: 'inactive tenant: own row'."""
    expected: Literal["allow", "refuse"]
    got: Outcome
    detail: str = ""
    """The server's message, if there was one."""

    @property
    def passed(self) -> bool:
        return self.got == self.expected

    @property
    def failed(self) -> bool:
        """Whether it was tried and contradicts the matrix. Untried cells neither pass nor fail; they are listed separately."""
        return not self.passed and self.got != "not tried"

    def __str__(self) -> str:
        said = f" ({self.detail})" if self.detail else ""
        return f"{self.role}: {self.command} {self.table}, {self.relation}: {self.expected}, got {self.got}{said}"


@dataclass(frozen=True, slots=True)
class Check:
    """One static check of the catalog; it passes when no row violates it."""

    name: str
    title: str
    fix: str
    violations: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.violations


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One table and command, with a mark for each caller.

    Marks: 'yes' and 'own' are allowed and were, 'no' is refused and was, 'part' differs by row, 'failed', 'not tried'.
    """

    table: str
    command: str
    marks: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """The evidence that a database obeys its access matrix, or of where it does not."""

    cells: tuple[Cell, ...]
    checks: tuple[Check, ...]
    login: str
    seconds: float
    notes: tuple[str, ...] = ()
    unproved: str = ""
    """Why nothing was proved; empty if something was."""

    @property
    def passed(self) -> bool:
        """Whether something was tried, and nothing failed. Untried cells do not fail a proof; see `untried`."""
        return not self.unproved and not self.failures and all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.failed)

    @property
    def untried(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.got == "not tried")

    @property
    def counts(self) -> dict[str, int]:
        return {
            "cells": len(self.cells),
            "passed": sum(cell.passed for cell in self.cells),
            "failed": len(self.failures),
            "untried": len(self.untried),
            "checks": len(self.checks),
            "checks_failed": sum(not check.passed for check in self.checks),
        }

    def matrix_rows(self) -> tuple[MatrixRow, ...]:
        """For printing: tables by name, commands in order, callers in the order in which they were tried."""
        groups: dict[tuple[str, str], dict[str, list[Cell]]] = {}
        for cell in self.cells:
            command = cell.command.partition(" ")[0]
            if command not in COMMANDS:
                continue  # calls of functions are no rows of the matrix
            groups.setdefault((cell.table, command), {}).setdefault(cell.role, []).append(cell)
        ordered = sorted(groups, key=lambda group: (group[0], COMMANDS.index(group[1])))
        return tuple(
            MatrixRow(table, command, tuple((role, _mark(cells)) for role, cells in groups[table, command].items()))
            for table, command in ordered
        )

    def to_json(self) -> dict[str, object]:
        return {
            "passed": self.passed,
            "unproved": self.unproved,
            "login": self.login,
            "seconds": round(self.seconds, 3),
            "counts": self.counts,
            "cells": [{**asdict(cell), "passed": cell.passed} for cell in self.cells],
            "checks": [{**asdict(check), "passed": check.passed} for check in self.checks],
            "untried": [asdict(cell) for cell in self.untried],
            "notes": list(self.notes),
        }


_ATTACKS = ("move", "give", "column")
"""Relations of writes that nobody, or hardly anybody, may do: they do not show a role's rights on its rows. Neither do the attempts
of a former holder of the role."""


_OUTSIDE = ("other tenant", "tenant above", "shared row", "system row", "public row")
"""Relations of rows outside the caller's tenant: a refused write to them does not make a role's rights partial."""


def _mark(cells: list[Cell]) -> str:
    if any(cell.failed for cell in cells):
        return "failed"
    plain = [cell for cell in cells if not cell.relation.startswith((*_ATTACKS, *STATES, SHARE))]
    if all(cell.got == "not tried" for cell in plain or cells):
        return "not tried"
    allowed = Counter(cell.relation for cell in plain if cell.expected == "allow")
    if not allowed:
        return "no"
    if all(relation.startswith("own row") for relation in allowed):
        return "own"
    inside = [cell for cell in plain if cell.relation not in _OUTSIDE or cell.expected == "allow"]
    return "yes" if all(cell.expected == "allow" for cell in inside) else "part"
