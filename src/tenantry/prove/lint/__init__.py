"""Static checks of isolation on any database, and what they read. Each check is one file in `sql`."""
