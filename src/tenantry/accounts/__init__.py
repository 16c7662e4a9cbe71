"""Accounts and profiles: schema auth where there is no Supabase, what becomes of each user, and keeping both sides synchronized."""
