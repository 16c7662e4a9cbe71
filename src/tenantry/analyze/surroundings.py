"""What a run asks of the surroundings when it begins."""

from __future__ import annotations

from tenantry.analyze.around import UNPREPARED_HINT
from tenantry.analyze.probes.surroundings import is_unprepared

__all__ = ["UNPREPARED_HINT", "is_unprepared"]
