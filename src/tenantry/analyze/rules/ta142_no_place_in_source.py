from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.derivation.keys import key_takes
from tenantry.derivation.reverse.columns import Part
from tenantry.mapping import Project


class NoPlaceInSource(AnalysisRule):
    """Their ids are uuids, which no source key can hold, nothing else identifies a source row, and no sequence of the source numbers
    its rows. They stay in the target and are listed in `tenantry.kept`; after a rollback the application does not see them.
    """

    code = "TA-142"
    severity = "notice"
    area = "risk"
    title = "target-native rows have no place in the source"

    def find(self, case: Case) -> Iterator[Finding]:
        placed = {
            part.target
            for source in case.reverse
            for place, part in enumerate(source.parts)
            if _has_place(case.project, part, first=place == 0)
        }
        for target in sorted(case.project.by_target.keys() - placed):
            yield self.finding(
                target, "target-native rows have no place in the source",
                advice="Their ids are uuids, which no source key can hold, nothing else identifies a source row, and no sequence of the"
                " source numbers its rows. They stay in the target and are listed in tenantry.kept; after a rollback the application does"
                " not see them.",
            )  # fmt: skip


def _has_place(project: Project, part: Part, *, first: bool) -> bool:
    """Whether a row with a new id can be stored in the source: under that id, or by its key's columns or another row's
    reference."""
    if part.link != "same":
        return True
    return first and not part.mapping.legacy_prefix and key_takes(project.source, part.mapping)
