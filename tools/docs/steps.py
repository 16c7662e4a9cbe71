"""docs/reference/steps.md: every kind of step, from the plans of two applications, of a pilot and of a schema with other foreign keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from tenantry.manifest.model import ValueTenants
from tenantry.mapping import Project
from tenantry.mapping.project import Subset
from tenantry.plan import Plan, Step
from tests import fixtures

_COMMANDS = {"cut over": "cutover", "contract": "contract"}
"""The command that runs a phase, if it is not `migrate`."""

_PHASES = {
    "expand": "The target is created next to the source.",
    "capture": "From here on the keys of changed source rows are recorded.",
    "copy": "Rows are copied range by range; then keys, indexes and foreign keys are built.",
    "replay": "Rows that changed since they were copied are derived again.",
    "verify": "Nothing is changed: source and target are compared.",
    "secure": "Row-level security and privileges are created, and the functions that synchronize accounts and profiles.",
    "cut over": "Applications switch over to the target.",
    "contract": "Everything that only a rollback needs is dropped, and so is the source. This cannot be rolled back.",
}

_HEAD = """\
<!-- Made by `make docs` from the plans of sample applications; changes by hand are lost. -->

# Phases and steps

`tenantry plan` lists the steps for your schema, `tenantry plan --sql` prints their statements and undo, and `tenantry status` shows how
far a run is. A step is done exactly when its transaction has committed.

The id of a step is its phase and kind, and after a colon the name of the table, mapping or index that it is about. So a table
named `accounts` or `capture` is never mistaken for a step.

The columns:

- **Lock**: the strongest lock that others can notice.
- **Rollback**: what `tenantry rollback --everything` does, which undoes the steps from the last to the first. *Own undo*: the step has
  statements that undo it. *With the target*: `expand.schema` removes the whole schema, so this step needs no undo
  ([why](../decisions/0018-undo-skips-what-goes-with-the-target.md)). *Nothing*: the step leaves nothing that must be undone.
- **When resumed**: whether a completed step runs again. *Pilot*: when a pilot run continues with all other tenants. *Always*: it
  checks the current state."""


def plans() -> Iterator[Plan]:
    """Return plans that together contain every kind of step: of two applications, of a pilot, with RESTRICT foreign keys, with
    one constant tenant, with tenants from values, and with a table that is left where it is."""
    yield from (fixtures.plan(name) for name in fixtures.APPLICATIONS)
    clinic = fixtures.project("clinic")
    yield fixtures.plan_of("clinic", replace(clinic, subset=Subset("id = 'c1'", "trial", 1, 2)))
    yield fixtures.plan_of("clinic", _with_restrict(clinic))
    left = clinic.manifest.source.model_copy(update={"access": {"clinics": "public"}})
    yield fixtures.plan_of("clinic", replace(clinic, manifest=clinic.manifest.model_copy(update={"source": left})))
    constant = clinic.manifest.tenant.model_copy(update={"constant": {"name": "One"}})
    yield fixtures.plan_of("clinic", replace(clinic, manifest=clinic.manifest.model_copy(update={"tenant": constant})))
    values = clinic.manifest.tenant.model_copy(update={"values": ValueTenants(column="name")})
    by_value = replace(_by_value(clinic), manifest=clinic.manifest.model_copy(update={"tenant": values}))
    yield fixtures.plan_of("clinic", by_value)


def _by_value(project: Project) -> Project:
    """The same, but paths to the tenant table name the tenant by a value."""
    root = project.manifest.tenant.table
    mappings = tuple(
        replace(
            mapping,
            tenant_paths=tuple(replace(path, by_value=path.parent == root) for path in mapping.tenant_paths),
        )
        for mapping in project.mappings
    )
    by_target = {name: tuple(each for each in mappings if each.target.name == name) for name in project.by_target}
    return replace(project, mappings=mappings, by_target=by_target)


def _with_restrict(project: Project) -> Project:
    """The same, but foreign keys of the target that are not deferrable."""
    tables = tuple(
        replace(
            table,
            constraints=tuple(
                replace(each, deferrable=False, definition=each.definition.partition(" DEFERRABLE")[0])
                if each.kind == "foreign"
                else each
                for each in table.constraints
            ),
        )
        for table in project.target.tables
    )
    return replace(project, target=replace(project.target, tables=tables))


def kind(step: Step) -> str:
    """The id without the name that it is about, as `copy.rows` of `copy.rows:goals`."""
    return step.id.partition(":")[0]


def page() -> str:
    """The reference of the steps, in Markdown.

    Raises:
        ValueError: steps of one kind have different texts, or none.
    """
    found: dict[str, list[Step]] = {}
    order: list[str] = []
    for plan in plans():
        before = ""
        for step in plan:
            found.setdefault(kind(step), []).append(step)
        for name in dict.fromkeys(kind(step) for step in plan):
            if name not in order:
                # A step that only some plans have comes behind the one that it follows there.
                order.insert(order.index(before) + 1 if before else 0, name)
            before = name
    for name, steps in found.items():
        if len(texts := {(step.does, step.about) for step in steps}) > 1 or not steps[0].does:
            raise ValueError(f"{name}: one text for all of them, not {texts}")
    lines = [_HEAD]
    for phase, text in _PHASES.items():
        lines += ["", f"## {phase}", "", f"{text} Command: `tenantry {_COMMANDS.get(phase, 'migrate')}`.", ""]
        lines += ["| Step | What it does | Lock | Rollback | When resumed |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(found[name]) for name in order if found[name][0].phase == phase]
    return "\n".join([*lines, ""])


def _row(steps: list[Step]) -> str:
    locks = " or ".join(sorted({_lock(step) for step in steps}))
    again = " or ".join(dict.fromkeys({"never": "", "rest": "pilot", "always": "always"}[step.rerun] for step in steps))
    undo = " or ".join(sorted({_undo(step) for step in steps}))
    name = kind(steps[0]) + (f":<{steps[0].about}>" if steps[0].about else "")
    return f"| `{name}` | {steps[0].does} | {locks} | {undo} | {again} |"


def _lock(step: Step) -> str:
    """The lock, with the place of a name in place of the name."""
    _, _, about = step.id.partition(":")
    general = re.sub(rf"\b{re.escape(about)}\b", f"`<{step.about}>`", step.lock) if about else step.lock
    return "none" if general.startswith("none that others notice") else general


def _undo(step: Step) -> str:
    if step.phase == "contract":
        return "final"
    return "with the target" if step.gone_with_target else "own undo" if step.undo else "nothing"
