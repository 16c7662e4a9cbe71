"""Secure: creates policies, rights and row-level security of the target."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.access import secure_statements
from tenantry.access.left_tables import left_statements
from tenantry.accounts.sync import drop_functions_sql, functions_sql
from tenantry.catalog.environment import Environment
from tenantry.mapping import Project
from tenantry.plan.model import Step


def secure(project: Project, environment: Environment, after: Sequence[str]) -> list[Step]:
    """Create policies, rights and row-level security, table by table. Clients can read from now on, and write after the cut-over."""
    steps: list[Step] = []
    previous = tuple(after)
    for security in secure_statements(project, owner=environment.user):
        step = Step(
            id=f"secure.table:{security.table}" if security.table else "secure.schema",
            does="enables row-level security, and creates the policies and grants of a table"
            if security.table
            else "grants rights on the schema, and creates what all policies share",
            about="table" if security.table else "",
            phase="secure",
            kind="sql",
            title=f"Create policies and rights of {security.table or 'the schema'}",
            sql=tuple(security.statements),
            undo=tuple(security.undo),
            lock="none that others notice: the target is not in use yet",
            risk="none",
            seconds=0.02,
            after=previous,
            table=security.table,
        )
        steps.append(step)
        previous = (step.id,)
    grants, revokes = left_statements(project)
    if grants:
        steps.append(
            Step(
                id="secure.left",
                does="grants clients the right to read tables that are left where they are; only with `[source.access]`",
                phase="secure",
                kind="sql",
                title="Grant clients the right to read tables that stay",
                sql=grants,
                undo=revokes,
                lock="none that others notice",
                risk="none",
                seconds=0.02,
                after=previous,
            )
        )
        previous = (steps[-1].id,)
    functions = functions_sql(project)
    if functions:
        steps.append(
            Step(
                id="secure.in_step",
                does="creates what keeps accounts and profiles synchronized; only with `[users] in_step`",
                phase="secure",
                kind="sql",
                title="Create the functions that synchronize accounts and profiles after the cut-over",
                sql=functions,
                undo=drop_functions_sql(project),
                lock="none that others notice",
                risk="none",
                seconds=0.05,
                after=previous,
            )
        )
    return steps
