"""Checks `[source] left`: tables that stay where they are, and the foreign keys of the target that lead out of it. Pure."""

from __future__ import annotations

from tenantry.mapping.source_checks import SourceChecks


def check_left_tables(checks: SourceChecks) -> None:
    """Report tables that are left and migrated, and foreign keys to tables of the source that the contract drops."""
    source = checks.manifest.source
    migrated = {part.source for rule in checks.manifest.tables.values() for part in rule.parts().values()}
    for place, name in enumerate(source.left):
        key = ("source", "left", place)
        if checks.source_table(name, key) is None:
            continue
        if name in migrated or name in source.ignore:
            other = "fills a target table" if name in migrated else "is named in ignore"
            checks.say(key, f"{name} {other}, so it is not left where it is; decide for one of them")
    for name, access in source.access.items():
        named = ("source", "access", name)
        table = checks.source_table(name, named)
        if name not in source.left:
            checks.say(named, f"{name} is not in left; the access of a migrated table stands in its own section")
        elif table is not None and table.rls_enabled and access != "service":
            checks.say(
                named,
                f"{name} has row-level security of its own, which decides what clients see; grant the right yourself",
            )
    for table in checks.target.tables:
        for fk in table.foreign_keys:
            if fk.ref_schema == checks.source.schema and fk.ref_table not in source.left:
                checks.say(
                    ("source",),
                    f"{table.name} refers to {fk.ref_schema}.{fk.ref_table} by {fk.name}: a table of the target may only refer to"
                    f' tables of the source that stay; left = ["{fk.ref_table}"]',
                )


__all__ = ["check_left_tables"]
