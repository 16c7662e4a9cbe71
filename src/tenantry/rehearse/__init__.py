"""A rehearsal: the whole migration on a copy of the database, before the original is changed."""
