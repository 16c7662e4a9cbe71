"""Reverse replay: changed rows of the target are written back into the source."""

from tenantry.migrate.replay.reverse.reverser import Reverser
from tenantry.migrate.replay.reverse.state import Counts, Reversed

__all__ = ["Counts", "Reversed", "Reverser"]
