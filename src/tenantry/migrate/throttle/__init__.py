"""Backing off: what a run does to others, and when it waits."""
