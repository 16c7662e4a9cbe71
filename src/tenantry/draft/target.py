"""Drafts the target's tables from a survey: uuid ids, tenant columns, composite keys and references."""

from __future__ import annotations

from tenantry.catalog import Catalog, Table
from tenantry.draft.columns import add_column, add_types, columns_without_place
from tenantry.draft.context import Drafted, Drafting
from tenantry.draft.kept import find_kept
from tenantry.draft.keys import add_keys_and_indexes, settle_foreign_keys
from tenantry.draft.model import DraftColumn, DraftKey, DraftOptions, DraftTable
from tenantry.draft.naming import free, target_name, tenants_of_column
from tenantry.draft.people import add_membership, decide_access, decide_roles
from tenantry.draft.questions import ask_the_rest
from tenantry.draft.tenancy import (
    carried_tables,
    find_scoped,
    own_tenants,
    tenant_column,
    tenant_ways,
    tenants_of_values,
    the_tenant,
)
from tenantry.survey.model import Survey


def draft_target(catalog: Catalog, survey: Survey, options: DraftOptions) -> Drafted:
    """Draft the target of a database whose tenants are the rows of a table, or single persons."""
    found = survey.tenant
    person = options.person or (options.tenant is None and found is not None and found.form == "person")
    root = options.tenant or (found.table if found is not None and found.form == "table" else "")
    values = _values(survey, options)
    root = "" if values else root
    constant = options.constant or (not person and options.tenant is None and not root and not values)
    work = Drafting(
        catalog, survey, options, users=options.users or (survey.users[0].table if survey.users else ""),
        root="" if person or constant else root, person=person and not constant, constant=constant, values=values,
    )  # fmt: skip
    out = work.out
    add_types(work)
    carried = carried_tables(work)
    work.target_of = {table.name: target_name(table.name, options.names) for table in carried}
    taken = set(work.target_of.values())
    out.profile = work.target_of.get(work.users, "")
    if work.root:
        out.tenant = work.target_of[work.root]
    else:
        wanted = (
            tenants_of_column(work.values, options.names)
            if work.values
            else "tenants"
            if work.constant
            else "workspaces"
        )
        out.tenant = free(wanted, taken)
    taken.add(out.tenant)
    out.tenant_column = tenant_column(work, carried)
    work.member_name = free("memberships", taken)
    find_scoped(work, carried)
    find_kept(work, carried)
    decide_roles(work)
    out.tables += [_table(work, table) for table in sorted(carried, key=lambda each: work.distance.get(each.name, 99))]
    if work.person:
        out.tables.insert(0, own_tenants(work))
    elif work.constant:
        out.tables.insert(0, the_tenant(work))
    elif work.values:
        out.tables.insert(0, tenants_of_values(work))
    add_membership(work)
    settle_foreign_keys(work)
    decide_access(work)
    ask_the_rest(work)
    return out


def _values(survey: Survey, options: DraftOptions) -> str:
    """Return the column whose values are the tenants; empty if something else is."""
    found = survey.tenant
    asked = options.tenant is None or "." in options.tenant
    likeliest = found.column if found is not None and found.form == "column" and asked and not options.person else ""
    return options.values or likeliest


def _table(work: Drafting, table: Table) -> DraftTable:
    kind = work.kinds[table.name].kind
    made = DraftTable(
        work.target_of[table.name], table.name, kind, scoped=table.name in work.scoped, comment=table.comment,
        kept_ids=work.kept.get(table.name, ""),
    )  # fmt: skip
    made.ways, made.fallback = tenant_ways(work, table) if made.scoped else ((), ())
    dropped = columns_without_place(work, table, made)
    for column in table.columns:
        if column.name not in dropped:
            add_column(work, table, made, column)
    if table.name == work.users:
        made.columns.append(DraftColumn(work.out.account, "uuid"))
        made.uniques.append((work.out.account,))
        made.keys.append(DraftKey((work.out.account,), "auth.users", ("id",), "set null"))
    add_keys_and_indexes(work, table, made)
    return made
