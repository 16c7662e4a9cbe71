"""The reads of the analysis: bounded, read-only, and separate from the rules, which are pure."""
