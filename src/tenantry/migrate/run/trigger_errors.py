"""Explains errors that a trigger of the application raised."""

from __future__ import annotations

from contextlib import suppress

import psycopg

from tenantry.errors import SideFenced, TenantryError, TriggerFailed
from tenantry.migrate.replay.triggered import trigger_of
from tenantry.postgres import connect, explain


def explain_run_error(dsn: str, error: psycopg.Error) -> TenantryError:
    """Explain an error of a command on a run; if a trigger of the application raised it, the message names the trigger."""
    known = explain(error, "working on the run")
    where = ""
    if error.diag.context and not isinstance(known, SideFenced):
        with suppress(psycopg.Error, TenantryError), connect(dsn, name="tenantry: triggers") as connection:
            where = trigger_of(connection, error)
    if not where:
        return known
    return TriggerFailed(
        f"A write of Tenantry was refused{where}: {error.diag.message_primary}. This round was rolled back.",
        hint="Fix the trigger's function (it must qualify tables and functions with their schema, or SET search_path), or make the trigger"
        " ignore Tenantry's login. Then run the same command again.",
        detail={**known.detail, "trigger": where.strip()},
    )
