"""The operations of a plan, one file each: pure functions from a resolved project to steps."""
