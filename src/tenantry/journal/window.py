"""What the dual-write window has changed, according to the journal."""

from __future__ import annotations

from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL


def own_definitions(connection: Connection) -> dict[tuple[str, str], str]:
    """Return the definitions of triggers that are changed during the window, by (quoted table, trigger)."""
    return {
        (str(relation), str(name)): str(definition)
        for relation, name, definition in connection.execute(
            f"select w.relation, w.trigger_name, w.definition from {JOURNAL}.window_change w where w.definition is not null"
        )
    }
