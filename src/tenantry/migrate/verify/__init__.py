"""Comparisons of source and target, and what they leave out."""
