"""Backing off: measures a run's effect on others, and decides when it waits."""
