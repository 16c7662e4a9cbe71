"""Compile the SQL that updates source rows to match target rows. Pure; `migrate.replay.reverse` runs it."""
