"""Comparing source and target, and what a comparison leaves out."""
