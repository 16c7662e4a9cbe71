"""What the access matrix says of a caller, a command and a row: the manifest alone, no policy involved."""
