"""Changing which side applications write, and what ends a run."""
