from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class IdsChange(AnalysisRule):
    """The new id is derived from the table and the old id. `legacy_id` keeps the old one, and `tenantry.id_map` lists
    both.
    """

    code = "TA-104"
    severity = "info"
    area = "schema"
    title = "ids change their type"

    def find(self, case: Case) -> Iterator[Finding]:
        for table in case.project.source_tables:
            types = {column.name: column.type for column in table.columns}
            key = table.row_key or ()
            if all(mapping.keeps_ids for mapping in case.project.of_source(table.name)):
                continue
            if any(types[name] != "uuid" for name in key):
                yield self.finding(
                    table.name, f"ids change from {types[key[0]]} to uuid", column=key[0],
                    advice="Derived from (table, old id); legacy_id keeps the old one, tenantry.id_map lists both.",
                )  # fmt: skip
