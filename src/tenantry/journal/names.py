"""Names in schema `tenantry` that generated SQL holds."""

JOURNAL = "tenantry"
"""The schema in which a run records what it does. It stands beside the application's, in the same database."""
