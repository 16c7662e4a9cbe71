"""The preparation of every command, and the guards of a run."""
