"""Rows for the parts of the matrix that open more than a cell does: rows that a third tenant shares, rows without a tenant, public
rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pglast
from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType
from pglast.stream import RawStream

from tenantry.catalog import Table
from tenantry.manifest.model import Access
from tenantry.mapping.project import Project
from tenantry.prove.expected.callers import ABOVE, OWN
from tenantry.prove.expected.oracle import RowFacts

LENDER = "lender"
"""A third synthetic tenant without members: it shares with OWN, by every share of the manifest."""

Place = str | None
"""A tenant in which a row can be put; None: no tenant."""


def tenants(project: Project) -> tuple[str, ...]:
    """Return the tenants that are made for shares."""
    return (LENDER,) if project.manifest.shares else ()


def places(project: Project, table: str) -> tuple[Place, ...]:
    """Return further places for rows of a table: the tenant above, the tenant that shares, and no tenant."""
    access = project.manifest.tables[table].access
    above: tuple[Place, ...] = (ABOVE,) if project.manifest.tenant.parent is not None else ()
    shared: tuple[Place, ...] = (LENDER,) if access.shared is not None else ()
    return (*above, *shared, *((None,) if access.system is not None else ()))


def shared_with(access: Access, place: Place) -> frozenset[str]:
    """Return the tenants with which the rows of a place are shared."""
    return frozenset({OWN}) if place == LENDER and access.shared is not None else frozenset()


def share_columns(project: Project, table: str) -> tuple[str, ...]:
    """Return the columns of a table of shares that name the tenant that may read."""
    return tuple(dict.fromkeys(share.to for share in project.manifest.shares.values() if share.table == table))


def conditions(project: Project, table: Table) -> Iterator[tuple[RowFacts, Mapping[str, str | None], str | None]]:
    """Yield the additional rows of a table: their facts, values for columns (None: the tenant OWN), and the condition that they
    must fulfil."""
    for share in project.manifest.shares.values():
        if share.table == table.name:
            yield RowFacts(table.name, LENDER), {**equalities(share.holds), share.to: None}, share.holds
    access = project.manifest.tables[table.name].access
    if access.public is not None:
        place = OWN if project.scoped(table.name) else None
        yield RowFacts(table.name, place, public=True), equalities(access.public), access.public


def terms(condition: str | None) -> tuple[str, ...]:
    """Return the terms that a condition joins by `and`, without those that are always true."""
    if condition is None:
        return ()
    statement: Any = pglast.parse_sql(f"select ({condition})")[0].stmt
    open_terms: list[Any] = [statement.targetList[0].val]
    found: list[str] = []
    while open_terms:
        term: Any = open_terms.pop(0)
        if isinstance(term, ast.BoolExpr) and term.boolop == BoolExprType.AND_EXPR:
            open_terms[:0] = term.args or ()
        elif (text := str(RawStream()(term))).lower() not in ("true", "'t'::bool"):
            found.append(text)
    return tuple(found)


def equalities(condition: str | None) -> dict[str, str | None]:
    """Return column → text for each `column = 'text'` that a condition requires."""
    if condition is None:
        return {}
    statement: Any = pglast.parse_sql(f"select ({condition})")[0].stmt
    found: dict[str, str | None] = {}
    open_terms: list[Any] = [statement.targetList[0].val]
    while open_terms:
        term: Any = open_terms.pop()
        if isinstance(term, ast.BoolExpr) and term.boolop == BoolExprType.AND_EXPR:
            open_terms += term.args or ()
        elif isinstance(term, ast.A_Expr):
            found.update(_equality(term))
    return found


def _equality(term: Any) -> dict[str, str]:
    left, right = term.lexpr, term.rexpr
    equal = term.kind == A_Expr_Kind.AEXPR_OP and term.name[0].sval == "="
    if (
        equal
        and isinstance(left, ast.ColumnRef)
        and isinstance(right, ast.A_Const)
        and isinstance(right.val, ast.String)
    ):
        column: Any = left.fields
        return {str(column[-1].sval): str(right.val.sval)}
    return {}


def meant(project: Project, check: str, thing: str, detail: str) -> bool:
    """Whether the manifest intends what a static check found: public rows that anonymous clients may read."""
    manifest = project.manifest
    schema, _, name = thing.partition(".")
    rule = manifest.tables.get(name.strip('"'))
    if rule is None or not rule.access.for_visitors or schema.strip('"') != manifest.target.schema_name:
        return False
    wanted = {
        "login_table_rights": [f"{manifest.database_roles.anon} has SELECT"],
        "policy_roles": [f"policy visitors_select is for {manifest.database_roles.anon}"],
        "policy_conditions": [f"policy {policy} has USING (true)" for policy in ("select_public", "visitors_select")],
    }
    if check == "policy_conditions" and rule.access.select != "public":
        return False
    return detail in wanted.get(check, ())
