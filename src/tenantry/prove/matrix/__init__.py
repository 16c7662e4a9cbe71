"""The access matrix executed, cell by cell, as the role that the cell is about."""
