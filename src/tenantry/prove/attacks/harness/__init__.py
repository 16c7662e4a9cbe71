"""What attacks run in: the world that they share, one attempt with its sessions, and running them all."""
