"""Expand: creates the journal, accounts, context functions and the target's empty tables next to the source, which stays
unchanged."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from tenantry.access import context_sql
from tenantry.accounts.auth_schema import auth_script, drop_auth_script
from tenantry.catalog.build import schema_statements
from tenantry.catalog.environment import Environment
from tenantry.derivation.ids import constant_tenant, constant_tenant_sql
from tenantry.journal.ddl import journal_ddl
from tenantry.manifest import Manifest
from tenantry.mapping import Project
from tenantry.mapping.project import LEGACY_ID, ROW_ID
from tenantry.plan.model import Step
from tenantry.postgres import ident, idents, literal, load_sql


def prerequisites(manifest: Manifest, environment: Environment) -> tuple[str, ...]:
    """Return the statements that the target's files need to have run before them; reading the target's catalog uses them too."""
    return tuple(statement for step in _steps_before(manifest, environment) for statement in step.sql)


def trial_prerequisites(
    manifest: Manifest, environment: Environment, files: Sequence[Path], *, has_schema: bool
) -> tuple[str, ...]:
    """Return what a trial of the target's files needs to have run before them: all prerequisites, but of the journal only its schema
    where nothing can see the difference. Creating its tables is half of the work of a small trial.

    Args:
        has_schema: schema `tenantry` exists; whether its tables can be completed is then part of the trial.
    """
    _, *others = _steps_before(manifest, environment)
    rest = tuple(statement for step in others for statement in step.sql)
    callers = set(_FUNCTION.findall(context_sql(manifest)))
    if has_schema or any(_needs_journal(file.read_text(encoding="utf-8"), callers) for file in files):
        return prerequisites(manifest, environment)
    return ("create schema tenantry", *rest)


_FUNCTION = re.compile(r"^create or replace function tenantry\.(\w+)\(", re.MULTILINE)
_MENTION = re.compile(r"tenantry(?:\.(\w+)(?=\s*\())?", re.IGNORECASE)


def _needs_journal(text: str, callers: Collection[str]) -> bool:
    """Whether a file mentions anything of schema `tenantry` but calls of the functions that identify the caller, which a trial
    always creates."""
    return any(name not in callers for name in _MENTION.findall(text))


def before_the_run(environment: Environment, steps: Collection[str]) -> Environment:
    """Return the environment as the run found it, given the ids of its steps: what one of them created did not exist."""
    return replace(environment, has_auth=_accounts("").id not in steps)


def expand(project: Project, environment: Environment, files: Sequence[Path]) -> list[Step]:
    schema = project.manifest.target.schema_name
    tables = len(project.target.tables)
    before = _steps_before(project.manifest, environment)
    made = [
        *before,
        Step(
            id="expand.schema",
            does="runs the manifest's SQL files: the target's schema",
            effect="creates target",
            phase="expand",
            kind="sql",
            title=f"Create schema {schema} with {tables} tables from {len(files)} files",
            sql=(*schema_statements(schema, files), *close_statements(project)),
            undo=(f"drop schema if exists {ident(schema)} cascade",),
            lock="SHARE ROW EXCLUSIVE on auth.users for a moment, where a table references it; the source is not locked",
            risk="none",
            seconds=0.02 * tables,
            after=(before[-1].id,),
        ),
    ]
    if project.constant:
        made.append(_first_tenant(project, made[-1].id))
    return made


def _first_tenant(project: Project, after: str) -> Step:
    """Insert the tenant that everything in the source belongs to."""
    table, stated = project.root_table, project.manifest.tenant.constant or {}
    rest = {name: literal(str(value)) for name, value in stated.items() if name != ROW_ID}
    if table.column(LEGACY_ID) is not None:
        rest.setdefault(LEGACY_ID, literal(constant_tenant(project.manifest) or ""))
    return Step(
        id="expand.tenant",
        does="inserts the tenant that everything in the source belongs to; only with `[tenant] constant`",
        phase="expand",
        kind="sql",
        title=f"Insert the tenant of all rows into {table.name}",
        sql=(
            f"insert into {ident(table.schema, table.name)} ({idents([ROW_ID, *rest])})"
            f" values ({', '.join([constant_tenant_sql(project.manifest), *rest.values()])})"
            f" on conflict ({ROW_ID}) do nothing",
        ),
        undo=(),
        lock="none that others notice",
        risk="none",
        seconds=0.01,
        after=(after,),
        gone_with_target=True,
    )


def drop_context() -> str:
    """The SQL that removes the mirror of auth.users; the other functions are dropped with schema `tenantry`."""
    return load_sql("tenantry.plan.operations", "drop_context")


def close_statements(project: Project) -> tuple[str, ...]:
    """Keep readers out while the tables are filled: revoke the rights that the owner's default privileges granted."""
    roles = project.manifest.database_roles
    schema = ident(project.target.schema)
    everybody = f"public, {idents([roles.anon, roles.authenticated, roles.service, roles.login])}"
    return (
        f"revoke all on schema {schema} from {everybody}",
        f"revoke all on all tables in schema {schema} from {everybody}",
        f"revoke all on all sequences in schema {schema} from {everybody}",
    )


def _steps_before(manifest: Manifest, environment: Environment) -> list[Step]:
    steps = [
        Step(
            id="expand.journal",
            does="creates the journal: schema `tenantry`",
            phase="expand",
            kind="sql",
            title="Create the journal (schema tenantry)",
            sql=journal_ddl(),
            undo=("drop schema if exists tenantry cascade",),
            lock="none that others notice",
            risk="none",
            seconds=0.1,
        )
    ]
    if not environment.has_auth:
        steps.append(_accounts(steps[-1].id))
    steps.append(
        Step(
            id="expand.context",
            does="creates the functions that identify the caller",
            phase="expand",
            kind="sql",
            title="Create the functions that identify the caller",
            sql=(context_sql(manifest),),
            undo=(drop_context(),),
            lock="SHARE ROW EXCLUSIVE on auth.users for a moment: a trigger mirrors bans, deletions and the super flag",
            risk="low",
            risk_note="The trigger on auth.users runs at every sign-up and every change of an account.",
            seconds=0.1,
            after=(steps[-1].id,),
        )
    )
    return steps


def _accounts(after: str) -> Step:
    return Step(
        id="expand.auth",
        does="creates schema `auth` for accounts, if it does not exist",
        effect="creates auth",
        phase="expand",
        kind="sql",
        title="Create accounts (schema auth, compatible with Supabase Auth)",
        sql=(auth_script(),),
        undo=(drop_auth_script(),),
        lock="none that others notice",
        risk="none",
        seconds=0.1,
        after=(after,),
    )
