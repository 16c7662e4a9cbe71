"""Copies of whole databases, for rehearsals and for proofs."""
