"""The state of the checks of a manifest against source and target, which the checks of its sections share. Pure."""

from __future__ import annotations

from tenantry.catalog import Catalog, Table
from tenantry.manifest.model import Manifest, SourceRule
from tenantry.manifest.positions import Key
from tenantry.mapping.check_access import TargetChecks
from tenantry.mapping.references import References
from tenantry.mapping.tables_read import TablesRead


class SourceChecks(TargetChecks):
    """Collects the mismatches with source and target.

    Attributes:
        primary: for each source table, the target table that foreign keys to it lead to: the one without a part.
        followed: the tables that the manifest's expressions read.
        references: the foreign keys of source and target.
    """

    def __init__(self, manifest: Manifest, source: Catalog, target: Catalog) -> None:
        super().__init__(manifest, target)
        self.source = source
        self.primary: dict[str, str] = {}
        self.followed = TablesRead(manifest, source, target, self.say)
        self.references = References(manifest, source, target, self.primary, self.say)

    def source_table(self, name: str, key: Key) -> Table | None:
        return self.table(self.source, name, key, "source")

    def parent_of(self, target_table: str) -> Table | None:
        """Return the source table that feeds a target table; the first one if there are several."""
        rule = self.manifest.tables.get(target_table)
        if rule is None:
            return None
        return next((self.source.table(part.source) for part in rule.parts().values()), None)

    def has_tenant(self, name: str) -> bool:
        """Whether the rows of a target table name their tenant."""
        table = self.target.table(name)
        return table is not None and table.column(self.manifest.tenant.column) is not None


def mapping_name(table: str, label: str) -> str:
    """Return the name of a target table's source, which the journal knows it by."""
    return f"{table}.{label}" if label else table


def namespace_of(part: SourceRule) -> str:
    """Return what the derived ids of a source's rows start from."""
    return part.source if part.part is None else f"{part.source}/{part.part}"


def part_key(name: str, label: str) -> Key:
    """Return the position of a target table's source in the manifest."""
    return ("tables", name, "sources", label) if label else ("tables", name)


__all__ = ["SourceChecks", "mapping_name", "namespace_of", "part_key"]
