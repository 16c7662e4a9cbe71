"""Reports: the same data as terminal output, JSON and one self-contained HTML file. `collect` builds the data."""
