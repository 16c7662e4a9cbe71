"""Builds the plan of a project: pure functions from catalogs and facts to steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tenantry.accounts.decide import link_statement, profile_mapping
from tenantry.catalog import Table
from tenantry.catalog.environment import Environment
from tenantry.derivation.keys import mapping_key
from tenantry.derivation.pilot import Inside
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.plan.estimates import DEFAULT_COSTS, RowCosts
from tenantry.plan.model import Plan, Step
from tenantry.plan.operations.accounts import link_accounts, make_accounts
from tenantry.plan.operations.capture import capture, guard_target
from tenantry.plan.operations.contract import final
from tenantry.plan.operations.copy import copy
from tenantry.plan.operations.cut_over import cut_over
from tenantry.plan.operations.expand import expand
from tenantry.plan.operations.id_map import id_map, mark_native_rows
from tenantry.plan.operations.indexes_and_keys import defer, for_good, restore
from tenantry.plan.operations.pilot_members import closure
from tenantry.plan.operations.secure import secure
from tenantry.plan.operations.tenants import value_tenants
from tenantry.plan.operations.verify import drain, verify
from tenantry.postgres import ident


def build_plan(
    project: Project, environment: Environment, files: tuple[Path, ...], costs: RowCosts = DEFAULT_COSTS
) -> Plan:
    """Return all steps in an order in which each can run; `after` shows which of them can run in parallel.

    Args:
        costs: for the estimates, which change no step.
    """
    rows = expected_rows(project)
    largest: dict[str, int] = {}
    for mapping in project:
        name = mapping.target.name
        largest[name] = largest.get(name, 0) + rows[mapping.source.name]
    made = expand(project, environment, files)
    mapped = id_map(project, made[-1].id)
    deferred = defer(project, mapped.id)
    fence = guard_target(project, environment, deferred.id)
    caught = capture(project, environment, fence.id)
    listed = closure(project, caught[-1].id)
    tenants = value_tenants(project, rows, (*caught, *listed)[-1].id)
    before = (*caught, *listed, *tenants)[-1].id
    links = _of_subset(project, link_accounts(project, before))
    copied, last = copy(project, rows, [step.id for step in links] or [before], costs)
    accounts = make_accounts(project, last)
    for step in accounts:
        # Foreign keys to auth.users are added once the accounts exist.
        if step.table is not None:
            last[step.table] = step.id
    steps: list[Step] = [
        *made,
        mapped,
        deferred,
        fence,
        *caught,
        *listed,
        *tenants,
        *links,
        *copied,
        *accounts,
        *restore(project, last, largest, costs),
    ]
    drained = drain(_ends(steps))
    steps.append(drained)
    copy_done = [drained.id]
    checks = verify(project, rows, copy_done, costs)
    secured = secure(project, environment, [step.id for step in checks])
    native = mark_native_rows(project, (secured[-1].id,))
    if native is not None:
        secured.append(native)
    steps += [*checks, *secured]
    over = cut_over(project, environment, _ends(secured))
    steps = [_settled(project, step) for step in steps]
    steps += [over, *final(project, over.id), *for_good(project)]
    return Plan(
        name=project.manifest.name,
        manifest_digest=project.digest,
        source_schema=project.source.schema,
        target_schema=project.target.schema,
        steps=tuple(steps),
    )


def _settled(project: Project, step: Step) -> Step:
    """A step that makes tables undoes what event triggers of the database do to them: row-level security that is switched on
    for each new table would hide rows from Tenantry and from the functions that policies call."""
    if step.effect == "creates target":
        return replace(
            step,
            sql=(
                *step.sql,
                *(
                    f"alter table {ident(table.schema, table.name)} no force row level security"
                    for table in project.target.tables
                    if table.rls_forced
                ),
            ),
        )
    if any(_MAKES_TABLES in statement for statement in step.sql):
        return replace(step, sql=(*step.sql, f"select {JOURNAL}.settle_tables()"))
    return step


_MAKES_TABLES = f"create table if not exists {JOURNAL}."


def expected_rows(project: Project) -> dict[str, int]:
    """Return the estimated number of rows read, by source table."""
    rows = {table.name: _rows(table) for table in project.source.tables}
    if project.subset is not None and project.trial:
        kinds = Inside(project).kinds
        for mapping in project:
            if all(kinds[each.name] == "tenant" for each in project.of_source(mapping.source.name)):
                table = mapping.source
                rows[table.name] = _rows(table) * project.subset.tenants // max(1, project.subset.of)
    return rows


def _of_subset(project: Project, links: list[Step]) -> list[Step]:
    """In a pilot run, decide on accounts only for the people it includes."""
    mapping = profile_mapping(project)
    if not project.trial or mapping is None:
        return links
    inside = Inside(project)
    condition = inside.condition(mapping)
    if condition is None:
        return links
    keys = f"select {mapping_key(mapping)} from {inside.rows(mapping)} s where {condition}"
    whole, some = link_statement(project), link_statement(project, only=keys)
    return [replace(step, sql=tuple(some if text == whole else text for text in step.sql)) for step in links]


_BYTES_PER_ROW = 120
"""Bytes per row, indexes included: estimates the rows of a table without statistics from its size."""


def _rows(table: Table) -> int:
    return table.row_estimate if table.row_estimate >= 0 else table.size_bytes // _BYTES_PER_ROW


def _ends(steps: list[Step]) -> list[str]:
    """Return the steps that no other step waits for."""
    waited = {name for step in steps for name in step.after}
    return [step.id for step in steps if step.id not in waited]
