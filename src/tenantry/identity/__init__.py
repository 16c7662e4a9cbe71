"""Accounts: a schema auth where there is no Supabase, the admin API where there is one, and how clients see them."""
