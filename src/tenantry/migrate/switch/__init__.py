"""Changes which side applications write, and ends a run."""
