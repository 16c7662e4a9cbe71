from __future__ import annotations

import re
from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case

_LIKE_A_REFERENCE = re.compile(r".*(_id|Id|_ids|Ids)$")


class LooksLikeReference(AnalysisRule):
    """Its name ends in `_id`, `Id`, `_ids` or `Ids`. If it refers to rows of a table, state that table with `ref`; otherwise
    the column keeps the old ids.
    """

    code = "TA-107"
    severity = "notice"
    area = "schema"
    title = "a column looks like a reference but has no foreign key"

    def find(self, case: Case) -> Iterator[Finding]:
        for table in case.project.source_tables:
            mappings = case.project.of_source(table.name)
            for column in table.columns:
                if (
                    _LIKE_A_REFERENCE.match(column.name)
                    and not any(column.name in fk.columns for fk in table.foreign_keys)
                    and not any(ref.columns == (column.name,) for mapping in mappings for ref in mapping.references)
                    and column.name not in (table.row_key or ())
                ):
                    yield self.finding(
                        table.name, f"column {column.name} looks like a reference, but has no foreign key", column=column.name,
                        advice='If it refers to rows of a table, state it: ref = "<target table>".',
                    )  # fmt: skip
