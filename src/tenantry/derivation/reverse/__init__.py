"""The SQL that brings source rows in line with target rows. Pure; `migrate.replay.reverse` runs it."""
