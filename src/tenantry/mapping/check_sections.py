"""Checks the sections of a manifest, and that it decides about every table, against source and target. Pure."""

from __future__ import annotations

from tenantry.manifest.model import LinkColumn, LinkFile, TableRule
from tenantry.manifest.positions import Key
from tenantry.mapping.check_accounts import check_in_step
from tenantry.mapping.check_consent import check_who_lets_in
from tenantry.mapping.check_constant import check_constant
from tenantry.mapping.check_downs import check_downs
from tenantry.mapping.check_left_tables import check_left_tables
from tenantry.mapping.check_tenant_values import check_tenant_values
from tenantry.mapping.source_checks import SourceChecks, part_key


def check_sections(checks: SourceChecks) -> None:
    manifest = checks.manifest
    for name in manifest.source.secrets:
        table = checks.source_table(name, ("source", "secrets", name))
        for place, column in enumerate(manifest.source.secrets[name]):
            if table is not None:
                checks.need_column(table, column, ("source", "secrets", name, place))
    for place, name in enumerate(manifest.source.ignore):
        checks.source_table(name, ("source", "ignore", place))
    check_left_tables(checks)
    check_downs(manifest, checks.source, checks.target, checks.say, checks.expressions)
    for name, downs in manifest.source.down.items():
        for column, sql in downs.items():
            checks.followed.of_target(sql, ("source", "down", name, column))
    if manifest.users is not None:
        table = checks.source_table(manifest.users.source, ("users", "from"))
        if table is not None:
            checks.need_column(table, manifest.users.email, ("users", "email"))
            for name in ("super", "verified", "deleted", "system", "metadata"):
                expression = getattr(manifest.users, name)
                if expression:
                    checks.expressions.check(expression, {"s": table}, ("users", name))
            if manifest.users.password:
                checks.need_column(table, manifest.users.password, ("users", "password"))
            for place, way in enumerate(manifest.users.link):
                if isinstance(way, LinkColumn):
                    checks.need_column(table, way.column, ("users", "link", place, "column"))
                elif isinstance(way, LinkFile) and not (manifest.folder / way.file).is_file():
                    checks.say(("users", "link", place, "file"), f"there is no file {way.file} next to the manifest")
        profile = checks.target_table(manifest.users.profile, ("users", "profile"))
        if profile is not None:
            checks.need_column(profile, manifest.users.account, ("users", "account"))
    _check_both(checks)
    check_constant(checks)
    check_tenant_values(checks)
    check_in_step(checks)
    check_who_lets_in(checks)
    for place, query in enumerate(manifest.rules):
        if checks.expressions.check_query(query.sql, ("rules", place, "sql")):
            checks.followed.of_target(query.sql, ("rules", place, "sql"))


def _check_both(checks: SourceChecks) -> None:
    """Check that [ids] both only names tables that have old ids."""
    for place, name in enumerate(checks.manifest.ids.both):
        key: Key = ("ids", "both", place)
        rule = checks.manifest.tables.get(name)
        if checks.target_table(name, key) is not None and rule is not None and not rule.parts():
            checks.say(key, f"{name} is a new table without a source: its rows have no old ids")
        if name in checks.manifest.ids.both[:place]:
            checks.say(key, f"{name} is named twice")


def check_tables(checks: SourceChecks) -> None:
    for name, rule in checks.manifest.tables.items():
        checks.target_table(name, ("tables", name))
        for label, part in rule.parts().items():
            checks.source_table(part.source, (*part_key(name, label), "from"))
    for table in checks.target.tables:
        if table.name not in checks.manifest.tables and table.partition_of is None:
            checks.say(
                ("tables",),
                f"the target table {table.name} is not decided: add [tables.{table.name}] with its access",
            )
    read = {part.source for rule in checks.manifest.tables.values() for part in rule.parts().values()}
    # The rows that own the rows of a read table are migrated with them.
    read |= {
        each.name
        for table in checks.source.tables
        if table.name in read
        for each in table.below
        if each.schema == table.schema
    }
    not_migrated = {*checks.manifest.source.ignore, *checks.manifest.source.left}
    for table in checks.source.tables:
        if table.name not in read and table.name not in not_migrated and table.partition_of is None:
            checks.say(
                ("source",),
                f"the source table {table.name} is not migrated: give it a target table, or name it in ignore, or in left",
            )


def check_merge(checks: SourceChecks, name: str, rule: TableRule) -> None:
    table = checks.target.table(name)
    if rule.merge is None or table is None:
        return
    key = ("tables", name, "merge")
    if rule.sources:
        checks.say(key, "merge works for a table with one from, not with [sources]; merge in the source first, or"
                 " carry the sources into tables of their own")  # fmt: skip
    for place, column in enumerate(rule.merge.by):
        checks.need_column(table, column, (*key, "by", place))
    if checks.expressions.check_order(rule.merge.keep, {"": table}, (*key, "keep")):
        checks.followed.none(rule.merge.keep, (*key, "keep"))


__all__ = ["check_merge", "check_sections", "check_tables"]
