"""The journal: the tables in schema `tenantry` in which a run records what it did, and the statements that read and write them."""
