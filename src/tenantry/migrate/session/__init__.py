"""What every command needs first, and what must hold while a run works."""
