"""Compares a live database with its manifest: what is expected, what was found, and the statements that repair it. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tenantry.access.context_functions import context_sql
from tenantry.access.engine_rights import callers, readers
from tenantry.access.grants import (
    Right,
    column_list,
    function_name,
    function_right,
    schema_right,
    sequence_right,
    table_reads,
    table_writes,
    view_right,
)
from tenantry.access.helper_functions import helpers_sql
from tenantry.access.policies import TablePolicy, table_policies
from tenantry.access.read_live import CONTEXT, MIRRORS, LiveAccess, WantedTrigger, governed
from tenantry.access.script_parser import Script, ScriptFunction, read_script
from tenantry.access.statements import default_privileges, is_invoker
from tenantry.catalog import PUBLIC, Catalog, Function, Grant, Policy, Table, View
from tenantry.mapping.project import Project
from tenantry.postgres import ident

Kind = Literal[
    "table", "row-level security", "policy", "right", "function", "default privileges", "owner", "view", "trigger"
]
State = Literal["missing", "different", "extra"]
Held = set[tuple[str, str, str | None]]
"""(role, RIGHT, column)."""


@dataclass(frozen=True, slots=True)
class AccessDifference:
    """One difference between the database and the manifest.

    Attributes:
        on: the table, view, sequence or function; the schema's name for differences of the whole schema.
        what: the policy, the right and its role, …
        mend: the statements that repair it, in order. Empty if people must repair it: `advice` says how.
        script: running the script of the context functions again repairs it.
        removes: the repair drops or revokes something.
    """

    kind: Kind
    state: State
    on: str
    what: str
    expected: str
    found: str
    mend: tuple[str, ...] = ()
    script: bool = False
    removes: bool = False
    advice: str = ""

    @property
    def mendable(self) -> bool:
        return bool(self.mend) or self.script

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "mend": list(self.mend), "mendable": self.mendable}


@dataclass(frozen=True, slots=True)
class AccessChange:
    """One change that `access apply` makes."""

    on: str
    title: str
    statements: tuple[str, ...]
    removes: bool = False


def differences(
    project: Project,
    live: LiveAccess,
    *,
    writes: bool = True,
    engine: Sequence[str] = (),
    triggers: Mapping[WantedTrigger, str] | None = None,
) -> tuple[AccessDifference, ...]:
    """Yield all differences: of the schema, of functions, then table by table.

    Args:
        project: of the manifest and the live target; see resolve_access().
        writes: False before the cutover, when clients have no rights to write yet.
        engine: statements that make further functions of schema tenantry, e.g. to accept invitations; existing ones
            are compared.
        triggers: further triggers that should fire, and how each stands; see trigger_states().
    """
    return (
        *_tables_known(project),
        *_schema(project, live),
        *_context(project, live),
        *_engine_functions(live, engine),
        *_triggers(live, triggers or {}),
        *_functions(project, live),
        *(found for table in governed(project) for found in _table(project, live, table, writes=writes)),
        *(found for view in project.target.views for found in _view(project, live, view)),
        *_sequences(project, live, writes=writes),
    )


def changes(project: Project, found: Iterable[AccessDifference]) -> tuple[AccessChange, ...]:
    """Return the changes that repair the differences, in order: first removals, then functions, then the rest."""
    mendable = [difference for difference in found if difference.mendable]
    removals = [_change(each) for each in mendable if each.removes]
    script = [each for each in mendable if each.script and not each.removes]
    rest = [_change(each) for each in mendable if not each.script and not each.removes]
    if script:
        names = ", ".join(dict.fromkeys(each.on for each in script))
        rest.insert(
            0,
            AccessChange(
                CONTEXT, f"make the functions that return the caller again ({names})", (context_sql(project.manifest),)
            ),
        )
    return (*removals, *rest)


def _change(difference: AccessDifference) -> AccessChange:
    verb = {"missing": "add", "extra": "remove", "different": "mend"}[difference.state]
    return AccessChange(difference.on, f"{verb} {difference.what}", difference.mend, difference.removes)


# -- tables, as a whole -------------------------------------------------------------------------------------------------


def _tables_known(project: Project) -> Iterator[AccessDifference]:
    ours = {table.name for table in governed(project)}
    for table in project.target.tables:
        if table.name not in ours:
            security = "forced" if table.rls_forced else "enabled" if table.rls_enabled else "off"
            reach = _said({(g.grantee, g.privilege, g.column) for g in table.grants if g.grantee != table.owner})
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


def _table(project: Project, live: LiveAccess, table: Table, *, writes: bool) -> Iterator[AccessDifference]:
    name = ident(table.schema, table.name)
    if table.owner != live.owner:
        yield _owner(table.name, f"table {name}", live.owner, table.owner)
    if not (table.rls_enabled and table.rls_forced):
        yield AccessDifference(
            "row-level security", "different", table.name, "row-level security", "enabled and forced",
            "enabled, not forced" if table.rls_enabled else "disabled",
            mend=(f"alter table {name} enable row level security, force row level security;",),
        )  # fmt: skip
    yield from _policies(project, live, table)
    rights = [*table_reads(project, table), *(table_writes(project, table) if writes else ())]
    yield from _compare(live, "table", name, table.name, _expected(rights), table.grants, table.owner)


def _owner(on: str, what: str, expected: str, found: str) -> AccessDifference:
    """Return a difference of ownership; only the owner and superusers can repair it, so it has no statements."""
    statement = f"alter {what} owner to {ident(expected)};"
    return AccessDifference(
        "owner", "different", on, "owner", expected, found, advice=f"Ask {found}, or a superuser, to run: {statement}"
    )


# -- policies -----------------------------------------------------------------------------------------------------------


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
                mend=(want.create(name), want.say(name)),
            )  # fmt: skip
        elif got != expected:
            yield _other_policy(table, name, want, expected, got)
    for policy in found.values():
        yield AccessDifference(
            "policy", "extra", table.name, f"policy {policy.name}", "none", _policy(policy),
            mend=(f"drop policy {ident(policy.name)} on {name};",), removes=True,
        )  # fmt: skip


def _other_policy(table: Table, name: str, want: TablePolicy, expected: Policy, got: Policy) -> AccessDifference:
    shown = _policy(expected), _policy(got)
    if shown[0] == shown[1]:
        return AccessDifference(
            "policy", "different", table.name, f"comment of policy {want.name}", expected.comment or "", got.comment or "none",
            mend=(want.say(name),),
        )  # fmt: skip
    return AccessDifference(
        "policy", "different", table.name, f"policy {want.name}", *shown, mend=want.statements(name)
    )


def _policy(policy: Policy) -> str:
    parts = [f"{'' if policy.permissive else 'restrictive, '}for {policy.command} to {', '.join(policy.roles)}"]
    parts += [f"using {policy.using}"] if policy.using is not None else []
    parts += [f"with check {policy.check}"] if policy.check is not None else []
    return " ".join(parts)


# -- rights -------------------------------------------------------------------------------------------------------------


def _expected(rights: Iterable[Right]) -> Held:
    return {
        (role, privilege.upper(), column)
        for right in rights
        for role in right.roles
        for privilege in right.privileges
        for column in (right.columns or (None,))
    }


def _compare(
    live: LiveAccess, on: str, name: str, label: str, expected: Held, grants: Iterable[Grant], owner: str
) -> Iterator[AccessDifference]:
    """Compare the rights on one object, by role and right. Rights of its owner and of superusers are implied."""
    passed_over = {owner, live.owner, *live.superusers}
    counted = [grant for grant in grants if grant.grantee not in passed_over]
    found: Held = {(grant.grantee, grant.privilege, grant.column) for grant in counted}
    onward = {(grant.grantee, grant.privilege) for grant in counted if grant.grantable}
    for role, privilege in sorted({(role, privilege) for role, privilege, _ in expected | found}):
        want = {column for r, p, column in expected if (r, p) == (role, privilege)}
        got = {column for r, p, column in found if (r, p) == (role, privilege)}
        passes_on = (role, privilege) in onward
        if want == got and not passes_on:
            continue
        removes = bool(got - want) or passes_on
        who = "public" if role == PUBLIC else ident(role)
        target = name if on == "table" else f"{on} {name}"
        mend = [f"revoke {privilege.lower()} on {target} from {who} cascade;"] if removes else []
        if want:
            mend.append(f"grant {_right(privilege, want if removes else want - got)} on {target} to {who};")
        if owner != live.owner and owner not in live.superusers:
            # Only the grantor can revoke a right.
            mend = [f"set local role {ident(owner)};", *mend, f"set local role {ident(live.owner)};"]
        yield AccessDifference(
            "right",
            "missing" if not got else "extra" if not want else "different",
            label,
            f"{privilege} for {role}",
            _shown(privilege, want),
            _shown(privilege, got) + (", to be passed on" if passes_on else ""),
            mend=tuple(mend),
            removes=removes,
        )


def _right(privilege: str, columns: Collection[str | None]) -> str:
    named = tuple(sorted(column for column in columns if column is not None))
    return privilege.lower() if None in columns else column_list(privilege.lower(), named)


def _shown(privilege: str, columns: Collection[str | None]) -> str:
    if not columns:
        return "none"
    named = sorted(column for column in columns if column is not None)
    whole = [privilege] if None in columns else []
    return ", ".join([*whole, *([f"{privilege} ({', '.join(named)})"] if named else [])])


def _said(held: Held) -> str:
    by_role: dict[str, set[str]] = {}
    for role, privilege, _ in held:
        by_role.setdefault(role, set()).add(privilege)
    return "; ".join(f"{role}: {', '.join(sorted(rights))}" for role, rights in sorted(by_role.items()))


# -- views and sequences ------------------------------------------------------------------------------------------------


def _view(project: Project, live: LiveAccess, view: View) -> Iterator[AccessDifference]:
    name = ident(view.schema, view.name)
    if not view.materialized and not is_invoker(view):
        yield AccessDifference(
            "view", "different", view.name, "security_invoker", "true", "false: it shows every reader what its owner may see",
            mend=(f"alter view {name} set (security_invoker = true);",),
        )  # fmt: skip
    right = view_right(project, view)
    yield from _compare(live, "table", name, view.name, _expected([right]), view.grants, view.owner)


def _sequences(project: Project, live: LiveAccess, *, writes: bool) -> Iterator[AccessDifference]:
    ours = {table.name for table in governed(project)}
    for sequence in project.target.sequences:
        if sequence.owned_by is None or sequence.owned_by[0] in ours:
            right = sequence_right(project, sequence)
            expected = _expected([right] if writes else [])
            yield from _compare(live, right.on, right.name, sequence.name, expected, sequence.grants, sequence.owner)


# -- the schema ---------------------------------------------------------------------------------------------------------


def _schema(project: Project, live: LiveAccess) -> Iterator[AccessDifference]:
    right = schema_right(project)
    target = project.target
    yield from _compare(
        live, "schema", right.name, f"schema {target.schema}", _expected([right]), target.grants, target.owner
    )
    yield from _defaults(project, live)


def _defaults(project: Project, live: LiveAccess) -> Iterator[AccessDifference]:
    """Compare the default privileges: later objects must be closed to clients."""
    roles = project.manifest.database_roles
    close, *_ = default_privileges(project, live.owner)
    on = f"schema {project.target.schema}"
    functions = [
        each for each in live.defaults if (each.role, each.schema, each.kind) == (live.owner, None, "functions")
    ]
    if not functions or any(each.grantee == PUBLIC for each in functions):
        yield AccessDifference(
            "default privileges", "missing", on, f"functions made later by {live.owner}", "PUBLIC may not execute them",
            "PUBLIC may execute them", mend=(close,),
        )  # fmt: skip
    clients = {PUBLIC, roles.anon, roles.authenticated, roles.login}
    opened = sorted(
        {
            (each.role, each.schema or "", each.kind, each.grantee, each.privilege)
            for each in live.defaults
            if each.grantee in clients and each.privilege is not None and each.kind in ("tables", "sequences", "functions")
            and not (each.kind == "functions" and each.schema is None and each.grantee == PUBLIC)
        }
    )  # fmt: skip
    for role, schema, kind, grantee, privilege in opened:
        within = f" in schema {ident(schema)}" if schema else ""
        who = "public" if grantee == PUBLIC else ident(str(grantee))
        statement = f"alter default privileges for role {ident(role)}{within} revoke {str(privilege).lower()} on {kind} from {who};"
        mine = role == live.owner
        yield AccessDifference(
            "default privileges", "extra", on, f"{kind} made later by {role}", "closed to clients", f"{privilege} for {grantee}",
            mend=(statement,) if mine else (), removes=mine,
            advice="" if mine else f"Ask {role}, or a superuser, to run: {statement}",
        )  # fmt: skip


# -- functions ----------------------------------------------------------------------------------------------------------


def _context(project: Project, live: LiveAccess) -> Iterator[AccessDifference]:
    """Compare schema tenantry: the functions that return the caller, and the tables that they read."""
    expected = read_script([context_sql(project.manifest)])
    found = live.context or Catalog(CONTEXT)
    yield from _script_functions(live, expected, found, in_script=True)
    if live.context is not None:
        right = expected.rights.get(CONTEXT, set())
        yield from _compare(live, "schema", CONTEXT, f"schema {CONTEXT}", right, found.grants, found.owner)
    for table in found.tables:
        rights = expected.rights.get(f"{CONTEXT}.{table.name}")
        if rights is not None:
            name = ident(CONTEXT, table.name)
            yield from _compare(live, "table", name, f"{CONTEXT}.{table.name}", rights, table.grants, table.owner)
    yield from _rest_of_the_engine(project, live, expected, found)
    for mirror in MIRRORS:
        state = live.mirrors.get(mirror, "none")
        if state != "enabled":
            yield AccessDifference(
                "trigger", "missing" if state == "none" else "different", "auth.users", f"trigger {mirror}", "enabled", state,
                script=True,
            )  # fmt: skip


def _rest_of_the_engine(
    project: Project, live: LiveAccess, expected: Script, found: Catalog
) -> Iterator[AccessDifference]:
    """Compare everything else in schema tenantry: no role may hold more than the list. Listed rights may be missing; the rights of the
    context functions' role depend on who makes the functions."""
    definer = project.manifest.database_roles.definer
    calls, reads = callers(project.manifest), readers(project.manifest)
    made = {(function.name, len(function.arguments)) for function in expected.functions.values()}
    for function in found.functions:
        if (function.name, _arity(function)) not in made and function.kind in ("function", "procedure"):
            # Calling a trigger function has no effect; an application's login may hold one for the dual-write window.
            grants = [
                each
                for each in function.grants
                if each.grantee != definer and (function.returns != "trigger" or each.grantee == PUBLIC)
            ]
            listed: Held = {(role, "EXECUTE", None) for role, names in calls.items() if function.name in names}
            name = function_name(function)
            yield from _compare(
                live, function.kind, name, f"{function.name}()", listed & _held(grants), grants, function.owner
            )
    relations: tuple[Table | View, ...] = (*found.tables, *found.views)
    for table in relations:
        name = f"{CONTEXT}.{table.name}"
        if name not in expected.rights:
            allowed = {(role, *each) for role, rights in reads.items() for each in rights}
            grants = [each for each in table.grants if each.grantee != definer]
            held = {right for right in _held(grants) if (right[0], table.name, *right[1:]) in allowed}
            yield from _compare(live, "table", ident(CONTEXT, table.name), name, held, grants, table.owner)
    for sequence in found.sequences:
        name, grants = ident(CONTEXT, sequence.name), [each for each in sequence.grants if each.grantee != definer]
        yield from _compare(live, "sequence", name, f"{CONTEXT}.{sequence.name}", set(), grants, sequence.owner)


def _engine_functions(live: LiveAccess, statements: Sequence[str]) -> Iterator[AccessDifference]:
    found = {
        (function.name, _arity(function)): function for function in (live.context.functions if live.context else ())
    }
    for want in read_script(statements).functions.values():
        got = found.get((want.name, len(want.arguments)))
        if want.schema != CONTEXT or got is None:
            continue
        facts = _facts(want, got)
        if facts:
            # Only the owner can replace a function; another owner must repair theirs.
            mend = tuple(text for text in statements if _is_about(text, want)) if got.owner == live.owner else ()
            yield AccessDifference(
                "function", "different", f"{want.name}()", f"function {want.signature}", ", ".join(fact[0] for fact in facts),
                ", ".join(fact[1] for fact in facts), mend=mend,
            )  # fmt: skip


def _triggers(live: LiveAccess, states: Mapping[WantedTrigger, str]) -> Iterator[AccessDifference]:
    there = {function.name for function in (live.context.functions if live.context else ())}
    for want, state in states.items():
        if state != "enabled":
            made_with = () if want.function in there else want.made_with
            yield AccessDifference(
                "trigger", "missing" if state == "none" else "different", want.table, f"trigger {want.name}", "enabled", state,
                mend=(*made_with, f"{want.statement};"),
            )  # fmt: skip


def _held(grants: Iterable[Grant]) -> Held:
    return {(grant.grantee, grant.privilege, grant.column) for grant in grants}


def _functions(project: Project, live: LiveAccess) -> Iterator[AccessDifference]:
    """Compare the target's own functions: the definitions of helpers, and who may call the others."""
    helpers = helpers_sql(project)
    script = read_script(helpers)
    statements = {
        function.signature: tuple(text for text in helpers if _is_about(text, function))
        for function in script.functions.values()
    }
    yield from _script_functions(live, script, project.target, mends=statements)
    made = {(function.schema, function.name) for function in script.functions.values()}
    for function in project.target.functions:
        if function.kind not in ("function", "procedure") or (function.schema, function.name) in made:
            continue
        right = function_right(project, function)
        grants = function.grants
        if right is None:
            # Triggers, and definer functions, which people grant explicitly; PUBLIC must not call them.
            grants = tuple(grant for grant in grants if grant.grantee == PUBLIC)
        on = "procedure" if function.kind == "procedure" else "function"
        expected = _expected([right] if right is not None else [])
        yield from _compare(live, on, function_name(function), f"{function.name}()", expected, grants, function.owner)


def _is_about(text: str, function: ScriptFunction) -> bool:
    return f"{ident(function.schema, function.name)}(" in text


def _script_functions(
    live: LiveAccess,
    expected: Script,
    found: Catalog,
    *,
    in_script: bool = False,
    mends: dict[str, tuple[str, ...]] | None = None,
) -> Iterator[AccessDifference]:
    there = {(function.name, _arity(function)): function for function in found.functions}
    for want in expected.functions.values():
        got = there.get((want.name, len(want.arguments)))
        mend = (mends or {}).get(want.signature, ())
        label = f"{want.name}()"
        if got is None:
            yield AccessDifference(
                "function",
                "missing",
                label,
                f"function {want.signature}",
                "a function",
                "none",
                mend=mend,
                script=in_script,
            )
            continue
        name = function_name(got)
        if want.owner not in (None, got.owner):
            yield _owner(label, f"function {name}", str(want.owner), got.owner)
        facts = _facts(want, got)
        if facts:
            yield AccessDifference(
                "function", "different", label, f"function {want.signature}", ", ".join(fact[0] for fact in facts),
                ", ".join(fact[1] for fact in facts), mend=mend, script=in_script,
            )  # fmt: skip
        rights = expected.rights.get(want.signature, set())
        yield from _compare(live, "function", name, label, rights, got.grants, got.owner)


def _facts(want: ScriptFunction, got: Function) -> list[tuple[str, str]]:
    """Return the differences of a function, as (expected, found)."""
    compared = [
        (f"security {_security(want.definer)}", f"security {_security(got.security_definer)}"),
        (want.volatility, got.volatility),
        (f"parallel {want.parallel}", f"parallel {got.parallel}"),
        (", ".join(want.config) or "no settings", ", ".join(got.config) or "no settings"),
    ]
    found = [pair for pair in compared if pair[0] != pair[1]]
    body = re.search(r"^AS (\$\w*\$)(.*)\1$", got.definition or "", re.MULTILINE | re.DOTALL)
    if body is None or body[2] != want.body:
        found.append(("its body", "another body"))
    return found


def _security(definer: bool) -> str:
    return "definer" if definer else "invoker"


def _arity(function: Function) -> int:
    return len(function.arguments.split(",")) if function.arguments else 0
