"""A file for each form of export; a file that is put here counts."""
