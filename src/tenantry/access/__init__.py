"""Compiles the access matrix: roles, the functions that return the caller, policies and grants."""

from tenantry.access.columns import AUDIT_COLUMNS, insertable, selectable, updatable
from tenantry.access.context_functions import context_sql
from tenantry.access.engine_rights import close_sql
from tenantry.access.html import matrix_html
from tenantry.access.matrix import matrix_markdown
from tenantry.access.roles import make_roles, missing_roles, roles_sql
from tenantry.access.statements import TableSecurity, cutover_grants, cutover_revokes, secure_statements

__all__ = [
    "AUDIT_COLUMNS",
    "TableSecurity",
    "close_sql",
    "context_sql",
    "cutover_grants",
    "cutover_revokes",
    "insertable",
    "make_roles",
    "matrix_html",
    "matrix_markdown",
    "missing_roles",
    "roles_sql",
    "secure_statements",
    "selectable",
    "updatable",
]
