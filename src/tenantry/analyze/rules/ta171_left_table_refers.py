from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class LeftTableRefers(AnalysisRule):
    """The values remain old ids, and `tenantry contract` refuses to drop the referenced table until the foreign key is gone. Migrate
    the table; or drop its foreign key before the contract.
    """

    code = "TA-171"
    severity = "warning"
    area = "schema"
    title = "a table that is left where it is refers to a migrated table"

    def find(self, case: Case) -> Iterator[Finding]:
        migrated = {table.name for table in case.project.source_tables}
        for name in case.project.manifest.source.left:
            table = case.project.source.table(name)
            for fk in table.foreign_keys if table is not None else ():
                if fk.ref_schema == case.project.source.schema and fk.ref_table in migrated:
                    yield self.finding(
                        name, f"is left where it is, and refers to {fk.ref_table}, which is migrated", column=fk.columns[0],
                        advice=f"Its values remain old ids, and the contract cannot drop {fk.ref_table} while {fk.name} exists."
                        f" Migrate {name} too; or drop the foreign key before the contract.",
                    )  # fmt: skip
