"""Changed rows of the target, carried back into the source."""

from tenantry.migrate.replay.reverse.reverser import Reverser
from tenantry.migrate.replay.reverse.state import Counts, Reversed

__all__ = ["Counts", "Reversed", "Reverser"]
