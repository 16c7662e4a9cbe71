"""Drafts memberships, roles and access rules."""

from __future__ import annotations

from tenantry.catalog import Table
from tenantry.draft.context import ROW_ID, Drafting
from tenantry.draft.model import DraftColumn, DraftKey, DraftTable, Question
from tenantry.draft.naming import column_for, free
from tenantry.mapping.values.type_names import INTEGERS
from tenantry.postgres import ident, literal
from tenantry.survey.sample import base_type

_LADDER = (
    *("none", "blocked", "guest", "read", "reader", "viewer", "customer", "client", "basic", "standard", "member"),
    *("user", "employee", "staff", "agent", "contributor", "writer", "author", "editor", "billing", "moderator"),
    *("maintainer", "supervisor", "lead", "manager", "office_manager", "director", "admin", "administrator", "owner"),
    "superadmin",
)
"""Common words for roles, lowest first."""


def add_membership(work: Drafting) -> None:
    """Draft the table of memberships: the source's own, or a new one made from the users table."""
    existing = work.survey.membership if not work.person else ""
    if existing in work.target_of:
        _own_membership(work, existing)
    else:
        work.out.tables.append(_new_membership(work))


def _own_membership(work: Drafting, existing: str) -> None:
    out = work.out
    made = out.table(work.target_of[existing])
    assert made is not None
    out.membership = made.name
    profile = next(each for each in work.ways(existing) if each.parent == work.users)
    column = made.of_source(profile.columns[0])
    assert column is not None
    out.membership_profile = column.name
    place = work.survey.role_place
    drafted = made.of_source(place[1]) if place is not None and place[0] == existing else None
    if drafted is None:
        out.membership_role = free("role", {each.name for each in made.columns})
        made.columns.append(DraftColumn(out.membership_role, "text", True, rule={"up": literal(out.roles[-1])}))
    else:
        out.membership_role = drafted.name
        if not drafted.not_null:
            drafted.not_null, drafted.rule["null"] = True, {"default": out.roles[0]}
    pair = (out.tenant_column, out.membership_profile)
    if not any(set(unique) <= set(pair) for unique in made.uniques):
        made.indexes.append(pair)


def _new_membership(work: Drafting) -> DraftTable:
    out, source = work.out, work.catalog.table(work.users)
    assert source is not None
    out.membership = work.member_name
    key = (source.row_key or ("id",))[0]
    out.membership_profile = column_for(out.profile, work.options.names)
    made = DraftTable(
        out.membership, work.users, "membership", scoped=True, part="membership",
        comment="Who belongs to which tenant, and with which role.",
        columns=[DraftColumn(out.membership_profile, "uuid", True, source=key, rule={"from": key, "ref": out.profile})],
        keys=[DraftKey((out.membership_profile,), out.profile, (ROW_ID,))],
        uniques=[(out.tenant_column, out.membership_profile)],
    )  # fmt: skip
    if work.person:
        made.ways = (f"{key} -> {out.tenant}",)
        made.columns.append(DraftColumn("role", "text", True, rule={"up": literal(out.roles[-1])}))
        return made
    if work.constant:
        made.columns.append(_role_of_user(work, source))
        return made
    if work.values and not work.names_tenant(source):
        return _members_to_come(work, made)
    if work.values:
        made.ways = (f"{work.values} -> {out.tenant}",)
        made.where = _has_tenant(work, source, work.values)
        made.columns.append(_role_of_user(work, source))
        return made
    way = next(each for each in work.ways(work.users) if each.parent == work.root)
    made.ways = (way.columns[0] if way.declared else f"{way.columns[0]} -> {out.tenant}",)
    made.where = _has_tenant(work, source, way.columns[0])
    made.columns.append(_role_of_user(work, source))
    return made


def _members_to_come(work: Drafting, made: DraftTable) -> DraftTable:
    """Draft a table of memberships without a source: nothing in the users table says whose tenant a value is."""
    work.out.questions.append(
        Question(
            work.out.membership, "Who is a member of which tenant?", (f"{work.users} has no column {work.values}.",),
            "Nobody: the table starts empty, and whoever is no member sees nothing.",
            (f"Fill {work.out.membership} after the cut-over, or name the source table that says it (from = …).",), 9,
        )
    )  # fmt: skip
    made.source = made.part = ""
    made.columns = [DraftColumn(work.out.membership_profile, "uuid", True), DraftColumn("role", "text", True)]
    return made


def _role_of_user(work: Drafting, users: Table) -> DraftColumn:
    column = users.column(work.survey.users_columns.role)
    if column is None:
        return DraftColumn("role", "text", True, rule={"up": literal(work.out.roles[0])})
    rule: dict[str, object] = {"from": column.name} if column.name != "role" else {}
    if column.nullable:
        rule["null"] = {"default": work.out.roles[0]}
    return DraftColumn("role", work.unqualified(column.type), True, source=column.name, rule=rule)


def _has_tenant(work: Drafting, table: Table, column: str) -> str:
    """Report that a person without a tenant gets a profile and no membership."""
    found = table.column(column)
    if found is None or not found.nullable:
        return ""
    text = base_type(work.catalog, found) not in INTEGERS and base_type(work.catalog, found) != "uuid"
    return f"s.{ident(column)} is not null" + (f" and s.{ident(column)} <> ''" if text else "")


def decide_roles(work: Drafting) -> None:
    """Order the roles of the source by the usual meaning of their names."""
    values = [] if work.person else list(work.survey.roles)
    known = [value for value in values if value.lower() in _LADDER]
    if len(values) < 2:
        work.out.roles = (*values, "owner") if values and values[0] != "owner" else ("member", "owner")
        return
    ordered = sorted(
        values, key=lambda value: (_LADDER.index(value.lower()) if value in known else len(_LADDER) // 2, value)
    )
    work.out.roles = tuple(ordered)
    work.out.questions.append(
        Question(
            "roles", "What is the order of the roles?", (f"values found: {', '.join(values)}",),
            f"from the least to the highest: {', '.join(ordered)}",
            ("Reorder [roles] order: each role includes the rights of those before it.",), 8,
        )
    )  # fmt: skip


def decide_access(work: Drafting) -> None:
    """Draft the access rules by the kind of each table."""
    lowest, highest = work.out.roles[0], work.out.roles[-1]
    for table in work.out.tables:
        if table.name == work.out.tenant:
            table.access = {"select": lowest, "insert": "service", "update": highest, "delete": "service"}
        elif table.name == work.out.profile:
            own = {"own": ROW_ID}
            table.access = {
                "select": {"colleagues": lowest, "own": ROW_ID},
                "insert": "service",
                "update": own,
                "delete": "service",
            }
        elif table.name == work.out.membership:
            table.access = {"select": lowest, "insert": "service", "update": "service", "delete": "service"}
        elif not table.scoped:
            table.access = "shared" if table.kind == "lookup" else "service"
        elif table.kind == "log":
            table.access = {"select": highest, "insert": "service", "update": "service", "delete": "service"}
        else:
            table.access = "tenant"
