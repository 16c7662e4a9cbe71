"""The command line. `main` starts it; `commands` has a module for each command."""
