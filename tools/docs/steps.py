"""docs/reference/steps.md: every kind of step, from the plans of two applications, of a pilot and of a schema with other foreign keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from tenantry.mapping import Project
from tenantry.mapping.project import Subset
from tenantry.plan import Plan, Step
from tests import fixtures

_COMMANDS = {"cut over": "cutover", "contract": "contract"}
"""The command that carries a phase out, where it is not `migrate`."""

_PHASES = {
    "expand": "The target comes into being beside the source.",
    "capture": "From here on the keys of changed source rows are recorded.",
    "copy": "Rows are copied range by range; then keys, indexes and foreign keys are built.",
    "replay": "Rows that changed since they were copied are derived again.",
    "verify": "Nothing is changed: source and target are compared.",
    "secure": "Row-level security, rights and what keeps accounts and profiles synchronized.",
    "cut over": "Applications change sides.",
    "contract": "What the way back needed goes. There is no rollback after this.",
}

_WORDS = {
    "expand.journal": "creates the journal: schema `tenantry`",
    "expand.auth": "creates accounts: schema `auth`; only where there is none",
    "expand.context": "creates the functions that say who the caller is",
    "expand.schema": "runs the manifest's SQL files: the target's schema",
    "expand.id_map": "creates the id map and the functions that look ids up",
    "expand.defer": "takes keys, foreign keys and indexes off the empty target, to build them after the copy",
    "expand.fence": "refuses writes to the target until the cut-over",
    "capture.table:<source table>": "installs the triggers that record changes of a source table",
    "copy.closure": "lists people and other rows without a tenant that come along; only in a pilot",
    "copy.link_accounts": "decides for each user which account is theirs; only with `[users]`",
    "copy.rows:<mapping>": "copies the rows of a mapping, range by range",
    "copy.merge:<mapping>": "merges rows that mean the same; only where the mapping has a merge",
    "copy.sweep:<table>": "quarantines rows that refer to quarantined ones; only for references in a circle",
    "copy.accounts": "creates accounts for users who have none; only with `[users]`",
    "copy.legacy:<table>": "makes rows findable by their old ids, and gathers statistics",
    "copy.catch_up": "replays changes made during the copy, before the unique indexes are built",
    "copy.index:<index>": "builds an index",
    "copy.keys:<table>": "attaches the keys of a table to their indexes",
    "copy.foreign:<table>": "adds the foreign keys of a table, not validated yet",
    "copy.validate:<table>": "validates the foreign keys of a table",
    "replay.drain": "replays changes until next to nothing is left",
    "verify.rows:<mapping>": "compares every row of a mapping with its source",
    "verify.catalog": "compares keys, checks, indexes, triggers and comments with the plan",
    "verify.ids": "finds ids that stand for two rows",
    "verify.references": "finds rows whose parent is missing",
    "verify.rules": "runs the manifest's business rules",
    "secure.schema": "grants rights on the schema, and creates what all policies share",
    "secure.table:<table>": "enables row-level security, and creates the policies and grants of a table",
    "secure.in_step": "creates what keeps accounts and profiles synchronized; only with `[users] in_step`",
    "secure.born_here": "lets new rows have their own id as `legacy_id`; only where the target leaves it open",
    "cut_over": "gives clients write rights on the target, and refuses writes to the source",
    "contract.source": "drops the source tables",
    "contract.target": "removes what served the way back from the target",
    "contract.foreign:<table>": "gives foreign keys their final form; only where it is not deferrable or has RESTRICT",
}
"""What each kind of step does. A step of a plan that is missing here, or a line that no plan has, is an error."""

_HEAD = """\
<!-- Made by `make docs` from the plans of sample applications; changes by hand are lost. -->

# Phases and steps

`tenantry plan` lists the steps for your schema, `tenantry plan --sql` prints their statements and undo, and `tenantry status` shows how
far a run is. A step is done exactly when its transaction has committed.

The id of a step is its phase and kind, and after a colon the name of the table, mapping or index that it is about. So a table of yours
that is called `accounts` or `capture` can never be mistaken for a step.

The columns:

- **Lock**: the strongest lock that others can feel.
- **Rollback**: what `tenantry rollback --everything` does, which undoes the steps from the last to the first. *Own undo*: the step has
  statements that undo it. *With the target*: `expand.schema` removes the whole schema, so this step needs no undo
  ([why](../decisions/0018-undo-skips-what-goes-with-the-target.md)). *Nothing*: the step leaves nothing behind that has to be undone.
- **When resumed**: whether a step that is done is done again. *Pilot*: when a pilot run continues with all other tenants. *Always*: it
  says how things stand now."""


def plans() -> Iterator[Plan]:
    """Plans that have every kind of step between them: of two applications, of a pilot, of foreign keys that cannot wait."""
    yield from (fixtures.plan(name) for name in fixtures.APPLICATIONS)
    clinic = fixtures.project("clinic")
    yield fixtures.plan_of("clinic", replace(clinic, subset=Subset("id = 'c1'", "trial", 1, 2)))
    yield fixtures.plan_of("clinic", _with_restrict(clinic))


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
        ValueError: a step has no words here, or words have no step.
    """
    found: dict[str, list[Step]] = {}
    for plan in plans():
        for step in plan:
            found.setdefault(kind(step), []).append(step)
    words = {name.partition(":")[0]: name for name in _WORDS}
    if odd := sorted(found.keys() ^ words.keys()):
        raise ValueError(f"tools/docs/steps.py and the plans differ in {', '.join(odd)}")
    lines = [_HEAD]
    for phase, text in _PHASES.items():
        lines += ["", f"## {phase}", "", f"{text} Command: `tenantry {_COMMANDS.get(phase, 'migrate')}`.", ""]
        lines += ["| Step | What it does | Lock | Rollback | When resumed |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(name, found[short]) for short, name in words.items() if found[short][0].phase == phase]
    return "\n".join([*lines, ""])


def _row(name: str, steps: list[Step]) -> str:
    locks = " or ".join(sorted({_lock(name, step) for step in steps}))
    again = " or ".join(dict.fromkeys({"never": "", "rest": "pilot", "always": "always"}[step.rerun] for step in steps))
    undo = " or ".join(sorted({_undo(step) for step in steps}))
    return f"| `{name}` | {_WORDS[name]} | {locks} | {undo} | {again} |"


def _lock(name: str, step: Step) -> str:
    """The lock, with the place of a name in place of the name."""
    _, _, about = step.id.partition(":")
    general = re.sub(rf"\b{re.escape(about)}\b", f"`<{name.partition('<')[2]}`", step.lock) if about else step.lock
    return "none" if general.startswith("none that others feel") else general


def _undo(step: Step) -> str:
    if step.phase == "contract":
        return "final"
    return "with the target" if step.gone_with_target else "own undo" if step.undo else "nothing"
