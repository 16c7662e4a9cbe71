"""What this repository is developed with; part of no distribution."""
