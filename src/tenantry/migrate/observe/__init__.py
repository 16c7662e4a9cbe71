"""How a run stands, for people and for monitoring."""
