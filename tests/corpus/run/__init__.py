"""Every schema of the corpus from its connection string to the cut-over, by one driver that knows none of them: `make corpus`."""
