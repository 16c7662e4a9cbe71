"""What the sign-in server needs in a database: schema auth, tables of its own, and a login with exactly the rights that it uses."""
