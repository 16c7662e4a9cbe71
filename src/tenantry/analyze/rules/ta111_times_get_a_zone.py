from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import carried_pairs, is_zoned, zone_columns


class TimesGetAZone(AnalysisRule):
    """Without a rule, times are read as UTC (info). It is a warning if they are read in a zone of the tenant's row that no
    source column fills: every tenant would have the column's default zone.
    """

    code = "TA-111"
    severity = "warning"
    area = "schema"
    title = "times without a zone become instants"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping, column, source, target in carried_pairs(case.project):
            if source.type != target.type and is_zoned(source, target):
                yield self.finding(
                    mapping.target.name, f"{column.source}: {source.type} becomes {column.name}: {target.type}", column=column.name,
                    severity="info", advice="The source's times are read as UTC.",
                )  # fmt: skip
        root = case.project.root_table
        filled = {column.name for mapping in case.project if mapping.is_root for column in mapping.columns}
        tenant = case.project.manifest.tenant
        filled |= {*(tenant.constant or ()), *([tenant.values.column] if tenant.values is not None else ())}
        for name, columns in sorted(zone_columns(case.project).items()):
            zone = root.column(name)
            if zone is not None and name not in filled:
                yield self.finding(
                    root.name, f"times of {', '.join(sorted(columns))} are read in the zone {zone.default or 'null'}: no source column fills"
                    f" {root.name}.{name}", column=name,
                    advice=f'State the source of the zone: {name} = {{ from = "…" }} or up = "…".',
                )  # fmt: skip
