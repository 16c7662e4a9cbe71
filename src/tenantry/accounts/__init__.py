"""Accounts and profiles: schema auth for servers without Supabase, decisions about each user, and synchronization."""
