"""The engine that runs a plan, and the handle of a run whose copy is done."""
