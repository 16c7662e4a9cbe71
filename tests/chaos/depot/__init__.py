"""A second application for the campaign, whose tables are of other kinds than Clinic's: numbers and several columns as keys,
partitions, a table that refers to itself, keys that cascade, numbers from sequences; and no people who are merged."""
