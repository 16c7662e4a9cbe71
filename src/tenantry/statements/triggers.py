"""Disables the target's own triggers and rewrite rules until applications write it."""

from __future__ import annotations

from collections.abc import Iterable

from tenantry.catalog import Table
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.postgres import ident, literal
from tenantry.statements.capture import fed_tables
from tenantry.statements.keys import (
    qualified,
)


def triggers(project: Project, *, on: bool) -> list[str]:
    """Disable the target's own triggers and rewrite rules until applications write it: migrated rows are already in their
    final form."""
    switch = triggers_on if on else triggers_off
    return [*(statement for table in fed_tables(project) for statement in switch(table)), *rules(project, on=on)]


def rules(project: Project, *, on: bool) -> list[str]:
    names = ", ".join(literal(qualified(table)) for table in fed_tables(project) if table.rules)
    return [f"select {JOURNAL}.{'wake' if on else 'sleep'}_rules(array[{names}])"] if names else []


def triggers_off(table: Table) -> Iterable[str]:
    if table.triggers:
        names = ", ".join(f"disable trigger {ident(trigger.name)}" for trigger in table.triggers)
        yield f"alter table {qualified(table)} {names}"


def triggers_on(table: Table) -> Iterable[str]:
    """Restore the earlier state of each trigger."""
    states = {"origin": "enable", "always": "enable always", "replica": "enable replica"}
    switched = [
        f"{states[trigger.enabled]} trigger {ident(trigger.name)}"
        for trigger in table.triggers
        if trigger.enabled in states
    ]
    if switched:
        yield f"alter table {qualified(table)} {', '.join(switched)}"
