"""Static checks of isolation for any database, and the facts that they read. Each check is one file in `sql`."""
