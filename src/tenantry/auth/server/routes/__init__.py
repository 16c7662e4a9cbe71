"""The endpoints of the sign-in server, a module for each family; `table` lists them all."""
