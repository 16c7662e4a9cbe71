"""What a rule of analysis is: a class, in a file of its own in the folder `rules`; CONTRIBUTING.md shows how to add one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from tenantry.analyze.finding import Area, Evidence, Finding, Severity
from tenantry.analyze.schemas import NumbersOfBothSides, numbers_of_both_sides
from tenantry.analyze.surroundings import NOTHING_ELSE, Surroundings
from tenantry.derivation.reverse.write import SourceTable, reverse_statements
from tenantry.mapping import Project


@dataclass(frozen=True)
class Case:
    """What rules look at: the mapped schemas, evidence from the data, and what else lives in the database. All of it was read before."""

    project: Project
    evidence: tuple[Evidence, ...] = ()
    around: Surroundings = NOTHING_ELSE

    @cached_property
    def reverse(self) -> tuple[SourceTable, ...]:
        """The way back into each source table."""
        return reverse_statements(self.project)

    @cached_property
    def numbers(self) -> tuple[NumbersOfBothSides, ...]:
        """The columns whose numbers may stand once, with the sequences that they are drawn from."""
        return tuple(numbers_of_both_sides(self.project))


class AnalysisRule(ABC):
    """A rule of analysis. It is pure; its docstring is the text of its section in docs/reference/findings.md.

    Attributes:
        code: of its findings: TA-1xx the schemas and what surrounds them, TA-2xx tenancy, TA-3xx the data, TA-4xx performance and
            order. The name of the file begins with it.
        severity: the greatest that its findings have.
        title: what is found, in a few words.
    """

    code: ClassVar[str]
    severity: ClassVar[Severity]
    area: ClassVar[Area]
    title: ClassVar[str]

    @abstractmethod
    def find(self, case: Case) -> Iterator[Finding]:
        """The findings, in the order of tables and columns; `analyze` sorts those of all rules."""

    def finding(
        self,
        table: str,
        title: str,
        *,
        count: int = 1,
        column: str = "",
        keys: tuple[str, ...] = (),
        advice: str = "",
        severity: Severity | None = None,
    ) -> Finding:
        """A finding with the rule's code; see `Finding`.

        Args:
            severity: where it is less than the rule's.
        """
        return Finding(self.code, severity or self.severity, self.area, table, title, count, column, keys, advice)
