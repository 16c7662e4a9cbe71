"""The status of a run, for people and for monitoring."""
