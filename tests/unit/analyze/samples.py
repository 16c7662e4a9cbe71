"""What analysis is asked about without a server: the sample applications, and made-up evidence and surroundings for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tenantry.analyze import Evidence, Finding, Surroundings, Taken, Tally
from tenantry.analyze.surroundings import (
    AtWork,
    CronJob,
    Extension,
    Limit,
    Listener,
    OpenTransaction,
    OutdatedCollation,
    Outsider,
    Publisher,
    SchemaUser,
    Secured,
)
from tenantry.catalog import Catalog, Column, Constraint, Function, Index, Table, Trigger, View
from tenantry.catalog.hidden import Hidden
from tenantry.catalog.table import Below, Grant, Policy, Publication
from tenantry.manifest import Manifest
from tenantry.mapping import Project, resolve
from tests.fixtures import catalogs, manifest, project

BUSY = AtWork(
    transactions=(
        OpenTransaction(("public.notes",), "pid 7 (psql, app, active)", 12.4),
        OpenTransaction(("public.notes", "public.lines"), "pid 8 (web, app, idle in transaction)", None, idle=True),
        OpenTransaction(("public.notes",), "prepared transaction 'a' of app", 61.0, gid="a"),
        OpenTransaction((), "prepared transaction 'b' of app", 3.0, gid="b"),
    ),
    limits=(Limit("role app", 5, 3), Limit("the server", 20, 18)),
    standby=True,
)

AROUND = {
    "a busy database": Surroundings(
        hidden=(Hidden("public.notes", "app", "app", forced=True), Hidden("auth.users", "auth_admin", "app", forced=False)),
        publishers=(Publisher("everything", changes=True), Publisher("inserts", changes=False)),
        listeners=(Listener("on_ddl", "public.on_ddl"),),
        unprepared=True,
        opened=("functions made by depot_owner: EXECUTE for authenticated",),
        outsiders=(
            Outsider("on_signup", "auth.users", True, "public.handle_new_user", ("people",)),
            Outsider("on_order", "public.orders", False, "public.count_orders", ("notes", "lines")),
        ),
        at_work=BUSY,
        taken=(Taken("notes", "trigger tenantry_capture"),),
        jobs=(CronJob("nightly", "0 3 * * *", ("notes", "lines")),),
        extensions=(
            Extension("uuid-ossp", "public", "1.1", frozenset({"uuid_generate_v4"})),
            Extension("citext", "extensions", "1.6", frozenset({"citext"})),
            Extension("unused", "public", "1.0", frozenset()),
        ),
        collations=(OutdatedCollation("database", "depot", "2.31", "2.36"), OutdatedCollation("collation", "public.german", "153.80", "153.120")),
        subscribed=("lines", "notes"),
        users=(SchemaUser("view", "reports.open_notes", ("notes",)), SchemaUser("foreign key", "fk of stats.days", ("lines",))),
    ),
    "no table can be made": Surroundings(listeners=(Listener("a", "f"), Listener("b", "g")), refused="not today"),
    "the server refuses by itself": Surroundings(refused="no space left on device"),
    "temporary tables hide rows": Surroundings(
        listeners=(Listener("auto_rls", "public.auto_rls"),), tables=Secured(True, True), temporary=Secured(True, True)
    ),
    "new tables have row-level security": Surroundings(
        listeners=(Listener("auto_rls", "public.auto_rls"),), tables=Secured(True, False)
    ),
}  # fmt: skip


def evidence(*, sampled: bool = False) -> tuple[Evidence, ...]:
    """Of clinic's data: everything that can be wrong with it, as counts and keys."""
    two = Tally(2, ("a", "b"))
    reasons = (
        "value_missing:name", "value_invalid:value", "reference_missing:provider_id", "parent_quarantined:provider_id",
        "tenant_missing", "tenant_conflict", "rule_broken:positive", "row_refused",
    )  # fmt: skip
    return (
        Evidence(
            "metric_values",
            90,
            100,
            sampled,
            refused={reason: Tally(place, ("k",)) for place, reason in enumerate(reasons, 1)},
            merged=two,
            changes={("value", "defaulted"): two, ("date", "normalised"): Tally(1, ("c",))},
            wide={"metric_values_note": two},
            values={("region", "tenants"): Tally(80, ("a",)), ("region", "alike"): two},
        ),
        Evidence("clinics", 2, 2, changes={("time_zone", "defaulted"): two}),
        Evidence("dashboards", 5, 5, stale={"layout_config": two}, foreign={"layout_config": two}),
        Evidence("widgets", 5, 5, stale={"config": two}, foreign={"config": two}),
        Evidence("goals", 0, 7, failed="invalid input syntax for type json"),
    )


def torn() -> Project:
    """Clinic, but that the path of one table leads to several rows."""
    found = project("clinic")
    mappings = tuple(
        replace(each, tenant_paths=tuple(replace(path, several=True) for path in each.tenant_paths[:1]))
        if each.name == "goals"
        else each
        for each in found.mappings
    )
    return replace(found, mappings=mappings)


def movable() -> Project:
    """Clinic, but that the clients of a clinic may move it to another time zone."""
    rules = dict(manifest("clinic").tables)
    root = rules["clinics"]
    rules["clinics"] = root.model_copy(update={"access": root.access.model_copy(update={"fixed": ("status",)})})
    return resolve(manifest("clinic").model_copy(update={"tables": rules}), *catalogs("clinic"))


def neglected() -> Project:
    """The depot with much that schemas can hold, and a manifest says nothing about."""
    source, target = catalogs("depot")
    notes, lines, folders, articles = (_table(source, name) for name in ("notes", "lines", "folders", "articles"))
    spare = (
        Column("spare_id", "text", type_name="text", default="public.uuid_generate_v4()"),
        Column("at", "timestamp without time zone", type_name="timestamp"),
    )
    wide = tuple(Column(f"c{place}", "text", type_name="text") for place in range(401))
    identifiers = tuple(Column(f"u{place}", "uuid", type_name="uuid") for place in range(1200))
    number = Index("lines_number", "", ("line_no",), unique=True)
    changed_source = (
        replace(
            notes,
            columns=(*notes.columns, *spare),
            triggers=(Trigger("touch", "create trigger touch …", function="public.touch"),),
            policies=(Policy("own", using="true"),),
            grants=(*notes.grants, Grant("reporting", "SELECT"), Grant("PUBLIC", "SELECT"), Grant("reporting", "UPDATE", column="body")),
            rls_enabled=True,
            rules=("create rule quiet as\n on delete to notes do instead nothing",),
        ),
        replace(
            lines,
            columns=tuple(replace(each, identity="always") if each.name == "quantity" else each for each in lines.columns),
            constraints=tuple(
                replace(each, name="lines_unique", kind="unique") if each.kind == "primary" else each
                for each in lines.constraints
            ),
            indexes=(number, *(replace(each, primary=False) for each in lines.indexes)),
        ),
        replace(folders, below=(Below("public", "old_folders"), Below("public", "far_folders", "foreign"))),
        replace(
            articles,
            columns=(*articles.columns, *wide),
            constraints=(*articles.constraints, Constraint("stock_sane", "check", ("stock",)), Constraint("c0_known", "foreign", ("c0",))),
            indexes=(*articles.indexes, Index("by_c1", "", ("org", "c1")), Index("full", "", tuple(f"c{place}" for place in range(32)), unique=True)),
            publications=(Publication("warehouse"),),
        ),
        Table("public", "old_folders", columns=(*folders.columns, Column("note", "text", type_name="text")),
              inherits=(("public", "folders"),)),
        Table("public", "left_behind"),
        Table("public", "stays", columns=(Column("note_id", "text", type_name="text"),), grants=(Grant("authenticated", "select"),),
              constraints=(Constraint("stays_note", "foreign", ("note_id",), ref_schema="public", ref_table="notes", ref_columns=("id",)),)),
    )  # fmt: skip
    held = tuple(replace(each, default=None, position=50 + place) for place, each in enumerate(spare))
    org = Column("org", "text", type_name="text", position=60)
    fitted = replace(held[1], type="timestamp with time zone", type_name="timestamptz")
    changed_target = (
        replace(
            _table(target, "notes"),
            columns=(
                *(
                    replace(each, nullable=each.nullable and each.name != "token")
                    for each in _table(target, "notes").columns
                ),
                held[0],
                fitted,
            ),
            triggers=(Trigger("stamp", "create trigger stamp …", function="app.stamp"),),
        ),
        replace(
            _table(target, "articles"),
            columns=(*_table(target, "articles").columns, *wide),
            indexes=(*_table(target, "articles").indexes, Index("one_stock", "", ("org_id", "stock"), unique=True)),
        ),
        replace(_table(target, "events"), columns=(*_table(target, "events").columns, org)),
        replace(_table(target, "folders"), below=(Below("app", "more_folders"),)),
        replace(
            _table(target, "lines"),
            columns=tuple(
                replace(each, type="extensions.citext") if each.name == "token" else each
                for each in _table(target, "lines").columns
            ),
        ),
        Table("app", "unkeyed", columns=(Column("org_id", "uuid", type_name="uuid", nullable=False), *identifiers)),
    )
    text = manifest("depot").model_dump(by_alias=True, exclude_unset=True)
    text["source"]["ignore"] = ["left_behind", "old_folders"]
    text["source"]["left"] = ["stays"]
    text["tables"]["unkeyed"] = {"access": "service"}
    text["membership"]["active"] = "now() > '2020-01-01'"
    text["tables"]["lines"]["columns"]["token"] = {"up": "s.token || now()::text"}
    text["tables"]["articles"]["columns"] = {"token": {"up": "(select min(n.token) from notes n where n.org = s.org)"}}
    text["tables"]["events"]["columns"] = {"org": {"ref": False}}
    wanted = Manifest.model_validate(text).model_copy(update={"path": manifest("depot").path, "text": ""})
    return resolve(
        wanted,
        replace(
            _with(source, changed_source),
            views=(View("public", "open_notes", True, depends_on=(("public", "notes"),)),),
            functions=(Function("public", "count_notes", depends_on=(("public", "notes"),)),),
        ),
        replace(_with(target, changed_target), sequences=tuple(replace(each, max=1000) for each in target.sequences)),
    )


def _table(catalog: Catalog, name: str) -> Table:
    found = catalog.table(name)
    assert found is not None
    return found


def _with(catalog: Catalog, tables: Sequence[Table]) -> Catalog:
    changed = {table.name: table for table in tables}
    kept = [changed.pop(table.name, table) for table in catalog.tables]
    return replace(catalog, tables=tuple(sorted((*kept, *changed.values()), key=lambda table: table.name)))


def shown(findings: tuple[Finding, ...]) -> str:
    """Findings for people to review: a line for each, and what is advised below it."""
    lines = []
    for each in findings:
        where = ".".join(name for name in (each.table, each.column) if name) or "database"
        keys = f" [{', '.join(each.keys)}]" if each.keys else ""
        lines.append(f"{each.severity} {each.code} {each.area} {where}: {each.title} ({each.count}{keys})")
        if each.advice:
            lines.append(f"    {each.advice}")
    return "\n".join(lines) + "\n"


__all__ = ["AROUND", "evidence", "neglected", "project", "shown"]
