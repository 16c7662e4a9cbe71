from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import MOST_KEY_BYTES, least_row_bytes
from tenantry.mapping import Project

_KEY_COLUMNS = 32
_ROW_BYTES = 8160
_COLUMNS = 1600


class SizeLimits(AnalysisRule):
    """PostgreSQL's limits: an entry of a B-tree has at most 2,704 bytes, a key 32 columns, a table 1,600 columns, and a row
    8,160 bytes on its page, of which uuids and numbers cannot be moved elsewhere. Where values are too long for an index that
    only the target has, `tenantry migrate` fails when it builds the index, unless they compress well: index a digest, as in
    `create unique index on pages (org_id, sha256(url::bytea))`, or leave the index out. Split tables that are too wide.
    """

    code = "TA-174"
    severity = "warning"
    area = "risk"
    title = "a limit of PostgreSQL is near or exceeded: bytes of an index entry or a row, columns of a key or a table"

    def find(self, case: Case) -> Iterator[Finding]:
        targets = {mapping.name: mapping.target.name for mapping in case.project}
        for evidence in case.evidence:
            for index, tally in evidence.wide.items():
                yield self.finding(
                    targets.get(evidence.mapping, evidence.mapping),
                    f"rows have more than {MOST_KEY_BYTES:,} bytes in the columns of index {index}{evidence.of_sample}",
                    count=tally.count, keys=tally.keys,
                    advice="The index cannot be built unless they compress. Index a digest, or leave the index out of the target.",
                )  # fmt: skip
        yield from self._of_schemas(case.project)

    def _of_schemas(self, project: Project) -> Iterator[Finding]:
        for table in project.target.tables:
            if (least := least_row_bytes(table)) > _ROW_BYTES:
                yield self.finding(
                    table.name, f"a row with a value in each column takes at least {least:,} bytes, but a page holds {_ROW_BYTES:,}",
                    advice="Such rows are refused. Split the table, or use types of variable length.",
                )  # fmt: skip
            if len(table.columns) > _COLUMNS - 100:
                yield self.finding(
                    table.name, f"{len(table.columns):,} columns, and a table may have {_COLUMNS:,}, dropped ones included",
                    advice="Later columns will soon be refused. Split the table.",
                )  # fmt: skip
        for mapping in project:
            for index in mapping.source.indexes:
                if mapping.scoped and index.unique and len(index.columns) == _KEY_COLUMNS:
                    yield self.finding(
                        mapping.target.name, f"unique key {index.name} has {_KEY_COLUMNS} columns, and no room for the tenant column",
                        advice="Leave out a column, or index a digest of several.",
                    )  # fmt: skip
