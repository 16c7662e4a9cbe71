"""Clinic before the migration: the source schema, and sample data with typical defects.

`create_schema` and `load` write to a database; `generate` yields the same rows without one. `Planted` lists every defect with
its rows, so that tests can compare a migration with the exact counts.
"""

from clinic.migration.legacy.defects import NOTES, RATES, Defect, Planted
from clinic.migration.legacy.generate import Sample, generate
from clinic.migration.legacy.load import (
    LegacyError,
    TablesExistError,
    TablesFilledError,
    TablesMissingError,
    create_schema,
    load,
)
from clinic.migration.legacy.names import LOCATIONS
from clinic.migration.legacy.shape import COLUMNS

__all__ = [
    "COLUMNS",
    "LOCATIONS",
    "NOTES",
    "RATES",
    "Defect",
    "LegacyError",
    "Planted",
    "Sample",
    "TablesExistError",
    "TablesFilledError",
    "TablesMissingError",
    "create_schema",
    "generate",
    "load",
]
