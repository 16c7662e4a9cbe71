"""Differences from source to target, and risks that the schemas show. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.quality import zone_columns
from tenantry.catalog import Table
from tenantry.catalog.descendants import unfit_below
from tenantry.manifest.model import LinkColumn
from tenantry.mapping import Mapping, Project
from tenantry.mapping.tables_read import unsteady_expressions
from tenantry.postgres import ident

_LOOKS_LIKE_REFERENCE = re.compile(r".*(_id|Id|_ids|Ids)$")


def compare(project: Project) -> Iterator[Finding]:
    """All findings about the two schemas."""
    for table in project.source_tables:
        yield from _table(project, table)
    for table in project.new_tables:
        yield Finding("TA-101", "info", "schema", table.name, "new table", advice="Starts empty.")
    shown_by = {
        each.name: table.name
        for table in project.source_tables
        for each in table.below
        if each.schema == project.source.schema
    }
    for name in project.manifest.source.ignore:
        if name in shown_by:
            yield Finding(
                "TA-127", "warning", "schema", name,
                f"is named in [source] ignore, and its rows are carried over all the same, with those of {shown_by[name]}",
                advice=f"A query of {shown_by[name]} shows them. Take the name out of ignore; or take the table off"
                f" {shown_by[name]} before the run, if its rows are to stay behind.",
            )  # fmt: skip
            continue
        yield Finding("TA-102", "notice", "schema", name, "left behind, as [source] ignore says")
    for mapping in project:
        yield from _columns(project, mapping)
    yield from _zones(project)
    yield from _dependents(project)
    yield from _below(project)
    yield from _reading(project)


def _reading(project: Project) -> Iterator[Finding]:
    """Expressions that read more than the row."""
    for mapping, where, _sql, what in unsteady_expressions(project):
        yield Finding(
            "TA-136", "warning", "risk", mapping.name, f"{where} depends on {what}", column="" if where == "where" else where,
            advice="A change of its answer is found by nothing but a full comparison; the cut-over begins with one.",
        )  # fmt: skip
    for mapping in project:
        if mapping.reads:
            yield Finding(
                "TA-137", "notice", "risk", mapping.name, f"its expressions read {', '.join(mapping.reads)}",
                advice="With each change there all of its rows are derived again; a column of the row itself is cheaper.",
            )  # fmt: skip


def _table(project: Project, table: Table) -> Iterator[Finding]:
    mappings = project.of_source(table.name)
    targets = [mapping.target.name for mapping in mappings]
    if len(targets) > 1:
        yield Finding("TA-103", "info", "schema", table.name, f"split into {', '.join(targets)}", count=len(targets))
    key = table.row_key or ()
    types = {column.name: column.type for column in table.columns}
    if any(types[name] != "uuid" for name in key):
        yield Finding(
            "TA-104", "info", "schema", table.name, f"ids change from {types[key[0]]} to uuid", column=key[0],
            advice="Derived from (table, old id); legacy_id keeps the old one, tenantry.id_map lists both.",
        )  # fmt: skip
    if table.primary_key is None:
        yield Finding(
            "TA-105", "warning", "schema", table.name, f"no primary key; the unique key ({', '.join(key)}) is used"
        )
    leads = {index.columns[: len(fk.columns)] for index in table.indexes for fk in table.foreign_keys}
    for fk in table.foreign_keys:
        if fk.columns not in leads:
            yield Finding(
                "TA-401", "notice", "risk", table.name, f"foreign key without an index: {', '.join(fk.columns)}",
                column=fk.columns[0], advice="The target has one for each of its foreign keys.",
            )  # fmt: skip
    used = set(key)
    for mapping in mappings:
        used |= _used(mapping)
    used |= _used_for_accounts(project, table)
    for column in table.columns:
        if column.name not in used and column.generated is None:
            yield Finding(
                "TA-106", "warning", "schema", table.name, f"column {column.name} is carried over nowhere",
                column=column.name, advice="Give it a target column, or accept that it stays in the source only.",
            )  # fmt: skip
        if (
            _LOOKS_LIKE_REFERENCE.match(column.name)
            and not any(column.name in fk.columns for fk in table.foreign_keys)
            and not any(ref.columns == (column.name,) for mapping in mappings for ref in mapping.references)
            and column.name not in key
        ):
            yield Finding(
                "TA-107", "notice", "schema", table.name, f"column {column.name} looks like a reference, but has no foreign key",
                column=column.name, advice='If it names rows of a table, say so: ref = "<target table>".',
            )  # fmt: skip
    for trigger in table.triggers:
        yield Finding("TA-108", "warning", "schema", table.name, f"trigger {trigger.name} has no counterpart by itself",
                      advice="Decide whether the target needs it; write it into the target's files.")  # fmt: skip
    if table.rls_enabled or table.policies:
        yield Finding("TA-109", "notice", "schema", table.name, f"{len(table.policies)} policies are replaced by compiled ones",
                      count=len(table.policies))  # fmt: skip


def _below(project: Project) -> Iterator[Finding]:
    """Tables that hold rows of a source table."""
    for unfit in unfit_below(project.source_tables):
        yield Finding("TA-126", "blocker", "schema", unfit.table, unfit.why, advice=unfit.mend)
    for table in project.target.tables:
        if table.kind != "partitioned" and table.below:
            yield Finding(
                "TA-126", "blocker", "schema", table.name, "is a target table with children by inheritance, which policies and"
                " triggers of the table do not cover",
                advice="Write it as a partitioned table, or as tables of their own.",
            )  # fmt: skip
    for table in project.source_tables:
        own = {column.name for column in table.columns}
        if table.kind == "partitioned" or not table.below:
            continue
        names = ", ".join(ident(each.schema, each.name) for each in table.below)
        yield Finding(
            "TA-128", "notice", "schema", table.name, f"children by inheritance hold rows of it: {names}", count=len(table.below),
            advice="They are captured and refuse writes like the table itself, and the contract drops them with it. Rows that are"
            " born in the target are carried back into the table itself, not into a child.",
        )  # fmt: skip
        for each in table.below:
            child = project.source.table(each.name) if each.schema == project.source.schema else None
            for column in child.columns if child is not None else ():
                if column.name not in own:
                    yield Finding(
                        "TA-106", "warning", "schema", each.name, f"column {column.name} is carried over nowhere",
                        column=column.name, advice=f"{table.name} does not have it. Keep it elsewhere, or accept that it stays in"
                        " the source only.",
                    )  # fmt: skip


def _columns(project: Project, mapping: Mapping) -> Iterator[Finding]:
    for column in mapping.columns:
        if column.source is None or column.kind in ("reference", "id"):
            continue
        source, target = mapping.source.column(column.source), mapping.target.column(column.name)
        if source is None or target is None:
            continue
        named = _row_named(project, mapping, column.source)
        if named and column.kind == "value":
            yield Finding(
                "TA-135", "warning", "schema", mapping.target.name, f"{column.name} holds old ids of {named}, as they are",
                column=column.name,
                advice=f'Where they are to become the new ones: ref = "{named}", and a uuid in the target.',
            )  # fmt: skip
        if source.type != target.type:
            zone = source.type.startswith("timestamp") and "with time zone" in target.type
            yield Finding(
                "TA-111" if zone else "TA-110", "info", "schema", mapping.target.name,
                f"{column.source}: {source.type} becomes {column.name}: {target.type}", column=column.name,
                advice="The source's times are taken for UTC." if zone else "",
            )  # fmt: skip
        if source.nullable and not target.nullable:
            yield Finding("TA-112", "notice", "schema", mapping.target.name, f"{column.name} may not be null any more",
                          column=column.name)  # fmt: skip
    if mapping.scoped and mapping.tenant_paths:
        direct = len(mapping.tenant_paths) == 1
        paths = ", then ".join(f"{path.columns[0]} → {path.parent}" for path in mapping.tenant_paths)
        yield Finding(
            "TA-201", "info" if direct else "notice", "tenancy", mapping.target.name, f"reaches its tenant by {paths}",
            advice="" if direct else "Rows on which the paths disagree are quarantined, not guessed.",
        )  # fmt: skip
    if mapping.references and any(ref.late for ref in mapping.references):
        yield Finding("TA-402", "notice", "risk", mapping.target.name, "takes part in a cycle of references",
                      advice="Rows whose parent is quarantined are swept behind the copy.")  # fmt: skip


def _row_named(project: Project, mapping: Mapping, column: str) -> str:
    """The target table whose old ids a source column holds by a foreign key; empty where it names no row by its key."""
    for fk in mapping.source.foreign_keys:
        if fk.columns == (column,) and fk.ref_schema == project.source.schema:
            for parent in project.of_source(fk.ref_table or ""):
                if parent.key == fk.ref_columns:
                    return parent.target.name
    return ""


def _zones(project: Project) -> Iterator[Finding]:
    """Times that would be read in a zone that nobody stated: the tenant's column has a default, and nothing fills it."""
    root = project.root.target
    for name, columns in sorted(zone_columns(project).items()):
        column = root.column(name)
        if column is not None and all(
            name not in {each.name for each in mapping.columns} for mapping in project if mapping.is_root
        ):
            yield Finding(
                "TA-111", "warning", "schema", root.name,
                f"times of {', '.join(sorted(columns))} are read in the zone {column.default or 'null'}: no source column fills"
                f" {root.name}.{name}", column=name,
                advice=f'Say where the zone comes from: {name} = {{ from = "…" }} or up = "…".',
            )  # fmt: skip


def _used(mapping: Mapping) -> set[str]:
    used = {column.source for column in mapping.columns if column.source is not None}
    for ref in (*mapping.references, *mapping.tenant_paths):
        used.update(ref.columns)
    for column in mapping.columns:
        used |= _named(column.value)
    return used | _named(mapping.where or "")


def _used_for_accounts(project: Project, table: Table) -> set[str]:
    """The columns of the users table that [users] reads."""
    users = project.manifest.users
    if users is None or users.source != table.name:
        return set()
    used = {users.email, *([users.password] if users.password else [])}
    used |= {way.column for way in users.link if isinstance(way, LinkColumn)}
    for sql in (users.super, users.verified, users.deleted, users.system, users.metadata):
        used |= _named(sql or "")
    return used


def _named(sql: str) -> set[str]:
    """The columns that an expression names as columns of `s`; unquoted ones are folded as the server does."""
    return {
        quoted.replace('""', '"') or plain.lower()
        for quoted, plain in re.findall(r'\bs\.(?:"((?:[^"]|"")+)"|([A-Za-z_][\w$]*))', sql)
    }


def _dependents(project: Project) -> Iterator[Finding]:
    names = {table.name for table in project.source_tables}
    schema = project.source.schema
    for view in project.source.views:
        on = [name for where, name in view.depends_on if where == schema and name in names]
        if on:
            yield Finding(
                "TA-113", "warning", "schema", view.name,
                f"{'materialized ' if view.materialized else ''}view reads {', '.join(on)}",
                advice="It keeps reading the source; write its counterpart into the target's files.",
            )  # fmt: skip
    for function in project.source.functions:
        on = sorted(
            {name for where, name in (*function.depends_on, *function.mentions) if where == schema and name in names}
        )
        if on:
            yield Finding("TA-114", "warning", "schema", function.name, f"function reads or writes {', '.join(on)}",
                          advice="It keeps using the source; write its counterpart into the target's files.")  # fmt: skip
