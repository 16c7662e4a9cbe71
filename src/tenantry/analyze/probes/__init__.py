"""What analysis reads of a database: bounded, read-only, and apart from the rules, which are pure."""
