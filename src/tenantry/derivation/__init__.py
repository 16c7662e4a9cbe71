"""Compile a mapping to SQL: target rows from source rows and, in `reverse`, source rows from target rows. Pure."""
