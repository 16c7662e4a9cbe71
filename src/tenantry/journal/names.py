"""Names in schema `tenantry` that generated SQL holds."""

JOURNAL = "tenantry"
"""The schema in which a run records what it does. It is next to the application's schemas, in the same database."""
