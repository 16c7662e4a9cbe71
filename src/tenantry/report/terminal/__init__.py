"""Terminal output: one module for each command that shows more than a line."""
