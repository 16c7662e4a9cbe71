"""Which lines of an application and which queries touch what a migration changes."""
