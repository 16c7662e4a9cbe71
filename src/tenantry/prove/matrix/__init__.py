"""Executes the access matrix, cell by cell, as the role that each cell is about."""
