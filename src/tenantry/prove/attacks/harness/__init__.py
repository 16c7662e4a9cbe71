"""The harness of attacks: the world that they share, one attempt with its sessions, and the runner."""
