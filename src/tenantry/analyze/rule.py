"""Base of the rules of analysis, each a class in a file of its own in the folder `rules`; CONTRIBUTING.md shows how to add
one."""

from __future__ import annotations

import inspect
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
    """The input of rules: the mapped schemas, evidence from the data, and facts about the database, all read beforehand."""

    project: Project
    evidence: tuple[Evidence, ...] = ()
    around: Surroundings = NOTHING_ELSE

    @cached_property
    def reverse(self) -> tuple[SourceTable, ...]:
        """The reverse direction of each source table."""
        return reverse_statements(self.project)

    @cached_property
    def numbers(self) -> tuple[NumbersOfBothSides, ...]:
        """The columns whose numbers must be unique, with the sequences that fill them."""
        return tuple(numbers_of_both_sides(self.project))


class AnalysisRule(ABC):
    """A rule of analysis. It is pure; its docstring is the text of its section in docs/reference/findings.md.

    Attributes:
        code: of its findings: TA-1xx the schemas and their surroundings, TA-2xx tenancy, TA-3xx the data, TA-4xx performance
            and order. The name of the file begins with it.
        severity: the highest of its findings.
        title: what is found, in a few words.
    """

    code: ClassVar[str]
    severity: ClassVar[Severity]
    area: ClassVar[Area]
    title: ClassVar[str]

    @abstractmethod
    def find(self, case: Case) -> Iterator[Finding]:
        """Return the findings in the order of tables and columns; `analyze` sorts those of all rules."""

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
        """Build a finding with the rule's code; see `Finding`.

        Args:
            severity: if it is lower than the rule's.
        """
        explanation = " ".join(inspect.cleandoc(self.__doc__ or "").split())
        return Finding(
            self.code, severity or self.severity, self.area, table, title, count, column, keys, advice, explanation
        )
