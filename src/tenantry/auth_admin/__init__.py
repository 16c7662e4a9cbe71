"""The admin API of Supabase Auth, for a hosted Supabase whose database cannot be reached."""
