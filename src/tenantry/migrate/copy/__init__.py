"""The backfill, range by range, and the quarantine of rows that cannot be migrated."""
