"""Compares functions and triggers, those of schema tenantry included, with the manifest. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tenantry.access.context_functions import context_sql
from tenantry.access.diff_rights import Held, compare_rights, expected_rights, held_rights
from tenantry.access.difference import AccessDifference, other_owner
from tenantry.access.engine_rights import callers, readers
from tenantry.access.grants import function_name, function_right
from tenantry.access.helper_functions import helpers_sql
from tenantry.access.read_live import CONTEXT, MIRRORS, LiveAccess, WantedTrigger
from tenantry.access.script_parser import Script, ScriptFunction, read_script
from tenantry.catalog import PUBLIC, Catalog, Function, Table, View
from tenantry.mapping.project import Project
from tenantry.postgres import ident


def compare_context(project: Project, live: LiveAccess) -> Iterator[AccessDifference]:
    """Compare schema tenantry: the functions that return the caller, and the tables that they read."""
    expected = read_script([context_sql(project.manifest)])
    found = live.context or Catalog(CONTEXT)
    yield from _script_functions(live, expected, found, in_script=True)
    if live.context is not None:
        right = expected.rights.get(CONTEXT, set())
        yield from compare_rights(live, "schema", CONTEXT, f"schema {CONTEXT}", right, found.grants, found.owner)
    for table in found.tables:
        rights = expected.rights.get(f"{CONTEXT}.{table.name}")
        if rights is not None:
            name = ident(CONTEXT, table.name)
            yield from compare_rights(live, "table", name, f"{CONTEXT}.{table.name}", rights, table.grants, table.owner)
    yield from _compare_rest_of_the_engine(project, live, expected, found)
    for mirror in MIRRORS:
        state = live.mirrors.get(mirror, "none")
        if state != "enabled":
            yield AccessDifference(
                "trigger", "missing" if state == "none" else "different", "auth.users", f"trigger {mirror}", "enabled", state,
                script=True,
            )  # fmt: skip


def _compare_rest_of_the_engine(
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
            yield from compare_rights(
                live, function.kind, name, f"{function.name}()", listed & held_rights(grants), grants, function.owner
            )
    relations: tuple[Table | View, ...] = (*found.tables, *found.views)
    for table in relations:
        name = f"{CONTEXT}.{table.name}"
        if name not in expected.rights:
            allowed = {(role, *each) for role, rights in reads.items() for each in rights}
            grants = [each for each in table.grants if each.grantee != definer]
            held = {right for right in held_rights(grants) if (right[0], table.name, *right[1:]) in allowed}
            yield from compare_rights(live, "table", ident(CONTEXT, table.name), name, held, grants, table.owner)
    for sequence in found.sequences:
        name, grants = ident(CONTEXT, sequence.name), [each for each in sequence.grants if each.grantee != definer]
        yield from compare_rights(live, "sequence", name, f"{CONTEXT}.{sequence.name}", set(), grants, sequence.owner)


def compare_engine_functions(live: LiveAccess, statements: Sequence[str]) -> Iterator[AccessDifference]:
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
            fix = tuple(text for text in statements if _is_about(text, want)) if got.owner == live.owner else ()
            yield AccessDifference(
                "function", "different", f"{want.name}()", f"function {want.signature}", ", ".join(fact[0] for fact in facts),
                ", ".join(fact[1] for fact in facts), fix=fix,
            )  # fmt: skip


def compare_triggers(live: LiveAccess, states: Mapping[WantedTrigger, str]) -> Iterator[AccessDifference]:
    there = {function.name for function in (live.context.functions if live.context else ())}
    for want, state in states.items():
        if state != "enabled":
            made_with = () if want.function in there else want.made_with
            yield AccessDifference(
                "trigger", "missing" if state == "none" else "different", want.table, f"trigger {want.name}", "enabled", state,
                fix=(*made_with, f"{want.statement};"),
            )  # fmt: skip


def compare_functions(project: Project, live: LiveAccess) -> Iterator[AccessDifference]:
    """Compare the target's own functions: the definitions of helpers, and who may call the others."""
    helpers = helpers_sql(project)
    script = read_script(helpers)
    statements = {
        function.signature: tuple(text for text in helpers if _is_about(text, function))
        for function in script.functions.values()
    }
    yield from _script_functions(live, script, project.target, fixes=statements)
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
        expected = expected_rights([right] if right is not None else [])
        yield from compare_rights(
            live, on, function_name(function), f"{function.name}()", expected, grants, function.owner
        )


def _is_about(text: str, function: ScriptFunction) -> bool:
    return f"{ident(function.schema, function.name)}(" in text


def _script_functions(
    live: LiveAccess,
    expected: Script,
    found: Catalog,
    *,
    in_script: bool = False,
    fixes: dict[str, tuple[str, ...]] | None = None,
) -> Iterator[AccessDifference]:
    there = {(function.name, _arity(function)): function for function in found.functions}
    for want in expected.functions.values():
        got = there.get((want.name, len(want.arguments)))
        fix = (fixes or {}).get(want.signature, ())
        label = f"{want.name}()"
        if got is None:
            yield AccessDifference(
                "function",
                "missing",
                label,
                f"function {want.signature}",
                "a function",
                "none",
                fix=fix,
                script=in_script,
            )
            continue
        name = function_name(got)
        if want.owner not in (None, got.owner):
            yield other_owner(label, f"function {name}", str(want.owner), got.owner)
        facts = _facts(want, got)
        if facts:
            yield AccessDifference(
                "function", "different", label, f"function {want.signature}", ", ".join(fact[0] for fact in facts),
                ", ".join(fact[1] for fact in facts), fix=fix, script=in_script,
            )  # fmt: skip
        rights = expected.rights.get(want.signature, set())
        yield from compare_rights(live, "function", name, label, rights, got.grants, got.owner)


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
