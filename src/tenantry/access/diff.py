"""Compares a live database with its manifest: what is expected, what was found, and the statements that repair it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tenantry.access.context_functions import context_sql
from tenantry.access.diff_functions import (
    compare_context,
    compare_engine_functions,
    compare_functions,
    compare_triggers,
)
from tenantry.access.diff_schema import compare_schema
from tenantry.access.diff_tables import compare_sequences, compare_table, compare_table_names, compare_view
from tenantry.access.difference import AccessChange, AccessDifference
from tenantry.access.left_tables import compare_left
from tenantry.access.read_live import CONTEXT, LiveAccess, WantedTrigger, governed
from tenantry.mapping.project import Project


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
        writes: False before the cut-over, when clients have no rights to write yet.
        engine: statements that make further functions of schema tenantry, e.g. to accept invitations; existing ones
            are compared.
        triggers: further triggers that should fire, and how each stands; see trigger_states().
    """
    return (
        *compare_table_names(project),
        *compare_schema(project, live),
        *compare_context(project, live),
        *compare_engine_functions(live, engine),
        *compare_triggers(live, triggers or {}),
        *compare_functions(project, live),
        *(found for table in governed(project) for found in compare_table(project, live, table, writes=writes)),
        *(found for view in project.target.views for found in compare_view(project, live, view)),
        *compare_sequences(project, live, writes=writes),
        *compare_left(project.manifest, live.left),
    )


def changes(project: Project, found: Iterable[AccessDifference]) -> tuple[AccessChange, ...]:
    """Return the changes that repair the differences, in order: first removals, then functions, then the rest."""
    fixable = [difference for difference in found if difference.fixable]
    removals = [_change(each) for each in fixable if each.removes]
    script = [each for each in fixable if each.script and not each.removes]
    rest = [_change(each) for each in fixable if not each.script and not each.removes]
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
    verb = {"missing": "add", "extra": "remove", "different": "fix"}[difference.state]
    return AccessChange(difference.on, f"{verb} {difference.what}", difference.fix, difference.removes)


# -- tables, as a whole -------------------------------------------------------------------------------------------------


# -- policies -----------------------------------------------------------------------------------------------------------


# -- rights -------------------------------------------------------------------------------------------------------------


# -- views and sequences ------------------------------------------------------------------------------------------------


# -- the schema ---------------------------------------------------------------------------------------------------------


# -- functions ----------------------------------------------------------------------------------------------------------
