"""What the access matrix allows a caller to do with a row: derived from the manifest alone, without any policy."""
