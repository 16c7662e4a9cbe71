"""Schemas in the styles that applications have, with generated data and a known answer: the yardstick of every analysis."""
