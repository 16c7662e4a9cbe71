"""Hand schema auth over to a Supabase Auth server, and read on what it left."""

from tenantry.auth.handover.migrations import ServerMigration, migrations
from tenantry.auth.handover.prepare import (
    Handover,
    HandoverState,
    hand_over,
    handover_script,
    read_handover,
    schema_objects,
)

__all__ = [
    "Handover",
    "HandoverState",
    "ServerMigration",
    "hand_over",
    "handover_script",
    "migrations",
    "read_handover",
    "schema_objects",
]
