"""The commands, one module each; see tenantry.cli.command."""
