"""The operations that a plan is made of, one file each: pure functions from a resolved project to steps."""
