"""The SQL of a mapping: what derives target rows from source rows, and, in `reverse`, source rows from target rows. Pure."""
