"""Check a manifest against source and target, and resolve it into mappings. Pure: takes catalogs and returns a project.

All problems are collected and raised together, each with its position in the file.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import replace

from tenantry.catalog import Catalog, Table
from tenantry.catalog import Column as CatalogColumn
from tenantry.manifest.load import manifest_digest
from tenantry.manifest.model import ColumnRule, Manifest, SourceRule, TableRule
from tenantry.manifest.positions import Key
from tenantry.mapping import types
from tenantry.mapping.check_parts import check_parts
from tenantry.mapping.check_sections import check_merge, check_sections, check_tables
from tenantry.mapping.check_tenant_values import check_tenant_columns
from tenantry.mapping.check_transforms import check_transforms
from tenantry.mapping.columns import ColumnCompiler
from tenantry.mapping.order import in_order
from tenantry.mapping.project import LEGACY_ID, ROW_ID, MappedColumn, Mapping, Project, Reference
from tenantry.mapping.reference_columns import check_reference, reference_columns, with_orphan
from tenantry.mapping.source_checks import SourceChecks, mapping_name, namespace_of, part_key
from tenantry.mapping.tables_read import expressions_of, expressions_of_users
from tenantry.mapping.tenant_paths import check_tenant_paths, tenant_paths
from tenantry.mapping.values.type_names import base_type
from tenantry.postgres import ident

__all__ = ["resolve"]


def resolve(manifest: Manifest, source: Catalog, target: Catalog) -> Project:
    """Return the project that a manifest describes.

    Raises:
        ManifestError: all mismatches, each with file, line, key and the closest valid name.
    """
    checks = SourceChecks(manifest, source, target)
    for key, message in check_transforms(checks.manifest):
        checks.say(key, message)
    checks.check_tenancy()
    checks.stop_at_problems()  # without tenant and membership hardly any message below could be right
    check_sections(checks)
    checks.check_shares()
    check_tables(checks)
    check_parts(checks)
    mappings: list[Mapping] = []
    for name, rule in checks.manifest.tables.items():
        if checks.target.table(name) is None:
            continue
        checks.check_access(name, rule.access)
        check_merge(checks, name, rule)
        for label, part in rule.parts().items():
            if checks.source.table(part.source) is not None:
                made = _mapping(checks, name, rule, label, part, part_key(name, label))
                if made is not None:
                    mappings.append(made)
    checks.check_circles()
    check_tenant_paths(checks, mappings)
    check_tenant_columns(checks, mappings)
    checks.stop_at_problems()
    ordered = in_order(mappings)
    by_target: dict[str, tuple[Mapping, ...]] = {}
    for mapping in ordered:
        by_target[mapping.target.name] = (*by_target.get(mapping.target.name, ()), mapping)
    return Project(
        checks.manifest, manifest_digest(checks.manifest), checks.source, checks.target, tuple(ordered), by_target
    )


def _mapping(
    checks: SourceChecks, name: str, rule: TableRule, label: str, part: SourceRule, key: Key
) -> Mapping | None:
    target, source = checks.target.table(name), checks.source.table(part.source)
    assert target is not None
    assert source is not None
    keeps = rule.ids == "keep"
    if not _can_be_migrated(checks, source, target, key, keeps=keeps) or source.row_key is None:
        return None
    tenant = checks.manifest.tenant
    is_root = name == tenant.table
    users = checks.manifest.users
    profile = users is not None and users.profile == name
    scoped = target.column(tenant.column) is not None and not is_root
    references = reference_columns(checks, target, source, part, key)
    before = len(checks.problems)
    paths = tenant_paths(checks, source, part, references, key) if scoped and tenant.constant is None else ()
    for which, ways in (("tenant", part.tenant), ("fallback", part.fallback)):
        if ways and not scoped:
            why = "is the tenant table" if is_root else f"has no column {tenant.column}"
            checks.say((*key, which), f"{name} {why}, so its rows need no path to a tenant")
    if scoped and not paths and tenant.constant is None and len(checks.problems) == before:
        checks.say(
            (*key, "tenant"),
            f"how do rows of {source.name} reach their tenant? Name the columns that lead to it, the most certain"
            ' first: tenant = ["…"]',
        )
    for column_name in part.columns:
        checks.need_column(target, column_name, (*key, "columns", column_name))
    if part.where:
        checks.expressions.check(part.where, {"s": source}, (*key, "where"))
    namespace = namespace_of(part)
    columns = []
    compiler = ColumnCompiler(
        manifest=checks.manifest,
        source=source,
        target=target,
        root=checks.target.table(tenant.table),
        scoped=scoped,
        source_catalog=checks.source,
        target_catalog=checks.target,
        expressions=checks.expressions,
        say=checks.say,
        parents=checks.parent_of,
    )
    for target_column in target.columns:
        column_key = (*key, "columns", target_column.name)
        given = part.columns.get(target_column.name)
        if target_column.generated is not None:
            if given is not None:
                checks.say(column_key, f"{name}.{target_column.name} is a generated column: the server fills it")
            continue
        special = _special(checks, target_column, references, scoped=scoped, profile=profile)
        if special is not None and special.kind == "id" and keeps:
            special = replace(special, source=source.row_key[0])
        if special is not None:
            if given is not None and special.kind != "reference":
                checks.say(column_key, _fills_itself(special))
            if special.kind == "reference":
                check_reference(checks, target, target_column, references[target_column.name], given, column_key)
            if given is not None and given.orphan is not None:
                special = with_orphan(checks, special, given.orphan, source, column_key)
            columns.append(special)
            continue
        made = compiler.column(target_column, given or ColumnRule(), given=given is not None, key=column_key)
        if made is not None:
            columns.append(made)
    return Mapping(
        name=mapping_name(name, label),
        target=target,
        source=source,
        namespace=namespace,
        key=source.row_key,
        scoped=scoped,
        is_root=is_root,
        tenant_paths=paths,
        references=tuple(ref for column, ref in references.items()),
        columns=tuple(columns),
        where=part.where,
        merge=rule.merge,
        legacy_prefix=f"{label}:" if label else "",
        secrets=tuple(checks.manifest.source.secrets.get(source.name, ())),
        profile=profile,
        id_type=base_type(_type_of_id(target)) if keeps else "uuid",
        reads=_reads(checks, part, key, profile=profile),
    )


def _type_of_id(target: Table) -> str:
    column = target.column(ROW_ID)
    assert column is not None
    return column.type


def _can_be_migrated(checks: SourceChecks, source: Table, target: Table, key: Key, *, keeps: bool) -> bool:
    """Check that rows of the source can be identified, and that the target has columns for their ids."""
    if source.row_key is None:
        checks.say(
            (*key, "from"),
            f"{source.name} has neither a primary key nor a unique key over columns that are never null, so its rows"
            f" cannot be identified: ALTER TABLE {source.name} ADD PRIMARY KEY (…) on the source first",
        )
        return False
    if keeps and not _can_keep_ids(checks, source, target, key):
        return False
    for needed, type_name in ((LEGACY_ID, "text"),) if keeps else ((ROW_ID, "uuid"), (LEGACY_ID, "text")):
        column = target.column(needed)
        if column is None or (column.type != type_name and column.type_kind != "domain"):
            fault = f"has no column {needed}" if column is None else f"has {needed} {column.type}"
            checks.say(
                key, f"the target table {target.name} {fault}; every table with a source needs {needed} {type_name}"
            )
            return False
    return True


def _can_keep_ids(checks: SourceChecks, source: Table, target: Table, key: Key) -> bool:
    """Check that the ids of the source fit the target, and that nothing needs them to be uuids."""
    manifest = checks.manifest
    people = manifest.users.profile if manifest.users is not None else None
    place = (*key, "ids")
    if target.name in (manifest.tenant.table, manifest.membership.table, people):
        checks.say(place, f"{target.name} is known by uuids to every access rule; only other tables can keep their ids")
        return False
    row_key = source.row_key or ()
    old, new = source.column(row_key[0]) if len(row_key) == 1 else None, target.column(ROW_ID)
    if old is None:
        checks.say(place, f"{source.name} has a key of several columns: ({', '.join(row_key)}); let its ids be derived")
        return False
    if new is None or types.apart(old, checks.source, new, checks.target) or _narrower(new, old):
        there = f"has no column {ROW_ID}" if new is None else f"has {ROW_ID} {new.type}"
        checks.say(place, f"{target.name} {there}, which cannot hold the ids of {source.name}, {old.name} {old.type}")
        return False
    return True


def _narrower(new: CatalogColumn, old: CatalogColumn) -> bool:
    """Whether a type of ids cannot hold every id of another, or is no type of ids."""
    widths = ("smallint", "integer", "bigint")
    here, there = base_type(new.type), base_type(old.type)
    if here in widths:
        return there not in widths or widths.index(here) < widths.index(there)
    return here not in ("text", "character varying", "uuid") or (here != "text" and new.type != old.type)


def _special(
    checks: SourceChecks, column: CatalogColumn, references: MappingType[str, Reference], *, scoped: bool, profile: bool
) -> MappedColumn | None:
    """Compile the columns that Tenantry fills by itself: row id, tenant, legacy id, account, references."""
    users = checks.manifest.users
    kind: str | None = None
    if column.name == ROW_ID:
        kind = "id"
    elif column.name == LEGACY_ID:
        kind = "legacy"
    elif scoped and column.name == checks.manifest.tenant.column:
        kind = "tenant"
    elif users is not None and column.name == users.account and profile and not scoped:
        kind = "account"
    if kind is not None:
        return MappedColumn(column.name, column.type, False, kind, None, "")  # type: ignore[arg-type]
    if column.name in references:
        ref = references[column.name]
        return MappedColumn(
            column.name,
            column.type,
            column.nullable,
            "reference",
            ref.named_by,
            f"{ref.alias}.new",
            present=" and ".join(f"s.{ident(name)} is not null" for name in ref.columns),
            reference=ref,
        )
    return None


def _reads(checks: SourceChecks, part: SourceRule, key: Key, *, profile: bool) -> tuple[str, ...]:
    """Return the source tables that a mapping's expressions read."""
    for name, rule in part.columns.items():
        if rule.down is not None:
            checks.followed.of_target(rule.down, (*key, "columns", name, "down"))
    texts = [*expressions_of(part, key), *(expressions_of_users(checks.manifest) if profile else ())]
    return tuple(dict.fromkeys(table for place, sql in texts for table in checks.followed.tables(sql, place)))


def _fills_itself(column: MappedColumn) -> str:
    by = {
        "id": "Tenantry derives row ids from the old ones",
        "legacy": "Tenantry keeps the old id here",
        "tenant": 'the tenant is found along tenant = ["…"]',
        "account": "Tenantry links accounts by [users]",
    }
    return f"{by[column.kind]}; take this rule out"
