"""Makes the tenants of values before rows are copied: changes are already recorded, so that the replay makes those of later values."""

from __future__ import annotations

from tenantry.derivation.tenant_values import REGISTRY, all_values, make_registry, make_tenants, value_columns
from tenantry.mapping import Project
from tenantry.plan.estimates import COPY_SECONDS
from tenantry.plan.model import Step


def value_tenants(project: Project, rows: dict[str, int], after: str) -> list[Step]:
    """Return one step before the copy if `[tenant.values]` makes the tenants."""
    if project.manifest.tenant.values is None:
        return []
    read = {each.source.name: len(columns) for each in project if (columns := value_columns(project, each))}
    values = all_values(project)
    return [
        Step(
            id="copy.tenants",
            does="makes the tenants from the values of columns; only with `[tenant.values]`",
            phase="copy",
            kind="sql",
            title=f"Make the rows of {project.manifest.tenant.table} from the values in {', '.join(sorted(read))}",
            sql=(make_registry(), *make_tenants(project, values)),
            undo=(f"drop table if exists {REGISTRY}",),
            lock="ACCESS SHARE on the source",
            risk="none",
            risk_note="Each of these tables is read once.",
            seconds=sum(rows[name] * columns for name, columns in read.items()) * COPY_SECONDS / 4,
            after=(after,),
            table=project.manifest.tenant.table,
            gone_with_target=True,
        )
    ]


__all__ = ["value_tenants"]
