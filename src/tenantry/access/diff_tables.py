"""Compares tables, policies, views and sequences with the manifest. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.access.diff_rights import compare_rights, expected_rights, listed_rights
from tenantry.access.difference import AccessDifference, other_owner
from tenantry.access.grants import sequence_right, table_reads, table_writes, view_right
from tenantry.access.policies import TablePolicy, table_policies
from tenantry.access.read_live import LiveAccess, governed
from tenantry.access.statements import is_invoker
from tenantry.catalog import Policy, Table, View
from tenantry.mapping.project import Project
from tenantry.postgres import ident


def compare_table_names(project: Project) -> Iterator[AccessDifference]:
    ours = {table.name for table in governed(project)}
    for table in project.target.tables:
        if table.name not in ours:
            security = "forced" if table.rls_forced else "enabled" if table.rls_enabled else "off"
            reach = listed_rights(
                {(g.grantee, g.privilege, g.column) for g in table.grants if g.grantee != table.owner}
            )
            yield AccessDifference(
                "table", "extra", table.name, "table", "decided in the manifest",
                f"{table.kind}, row-level security {security}, rights: {reach or 'none'}",
                advice=f"Add [tables.{table.name}] with its access to the manifest, or drop the table; this command never changes it.",
            )  # fmt: skip
    for name in project.manifest.tables:
        if project.target.table(name) is None:
            yield AccessDifference(
                "table", "missing", name, "table", "a table", "no such table",
                advice=f"Create it, or remove [tables.{name}] from the manifest.",
            )  # fmt: skip


def compare_table(project: Project, live: LiveAccess, table: Table, *, writes: bool) -> Iterator[AccessDifference]:
    name = ident(table.schema, table.name)
    if table.owner != live.owner:
        yield other_owner(table.name, f"table {name}", live.owner, table.owner)
    if not (table.rls_enabled and table.rls_forced):
        yield AccessDifference(
            "row-level security", "different", table.name, "row-level security", "enabled and forced",
            "enabled, not forced" if table.rls_enabled else "disabled",
            fix=(f"alter table {name} enable row level security, force row level security;",),
        )  # fmt: skip
    yield from _policies(project, live, table)
    rights = [*table_reads(project, table), *(table_writes(project, table) if writes else ())]
    yield from compare_rights(live, "table", name, table.name, expected_rights(rights), table.grants, table.owner)


def _policies(project: Project, live: LiveAccess, table: Table) -> Iterator[AccessDifference]:
    name = ident(table.schema, table.name)
    found = {policy.name: policy for policy in table.policies}
    for want in table_policies(project, table, live.owner):
        shown = live.conditions.get((table.name, want.name))
        using, check = shown if shown is not None else (want.using, want.check)
        expected = Policy(want.name, want.command, True, (want.role,), using, check, want.comment)  # type: ignore[arg-type]
        got = found.pop(want.name, None)
        if got is None:
            yield AccessDifference(
                "policy", "missing", table.name, f"policy {want.name}", _policy(expected), "none",
                fix=(want.create(name), want.say(name)),
            )  # fmt: skip
        elif got != expected:
            yield _other_policy(table, name, want, expected, got)
    for policy in found.values():
        yield AccessDifference(
            "policy", "extra", table.name, f"policy {policy.name}", "none", _policy(policy),
            fix=(f"drop policy {ident(policy.name)} on {name};",), removes=True,
        )  # fmt: skip


def _other_policy(table: Table, name: str, want: TablePolicy, expected: Policy, got: Policy) -> AccessDifference:
    shown = _policy(expected), _policy(got)
    if shown[0] == shown[1]:
        return AccessDifference(
            "policy", "different", table.name, f"comment of policy {want.name}", expected.comment or "", got.comment or "none",
            fix=(want.say(name),),
        )  # fmt: skip
    return AccessDifference("policy", "different", table.name, f"policy {want.name}", *shown, fix=want.statements(name))


def _policy(policy: Policy) -> str:
    parts = [f"{'' if policy.permissive else 'restrictive, '}for {policy.command} to {', '.join(policy.roles)}"]
    parts += [f"using {policy.using}"] if policy.using is not None else []
    parts += [f"with check {policy.check}"] if policy.check is not None else []
    return " ".join(parts)


def compare_view(project: Project, live: LiveAccess, view: View) -> Iterator[AccessDifference]:
    name = ident(view.schema, view.name)
    if not view.materialized and not is_invoker(view):
        yield AccessDifference(
            "view", "different", view.name, "security_invoker", "true", "false: it shows every reader what its owner may see",
            fix=(f"alter view {name} set (security_invoker = true);",),
        )  # fmt: skip
    right = view_right(project, view)
    yield from compare_rights(live, "table", name, view.name, expected_rights([right]), view.grants, view.owner)


def compare_sequences(project: Project, live: LiveAccess, *, writes: bool) -> Iterator[AccessDifference]:
    ours = {table.name for table in governed(project)}
    for sequence in project.target.sequences:
        if sequence.owned_by is None or sequence.owned_by[0] in ours:
            right = sequence_right(project, sequence)
            expected = expected_rights([right] if writes else [])
            yield from compare_rights(
                live, right.on, right.name, sequence.name, expected, sequence.grants, sequence.owner
            )
