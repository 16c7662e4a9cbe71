"""Mutation testing of the proof: mistakes planted in Clinic's access, one at a time, and who finds them."""
