"""A rehearsal: the whole migration on a copy of the database, before anybody touches the original."""
